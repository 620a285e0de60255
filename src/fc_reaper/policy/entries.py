"""One entry of `policies`: its keys, and what they must have to do with each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fc_reaper.models import STOPPING
from fc_reaper.policy.budgets import BUDGET, HOLDOUT, Budget
from fc_reaper.policy.document import Entries, Node
from fc_reaper.policy.examples import EXAMPLES
from fc_reaper.policy.findings import Place
from fc_reaper.policy.forms import Form, kind_of, list_of
from fc_reaper.policy.keeping import KEEP
from fc_reaper.policy.keys import Fields, Key, KeyTable, read_keys, schema_of
from fc_reaper.policy.matchers import MATCH, MATCH_KEYS, MERCIES
from fc_reaper.policy.model import CLOCKS, DEFAULT_PER_RUN, Example, Matcher, Policy
from fc_reaper.policy.values import TARGET, TRIGGER, TRIGGERS, whole_number, words

_REASON = words("the reason in words", 500)
_LIMITS = (*CLOCKS, "retries_over")

POLICY_KEYS = KeyTable(
    "a policy",
    (
        Key(
            "name", words("a name", 100), "name: runaway-transcodes", "What logs call it. Unique in the file."
        ),
        Key(
            "targets",
            list_of(TARGET, "write at least one target, such as [media/transcode@prod]"),
            "targets: [media/transcode@prod]",
            "The functions it watches: [service/]function[@qualifier], with * and ?. No @ means @LATEST, "
            "@* every qualifier; without service/ a function of FC 3.0.",
        ),
        Key("match", MATCH, "match: {alive_for: 2h}", "Which tasks are due; the keys are joined by and."),
        Key(
            "unless",
            MERCIES,
            "unless: ['keep-*']",
            "Any of these spares a task. A bare text is an id pattern.",
        ),
        Key(
            "stop", _REASON, "stop: A task takes 40 minutes at worst.", "Stop what matches, for this reason."
        ),
        Key("report", _REASON, "report: Is that normal?", "Only report what matches, for this reason."),
        Key(
            "triggers",
            list_of(TRIGGER, f"write at least one of {', '.join(TRIGGERS)}, or delete the key to mean all"),
            "triggers: [timer]",
            "What runs it: timer, timer:NAME, alert, command, task (an event that names the task). "
            "Default all.",
        ),
        Key(
            "keep",
            KEEP,
            "keep: {at_most: 10}",
            "How many of what matches may be alive at once; those beyond are due.",
        ),
        Key(
            "budget",
            BUDGET,
            "budget: 20/run, 200/day",
            f"Most stops in one run, and perhaps within 24 hours. Default {DEFAULT_PER_RUN}/run.",
        ),
        Key(
            "halt_over",
            whole_number(1, "write how many may be due at once, 1 or more, such as 100"),
            "halt_over: 100",
            "More than this many due at once looks like a mistake: stop none of them.",
        ),
        Key(
            "holdout",
            HOLDOUT,
            "holdout: 2%",
            "Spare this share of what is due, so that wrong stops can be counted.",
        ),
        Key(
            "examples",
            EXAMPLES,
            "examples: [{given: {running_for: 3h}, expect: stop}]",
            "Tasks, and what becomes of them. A file whose examples fail is refused.",
        ),
    ),
    required=("name", "targets", "match"),
    elsewhere={
        **{key.name: "`match`" for key in MATCH_KEYS.keys},
        "target": "`targets`",
        **dict.fromkeys(("at_most", "stop_first", "per"), "`keep`"),
        **dict.fromkeys(("given", "expect"), "`examples`, as in examples: [{given: {…}, expect: stop}]"),
        "exempt": "the top of the file, beside `policies`",
        "version": "the top of the file",
    },
)


def _read_policy(node: Node, place: Place) -> Policy | None:
    if not isinstance(node, Entries):
        what = "stands where a policy belongs; write its keys, name: and so on"
        place.wrong(f"{kind_of(node)} {what}", node.line)
        return None
    faults = len(place.findings)
    fields = read_keys(node, place, POLICY_KEYS)
    _check_verdict(fields, place, node.line)
    _check_limits(fields, place)
    _check_keep(fields, place)
    _check_examples(fields, place)
    return None if len(place.findings) > faults else _made_of(fields.values, place.line)


def _check_verdict(fields: Fields, place: Place, line: int) -> None:
    """Exactly one of stop and report. A report may keep the limits of the stop it is a trial of."""
    if "stop" in fields.lines and "report" in fields.lines:
        place.key("report", fields.lines["report"]).wrong("it stands beside `stop`; keep one of the two")
    elif "report" not in fields.lines and "stop" not in fields.lines:
        place.wrong("it neither stops nor reports; write `stop:` or `report:` with the reason in words", line)


def _check_limits(fields: Fields, place: Place) -> None:
    """Without a limit a stop would take every task it sees, unless an event names the one."""
    match: Matcher | None = fields.values.get("match")
    if match is None or "stop" not in fields.lines or "keep" in fields.lines or fields.broken("triggers"):
        return
    if not match.limits and match.retries_over is None and fields.values.get("triggers") != ("task",):
        place.key("match", fields.lines["match"]).wrong(
            f"a stop without a limit would take every such task; add one of {', '.join(_LIMITS)}, "
            "or beside `match` write keep: {at_most: 10} or triggers: [task]"
        )


def _check_keep(fields: Fields, place: Place) -> None:
    """Only a run that sees all tasks can tell which of them are too many."""
    if "keep" not in fields.values:
        return
    here = place.key("keep", fields.lines["keep"])
    if fields.values.get("triggers") == ("task",):
        here.wrong(
            "an event that names one task does not count the others; delete `keep`, or write other triggers"
        )
    match: Matcher | None = fields.values.get("match")
    if match is not None and match.condition_statuses == (STOPPING,):
        here.wrong(
            f"a task that is {STOPPING} does not count, and `match` holds for no other; delete `keep`, "
            "or let `match` fit tasks that are alive"
        )


def _check_examples(fields: Fields, place: Place) -> None:
    """No task can show what the policy never does."""
    examples: tuple[Example, ...] = fields.values.get("examples", ())
    if ("stop" in fields.lines) == ("report" in fields.lines):
        return
    does, never = ("stop", "report") if "stop" in fields.lines else ("report", "stop")
    for at, example in enumerate(examples):
        if example.expect == never:
            where = place.key("examples", fields.lines["examples"]).item(at, example.line)
            where.wrong(
                f"expect is {never}, and this policy never does; write expect: {does} or expect: keep"
            )


def _made_of(values: Mapping[str, Any], line: int) -> Policy:
    budget: Budget = values.get("budget", Budget(None, None))
    return Policy(
        name=values["name"],
        targets=values["targets"],
        match=values["match"],
        unless=values.get("unless", ()),
        stops="stop" in values,
        reason=values.get("stop") or values.get("report", ""),
        triggers=values.get("triggers", ()),
        keep=values.get("keep"),
        per_run=budget.per_run or DEFAULT_PER_RUN,
        per_day=budget.per_day,
        halt_over=values.get("halt_over"),
        holdout=values.get("holdout"),
        examples=values.get("examples", ()),
        line=line,
    )


def _schema() -> dict[str, Any]:
    return {
        **schema_of(POLICY_KEYS),
        "oneOf": [{"required": ["stop"]}, {"required": ["report"]}],
    }


POLICY: Form[Policy] = Form(_read_policy, _schema())
