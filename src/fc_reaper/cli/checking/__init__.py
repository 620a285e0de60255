"""`check`: is a policy valid, what does it say, what does it cost."""
