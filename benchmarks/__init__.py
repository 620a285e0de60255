"""What the product costs, as ratios and counts that hold on any machine."""
