"""What can be known of an expression before there is a task: what it reads, and what it may answer."""
