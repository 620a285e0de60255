"""fc-reaper stops Function Compute tasks that outlive your rules, and says why."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  # in syntax that even Python 2.7 reads
    python = "python{}.{}".format(*sys.version_info)
    raise ImportError("fc-reaper needs python3.10 or later, not " + python + "; change the runtime in s.yaml")

__version__ = "0.1.0"

__all__ = ["__version__"]
