"""What a policy would have done in a history of tasks; all but `source` is pure."""
