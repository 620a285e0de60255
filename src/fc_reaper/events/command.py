"""Our own keys: what an event may command, and the wish for a dry run.

    {"serviceName": "media", "functionName": "transcode", "qualifier": "prod",
     "invocationId": "job-17", "dryRun": true}

No key is required. A misspelt key is refused and never ignored: `{"functonName": "resize"}` would otherwise
select every target. Keys that resemble none of ours belong to somebody else and are ignored.
"""

import re
from base64 import b64decode
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import unquote_plus

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from fc_reaper.errors import EventRefused, kind_of
from fc_reaper.events.parser import JsonObject, Selector, in_base64, json_in
from fc_reaper.models import FUNCTION_WITHOUT_SERVICE, INVOCATION_ID, QUALIFIER, SERVICE

DRY_RUN = "dryRun"

_JOINER = r"[_.\-\s]"

# A letter before it makes it another word, unless that is of an escape for the end of a line.
_WORDS = r"(?:(?<![a-z])|(?<=\\[nrt]))dry(?:[\W_]|%[0-9a-f]{2}){0,20}run(?!_asked)"
_WISH = rf"(?i){_WORDS}"  # These are compiled when first used: a cold start counts.
_WISH_AS_KEY = rf"""(?i)(?:--|name\s*=\s*["']?){_WORDS}|{_WORDS}["']?\s*/?[:=>]"""
# What the platform's own names for the id of a task begin with, such as X-Fc-Async-Task-Id.
_ASYNC = r"^(?:x?fc)?(?:stateful)?(?:async)?(?=(?:invocation|task)id$)"
NO = (None, False, "false", "0", "no", "off", "null")
_CONTENT = {"body", "content", "data", "data_base64", "message", "messagebody", "payload", "text", "value"}
_IN_BASE64 = r"[A-Za-z0-9+/_\-]{8,}(?:\r?\n[A-Za-z0-9+/_\-]+)*"
_MOST_TEXTS = 8


def _name(shape: re.Pattern[str], wanted: str, *, or_empty: bool = False) -> BeforeValidator:
    def read(value: Any) -> Any:
        if value in (None, ""):
            if or_empty:
                return None
            raise ValueError("is empty; fill it in, or leave the key out to select all")
        if isinstance(value, str) and not shape.fullmatch(value):
            rule = "letters, digits, _ and -, at most 128"
            raise ValueError(f"can be no name on the platform; write {wanted}: {rule}")
        return value

    return BeforeValidator(read)


def _share(text: str) -> str:
    numbers = re.fullmatch("([1-9][0-9]?|100)/([1-9][0-9]?|100)", text)
    if numbers is None or int(numbers[1]) > int(numbers[2]):
        raise ValueError('is no share of the functions; write the second of eight as "2/8", 100 at most')
    return text


class _Keys(BaseModel):
    """The keys of a command; absent ones select all, as do an empty serviceName and qualifier (CloudMonitor).

    Another empty key is a slot that was not filled in, which must not turn one task into a whole sweep.
    """

    model_config = ConfigDict(strict=True, defer_build=True, alias_generator=to_camel)

    service_name: Annotated[str | None, _name(SERVICE, "one plain service name", or_empty=True)] = None
    function_name: Annotated[
        str | None,
        _name(FUNCTION_WITHOUT_SERVICE, "one plain function name, without service/ and @qualifier"),
    ] = None
    qualifier: Annotated[str | None, _name(QUALIFIER, "one plain version or alias", or_empty=True)] = None
    invocation_id: Annotated[str | None, _name(INVOCATION_ID, "one whole invocation id")] = None
    task_id: Annotated[str | None, _name(INVOCATION_ID, "one whole task id")] = None
    shard: Annotated[str, AfterValidator(_share)] = ""
    dry_run: bool = False


COMMAND_KEYS = tuple(map(to_camel, _Keys.model_fields))


def read_command(data: JsonObject) -> Selector | None:
    """What the command in *data* selects, None without a key of ours; EventRefused for a wrong key."""
    for key in data:
        if (meant := meaning(key)) not in (None, key):
            raise EventRefused(f"{key[:40]!a} is not a command key; did you mean {meant}?")
    if data and data.keys().isdisjoint(COMMAND_KEYS):
        return None
    refuse_repeats(data, COMMAND_KEYS)
    return check_command(data)


