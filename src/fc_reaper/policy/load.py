"""From the text of a policy file to its model, or to every fault with its line and what to write."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fc_reaper.errors import Issue, PolicyError, nearest, shown
from fc_reaper.policy.model import Example, Given, Keep, Policy, PolicyFile, exemption_model, match_model
from fc_reaper.rules.ages import CLOCKS
from fc_reaper.rules.fields import CarriedLimit
from fc_reaper.rules.language import NOTHING, Part, Path, keys_of, misplaced

LARGEST = 131_072  # characters in a policy file, itself allowed. Hundreds of policies fit
DEEPEST = 24  # levels of nesting, itself allowed; a policy needs seven, payloads aside
MOST_NODES = 20_000  # keys, values and items in one file, aliases counted as what they stand for
_NUMBER = "-?(?:0|[1-9][0-9]{0,39})"
# What is no text without quotes: its pattern, first characters and meaning. Numbers are as in JSON.
_PLAIN: dict[str, tuple[str, str, Any]] = {
    "null": ("~|null|Null|NULL|", "~nN", lambda _: NOTHING),
    "bool": ("true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
    "int": (_NUMBER, "-0123456789", int),
    "float": (rf"{_NUMBER}(?:\.[0-9]{{1,40}})?(?:[eE][-+]?[0-9]{{1,3}})?", "-0123456789", float),
}
_TAG = "tag:yaml.org,2002:"
_SAID = (  # what PyYAML says of the usual mistakes, and what to say of them
    (r"character '\\t'", "a tab does not fit here; indent with blanks"),
    (r"alias|anchor|cannot start any token|'\?'",
     "a text has a character that YAML reserves; quote the text, such as '*/transcode'"),
    ("mapping values are not allowed",
     "a colon does not fit here; quote the text that holds it, or indent the line as its neighbours are"),
)  # fmt: skip
Models = Mapping[str, type[Part]]


class _Refused(Exception):
    """YAML that no policy needs."""

    def __init__(self, what: str, where: Any = None) -> None:
        super().__init__(what)
        self.at = where.start_mark.index if where else 0


class _Loader(yaml.SafeLoader):
    """YAML 1.2, in which `on`, `no`, `12:30`, dates and `<<` are text. Tags are refused."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012
    _depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) not in (None, "!"):
            what = f"{shown(event.tag)} is taken for a tag, and tags are not used"
            raise _Refused(f"{what}; quote the text that begins with !, or delete the tag", event)
        self._depth += 1
        _check_depth(self._depth, event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes what any reader of YAML, 1.1 or 1.2, would take for something else than text."""


for _name, (_pattern, _first, _) in _PLAIN.items():
    for _yaml in (_Loader, _Dumper):
        _yaml.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), [*_first, ""])


def _check_depth(depth: int, at: Any) -> None:
    if depth > DEEPEST:
        raise _Refused(f"more than {DEEPEST} levels of nesting; a policy needs seven", at)


class Document:
    """The values of a file, `NOTHING` for a key with none; `issues` are about keys that cannot be read."""

    def __init__(self, root: Node, source: str, whole: str) -> None:
        self.source, self.whole = source, whole
        self.issues: list[Issue] = []
        self.lines: dict[Path, int] = {}  # of the key, or of the item of a list
        self.value = self._value(root, (), root)

    def written(self, path: Path) -> Path:
        """The part of *path* that is written."""
        found: Path = ()
        for step in path:
            found = (*found, step) if (*found, step) in self.lines else found
        return found

    def issue(self, path: Path, sentence: str, *, missing: bool = False) -> Issue:
        """An issue at the line of the key at *path*, the last of which may be *missing*."""
        written = self.written(path)
        name = spelt((*written, path[-1]) if missing else written) or self.whole
        return Issue.of(self.source, self.lines[written], name, sentence)

    def _value(self, node: Node, path: Path, key: Node) -> Any:
        self.lines[path] = _line(key)
        if len(self.lines) > MOST_NODES:
            raise _Refused(f"more than {MOST_NODES} keys and values; split the policy", node)
        _check_depth(len(path) + 1, node)  # an alias may stand within what it names
        if isinstance(node, SequenceNode):
            return [self._value(item, (*path, at), item) for at, item in enumerate(node.value)]
        return self._mapping(node, path) if isinstance(node, MappingNode) else _scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = _scalar(key) if isinstance(key, ScalarNode) else None
            at = (*path, str(key.value)) if isinstance(key, ScalarNode) else path
            if isinstance(name, str) and name not in found:
                found[name] = self._value(value, at, key)
                continue
            what = "a key is text; quote it if it is meant"
            if isinstance(name, str):
                what = f"it is written twice, on lines {self.lines[at]} and {_line(key)}; keep one"
            self.issues.append(Issue.of(self.source, _line(key), spelt(at), what))
        return found


def spelt(path: Path) -> str:
    """A path as messages show it: keys as they are written where that is harmless, quoted otherwise."""
    steps = (
        f"[{step}]" if isinstance(step, int)
        else f".{step}" if re.fullmatch("[A-Za-z0-9_-]{1,60}", step) else f".{shown(step)}"
        for step in path
    )  # fmt: skip
    return "".join(steps).removeprefix(".")


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _scalar(node: Node) -> Any:
    plain = _PLAIN.get(node.tag.removeprefix(_TAG))
    return str(node.value) if plain is None else plain[2](node.value)


def read_document(text: str, source: str, whole: str) -> Document:
    """Read the one document in *text*, called *whole*; a PolicyError if it is no YAML, empty or too large."""
    try:
        if len(text) > LARGEST:
            raise _Refused(f"it has {len(text)} characters; write at most {LARGEST}")
        root = _Loader(text).get_single_node()
        if root is None or root.tag == f"{_TAG}null":
            raise _Refused(f"the {whole} is empty; start with version: 1")
        return Document(root, source, whole)
    except _Refused as refused:
        what, at = str(refused), refused.at
    except yaml.MarkedYAMLError as error:
        said = f"{error.context}: {error.problem}"
        known = (ours for theirs, ours in _SAID if re.search(theirs, said))
        what = next(known, f"this is not YAML ({said[:200]}); check quotes, brackets and indentation")
        # A bracket or quote that is never closed is shown where it is opened.
        opened = re.search("flow|quoted|alias", error.context or "") and error.context_mark
        mark = opened or error.problem_mark or error.context_mark
        at = mark.index if mark else 0
    except yaml.reader.ReaderError as error:
        at, what = error.position, f"the character {text[error.position]!a} cannot stand in YAML; delete it"
    except (ValueError, OverflowError):
        beyond = re.search(r"\\U(?!000|0010)|^%YAML", text, re.MULTILINE)
        at, what = beyond.start() if beyond else 0, "an escape or number is beyond all bounds; delete it"
    keys = re.findall(r"([A-Za-z_]{1,40})\s?:(?=\s)", text[max(0, at - 2000) : at])
    line, path = text.count("\n", 0, at) + 1, f"near {keys[-1]}" if keys else whole
    raise PolicyError(Issue.of(source, line, path, what))


def load_policy(text: str, *, source: str) -> PolicyFile:
    """Read a policy file, which messages call *source*; a PolicyError has all faults in their order."""
    document = read_document(text, source, "policy")
    issues = document.issues
    try:
        file = PolicyFile.model_validate(document.value)
    except ValidationError as error:
        issues += _faults(error, document)
    else:
        if not issues:
            _place(file, document, ())
            return file.know(source=source, issue=document.issue)
    raise PolicyError(*sorted(dict.fromkeys(issues), key=lambda issue: issue.line or 0))


def _place(value: Any, document: Document, path: Path) -> None:
    """Give every part of a loaded file its line."""
    if isinstance(value, Part):
        value.know(line=document.lines[document.written(path)])
        for name, field in type(value).model_fields.items():
            _place(getattr(value, name), document, (*path, field.alias or name))
    elif isinstance(value, tuple):
        for at, item in enumerate(value):
            _place(item, document, (*path, at))


def policy_models() -> Models:
    """The models of a policy file, by the keys at which their mappings stand."""
    exemption = exemption_model()
    return {
        "": PolicyFile, "policies": Policy, "keep": Keep, "match": match_model(), "unless": exemption,
        "exempt": exemption, "examples": Example, "given": Given, **dict.fromkeys(CLOCKS, CarriedLimit),
    }  # fmt: skip


def _faults(error: ValidationError, document: Document) -> Iterator[Issue]:
    """An issue for each thing that pydantic found wrong."""
    models = policy_models()
    # A list that holds something wrong is too short for pydantic as well.
    said = [one for one in _flat(error, ()) if one["type"] != "too_short" or not one["input"]]
    unknown = {one["loc"]: _unknown(one["loc"], models) for one in said if one["type"] == "extra_forbidden"}
    meant = {(*loc[:-1], near) for loc, (near, _) in unknown.items()}
    for one in said:
        loc, kind = one["loc"], one["type"]
        if kind == "value_error":
            cause = one["ctx"]["error"]
            for at, what in getattr(cause, "faults", [((), str(cause))]):
                yield document.issue((*loc, *at), what)
        elif kind == "extra_forbidden":
            yield document.issue(loc, unknown[loc][1])
        elif kind != "missing":
            example = _example(loc, models)
            if kind == "literal_error":
                example = f"{loc[-1]}: {one['ctx']['expected'].replace(chr(39), '')}"
            yield document.issue(loc, f"{_wrong(kind, one['input'])}; write {example}")
        elif loc not in meant:  # A misspelt key is not also a missing one.
            what = f"it is missing; write {_example(loc, models)}"
            yield document.issue(loc, what, missing=True)


def _flat(error: ValidationError, at: Path) -> Iterator[dict[str, Any]]:
    """What pydantic found wrong, in mappings that were read later as well, each with its whole path."""
    for one in error.errors(include_url=False):
        loc, cause = (*at, *one["loc"]), one.get("ctx", {}).get("error")
        if isinstance(cause, ValidationError):
            yield from _flat(cause, loc)
        else:
            yield {**one, "loc": loc}


_WANTED = {"model_type": "a mapping", "tuple_type": "a list", "int_type": "a whole number"}


def _wrong(kind: str, given: Any) -> str:
    """What is wrong with a value that pydantic itself refuses."""
    if kind == "too_short":
        return "the list is empty"
    wanted = _WANTED.get(kind)
    return misplaced(given, wanted) if wanted or given is NOTHING else f"{shown(given)} cannot be used"


def _unknown(loc: Path, models: Models) -> tuple[str | None, str]:
    """The key that an unknown one probably stands for, and what is wrong with it."""
    names = keys_of(model := _model_of(loc[:-1], models))
    near = nearest(str(loc[-1]), names)
    write = f"the keys are {', '.join(names)}" if near is None else f"did you mean {near}?"
    if loc[-1] in keys_of(exemption_model()) and model is match_model():
        write = "it stands only in entries of `exempt` and `unless`"
    return near, f"{model.model_config.get('title')} has no such key; {write}"


def _model_of(loc: Path, models: Models) -> type[Part]:
    """The model of the mapping that holds what stands at *loc*."""
    return models[next((step for step in reversed(loc) if isinstance(step, str) and step in models), "")]


def _example(loc: Path, models: Models) -> str:
    """How the key at *loc* is written, or the one around it."""
    for end in range(len(loc), 0, -1):
        field = keys_of(_model_of(loc[: end - 1], models)).get(str(loc[end - 1]))
        if field is not None and field.examples:
            return write_yaml({loc[end - 1]: field.examples[0]}, width=10**6, flow=True).strip()[1:-1]
    return "version: 1"


def dump_policy(file: PolicyFile) -> str:
    """Write a whole policy file; loading that gives the same policy, without comments and spellings."""
    return write_yaml(file.model_dump(mode="json", exclude_defaults=True))


def write_yaml(tree: dict[Any, Any], *, width: int = 100, flow: bool = False) -> str:
    """Plain values as YAML, in block style or in one pair of braces."""
    layout: dict[str, Any] = {"default_flow_style": flow, "width": width, "sort_keys": False}
    return str(yaml.dump(tree, None, _Dumper, allow_unicode=True, **layout))
