"""From the text of a policy file to values that a judge can use; nothing is opened or looked up.

What only commands need, the schema, dumps and fingerprints, is imported from its own module: it would cost
every cold start of the function.
"""

from fc_reaper.policy.duration import format_duration, parse_duration, spell_duration
from fc_reaper.policy.file import load_policy
from fc_reaper.policy.model import CLOCKS, Carried, Example, Keep, Limit, Matcher, Policy, PolicyFile

__all__ = [
    "CLOCKS",
    "Carried",
    "Example",
    "Keep",
    "Limit",
    "Matcher",
    "Policy",
    "PolicyFile",
    "format_duration",
    "load_policy",
    "parse_duration",
    "spell_duration",
]
