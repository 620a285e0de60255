"""A local emulator of asynchronous tasks on Function Compute, in three API versions.

It shares no code with `fc_reaper` and imports no client of the platform: it is written from the platform's
documentation alone, so that a mistake in either of the two shows up in the tests of the other. `account`
holds the state and its rules and knows nothing of HTTP; `app` and `operations` hold no rules.
"""
