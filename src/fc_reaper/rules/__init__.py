"""What a policy can ask of one task: ages, expressions, and one rule for each matcher key."""
