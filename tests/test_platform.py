"""`probe.json` is read strictly, and a message says what is wrong and what to do."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.errors import SettingsError
from fc_reaper.platform import Facts, account_digest, read_platform
from tests.probe_files import API_VERSIONS, FACTS, api_versions, facts, probed
from tests.project.files import ROOT

SCHEMA = json.loads((ROOT / "docs" / "probe.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read_platform(text, "probe.json")
    return str(refused.value)


def test_the_account_is_there_as_a_digest_only() -> None:
    digest = account_digest("cn-hangzhou", "123456789")
    assert digest == sha256(b"cn-hangzhou 123456789").hexdigest()[:8]
    assert digest != account_digest("cn-shanghai", "123456789")


def test_every_fact_of_the_model_is_tried_here() -> None:
    assert list(Facts.model_fields) == list(FACTS)


@given(facts(), api_versions())
def test_what_is_written_is_read_as_it_was(facts: dict[str, Any], versions: dict[str, bool | None]) -> None:
    platform = read_platform(json.dumps(probed(facts=facts, api_versions=versions)), "probe.json")
    assert platform.facts.model_dump(exclude_none=True) == {n: v for n, v in facts.items() if v is not None}
    written = platform.model_dump_json()
    assert read_platform(written, "probe.json") == platform
    VALIDATOR.validate(json.loads(written))


def test_what_was_left_out_was_not_observed() -> None:
    least = {name: value for name, value in probed().items() if name != "observed"}
    platform = read_platform(json.dumps(least), "probe.json")
    assert set(platform.facts.model_dump().values()) == {None}
    assert platform.observed == {}


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 500), st.floats(0.1, 0.9), st.just("1s"), st.just("never"),
    st.just("enqueue"), st.sampled_from(["01s", "1h", "٣s", "-1s"]), st.just([]), st.just({"x": 1}),
)  # fmt: skip


@given(st.sampled_from([*probed(), "hello"]), st.sampled_from([None, *FACTS, *API_VERSIONS]), ODD)
def test_the_schema_and_the_reader_accept_the_same(key: str, inner: str | None, value: Any) -> None:
    content = probed()
    content[key] = value if inner is None else {inner: value}
    if VALIDATOR.is_valid(content):
        read_platform(json.dumps(content), "probe.json")
    else:
        assert refusal(json.dumps(content)).startswith(f"probe.json: {key}")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "version 2": ({"version": 2}, "version: Input should be less than or equal to 1"),
    "version true": ({"version": True}, "version: Input should be a valid integer"),
    "an account id": ({"account": "123456789"}, "account: String should match pattern '^[0-9a-f]{8}$'"),
    "an unknown version of the API": ({"api_versions": {"2020-01-01": True}},
        "api_versions.2020-01-01: Input should be '2021-04-06', '2016-08-15' or '2023-03-30'"),
    "no answer to whether": ({"api_versions": {"2021-04-06": "yes"}},
        "api_versions.2021-04-06: Input should be a valid boolean"),
    "facts": ({"facts": None}, "facts: Input should be an object"),
    "a misspelt fact": ({"facts": {"stoping": "1s"}}, "facts.stoping: Extra inputs are not permitted"),
    "another value": ({"facts": {"started_time": "both"}},
        "facts.started_time: Input should be 'enqueue' or 'execution'"),
    "a number as text": ({"facts": {"stop_finished": "412"}},
        "facts.stop_finished: Input should be 412 or 400"),
    "another key": ({"secret": "x"}, "secret: Extra inputs are not permitted"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_says_where_what_and_what_to_do(case: str) -> None:
    given, message = REFUSED[case]
    again = "write the file with fc-reaper probe"
    assert refusal(json.dumps(probed(**given))) == f"probe.json: {message}; {again}"


@pytest.mark.parametrize("key", [key for key in probed() if key != "observed"])
def test_a_key_that_is_missing_is_named(key: str) -> None:
    content = probed()
    del content[key]
    again = "Field required; write the file with fc-reaper probe"
    assert refusal(json.dumps(content)) == f"probe.json: {key}: {again}"


@pytest.mark.parametrize("text", ["", "{", "[1", '{"a": NaN}', "[" * 10_000, "\ud800"], ids=range(6))
def test_what_is_not_json_is_refused_in_one_line(text: str) -> None:
    assert "\n" not in refusal(text)


def test_another_json_is_refused() -> None:
    assert refusal("[]") == "probe.json: Input should be an object; write the file with fc-reaper probe"
