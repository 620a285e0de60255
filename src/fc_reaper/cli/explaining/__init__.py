"""`explain`: the verdict of one task, step by step."""
