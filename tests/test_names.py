"""What may enter a path, and what a query."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_reaper.cloud.api import check_names
from fc_reaper.errors import InvalidName
from fc_reaper.models import Function, printable

GOOD = [
    Function("media", "transcode", "prod"),
    Function("_a", "b-c_d", "3"),
    Function("m" * 128, "f" * 128, "q" * 128),
    Function(None, "resize", "LATEST"),
    Function(None, "media$resize", "LATEST"),
]
BAD = [
    Function("", "f", "q"),
    Function("9s", "f", "q"),
    Function("s", "-f", "q"),
    Function("s.prod", "f", "q"),
    Function("s", "..", "q"),
    Function("s", "f/g", "q"),
    Function("s", "f\n", "q"),
    Function("s", "f", ""),
    Function("s", "f", "q?x=1"),
    Function("s", "f", "prod\n"),
    Function("s", "a$b", "q"),
    Function(None, "a$b$c", "q"),
    Function(None, "a$", "q"),
    Function("s" * 129, "f", "q"),
    Function("s", "ｆ", "q"),
]


@pytest.mark.parametrize("function", GOOD, ids=str)
def test_names_that_the_platform_gives_pass(function: Function) -> None:
    """Also the service$function of a function that was carried over to 3.0."""
    check_names(function)


@pytest.mark.parametrize("function", BAD, ids=repr)
def test_names_that_would_change_the_path_are_refused(function: Function) -> None:
    """Also a line break at the end, which a careless pattern lets through."""
    with pytest.raises(InvalidName):
        check_names(function)


@given(st.text())
def test_an_invocation_id_is_up_to_128_letters_digits_and_dashes(text: str) -> None:
    """It may begin with a digit: generated ids are UUIDs."""
    fits = re.fullmatch(r"[A-Za-z0-9_-]{1,128}", text) is not None
    if fits:
        check_names(GOOD[0], text)
    else:
        with pytest.raises(InvalidName):
            check_names(GOOD[0], text)


def test_the_error_shows_what_is_wrong_and_what_to_use() -> None:
    """A long value is shortened."""
    with pytest.raises(InvalidName, match=r"'a/b' cannot be an invocation id; use at most 128 letters"):
        check_names(GOOD[0], "a/b")
    with pytest.raises(InvalidName) as caught:
        check_names(GOOD[0], "x" * 5000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("prefix", ["", "job-", "9"])
def test_a_prefix_may_be_any_beginning_of_an_id(prefix: str) -> None:
    """The empty one means every id."""
    check_names(GOOD[0], id_prefix=prefix)


def test_a_prefix_holds_no_pattern() -> None:
    """Globs are for policies; the cloud would look for a star."""
    with pytest.raises(InvalidName):
        check_names(GOOD[0], id_prefix="job-*")


@pytest.mark.parametrize(
    ("text", "most", "line"),
    [
        ("转码 is plain", 20, "转码 is plain"),
        ("a\nb\tc\x1b[31m", 40, "a\\nb\\tc\\x1b[31m"),
        ("\u202eevil\u2066\u200f", 40, "\\u202eevil\\u2066\\u200f"),
        ("half \ud83d", 40, "half \\ud83d"),
        ("a\u2028b\x85c", 40, "a\\u2028b\\x85c"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("\n\n\n\n", 6, "\\n\\n\\…"),
        ("", 1, ""),
    ],
)
def test_text_from_outside_is_made_printable(text: str, most: int, line: str) -> None:
    """What a terminal or a log would obey, or cannot hold, is escaped; what is too long is cut."""
    assert printable(text, most) == line


@given(st.text(st.characters(), max_size=60), st.integers(1, 80))
def test_any_text_becomes_one_bounded_line_of_utf_8(text: str, most: int) -> None:
    """And is made printable only once."""
    line = printable(text, most)
    assert line.isprintable()
    assert len(line) <= most
    assert line.encode().decode() == line == printable(line, most)
