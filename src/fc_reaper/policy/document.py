"""A YAML 1.2 document as plain values, with the line of every key and item; and values as YAML again."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fc_reaper.errors import Issue, PolicyError
from fc_reaper.names import shown
from fc_reaper.rules.fields import NOTHING, Path, quoted

LARGEST = 131_072
"""Characters in a policy file, itself allowed. Hundreds of policies fit."""

DEEPEST = 24
"""Levels of nesting, itself allowed; a policy needs seven, payloads aside."""

MOST_NODES = 20_000
"""Keys, values and items in one file, aliases counted as what they stand for."""

_NULL, _BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float"))
_KINDS = {
    _NULL: ("~|null|Null|NULL|", ["~", "n", "N", ""]),
    _BOOL: ("true|True|TRUE|false|False|FALSE", list("tTfF")),
    _INT: ("-?(?:0|[1-9][0-9]{0,39})", list("-0123456789")),
    _FLOAT: (r"-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?(?:[eE][-+]?[0-9]{1,3})?", list("-0123456789")),
}  # fmt: skip
"""What is no text without quotes, by its tag: a pattern, and its first characters. Numbers are as in JSON."""

_SAID = (
    (r"character '\\t'", "a tab does not fit here; indent with blanks"),
    ("scanning an (alias|anchor)|undefined alias|cannot start any token",
     "a text begins with a character that YAML reserves; quote the text, such as '*/transcode'"),
    ("mapping values are not allowed",
     "a colon does not fit here; quote the text that holds it, or indent the line as its neighbours are"),
    (r"got '\?'|'\?'$", "a ? does not fit here; quote the text that holds it"),
    (r"expected ',' or '[\]}]'", "a bracket is opened and not closed; close it, put a comma between its "
     "items, or quote the text that holds brackets or a comma"),
    ("but found '<scalar>'", "a quoted text ends before its line does; quote all of it, or indent it right"),
    ("unexpected end of stream", "a quote is opened and never closed; close it"),
    ("expected <block end>", "the indentation does not fit; indent the keys of one mapping alike"),
    ("another document", "a second document begins here; a file is one, delete the ---"),
)  # fmt: skip
"""What PyYAML says of a text that is no YAML, and what to say of it."""


class _Refused(Exception):
    """YAML that no policy needs."""

    def __init__(self, at: Any, what: str) -> None:
        super().__init__(what)
        self.mark = at.start_mark


class _Loader(yaml.SafeLoader):
    """YAML 1.2, in which `on`, `no`, `12:30`, dates and `<<` are text. Tags are refused."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012
    _depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) not in (None, "!"):
            what = f"{shown(event.tag)} is taken for a tag, and tags are not used"
            raise _Refused(event, f"{what}; quote the text that begins with !, or delete the tag")
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Refused(event, f"more than {DEEPEST} levels of nesting; a policy needs seven")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes what any reader of YAML, 1.1 or 1.2, would take for something else than text."""


for _tag, (_pattern, _first) in _KINDS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), _first)
    _Dumper.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), _first)


class Found(NamedTuple):
    """What stands at a path: the part of the path that is written, and the lines of its key and its value."""

    path: str
    line: int
    value_line: int


class Document:
    """The values of a file, in which a key or item with nothing behind it is `NOTHING`.

    `issues` are about keys that cannot be read and are left out of `value`.
    """

    def __init__(self, root: Node, source: str) -> None:
        self._root, self._source, self._nodes = root, source, 0
        self.issues: list[Issue] = []
        self.value = self._value(root, ())

    def find(self, path: Path) -> Found:
        """Find what stands at *path*; steps that are not in the file are left out."""
        written: Path = ()
        line, node = _line(self._root), self._root
        for step in path:
            pairs: list[tuple[Node, Node]] = []
            if isinstance(node, MappingNode) and isinstance(step, str):
                pairs = [(key, value) for key, value in node.value if key.value == step]
            elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
                pairs = [(node.value[step], node.value[step])]
            if pairs:
                written, line, node = (*written, step), _line(pairs[0][0]), pairs[0][1]
        return Found(spelt(written), line, _line(node))

    def _value(self, node: Node, path: Path) -> Any:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _Refused(node, f"more than {MOST_NODES} keys and values; split the policy")
        if len(path) >= DEEPEST:  # an alias may stand within what it names
            raise _Refused(node, f"more than {DEEPEST} levels of nesting; a policy needs seven")
        if isinstance(node, SequenceNode):
            return [self._value(item, (*path, at)) for at, item in enumerate(node.value)]
        return self._mapping(node, path) if isinstance(node, MappingNode) else _scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line, what = str(key.value), _line(key), ""
            if not isinstance(key, ScalarNode):
                name, what = "", "a list or mapping stands where a key belongs; quote it if it is text"
            elif not isinstance(_scalar(key), str):
                what = f"{shown(name)} is no text, and a key is text; quote it: {quoted(name[:60])}"
            elif name in found:
                what = f"it is written twice, on lines {lines[name]} and {line}; keep one"
            if what:
                at = (*path, name) if name else path
                self.issues.append(Issue.of(self._source, line, spelt(at), what))
            else:
                found[name], lines[name] = self._value(value, (*path, name)), line
        return found


def find_in_values(values: Any, path: Path) -> Found:
    """As `Document.find`, for values that stand in no file: 0 stands for a line."""
    written: Path = ()
    for step in path:
        with suppress(KeyError, IndexError, TypeError):
            values = values[step]
            written = (*written, step)
    return Found(spelt(written), 0, 0)


def read_document(text: str, source: str, whole: str) -> Document:
    """Read the one document in *text*; *whole* is what messages call the file where there is no path.

    Raises:
        PolicyError: it is no YAML, empty, or larger than a policy needs.
    """
    mark: Any = None
    at = 0
    try:
        if len(text) > LARGEST:
            what = f"it has {len(text)} characters; write at most {LARGEST}"
        else:
            root = _Loader(text).get_single_node()
            if root is not None and root.tag != _NULL:
                return Document(root, source)
            what = f"the {whole} is empty; start with version: 1"
    except _Refused as refused:
        what, mark = str(refused), refused.mark
    except yaml.MarkedYAMLError as error:
        said = f"{error.context}: {error.problem}"
        known = (ours for theirs, ours in _SAID if re.search(theirs, said))
        what = next(known, f"this is not YAML ({said[:200]}); check quotes and indentation")
        # A bracket or quote that is never closed is shown where it is opened.
        opened = error.context_mark if re.search("flow|quoted|alias", error.context or "") else None
        mark = opened or error.problem_mark or error.context_mark
    except yaml.reader.ReaderError as error:
        at, what = error.position, f"the character {text[error.position]!a} cannot stand in YAML; delete it"
    except (ValueError, OverflowError):
        beyond = re.search(r"\\U(?!000|0010)|^%YAML", text, re.MULTILINE)
        at, what = beyond.start() if beyond else 0, "an escape or number is beyond all bounds; delete it"
    at, line = (mark.index, mark.line + 1) if mark else (at, text.count("\n", 0, at) + 1)
    keys = re.findall(r"([A-Za-z_]{1,40})\s?:(?=\s)", text[max(0, at - 2000) : at])
    raise PolicyError(Issue.of(source, line, f"near {keys[-1]}" if keys else whole, what))


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _scalar(node: Node) -> Any:
    text = str(node.value)
    if node.tag == _NULL:
        return NOTHING
    if node.tag == _BOOL:
        return text.lower() == "true"
    return {_INT: int, _FLOAT: float}.get(node.tag, str)(text)


def spelt(path: Path) -> str:
    """A path as messages show it: keys as they are written where that is harmless, quoted otherwise."""
    steps = (
        f"[{step}]" if isinstance(step, int)
        else f".{step}" if re.fullmatch("[A-Za-z0-9_-]{1,60}", step) else f".{shown(step)}"
        for step in path
    )  # fmt: skip
    return "".join(steps).removeprefix(".")


def write_yaml(tree: dict[str, Any], *, width: int = 100, flow: bool = False) -> str:
    """Plain values as YAML, in block style or in one pair of braces."""
    return str(
        yaml.dump(
            tree, None, _Dumper, default_flow_style=flow, sort_keys=False, allow_unicode=True, width=width
        )
    )


def write_key(key: str, value: Any) -> str:
    """A key and its value on one line of YAML, such as `match: {alive_for: 2h}`."""
    return write_yaml({key: value}, width=10**6, flow=True).strip()[1:-1]
