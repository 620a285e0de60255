"""The policy language: the models of a policy file, its loader, the lock beside it, and the lints."""

from fc_reaper.policy.load import load_policy
from fc_reaper.policy.model import Example, Given, Keep, Matcher, Policy, PolicyFile

__all__ = ["Example", "Given", "Keep", "Matcher", "Policy", "PolicyFile", "load_policy"]
