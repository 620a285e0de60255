"""The whole policy file: from its text to a `PolicyFile`, or to everything that is wrong with it."""

from __future__ import annotations

from dataclasses import replace

from fc_reaper.errors import PolicyError
from fc_reaper.policy.document import Entries, Items, Node, Scalar, read_document
from fc_reaper.policy.entries import POLICY, POLICY_KEYS
from fc_reaper.policy.findings import Findings, Place
from fc_reaper.policy.forms import kind_of, list_of
from fc_reaper.policy.keys import Key, KeyTable, read_keys
from fc_reaper.policy.matchers import MERCIES
from fc_reaper.policy.model import Policy, PolicyFile
from fc_reaper.policy.values import whole_number

FILE_KEYS = KeyTable(
    "the file",
    (
        Key(
            "version",
            whole_number(1, "this fc-reaper reads version 1, write version: 1", most=1),
            "version: 1",
            "The version of this format: 1.",
        ),
        Key(
            "exempt",
            MERCIES,
            "exempt: ['keep-*']",
            "Tasks that no policy may touch. A bare text is an id pattern.",
        ),
        Key(
            "policies",
            list_of(POLICY, "write at least one policy: - name: …"),
            "policies: with at least one policy",
            "What is watched and stopped. The strongest claim wins: stop over report, then this order.",
        ),
    ),
    required=("version", "policies"),
    elsewhere={key.name: "an entry of `policies`" for key in POLICY_KEYS.keys},
)


def load_policy(text: str, *, source: str) -> PolicyFile:
    """Read the text of a policy file; *source* is how messages call the file.

    Raises:
        PolicyError: anything is wrong. Its findings, in the order of the file, are all that could be
            found in one go; each reads `SOURCE:LINE: path: what is wrong; what to write`.
    """
    findings = Findings()
    root = read_document(text, findings)
    loaded = None if root is None else _read_file(root, Place(findings), source)
    if loaded is None or findings:
        raise PolicyError(findings.written(source))
    return loaded


def _read_file(root: Node, place: Place, source: str) -> PolicyFile | None:
    if not isinstance(root, Entries):
        place.wrong(f"{kind_of(root)} stands where the file's keys belong; start with version: 1", root.line)
        return None
    fields = read_keys(root, place, FILE_KEYS)
    _check_names(root, place)
    if place.findings:
        return None
    numbered: list[Policy] = [replace(one, index=at) for at, one in enumerate(fields.values["policies"])]
    return PolicyFile(fields.values["version"], fields.values.get("exempt", ()), tuple(numbered), source)


def _check_names(root: Entries, place: Place) -> None:
    """Two policies of one name could not be told apart in a log, whatever else is wrong with them."""
    first: dict[str, int] = {}
    policies = _value(root, "policies")
    for at, node in enumerate(policies.nodes if isinstance(policies, Items) else ()):
        name = _value(node, "name")
        if not isinstance(name, Scalar) or not name.text.strip():
            continue
        folded = " ".join(name.text.split())
        if folded in first:
            where = place.key("policies", node.line).item(at, node.line).key("name", name.line)
            where.wrong(f"the policy on line {first[folded]} has the same name; give each its own")
        first.setdefault(folded, name.line)


def _value(node: Node, name: str) -> Node | None:
    pairs = node.pairs if isinstance(node, Entries) else ()
    return next((value for key, value in pairs if isinstance(key, Scalar) and key.text == name), None)
