"""`--like probe.json`: the emulator behaves as that account did."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given

from fc_emulator.__main__ import options_of, parsed
from fc_emulator.like import Fact
from fc_emulator.options import Options
from fc_emulator.times import parse_duration
from tests.emulator.conftest import Run
from tests.emulator.seeds import A_SHIFT
from tests.emulator.wire import VERSIONS, Api, Caller
from tests.emulator_server import running_emulator
from tests.probe_files import FACTS, api_versions, facts, probed, write_probe


def options(path: Path, *args: str) -> Options:
    return options_of(parsed(["--like", str(path), *args]))


def as_option(fact: str, value: Any) -> Any:
    """The value of a fact as the option has it."""
    if fact in ("list_lag", "stopping"):
        return None if value == "never" else parse_duration(value)
    return value


def some(entries: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if value is not None}


@given(facts(), api_versions())
def test_it_has_exactly_the_options_of_the_facts(
    facts: dict[str, Any], versions: dict[str, bool | None]
) -> None:
    """A fact that is null, or left out, leaves its switch at the default."""
    with tempfile.TemporaryDirectory() as folder:
        found = options(write_probe(Path(folder), facts=facts, api_versions=versions))
    wanted = {fact: as_option(fact, value) for fact, value in some(facts).items()}
    unserved = frozenset(version for version, served in versions.items() if served is False)
    assert found == replace(Options(), **wanted, unserved=unserved)


@given(facts(), facts())
def test_a_switch_wins_over_the_file(facts: dict[str, Any], given: dict[str, Any]) -> None:
    """Wherever it stands, and whether or not its value is the default."""
    switches = [word for fact, value in some(given).items() for word in (switch(fact), str(value))]
    with tempfile.TemporaryDirectory() as folder:
        path = write_probe(Path(folder), facts=facts)
        found = options(path, *switches)
        assert found == options_of(parsed([*switches, "--like", str(path)]))
    wanted = {fact: as_option(fact, value) for fact, value in {**some(facts), **some(given)}.items()}
    assert found == replace(Options(), **wanted)


def switch(fact: str) -> str:
    return f"--{fact.replace('_', '-')}"


def test_every_switch_for_what_is_not_documented_is_a_fact() -> None:
    """What is no fact is about the machine, and not about the account's behaviour."""
    machine = {"account_id", "access_key_id", "access_key_secret", "security_token", "latency", "rate"}
    assert set(get_args(Fact)) == set(FACTS) == set(asdict(Options())) - machine - {"unserved"}


def test_it_answers_as_that_account(tmp_path: Path) -> None:
    path = write_probe(tmp_path, facts={"stop_answer": 204, "events": "no"})
    with running_emulator("--like", str(path), seed=A_SHIFT) as emulator:
        api = Api(Caller(emulator.endpoint), VERSIONS[0])
        assert not any("events" in task for task in api.page(limit=100).json()[api.tasks_key])
        assert api.stop("job-1").status_code == 204


@pytest.mark.parametrize("unserved", VERSIONS)
def test_a_version_that_is_not_served_is_an_unknown_path(unserved: str, tmp_path: Path) -> None:
    """The others are served."""
    path = write_probe(tmp_path, api_versions={unserved: False})
    with running_emulator("--like", str(path), seed=A_SHIFT) as emulator:
        for version in VERSIONS:
            api = Api(Caller(emulator.endpoint), version)
            answer = api.page(limit=100)
            if version == unserved:
                nowhere = api.call("GET", f"/{version}/nowhere")
                assert (answer.status_code, answer.json().keys()) == (400, nowhere.json().keys())
                assert "PathNotSupported" in answer.text
            else:
                assert answer.status_code == 200
        assert emulator.calls()["counts"]["Unknown"] == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "the probe is not JSON"),
        ("[]", "[] is not an object"),
        (json.dumps(probed(version=2)), "version: 2 is not known; write 1"),
        (json.dumps(probed(facts={"port": 1})), "facts.port: \"port\" is not known; write 'started_time'"),
        (json.dumps(probed(facts={"stop_finished": 200})), "argument --stop-finished: invalid choice: "),
        (json.dumps(probed(facts={"stopping": "soon"})), "argument --stopping: 'soon' is not a duration"),
        (json.dumps(probed(facts={"events": True})), "facts.events"),
        (json.dumps(probed(api_versions={"2021-04-06": "no"})), 'api_versions.2021-04-06: "no" is neither'),
    ],
    ids=range(8),
)
def test_a_file_that_is_none_is_reported_with_its_path(
    content: str, problem: str, run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "probe.json"
    path.write_text(content, "utf-8")
    done = run("--like", str(path))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"fc-emulator: {path}: {problem}")


def test_a_missing_file_is_reported_in_one_line(run: Run, tmp_path: Path) -> None:
    done = run("--like", str(tmp_path / "none.json"))
    assert (done.code, done.err) == (2, f"fc-emulator: {tmp_path / 'none.json'}: No such file or directory\n")
