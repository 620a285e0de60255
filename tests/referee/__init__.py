"""The referee: random accounts, policies, events, faults and clocks, through the real handler."""
