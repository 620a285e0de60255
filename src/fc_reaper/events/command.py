"""Our own keys: what an event may command, and the wish for a dry run.

    {"serviceName": "media", "functionName": "transcode", "qualifier": "prod",
     "invocationId": "job-17", "dryRun": true}

No key is required. A misspelt key is refused and never ignored: `{"functonName": "resize"}` would otherwise
select every target. Keys that resemble none of ours belong to somebody else and are ignored.
"""

import re
from collections.abc import Collection, Iterable
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from fc_reaper.errors import EventRefused
from fc_reaper.events.decode import BRACKETS, JsonObject, parse
from fc_reaper.events.trigger import Selector
from fc_reaper.names import FUNCTION_WITHOUT_SERVICE, INVOCATION_ID, QUALIFIER, SERVICE, kind_of

DRY_RUN = "dryRun"

_JOINERS = r"[_.\-\s]+"
_MENTION = r"(?i)dry[_.\-\s]*run"
_LONGEST_SHOWN = 40


def _name(shape: re.Pattern[str], wanted: str, *, may_be_empty: bool = False) -> BeforeValidator:
    def check(value: Any) -> Any:
        if value in (None, ""):
            if may_be_empty:
                return None
            raise ValueError("is empty; fill it in, or leave the key out to select all")
        if isinstance(value, str) and not shape.fullmatch(value):
            raise ValueError(
                f"can be no name on the platform; write {wanted}: letters, digits, _ and -, at most 128"
            )
        return value

    return BeforeValidator(check)


class _Keys(BaseModel):
    """The keys of a command. Absent keys select all.

    CloudMonitor and the templates of EventBridge write an empty serviceName or qualifier for "not given".
    An empty functionName or invocationId is a slot that was not filled in, which must not turn one task into
    a whole sweep.
    """

    model_config = ConfigDict(strict=True, defer_build=True, alias_generator=to_camel)

    service_name: Annotated[str | None, _name(SERVICE, "one plain service name", may_be_empty=True)] = None
    function_name: Annotated[
        str | None,
        _name(FUNCTION_WITHOUT_SERVICE, "one plain function name, without service/ and @qualifier"),
    ] = None
    qualifier: Annotated[str | None, _name(QUALIFIER, "one plain version or alias", may_be_empty=True)] = None
    invocation_id: Annotated[str | None, _name(INVOCATION_ID, "one whole invocation id")] = None
    dry_run: bool = False


COMMAND_KEYS = tuple(map(to_camel, _Keys.model_fields))


class Command(NamedTuple):
    """What a command selects, and whether it requests a dry run."""

    selector: Selector = Selector()
    dry_run: bool = False


def read_command(data: JsonObject) -> Command | None:
    """The command in *data*; None if it has no key of ours. `{}` is a command that selects everything.

    Raises:
        EventRefused: a misspelt key, a key written twice, a wrong type, or an impossible name.
    """
    for key in data:
        if (meant := meaning(key)) not in (None, key):
            raise EventRefused(f"{_shown(key)} is not a command key; did you mean {meant}?")
    if data and data.keys().isdisjoint(COMMAND_KEYS):
        return None
    refuse_repeats(data, COMMAND_KEYS)
    return check_command(data)


def check_command(keys: dict[str, Any]) -> Command:
    """The command with these *keys*; other keys are ignored, and a service that is written twice is one.

    Raises:
        EventRefused: a wrong type, or an impossible name.
    """
    try:
        found = _Keys.model_validate(keys)
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        key = details["loc"][0]
        if details["type"] == "value_error":
            raise EventRefused(f"{key} {details['ctx']['error']}") from None
        remedy = "write true or false without quotes" if key == DRY_RUN else "write it as text in quotes"
        raise EventRefused(f"{key} is {kind_of(details['input'])}; {remedy}") from None
    service, function = found.service_name, found.function_name
    if service and function:
        # A 2.0 function is called service$function in 3.0.
        inner, _, function = function.rpartition("$")
        if inner not in ("", service):
            raise EventRefused("serviceName and the service within functionName differ; write one of them")
    return Command(Selector(service, function, found.qualifier, found.invocation_id), found.dry_run)


