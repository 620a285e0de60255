"""Pages: what is there, what is not, and what must not be taken for "nothing there"."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fc_reaper.cloud.answers import Answer
from fc_reaper.cloud.failures import CallFailed
from fc_reaper.cloud.pages import read_functions_page, read_page
from fc_reaper.models import Function
from tests.cloud.clients import RESIZE, TRANSCODE

AT = 1_700_000_000_000
ARN = "acs:fc:cn-hangzhou:1:functions/resize"


def says(body: Any) -> Answer:
    return Answer(200, {}, json.dumps(body).encode(), AT, AT)


@pytest.mark.parametrize("body", [{}, {"invocations": None}, {"invocations": []}, {"nextToken": ""}])
def test_nothing_found_is_written_in_many_ways(body: Any) -> None:
    """The list absent, null, or empty; no token means the last page."""
    page = read_page(TRANSCODE, says(body), None)
    assert (page.tasks, page.token, page.moment) == ((), None, AT)


@pytest.mark.parametrize(
    ("function", "body"),
    [
        (TRANSCODE, {"invocations": [{"invocationId": "a"}, {"invocationId": "b"}], "nextToken": "t"}),
        (RESIZE, {"tasks": [{"taskId": "a"}, {"taskId": "b"}], "nextToken": "t"}),
    ],
    ids=str,
)
def test_both_generations_write_pages(function: Function, body: Any) -> None:
    """With other words for the same."""
    page = read_page(function, says(body), "s")
    assert [task.invocation_id for task in page.tasks] == ["a", "b"]
    assert page.token == "t"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"tasks": []}, id="a-page-of-the-other-generation"),
        pytest.param({"data": []}, id="a-page-of-functions"),
        pytest.param({"Code": "Throttling"}, id="an-error-that-claims-success"),
        pytest.param({"html": "login"}, id="a-foreign-body"),
        pytest.param({"invocations": {}}, id="no-list"),
        pytest.param({"invocations": ["a"]}, id="no-record"),
        pytest.param({"invocations": [{"status": "Running"}]}, id="a-record-without-id"),
        pytest.param({"invocations": [{"invocationId": 7}]}, id="an-id-that-is-no-text"),
        pytest.param({"invocations": [], "nextToken": "asked"}, id="the-same-token-again"),
        pytest.param({"invocations": [], "nextToken": 7}, id="a-token-that-is-no-text"),
    ],
)
def test_what_is_no_page_is_not_taken_for_an_empty_one(body: Any) -> None:
    """Nothing may follow from what was not seen."""
    with pytest.raises(CallFailed) as caught:
        read_page(TRANSCODE, says(body), "asked")
    assert caught.value.error_code == "UnreadableAnswer"


def test_functions_with_a_service_are_listed_with_their_qualifier() -> None:
    """Without one it is LATEST: every later question names a qualifier."""
    body = {
        "data": [
            {"serviceName": "media", "functionName": "transcode", "qualifier": "prod"},
            {"serviceName": "media", "functionName": "transcode"},
        ],
        "nextToken": "t",
    }
    page = read_functions_page(says(body), None, services=True)
    assert page == ((TRANSCODE, Function("media", "transcode", "LATEST")), "t")


def test_functions_without_a_service_are_those_configured_for_tasks() -> None:
    """Asynchronous invocation alone is not task mode."""
    body = {
        "configs": [
            {"functionArn": f"{ARN}/prod", "asyncTask": True},
            {"functionArn": f"{ARN}/test", "asyncTask": False},
            {"functionArn": f"{ARN}/test"},
            {"functionArn": ARN, "asyncTask": True},
        ]
    }
    page = read_functions_page(says(body), None, services=False)
    assert page == ((Function(None, "resize", "prod"), RESIZE), None)


@pytest.mark.parametrize(
    ("services", "body"),
    [
        (True, {"configs": []}),
        (True, {"data": [7]}),
        (True, {"data": [{"functionName": "f", "qualifier": "q"}]}),
        (True, {"data": [{"serviceName": "s", "qualifier": "q"}]}),
        (True, {"data": [{"serviceName": "../s", "functionName": "f"}]}),
        (True, {"data": [], "nextToken": "asked"}),
        (False, {"data": []}),
        (False, {"configs": [7]}),
        (False, {"configs": [{"asyncTask": True}]}),
        (False, {"configs": [{"asyncTask": True, "functionArn": "resize"}]}),
    ],
)
def test_a_list_of_functions_that_cannot_be_read_is_an_error(services: bool, body: Any) -> None:
    """Discovery that silently misses a function would look like a function without tasks."""
    with pytest.raises(CallFailed) as caught:
        read_functions_page(says(body), "asked", services=services)
    assert caught.value.error_code == "UnreadableAnswer"
