"""The traps of YAML, each named by the message that a person meets."""

from __future__ import annotations

import pytest

from tests.policy.builders import a_file, finding, loaded, refused


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"targets": "[*/f]"}, "targets[0]: '*/f' cannot stand unquoted in YAML; quote it: '*/f'"),
        ({"targets": "\n    - *"}, "targets[0]: '*' cannot stand unquoted in YAML; quote it: '*'"),
        ({"targets": "[*@prod, f]"}, "targets[0]: '*@prod' cannot stand unquoted"),
        ({"targets": "\n    - */f # all"}, "targets[0]: '*/f' cannot stand unquoted"),
        (
            {"targets": "[*f]"},
            "targets[0]: '*f' is read as a reference to &f, which is not there; quote it: '*f'",
        ),
        ({"targets": "[@x]"}, "targets[0]: '@x' cannot stand unquoted in YAML"),
        ({"targets": "[resi?e@*]"}, "targets[0]: 'resi?e@*' cannot stand unquoted in YAML; quote it"),
        ({"match": "{id: job-?, alive_for: 2h}"}, "match.id: 'job-?' cannot stand unquoted in YAML"),
        ({"match": "{id: ?x, alive_for: 2h}"}, "match.id: '?x' cannot stand unquoted in YAML"),
        ({"unless": "[?x]"}, "unless[0]: a mapping stands"),
        ({"unless": "[17]"}, "unless[0]: '17' is read as a number; quote it: '17'"),
        ({"unless": "[0x11]"}, "unless[0]: '0x11' is read as a number; quote it: '0x11'"),
        ({"unless": "[1_000]"}, "unless[0]: '1_000' is read as a number"),
        ({"unless": "[12:30]"}, "unless[0]: '12:30' is read as the base-60 number 750"),
        ({"unless": "[2026-05-01]"}, "unless[0]: '2026-05-01' is read as a date; quote it"),
        ({"unless": "[1.5]"}, "unless[0]: '1.5' is read as a number"),
        ({"unless": "[no]"}, "unless[0]: 'no' is read as false; quote it: 'no'"),
        ({"unless": "[=]"}, "unless[0]: '=' is read as a value; quote it"),
        ({"unless": "[{target: 3}]"}, "unless[0].target: '3' is read as a number; quote it: '3'"),
        ({"match": "{alive_for: 12:30}"}, "'12:30' is read as the base-60 number 750; write 12h30m"),
        ({"match": "{alive_for: 1:30:00}"}, "'1:30:00' is read as the base-60 number 5400; write 1h30m"),
        ({"match": "{alive_for: 7200}"}, "7200 has no unit; if seconds are meant, write 2h or 7200s"),
        ({"match": "{alive_for: 1.5}"}, "is not a length of time"),
        ({"match": "{alive_for:2h}"}, "a blank must follow the colon; write alive_for: 2h"),
        ({"match": "{alive_for:\u00a02h}"}, "a blank must follow the colon; write alive_for: 2h"),
        ({"match": "'alive_for: 2h'"}, "what stands in quotes is a text; write alive_for: 2h"),
        ({"match": "{alive_for: {from: 2h, at_most: 6h}}"}, "write something like payload.max_run"),
        ({"keep": "{at_most: 1, per: ''}"}, "it is empty; write an expression such as payload.order_id"),
        (
            {"match": "{alive_for: 2h, where: 'payload.\u540d == `1`'}"},
            "quote a name that holds other characters",
        ),
        ({"match": "alive_for:2h"}, "a blank must follow the colon; write alive_for: 2h"),
        ({"match": "{id: 17, alive_for: 2h}"}, "match.id: '17' is read as a number; quote it: '17'"),
        ({"on": "x"}, "policies[0].on: 'on' is read as true, and no key is called so"),
        ({"12": "x"}, "policies[0].12: '12' is read as a number, and no key is called so"),
        ({"<<": "{name: x}"}, "merge keys are not supported; write the keys out"),
        ({"? [a]\n    ": "x"}, "a list or mapping stands where a key belongs"),
        ({"name": "!!python/object:os.system x"}, "is not used in a policy; delete it"),
        ({"name": "!!str 17"}, "the tag 'tag:yaml.org,2002:str' is not used in a policy; delete it"),
        ({"unless": "!!set {x}"}, "is not used in a policy; delete it"),
    ],
)
def test_what_yaml_makes_of_it_is_named(keys: dict[str, str], words: str) -> None:
    """Together with what was really written, and how to write it so that it stays text."""
    assert any(words in found for found in refused(a_file(**keys))), refused(a_file(**keys))


