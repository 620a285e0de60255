"""The `policy.yaml` that an operator starts from."""

from __future__ import annotations

from pathlib import Path

from fc_reaper.policy import load_policy

EXAMPLE = Path(__file__).parents[2] / "policy.yaml"


def test_an_editor_finds_the_schema() -> None:
    """By the line that the YAML language server looks for, above everything else."""
    first, _, schema = EXAMPLE.read_text(encoding="utf-8").splitlines()[0].partition("$schema=")
    assert first == "# yaml-language-server: "
    assert (EXAMPLE.parent / schema).is_file()


def test_the_example_is_valid_and_names_its_functions() -> None:
    """It can be deployed as it is: literal targets, and something that is exempt."""
    file = load_policy(EXAMPLE.read_text(encoding="utf-8"), source="policy.yaml")
    assert not any(target.needs_discovery for policy in file.policies for target in policy.targets)
    assert file.exempt
    assert {policy.stops for policy in file.policies} == {True, False}