def check_envelope(envelope: JsonObject, keys: Collection[str], inside: str) -> None:
    """Raise EventRefused if one of *keys* is written twice, or a command key, even misspelt, is outside."""
    refuse_repeats(envelope, keys)
    for key in envelope:
        if key not in keys and meaning(key):
            raise EventRefused(f"{_shown(key)} stands beside {inside}; a command belongs inside {inside}")


def meaning(key: str, among: Iterable[str] = COMMAND_KEYS) -> str | None:
    """The command key that *key* is or was meant to be; None if it resembles none.

    Case, blanks and the joiners `_ - .` do not count. Beyond them two edits are allowed (a letter more, less
    or other, or two swapped), for the short `dryRun` one.
    """
    if key in among:
        return key
    word = plain(key)
    return next((one for one in among if _within(word, one.lower(), 1 if one == DRY_RUN else 2)), None)


def plain(key: str) -> str:
    """*key* in lower case, without joiners: `function_name` and `FunctionName` are the same word."""
    return re.sub(_JOINERS, "", key).lower()


def has_dry_run_key(data: JsonObject) -> bool:
    """Whether *data* itself has the key `dryRun` or nearly; the exact key with `false` does not count."""
    return any(
        meaning(key, (DRY_RUN,)) and (key != DRY_RUN or data[key] is not False or key in data.repeated)
        for key in data
    )


def wishes_dry_run(value: Any, *, in_texts: bool = False) -> bool:
    """Whether an object at any depth of *value* has such a key.

    With *in_texts*, text that looks like JSON wishes it too if it mentions a dry run at all: whoever wrote it
    believes that nothing will be stopped, and a wrong guess costs one dry run. Other text is not read: it may
    be a foreign payload.
    """
    parts = [value]
    for part in parts:
        if isinstance(part, JsonObject):
            if has_dry_run_key(part):
                return True
            parts.extend(part.values())
        elif isinstance(part, list):
            parts.extend(part)
        elif in_texts and mentions_dry_run(part) and part.lstrip(' \t\r\n"').startswith(BRACKETS):
            return True
    return False


def mentions_dry_run(text: Any) -> bool:
    """Whether *text* is text that mentions a dry run at all."""
    return isinstance(text, str) and re.search(_MENTION, text) is not None


def parse_inner(text: str) -> Any:
    """As `parse`, for text within an event: if it is refused, a dry run that it mentions still counts.

    Raises:
        EventRefused: as `parse`.
    """
    try:
        return parse(text)
    except EventRefused as refusal:
        refusal.dry_run = mentions_dry_run(text)
        raise


def refuse_repeats(data: JsonObject, keys: Iterable[str]) -> None:
    """Raise EventRefused if one of *keys* is written twice: parsers disagree about which one counts."""
    for key in keys:
        if key in data.repeated:
            raise EventRefused(f"{_shown(key)} is written twice; write it once")


def _shown(key: str) -> str:
    return ascii(key if len(key) <= _LONGEST_SHOWN else key[:_LONGEST_SHOWN] + "...")


def _within(word: str, other: str, edits: int) -> bool:
    """Whether at most so many *edits* (insert, delete, change, swap neighbours) turn *word* into *other*."""
    if abs(len(word) - len(other)) > edits:
        return False
    while word and other and word[0] == other[0]:
        word, other = word[1:], other[1:]
    if not (word and other and edits):
        return len(word) + len(other) <= edits
    return (
        _within(word[1:], other, edits - 1)
        or _within(word, other[1:], edits - 1)
        or _within(word[1:], other[1:], edits - 1)
        or (word[:2] == other[1::-1] and _within(word[2:], other[2:], edits - 1))
    )
