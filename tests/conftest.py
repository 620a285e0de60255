"""For all tests: hypothesis without a stopwatch, since a busy machine is no fault of ours."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("without-a-stopwatch", deadline=None)
settings.load_profile("without-a-stopwatch")
