"""For all tests: hypothesis without a stopwatch, since a busy machine is no fault of ours.

`pytest --hypothesis-profile brief` tries a fifth of the examples, for a second look at another Python,
`thorough` ten times as many, for after a change of the rules. Laws that need more than the usual hundred
say how many hundreds: `settings().max_examples` times so many.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("usual", deadline=None, max_examples=100)
settings.register_profile("brief", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("usual")
