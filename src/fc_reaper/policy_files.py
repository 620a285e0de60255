"""The policy that the settings name, and the lock beside it: files, or what stands for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePath

from fc_reaper.errors import Issue, PolicyError
from fc_reaper.policy import PolicyFile, load_policy
from fc_reaper.policy.lock import Lock, load_lock, unapproved, unapproved_by_broken_lock
from fc_reaper.settings import Settings

_LOCK = "policy.lock"


def read_policy(settings: Settings) -> PolicyFile:
    """Load the policy that the settings name: a path, or the text itself when it holds a newline.

    Raises:
        PolicyError: it is missing, unreadable or wrong, or its examples fail.
    """
    if "\n" in settings.policy:
        return _tried(load_policy(settings.policy, source="REAPER_POLICY"))
    try:
        text = _text(settings.folder / settings.policy, settings.policy)
    except FileNotFoundError:
        what, remedy = "there is no such file", "set REAPER_POLICY or --policy"
        raise PolicyError(Issue(settings.policy, None, None, what, remedy)) from None
    return _tried(load_policy(text, source=settings.policy))


def _tried(file: PolicyFile) -> PolicyFile:
    """The file, if it does what its examples say."""
    if any(policy.examples for policy in file.policies):
        from fc_reaper.evaluator.examples import failing

        if issues := failing(file):
            raise PolicyError(*issues)
    return file


def read_lock(settings: Settings) -> Lock | None:
    """Load the `policy.lock` beside the policy file; None where there is none, as beside a policy as text.

    Where the policy is a link with no lock beside it, the one beside the file that it points to counts.

    Raises:
        PolicyError: it is there and cannot be used. No stop policy is approved by it.
    """
    for source in () if "\n" in settings.policy else _beside(settings):
        path = settings.folder / source
        try:
            return load_lock(_text(path, source), source)
        except FileNotFoundError:
            if path.is_symlink():
                what, remedy = "it points to a file that is not there", "run fc-reaper approve"
                raise PolicyError(Issue(source, None, None, what, remedy)) from None
    return None


def _beside(settings: Settings) -> Iterator[str]:
    """Where a lock may lie, as messages call it; a link that cannot be followed has no other side."""
    yield str(PurePath(settings.policy).with_name(_LOCK))
    policy = settings.folder / settings.policy
    if policy.is_symlink():
        with suppress(OSError, RuntimeError):
            yield str(policy.resolve().with_name(_LOCK))


def read_unapproved(settings: Settings, file: PolicyFile) -> dict[str, str]:
    """Answer why which stop policies of *file* may only report, by name; empty without a lock."""
    try:
        lock = read_lock(settings)
    except PolicyError as error:
        return unapproved_by_broken_lock(file, error)
    return {} if lock is None else unapproved(file, lock)


def _text(path: Path, source: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        what = f"byte {error.start} is not UTF-8"
        raise PolicyError(Issue(source, line, None, what, "save the file as UTF-8")) from None
    except OSError as error:
        raise PolicyError(Issue(source, None, None, f"it cannot be read: {error.strerror}")) from None