def check_command(keys: dict[str, Any]) -> Selector:
    """What a command with these *keys* selects; EventRefused for a wrong type or an impossible name."""
    try:
        found = _Keys.model_validate(keys)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        key = details["loc"][0]
        if details["type"] == "value_error":
            raise EventRefused(f"{key} {details['ctx']['error']}") from None
        remedy = "write true or false without quotes" if key == DRY_RUN else "write it as text in quotes"
        raise EventRefused(f"{key} is {kind_of(details['input'])}; {remedy}") from None
    service, function, task = found.service_name, found.function_name, found.invocation_id
    if service and function:
        # A 2.0 function is called service$function in 3.0.
        inner, _, function = function.rpartition("$")
        if inner not in ("", service):
            raise EventRefused("serviceName and the service within functionName differ; write one of them")
    if found.task_id is not None:
        if service or task not in (None, found.task_id):
            raise EventRefused("taskId is the word of 3.0, without serviceName; write invocationId alone")
        task = found.task_id
    if task is not None and found.shard:
        raise EventRefused("shard is a share of the functions, and a task is named; write one of them")
    return Selector(service, function, found.qualifier, task, found.shard or None)


def check_envelope(envelope: JsonObject, keys: Collection[str], inside: str) -> None:
    """Raise EventRefused if one of *keys* is written twice, or a command key, even misspelt, is outside."""
    for key in envelope:
        if key not in keys and meaning(key):
            raise EventRefused(f"{key[:40]!a} stands beside {inside}; a command belongs inside {inside}")
    if envelope.repeated:
        refuse_repeats(envelope, keys)


def refuse_repeats(data: JsonObject, keys: Collection[str]) -> None:
    """Raise EventRefused if one of *keys* is written twice: parsers disagree about which one counts."""
    for key in keys:
        if key in data.repeated:
            raise EventRefused(f"{key[:40]!a} is written twice; write it once")


def meaning(key: str, among: Collection[str] = COMMAND_KEYS) -> str | None:
    """The command key that *key* is or was meant to be; None if it resembles none.

    Case, blanks, `_ - .` and the order of letters do not count, nor do two slips in a long key, and one in
    any but `shard`, which is a slip away from words that events have, such as `shared`.
    """
    if key in among:
        return key
    word = re.sub(_ASYNC, "", plain(key))
    return next((one for one in among if _near(word, one.lower())), None)


def plain(key: str) -> str:
    """*key* in lower case, without joiners: `function_name` and `FunctionName` are the same word."""
    return re.sub(_JOINER, "", key).lower()


def wish_in(
    value: Any, *, quoting: bool = False, content: bool = True, texts: int = _MOST_TEXTS
) -> str | None:
    """Where *value* wishes a dry run: the path to the first wish in it, `""` for itself, None if it does not.

    A wish is the key `dryRun`, or nearly, at any depth, whose value is none of `NO`. JSON in texts is opened,
    up to *texts* times. In other text the words are a wish if it is *content*, such as a body, else where
    they stand as a key does. An alert may be *quoting* our own log, so its texts are not read.
    """
    if isinstance(value, str):
        if quoting:
            return None
        with suppress(EventRefused):
            inner = json_in(in_base64(value) or value)
            if inner is not None and texts:
                return wish_in(inner, content=content, texts=texts - 1)
        wish = _WISH if content else _WISH_AS_KEY
        return "" if any(re.search(wish, text) for text in _spelt_out(value)) else None
    named = isinstance(value, JsonObject)
    children: Iterable[tuple[Any, Any]] = enumerate(value) if isinstance(value, list) else ()
    for key, one in value.items() if named else children:
        at = f".{ascii(key[:40])[1:-1]}" if named else f"[{key}]"
        said = one.strip().lower() if isinstance(one, str) else one
        if named and meaning(key, (DRY_RUN,)) and (key in value.repeated or said not in NO):
            return at
        within = key.lower() in _CONTENT if named else content
        found = wish_in(one, quoting=quoting, content=within, texts=texts)
        if found is not None:
            return at + found
    return None


def _spelt_out(text: str) -> list[str]:
    """*text*, and what is written in it as in a form or in base64, in UTF-16 as well."""
    text = text.replace("\0", "")  # of UTF-16
    found = [text, unquote_plus(text)]
    for one in found:
        for run in re.findall(_IN_BASE64, one):
            code = "".join(run.split())
            # No base64 ends so; a line of hyphens below it may be taken for its end.
            code = code[:-1] if len(code) % 4 == 1 else code
            with suppress(ValueError):
                found.append(b64decode(code + "==", "-_").decode("utf-8", "replace").replace("\0", ""))
    return found


def _near(word: str, other: str) -> bool:
    """Whether both have the same letters in any order, but for as many slips as `meaning` allows."""
    letters, others = Counter(word[:20]), Counter(other)
    more, less = (letters - others).total(), (others - letters).total()
    return more + less <= 2 and max(more, less) <= (len(other) > 5) + (len(other) > 8)
