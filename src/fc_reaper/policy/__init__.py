"""From the text of a policy file to values that a judge can use; nothing is opened or looked up."""

from fc_reaper.policy.dump import dump_one, dump_policy, spell_budget
from fc_reaper.policy.duration import format_duration, parse_duration, spell_duration
from fc_reaper.policy.file import load_policy
from fc_reaper.policy.fingerprint import exemptions, file_fingerprint, fingerprint
from fc_reaper.policy.models import CLOCKS, Carried, Example, Keep, Limit, Matcher, Policy, PolicyFile
from fc_reaper.policy.schema import policy_schema

__all__ = [
    "CLOCKS",
    "Carried",
    "Example",
    "Keep",
    "Limit",
    "Matcher",
    "Policy",
    "PolicyFile",
    "dump_one",
    "dump_policy",
    "exemptions",
    "file_fingerprint",
    "fingerprint",
    "format_duration",
    "load_policy",
    "parse_duration",
    "policy_schema",
    "spell_budget",
    "spell_duration",
]
