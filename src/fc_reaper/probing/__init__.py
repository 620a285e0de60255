"""What `fc-reaper probe` does: it submits a few tasks to a function of its own, and observes them."""
