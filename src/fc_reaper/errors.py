"""Everything this package raises on purpose, and how its messages quote what comes from outside.

ReaperError
├─ SettingsError    the environment or the command line asks for something impossible
├─ PolicyError      the policy file is wrong; holds every issue at once
├─ EventRefused     the bytes of an event cannot be followed
├─ InvalidName      a name or id that must not enter a request path
└─ CloudError       the cloud refused, answered nonsense, or did not answer
"""

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from fc_reaper.models import printable

_KINDS = {
    type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "text",
    list: "a list", tuple: "a list",
}  # fmt: skip


def shown(value: Any) -> str:
    """*value* as a message may quote it: on one line, printable, not long."""
    text = repr(value)
    return text if len(text) <= 62 else f"{text[:59]}..."


def kind_of(value: Any) -> str:
    """The kind of a JSON value, for a message that must not show the value."""
    return _KINDS.get(type(value), "an object")


def nearest(word: str, known: Collection[str], *, cutoff: float = 0.7) -> str | None:
    """The known word that *word* probably stands for, None when none is as near as *cutoff* (0 to 1)."""
    from difflib import get_close_matches  # Only a mistake needs it.

    plain = {re.sub("[-_ ]", "", name.lower()): name for name in known}
    close = get_close_matches(re.sub("[-_ ]", "", word[:60].lower()), list(plain), n=1, cutoff=cutoff)
    return plain[close[0]] if close else None


class ReaperError(Exception):
    """Base of all; its text says what happened and what to do instead."""


class SettingsError(ReaperError):
    """A setting has a value that cannot be used; the text names the variable and a good value."""


class InvalidName(ReaperError, ValueError):
    """A service, function, qualifier or invocation id that the platform could not have given."""


class EventRefused(ReaperError):
    """An event, or one part of it, cannot be followed."""


class Issue(NamedTuple):
    """What is wrong, or odd, at one place in a policy file or its lock, and what to write.

    `line` counts from 1; it and `path` (`policies[0].match`) are None where the whole file is meant. `lint`
    is the name of the check that warns; empty for a fault.
    """

    source: str
    line: int | None
    path: str | None
    what: str
    remedy: str = ""
    lint: str = ""

    @classmethod
    def of(cls, source: str, line: int | None, path: str | None, sentence: str) -> "Issue":
        """An issue of a sentence that reads `what is wrong; what to write`."""
        what, _, remedy = sentence.rpartition("; ")
        return cls(source, line, path, what, remedy) if what else cls(source, line, path, remedy)

    @property
    def text(self) -> str:
        """`FILE:LINE: path: what; remedy` on one printable line, which editors know how to jump to."""
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        sentence = f"{self.what}; {self.remedy}" if self.remedy else self.what
        return ": ".join(filter(None, (" ".join(place.split()), self.path, printable(sentence, 500))))


class PolicyError(ReaperError):
    """The policy, or its lock, cannot be used; `issues` holds every fault that was found."""

    def __init__(self, *issues: Issue) -> None:
        super().__init__("\n".join(issue.text for issue in issues))
        self.issues = issues


class CloudError(ReaperError):
    """The cloud refused, answered something unreadable, or did not answer.

    `http_status` is None when no answer came. `error_code` is the platform's code where it gave one,
    else a word of ours: `ConnectionFailed`, `TimedOut`, `OutOfTime` (nothing was sent), `Aborted`,
    `UnreadableAnswer`, `UnexpectedRedirect`, `InvalidName`.
    `retryable` is true for 429, 500, 502, 503, 504, throttling, connection errors and time-outs;
    `retry_after` is in seconds. `unclear`: the request may have taken effect all the same. Only the
    platform's own refusal says that it did not, a 4xx other than 408 with an error code in a JSON body, or
    that nothing was sent.
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int | None = None,
        error_code: str = "",
        fc_request_id: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        unclear: bool = False,
    ) -> None:
        # Not super(): in a subclass that is an error of fc2 as well, fc2's would come next.
        self.detail = printable(message, 300)
        Exception.__init__(self, self.detail)
        self.http_status = http_status
        self.error_code = printable(error_code, 100)
        self.fc_request_id = None if fc_request_id is None else printable(fc_request_id, 100)
        self.retryable = retryable
        self.retry_after = retry_after
        self.unclear = unclear

    @property
    def missing(self) -> bool:
        """Whether the cloud itself says that there is no such thing: a 404 of some proxy proves nothing."""
        return self.http_status == 404 and self.error_code.endswith("NotFound")

    @property
    def denied(self) -> bool:
        """Whether the keys lack the right to do it: 401 or 403."""
        return self.http_status in (401, 403)

    @property
    def throttled(self) -> bool:
        """Whether the account makes too many calls: 429, or a code that says so."""
        return self.http_status == 429 or self.error_code.startswith(("ResourceExhausted", "Throttling"))

    @property
    def out_of_time(self) -> bool:
        """Whether nothing was sent because the time was up or the client was closed."""
        return self.error_code in ("OutOfTime", "Aborted") and not self.unclear

    def __str__(self) -> str:
        where = f"HTTP {self.http_status} " if self.http_status is not None else ""
        return f"{where}{self.error_code or 'refused'}: {self.detail}"