def test_unquoted_patterns_do_not_hide_what_follows() -> None:
    """Each is told under its own path, and so is the rest of the file."""
    found = refused(a_file(targets="[*/f, @x]", unless="[*-a, 17]", budget="0/run"))
    assert [line.split(": ")[1] for line in found] == [
        "policies[0].targets[0]",
        "policies[0].targets[1]",
        "policies[0].unless[0]",
        "policies[0].unless[1]",
        "policies[0].budget",
    ]


def test_quoting_is_the_remedy() -> None:
    """What the messages above ask for is accepted."""
    text = a_file(top="exempt: ['17', '12-30', 'no', '*-x']", targets="['*/f', '*']", unless="['?x']")
    assert loaded(text).exempt[0].ids == ("17",)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            "version: 1\npolicies:\n\t- name: x",
            3,
            "near policies: a tab does not fit here; indent with blanks",
        ),
        ("version: 1\nexempt: [a, b\npolicies: x", 2, "near exempt: a [ is not closed"),
        ("a: {b: c\n", 1, "a { is not closed"),
        ('version: 1\nexempt: ["a]\n', 2, "near exempt: a quote is opened and never closed"),
        (a_file(stop="it takes: forty minutes"), 7, "near stop: a colon does not fit here; quote"),
        ("version: 1\n exempt: [a]", 2, "a colon does not fit here"),
        ("exempt:\n  - a\n b: c", 3, "the indentation does not fit"),
        ("a: - b", 1, "near a: a list item does not fit here"),
        ("a: 'x' y", 1, "near a: a quoted text ends before its line does; quote the whole"),
        ("version: 1\nb: \x07", 2, "near b: the character '\\x07' cannot stand in YAML; delete it"),
        ("version: 1\nb: \ud800", 2, "near b: the character '\\ud800' cannot stand in YAML"),
        ('a: b\nc: "\\U00110000"', 2, "near c: an escape or number is beyond all bounds"),
        ('a: b\nc: "\\UFFFFFFFF"', 2, "near c: an escape or number is beyond all bounds"),
        ("%YAML 9.9\n---\na: b", 1, "this is not YAML"),
        ("a: %b", 1, "a: the file has no such key"),
        ("a: [b, c\n d?e]", 1, "near a: a ? does not fit here; quote the text that holds it"),
        ("a: &*", 1, "near a: a text begins with & and is taken for an anchor; quote it"),
        ("a: b\n---\nc: d", 2, "a second document begins here; a policy is one"),
    ],
)
def test_what_is_not_yaml_is_told_in_plain_words(text: str, line: int, words: str) -> None:
    """With the line where it begins, and the key nearest to it."""
    assert any(found.startswith(f"policy.yaml:{line}: ") and words in found for found in refused(text)), (
        refused(text)
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "more than 24 levels of nesting"),
        ("{a: " * 30_000, "more than 24 levels of nesting"),
        ("- " * 60_000, "more than 24 levels of nesting"),
        ("? " * 60_000, "more than 24 levels of nesting"),
        ("- a\n" * 30_000, "more than 20000 keys and values"),
        ("a" * 131_073, "write at most 131072"),
        ("- */f\n" * 20_000, "one more pattern stands unquoted"),
        ("a: &a [*a]", "a: the file has no such key"),
    ],
)
def test_size_nesting_and_repairs_are_bounded(text: str, words: str) -> None:
    """A file that is hostile, or simply not a policy, is refused like any other."""
    assert any(words in found for found in refused(text))


def test_aliases_cannot_multiply() -> None:
    """A few lines that stand for a billion values are refused before they are unfolded."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "more than 20000 keys and values" in refused("\n".join(lines))[0]


def test_a_name_may_be_any_text() -> None:
    """Only what YAML does not read as text must be quoted."""
    assert loaded(a_file(name="nächtliche Läufe")).policies[0].name == "nächtliche Läufe"
    assert "'12' is read as a number" in finding(name="12")


def test_a_key_among_list_items_is_a_matter_of_indentation() -> None:
    """No ? stands in such a file, whatever the parser says."""
    text = a_file() + "    unless:\n      - vip-*\n      where: x\n"
    (found,) = refused(text)
    assert "indent the line as its neighbours are" in found
    assert "?" not in found
