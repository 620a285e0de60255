"""`backtest` and `diff`: what a policy would have done in the history that is kept."""
