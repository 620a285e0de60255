"""What a policy would have done in a history of tasks that is known to its end. Pure: no cloud, no clock."""
