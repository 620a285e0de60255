"""What `--like` reads of a `probe.json`: how an account was seen to behave."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from fc_emulator.validation import Model, parse

Fact = Literal[
    "started_time", "events", "record_qualifier", "alias_tasks", "stop_finished", "stop_stopping", "stopping",
    "list_lag", "arn", "stop_answer", "empty_list", "event_detail",
]  # fmt: skip


class Probe(Model):
    """Facts have the names and values of switches, with _ for -. Other keys of the file change nothing."""

    model_config = ConfigDict(alias_generator=str, extra="ignore")
    version: Literal[1]
    api_versions: dict[str, bool | None]
    facts: dict[Fact, str | int | None]

    def switches(self) -> list[str]:
        """Each fact that was observed as an argument of the command."""
        seen = {fact.replace("_", "-"): value for fact, value in self.facts.items() if value is not None}
        return [f"--{switch}={value}" for switch, value in seen.items()]

    def unserved(self) -> frozenset[str]:
        """The versions of the API that are not served."""
        return frozenset(version for version, served in self.api_versions.items() if served is False)


def read_probe(text: str) -> Probe:
    """Read the text of a `probe.json`.

    Raises:
        ValueError: it is not JSON, or not such a file; a line for each problem.
    """
    return parse(Probe, text, "the probe", "write it with fc-reaper probe")
