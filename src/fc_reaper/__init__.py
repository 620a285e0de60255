"""fc-reaper stops Function Compute tasks that outlive your rules, and says why."""

__version__ = "0.1.0"

__all__ = ["__version__"]
