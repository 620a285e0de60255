"""From the text of a policy file to its model: YAML 1.2, and every fault with its line and what to write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fc_reaper.errors import Issue, PolicyError
from fc_reaper.policy.model import (
    Example,
    Given,
    Keep,
    Place,
    Policy,
    PolicyFile,
    matcher_model,
    policy_file_model,
)
from fc_reaper.rules.fields import NOTHING, CarriedLimit, Part, Path, keys_of, nearest, quoted, shown

LARGEST = 131_072
"""Characters in a policy file, itself allowed. Hundreds of policies fit."""

DEEPEST = 24
"""Levels of nesting, itself allowed; a policy needs seven, payloads aside."""

MOST_NODES = 20_000
"""Keys, values and items in one file, aliases counted as what they stand for."""

Models = Mapping[str, type[Part]]
"""The model of a mapping by the key at which it stands, or in whose list; empty for the whole file."""

M = TypeVar("M", bound=Part)


def load_policy(text: str, *, source: str) -> PolicyFile:
    """Read the text of a policy file; *source* is how messages call the file.

    Raises:
        PolicyError: anything is wrong. Its issues, in the order of the file, are all that could be found in
            one go.
    """
    file, root = load(policy_file_model(), policy_models(), text, source, "policy")
    file._source, file._find = source, partial(_place_of, root)
    for at, matcher in enumerate(file.exempt):
        matcher._line = file.place("exempt", at).line
    for at, policy in enumerate(file.policies):
        policy._line = file.place("policies", at).line
        policy.match._line = file.place("policies", at, "match").line
        for key, parts in (("unless", policy.unless), ("examples", policy.examples)):
            for number, part in enumerate(parts):
                part._line = file.place("policies", at, key, number).line
    return file


def policy_models() -> Models:
    """The models of a policy file, by the keys at which their mappings stand."""
    exemption = matcher_model(in_match=False)
    return {
        "": policy_file_model(), "policies": Policy, "match": matcher_model(in_match=True),
        "(carried)": CarriedLimit, "unless": exemption, "exempt": exemption,
        "keep": Keep, "examples": Example, "given": Given,
    }  # fmt: skip


def load(model: type[M], models: Models, text: str, source: str, whole: str) -> tuple[M, Node]:
    """Read *text* as *model*, and the nodes that it was read from; *whole* is what messages call the file.

    Raises:
        PolicyError: as `load_policy`.
    """
    root = _composed(text, source, whole)
    reader = _Reader()
    try:
        plain = reader.value(root, ())
    except _Refused as refused:
        raise PolicyError(_issue(source, refused.node, whole, refused.what)) from None
    faults = reader.faults
    loaded: M | None = None
    try:
        loaded = model.model_validate(plain)
    except ValidationError as error:
        faults += _faults(error, root, models)
    if loaded is None or faults:
        issues = (
            Issue(source, fault.line, fault.path or whole, *_parted(fault.what))
            for fault in sorted(dict.fromkeys(faults), key=lambda fault: fault.line)
        )
        raise PolicyError(*issues)
    return loaded, root


def _parted(sentence: str) -> tuple[str, str]:
    """Cause and remedy; whatever the cause quotes, the remedy comes last."""
    what, _, remedy = sentence.rpartition("; ")
    return (what, remedy) if what else (remedy, "")


def _issue(source: str, node: Node, path: str, sentence: str) -> Issue:
    return Issue(source, _line(node), path, *_parted(sentence))


# YAML.


class _Refused(Exception):
    """YAML that no policy needs."""

    def __init__(self, node: Any, what: str) -> None:
        super().__init__(what)
        self.node = node
        self.what = what


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


_NULL, _BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float"))
_KINDS: dict[str, tuple[str, list[str]]] = {
    _NULL: ("~|null|Null|NULL|", ["~", "n", "N", ""]),
    _BOOL: ("true|True|TRUE|false|False|FALSE", list("tTfF")),
    _INT: ("[-+]?[0-9]{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}", list("-+0123456789")),
    _FLOAT: (r"[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?)(?:[eE][-+]?[0-9]{1,3})?"
             r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.0123456789")),
}  # fmt: skip
for _tag, (_pattern, _first) in _KINDS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), _first)


class _Fault(NamedTuple):
    """What is wrong at a line, under a path."""

    line: int
    path: str
    what: str


class _Reader:
    """Makes plain values of nodes; keys that cannot be read are faults."""

    def __init__(self) -> None:
        self.faults: list[_Fault] = []
        self._nodes = 0

    def value(self, node: Node, path: Path) -> Any:
        """The value of *node*; a key or item with nothing behind it is `NOTHING`."""
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _Refused(node, f"more than {MOST_NODES} keys and values; split the policy")
        if len(path) >= DEEPEST:
            raise _Refused(node, f"more than {DEEPEST} levels of nesting; a policy needs seven")
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, at)) for at, item in enumerate(node.value)]
        return self._mapping(node, path) if isinstance(node, MappingNode) else _scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), _line(key)
            if not isinstance(key, ScalarNode):
                what = "a list or mapping stands where a key belongs; quote it if it is text"
                self.faults.append(_Fault(line, _spelt(path), what))
            elif not isinstance(_scalar(key), str):
                what = f"{shown(name)} is no text, and a key is text; quote it: {quoted(name[:60])}"
                self.faults.append(_Fault(line, _spelt((*path, name)), what))
            elif name in found:
                what = f"it is written twice, on lines {lines[name]} and {line}; keep one"
                self.faults.append(_Fault(line, _spelt((*path, name)), what))
            else:
                found[name], lines[name] = self.value(value, (*path, name)), line
        return found


def _scalar(node: Node) -> Any:
    text = node.value
    if node.tag == _NULL:
        return NOTHING
    if node.tag == _BOOL:
        return text.lower() == "true"
    if node.tag == _INT:
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if node.tag == _FLOAT:
        return float(text.replace(".inf", "inf").replace(".nan", "nan")) if "n" not in text.lower() else (
            float(text.lower().replace(".", "")))  # fmt: skip
    return text


_YAML_ERRORS = (
    (r"<block end>, but found '\?'", "a key stands where an item belongs; indent it as its neighbours are"),
    (r"character '\\t'", "a tab does not fit here; indent with blanks"),
    ("scanning an alias|undefined alias|cannot start any token",
     "a text begins with a character that YAML keeps for itself; quote the text, such as '*/transcode'"),
    ("scanning an anchor", "a text begins with & and is taken for an anchor; quote it"),
    ("directive", "a line begins with % and is taken for a directive; delete it"),
    ("mapping values are not allowed",
     "a colon does not fit here; quote the text that holds it, or indent the line as its neighbours are"),
    ("sequence entries are not allowed", "a list item does not fit here; begin it on a line of its own"),
    (r"got '\?'|'\?'$", "a ? does not fit here; quote the text that holds it"),
    (r"expected ',' or '[\]}]'", "a bracket is opened and not closed; close it, put a comma between its "
     "items, or quote the text that holds brackets or a comma"),
    ("but found '<scalar>'", "a quoted text ends before its line does; quote all of it, or indent it right"),
    ("unexpected end of stream", "a quote is opened and never closed; close it"),
    ("expected <block end>", "the indentation does not fit; indent the keys of one mapping alike"),
    ("could not find expected ':'", "a key has no colon; write key: value"),
    ("another document", "a second document begins here; a file is one, delete the ---"),
)  # fmt: skip
"""What PyYAML says, and what to say of it."""


def _composed(text: str, source: str, whole: str) -> Node:
    """The root node of the one document in *text*."""
    if len(text) > LARGEST:
        what = f"it has {len(text)} characters; write at most {LARGEST}"
        raise PolicyError(Issue(source, 1, whole, *_parted(what)))
    try:
        root = _Loader(text).get_single_node()
    except _Refused as refused:
        near = _near(text[: refused.node.start_mark.index])
        raise PolicyError(_issue(source, refused.node, near or whole, refused.what)) from None
    except yaml.MarkedYAMLError as error:
        said = f"{error.context}: {error.problem}"
        what = next((ours for theirs, ours in _YAML_ERRORS if re.search(theirs, said)),
                    f"this is not YAML ({said[:200]}); check quotes and indentation")  # fmt: skip
        # A bracket or quote that is never closed is looked for where it is opened.
        opened = error.context_mark if re.search("flow|quoted|alias", error.context or "") else None
        mark = opened or error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        near = _near(text[: mark.index]) if mark else ""
        raise PolicyError(Issue(source, line, near or whole, *_parted(what))) from None
    except (yaml.reader.ReaderError, ValueError, OverflowError) as error:
        beyond = re.search(r"\\U(?!000|0010)|^%YAML", text, re.MULTILINE)
        at = getattr(error, "position", beyond.start() if beyond else 0)
        what = f"the character {text[at]!a} cannot stand in YAML; delete it"
        if not isinstance(error, yaml.reader.ReaderError):
            what = "an escape or number is beyond all bounds; delete it"
        line = text.count("\n", 0, at) + 1
        raise PolicyError(Issue(source, line, _near(text[:at]) or whole, *_parted(what))) from None
    if root is None or root.tag == _NULL:
        raise PolicyError(Issue(source, 1, whole, f"the {whole} is empty", "start with version: 1"))
    return root


def _near(before: str) -> str:
    """The key that stands last in *before*: a path for what has none of its own."""
    keys = re.findall(r"([A-Za-z_]{1,40})\s?:(?=\s)", before[-2000:])
    return f"near {keys[-1]}" if keys else ""


class _Dumper(yaml.SafeDumper):
    """Quotes what any reader of YAML, 1.1 or 1.2, would take for something else than text."""


for _tag, (_pattern, _first) in _KINDS.items():
    _Dumper.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), _first)


def write_yaml(tree: dict[str, Any], *, width: int = 100) -> str:
    """Plain values as YAML in block style."""
    return str(yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width))


def dump_policy(file: PolicyFile) -> str:
    """Write a whole policy file; loading that gives the same policy, without comments and spellings."""
    return write_yaml(file.model_dump(mode="json", exclude_defaults=True))


# From a path to a place in the file.


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _spelt(path: Path) -> str:
    """A path as messages show it: keys as they are written where that is harmless, quoted otherwise."""
    steps = (
        f"[{step}]" if isinstance(step, int)
        else f".{step}" if re.fullmatch("[A-Za-z0-9_-]{1,60}", step) else f".{shown(step)}"
        for step in path
    )  # fmt: skip
    return "".join(steps).removeprefix(".")


class _Found(NamedTuple):
    """What stands at a path; `line` is that of the key or list item, `node` the value there."""

    path: Path
    line: int
    node: Node


def _found(root: Node, path: Path) -> _Found:
    """The last part of *path* that is written; steps that are not in the file are left out."""
    found = _Found((), _line(root), root)
    for step in path:
        node = found.node
        if isinstance(node, MappingNode) and isinstance(step, str):
            pairs = ((key, value) for key, value in node.value if key.value == step)
            for key, value in list(pairs)[:1]:
                found = _Found((*found.path, step), _line(key), value)
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = _Found((*found.path, step), _line(node.value[step]), node.value[step])
    return found


def _place_of(root: Node, path: Path) -> Place:
    found = _found(root, path)
    return Place(_spelt(found.path), found.line)


# What pydantic says, in our words.


def _faults(error: ValidationError, root: Node, models: Models) -> Iterator[_Fault]:
    said = error.errors(include_url=False)
    unknown = [(one["loc"][:-1], str(one["loc"][-1])) for one in said if one["type"] == "extra_forbidden"]
    meant = {(loc, nearest(key, keys_of(_model_of(loc, models)))) for loc, key in unknown}
    for one in said:
        loc, kind, given = one["loc"], one["type"], one["input"]
        found = _found(root, loc)
        if kind == "value_error":
            cause = one["ctx"]["error"]
            for at, what in getattr(cause, "faults", [((), str(cause))]):
                inner = _found(root, (*loc, *at))
                yield _Fault(inner.line if at else _line(inner.node), _spelt(inner.path), what)
        elif kind == "extra_forbidden":
            yield _Fault(found.line, _spelt(found.path), _unknown_key(str(loc[-1]), loc[:-1], models))
        elif kind == "missing":
            # One slip of the pen is one fault.
            if (loc[:-1], loc[-1]) not in meant:
                path = _spelt((*found.path, str(loc[-1])))
                yield _Fault(_line(found.node), path, f"it is missing; write {_example(loc, models)}")
        elif kind != "too_short" or not given:  # a list whose items are wrong is called too short as well
            what = f"{_wrong(kind, given)}; write {_example(loc, models)}"
            yield _Fault(_line(found.node), _spelt(found.path), what)


def _wrong(kind: str, given: Any) -> str:
    """What is wrong with a value that pydantic itself refuses."""
    if given is NOTHING:
        return "it has no value (is every line under it commented out?)"
    if kind == "too_short":
        return "the list is empty"
    scalar = not isinstance(given, (list, tuple, dict))
    spelt = "a single value" if scalar else "a mapping" if isinstance(given, dict) else "a list"
    wanted = {"model_type": "a mapping", "tuple_type": "a list", "int_type": "a whole number"}.get(kind)
    if scalar and kind not in ("model_type", "tuple_type"):
        text = shown(given) if isinstance(given, str) else json.dumps(given)
        return f"{text} is not {wanted}" if wanted else f"{text} cannot be used"
    return f"{spelt} stands where {wanted or 'a single value'} belongs"


def _unknown_key(key: str, loc: Path, models: Models) -> str:
    model = _model_of(loc, models)
    names = keys_of(model)
    what = f"{model.model_config.get('title')} has no such key"
    if re.fullmatch("[0-9]+/(run|day)", key):
        return "a comma between braces begins a new key; quote the budget: '20/run, 200/day'"
    name, colon, rest = key.partition(":")
    if colon and name in names:
        return f"a blank must follow the colon; write {name}: {shown(rest.strip())[1:-1]}"
    near = nearest(key, names)
    if near is not None:
        return f"{what}; did you mean {near}?"
    if key == "target":
        return (
            f"it does not belong in {model.model_config.get('title')}; write it in `targets`, beside `match`"
        )
    others = list(models.values())
    at = others.index(model)
    for other in others[at + 1 :] + others[:at]:
        if key in keys_of(other):
            where = other.model_config.get("title")
            return f"it does not belong in {model.model_config.get('title')}; write it in {where}"
    return f"{what}; the keys are {', '.join(names)}"


def _model_of(loc: Path, models: Models) -> type[Part]:
    """The model of the mapping that holds what stands at *loc*."""
    return models[next((step for step in reversed(loc) if isinstance(step, str) and step in models), "")]


def _example(loc: Path, models: Models) -> str:
    """How the key at *loc* is written."""
    for end in range(len(loc), 0, -1):
        for name, field in _model_of(loc[: end - 1], models).model_fields.items():
            if (field.alias or name) == loc[end - 1] and field.examples:
                return spell_key(field.alias or name, field.examples[0])
    name, field = next(iter(models[""].model_fields.items()))
    return spell_key(name, field.examples and field.examples[0])


def spell_key(key: str, value: Any) -> str:
    """A key and its value on one line of YAML, such as `match: {alive_for: 2h}`."""
    flow = yaml.dump(
        {key: value},
        Dumper=_Dumper,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=10**6,
    )
    return str(flow).strip()[1:-1]
