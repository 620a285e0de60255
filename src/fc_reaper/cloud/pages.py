"""Pages as the cloud writes them. What cannot be read is never taken for "there is nothing"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fc_reaper.cloud.answers import Answer, json_object, unreadable
from fc_reaper.cloud.dialects import words
from fc_reaper.cloud.wire import function_in_arn, read_task, record_id
from fc_reaper.errors import InvalidName
from fc_reaper.models import LATEST, Function, FunctionsPage, Page, Task
from fc_reaper.names import check_function


def read_page(function: Function, answer: Answer, asked_token: str | None) -> Page:
    """One page of tasks found under *function*.

    Raises:
        CallFailed: `UnreadableAnswer`, when the body is no page, a record has no id, or the token leads back.
    """
    body = json_object(answer)
    tasks = tuple(_tasks(function, answer, _items(answer, body, words(function).tasks)))
    return Page(tasks, _token(answer, body, asked_token), answer.moment)


def read_functions_page(answer: Answer, asked_token: str | None, *, services: bool) -> FunctionsPage:
    """One page of the functions in task mode.

    Raises:
        CallFailed: `UnreadableAnswer`, when the body is no page, names no function, or the token leads back.
    """
    body = json_object(answer)
    items = _items(answer, body, "data" if services else "configs")
    read = _function_with_service if services else _function_of_config
    functions = tuple(found for item in items if (found := read(answer, item)) is not None)
    return FunctionsPage(functions, _token(answer, body, asked_token))


def _items(answer: Answer, body: Mapping[str, Any], key: str) -> list[Any]:
    # Real answers leave the list out, or write null, where nothing was found.
    if body and key not in body and "nextToken" not in body:
        raise unreadable(answer, f"the body has neither {key!r} nor 'nextToken'; it is no page")
    items = body.get(key)
    if items is None:
        return []
    if not isinstance(items, list):
        raise unreadable(answer, f"{key!r} is not a list")
    return items


def _token(answer: Answer, body: Mapping[str, Any], asked: str | None) -> str | None:
    token = body.get("nextToken")
    if token is None or token == "":
        return None
    if not isinstance(token, str):
        raise unreadable(answer, "'nextToken' is not text")
    if token == asked:
        raise unreadable(answer, "'nextToken' leads to the same page again")
    return token


def _tasks(function: Function, answer: Answer, items: list[Any]) -> Iterator[Task]:
    for item in items:
        if record_id(function, item) is None:
            raise unreadable(answer, "a record in the page has no id")
        yield read_task(function, item)


def _function_with_service(answer: Answer, item: Any) -> Function:
    facts = item if isinstance(item, Mapping) else {}
    service = facts.get("serviceName")
    # Without this a nameless service would be taken for Function Compute 3.0.
    if service is None:
        raise unreadable(answer, "a function in the page has no service name")
    name, qualifier = facts.get("functionName", ""), facts.get("qualifier") or LATEST
    return _checked(answer, Function(service, name, qualifier))


def _function_of_config(answer: Answer, item: Any) -> Function | None:
    if not isinstance(item, Mapping):
        raise unreadable(answer, "a configuration in the page is not an object")
    if item.get("asyncTask") is not True:
        return None
    named = function_in_arn(item.get("functionArn"))
    if named is None:
        raise unreadable(answer, "a configuration in the page has no readable functionArn")
    return _checked(answer, Function(None, *named))


def _checked(answer: Answer, function: Function) -> Function:
    try:
        check_function(function)
    except InvalidName as error:
        raise unreadable(answer, f"a function in the page has an impossible name: {error}") from None
    return function
