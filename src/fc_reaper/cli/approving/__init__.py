"""`approve`: look at what a policy does, then let it stop tasks."""
