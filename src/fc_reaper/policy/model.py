"""The policy file as pydantic models: their dump, and their JSON schema. Lengths of time are milliseconds."""

from collections.abc import Callable, Collection, Sequence
from functools import cached_property, lru_cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, create_model, model_validator
from typing_extensions import Self, TypeAliasType

from fc_reaper.errors import Issue
from fc_reaper.models import ALIVE, UNFINISHED, Function, Millis
from fc_reaper.rules import fields
from fc_reaper.rules.ages import CLOCKS
from fc_reaper.rules.expression import Expression
from fc_reaper.rules.fields import Budget, CarriedLimit
from fc_reaper.rules.language import DISTINCT, SOME, Fault, Later, Part, Path, key
from fc_reaper.rules.rules import RULES, Clock, IdRule, Rule, Until, common_statuses

TASK = "task"  # the trigger of an event that names one task by its invocation id


class Matcher(Part):
    """Conditions on a task, joined by and. Its fields are the rules of the registry (`matcher_model`)."""

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """A rule for each key that is stated, in the order in which they are evaluated."""
        stated = ((rule, getattr(self, key, None)) for key, rule in RULES.items())
        return tuple(rule(value) for rule, value in stated if value is not None)

    @cached_property
    def spared_by(self) -> dict[str, str]:
        """`until` and `because` of an exemption, as lines show them."""
        return self.model_dump(include={"until", "because"}, exclude_none=True)

    @property
    def limits(self) -> tuple[tuple[str, Millis | CarriedLimit], ...]:
        """The clocks that are stated, by name, each with its limit."""
        return tuple((rule.key, rule.wanted) for rule in self.rules if isinstance(rule, Clock))

    @property
    def ids(self) -> tuple[str, ...]:
        """The patterns for the invocation id; empty where none is stated."""
        return getattr(self, IdRule.key, None) or ()

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """Every expression that it evaluates."""
        return tuple(expression for rule in self.rules for expression in rule.expressions)

    @cached_property
    def match_statuses(self) -> tuple[str, ...]:
        """The statuses in which this can hold as a `match`; one without status or clock means alive tasks."""
        stated = common_statuses(self.rules)
        return ALIVE if stated is None else stated

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        if all(isinstance(rule, Until) for rule in self.rules):
            what = "it says when or why, and not which tasks"
            raise ValueError(f"{what}; write another key beside it, such as id: job-7")
        if common_statuses(self.rules) == ():
            stated = [f"{rule.key} ({', '.join(rule.statuses)})" for rule in self.rules if rule.statuses]
            what = f"no task can fit {' and '.join(stated)} at once"
            raise ValueError(f"{what}; keep one, and give the other a matcher of its own")
        return self


def match_model() -> type[Matcher]:
    """The model of a `match`, with the rules that are registered by now."""
    return _matcher_model("Match", "`match`", tuple(rule for rule in RULES.values() if rule.in_match))


def exemption_model() -> type[Matcher]:
    """The model of an entry of `exempt` and `unless`, with the rules that are registered by now."""
    return _matcher_model("Matcher", "an entry of `exempt` or `unless`", tuple(RULES.values()))


@lru_cache(maxsize=4)
def _matcher_model(name: str, title: str, rules: Sequence[type[Rule]]) -> type[Matcher]:
    keys: dict[str, Any] = {
        rule.key: (rule.field | None, key(rule.description, rule.example, None)) for rule in rules
    }
    because = key("Why these tasks are spared, in words; it decides nothing.", "migration", None)
    keys |= {} if name == "Match" else {"because": (fields.Reason | None, because)}
    return create_model(name, __base__=Matcher, __cls_kwargs__={"title": title}, **keys)


def _exemption(given: Any) -> Matcher:
    """In `exempt` and `unless` a bare text is a pattern for the invocation id."""
    return exemption_model().model_validate(given if isinstance(given, (dict, Matcher)) else {"id": [given]})


Match = Annotated[Matcher, Later(match_model)]
_bare = Annotated[str, Field(pattern=f"^{fields.ID_GLOB}$")]
_exempted = Later(lambda: _bare | exemption_model(), _exemption)
Exemption = TypeAliasType("Exemption", Annotated[Matcher, _exempted])


class Keep(Part):
    """How many of what matches may be alive at once, in each group of `per`; None is one group of all."""

    model_config = ConfigDict(title="`keep`")
    at_most: fields.Count = key("How many may be alive at once, in each group.", 10)
    stop_first: Literal["newest", "oldest"] = key(
        "Which are stopped first, by their first enqueueing. Default newest.", "oldest", "newest"
    )
    per: fields.Per | None = key(
        "The groups: function, qualifier, or an expression. Default one of all.", "payload.order_id", None
    )


class Given(Part):
    """The task of an example. What is None was not given."""

    model_config = ConfigDict(title="`given`")
    id: fields.InvocationId | None = key("Its invocation id. Default one that fits.", "job-17", None)
    target: fields.FunctionField | None = key("Its function. Default the first target.", "resize@prod", None)
    status: fields.Status | None = key("Its status. Default one in which the rest can be.", "Running", None)
    queued_for: fields.Duration | None = key("How long ago it was last enqueued.", "3h", None)
    running_for: fields.Duration | None = key("How long its present attempt has been running.", "3h", None)
    alive_for: fields.Duration | None = key("How long ago it was first enqueued.", "3h", None)
    stopping_for: fields.Duration | None = key("How long ago it was asked to stop.", "3h", None)
    retries: fields.CountOrZero | None = key("How often it was retried.", 3, None)
    payload: fields.Payload | None = key("What it was invoked with: any JSON.", {"tier": "gold"}, None)

    @property
    def ages(self) -> dict[str, Millis]:
        """The clocks that are given, with their lengths."""
        stated = ((clock, getattr(self, clock)) for clock in CLOCKS)
        return {clock: length for clock, length in stated if length is not None}

    @model_validator(mode="after")
    def _can_exist(self) -> Self:
        statuses = UNFINISHED if self.status is None else (self.status,)
        if self.ages and not any(all(one in CLOCKS[clock] for clock in self.ages) for one in statuses):
            stated = [*([] if self.status is None else [f"status {self.status}"]), *self.ages]
            raise ValueError(f"no task can have {' and '.join(stated)} at once; delete one of them")
        return self


class Example(Part):
    """A task to try the policy on, and what must become of it."""

    model_config = ConfigDict(title="an example")
    given: Given = key("The task. What is left out fits the first target.", {"running_for": "3h"})
    expect: Literal["stop", "report", "keep"] = key("What this policy and `exempt` make of it.", "stop")


class Policy(Part):
    """One entry of `policies`: which tasks it watches, when one is due, and what then happens."""

    index: ClassVar[int] = 0  # its place in the file, from 0
    stops: ClassVar[bool] = False  # whether it stops what is due; a report never does
    approved: ClassVar[bool] = True  # a stop policy that a lock does not approve only reports
    reason: ClassVar[str] = ""  # why it stops or reports, in words

    model_config = ConfigDict(
        title="a policy", json_schema_extra={"oneOf": [{"required": ["stop"]}, {"required": ["report"]}]}
    )
    name: fields.Name = key("What logs call it. Unique in the file.", "runaway-transcodes")
    targets: Annotated[tuple[fields.TargetField, ...], SOME, DISTINCT] = key(
        "[service/]function[@qualifier], with * and ?. No @ means @LATEST.", ["media/transcode@prod"]
    )
    match: Match = key("Which tasks are due; the keys are joined by and.", {"alive_for": "2h"})
    unless: tuple[Exemption, ...] = key(
        "Any of these spares a task. A bare text is an id pattern.", ["keep-*"], ()
    )
    stop: fields.Reason | None = key("Stop what matches, for this reason.", "A task takes 40 minutes.", None)
    report: fields.Reason | None = key("Only report what matches, for this reason.", "Is that normal?", None)
    owner: fields.Owner | None = key("Who owns its tasks: text, or {from: EXPRESSION}.", "media-team", None)
    triggers: Annotated[tuple[fields.Trigger, ...], SOME, DISTINCT] = key(
        "What runs it: timer, timer:NAME, alert, command, task (it is named). Default all.", ["timer"], ()
    )
    keep: Annotated[Keep | None, Later(lambda: Keep)] = key(
        "How many of what matches may be alive at once; those beyond are due.", {"at_most": 10}, None
    )
    budget: fields.BudgetField = key(
        f"Most stops in one run, and within 24 hours. Default {Budget()}.", "20/run, 200/day", Budget()
    )
    halt_over: fields.Count | None = key(
        "More than this many due at once looks like a mistake: stop none of them.", 100, None
    )
    holdout: fields.Holdout | None = key(
        "Spare this share of what is due, so that wrong stops can be counted.", "2%", None
    )
    examples: Annotated[tuple[Annotated[Example, Later(lambda: Example)], ...], SOME] = key(
        "Tasks, and what becomes of them. A file whose examples fail is refused.",
        [{"given": {"running_for": "3h"}, "expect": "stop"}],
        (),
    )

    @property
    def does(self) -> Literal["stop", "report"]:
        """What it does with what is due."""
        return "stop" if self.stops else "report"

    @property
    def withholds(self) -> bool:
        """Whether a task that it claims counts for no `keep` policy beside it."""
        # One that is not approved any more keeps this: else a change would make another policy stop.
        return self.keep is None and (self.stops or not self.approved)

    def watches(self, function: Function) -> bool:
        """Whether *function*, under the qualifier it is found with, is among its targets."""
        return any(target.fits(function) for target in self.targets)

    @property
    def only_named(self) -> bool:
        """Whether only an event that names a task by its invocation id runs it."""
        return self.triggers == (TASK,)

    def fits_trigger(self, kind: str, name: str | None = None) -> bool:
        """Whether a trigger of that kind runs this policy; *name* is the timer's, where it has one."""
        named = name is not None and f"{kind}:{name}" in self.triggers
        return not self.triggers or kind in self.triggers or named

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """Every expression for which tasks are listed: also the owner's of those that are only reported."""
        stated = [one for matcher in (self.match, *self.unless) for one in matcher.expressions]
        if self.keep is not None and isinstance(self.keep.per, Expression):
            stated.append(self.keep.per)
        if not self.stops and isinstance(self.owner, Expression):
            stated.append(self.owner)
        return tuple(stated)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        self.know(stops=self.stop is not None, reason=self.stop or self.report)
        faults: list[tuple[Path, str]] = []
        if self.stop is not None and self.report is not None:
            faults.append((("report",), "it stands beside `stop`; keep one of the two"))
        elif self.stop is None and self.report is None:
            write = "write `stop:` or `report:` with the reason in words"
            faults.append(((), f"it neither stops nor reports; {write}"))
        else:
            write = f"which this policy never does; write expect: {self.does} or keep"
            wrong = [one for one in enumerate(self.examples) if one[1].expect not in (self.does, "keep")]
            faults += [(("examples", at), f"expect is {example.expect}, {write}") for at, example in wrong]
        limited = self.keep is not None or self.only_named or any(rule.is_limit for rule in self.match.rules)
        if self.stop is not None and not limited:
            limits = ", ".join(rule.key for rule in RULES.values() if rule.is_limit)
            what = f"a stop without a limit would take every such task; add one of {limits}"
            what += ", or beside `match` write keep: {at_most: 10} or triggers: [task]"
            faults.append((("match",), what))
        for name in ("keep", "halt_over"):
            if self.only_named and getattr(self, name) is not None:
                what = "an event that names one task counts no others"
                faults.append(((name,), f"{what}; delete `{name}`, or write other triggers"))
        if faults:
            raise Fault(*faults)
        return self


class PolicyFile(Part):
    """A whole policy file. `exempt` is above every policy."""

    source: ClassVar[str] = "policy"  # what messages call the file
    issue: ClassVar[Callable[..., Issue]]  # of a path and a sentence, for a file that was loaded (`Document`)

    model_config = ConfigDict(title="the file")
    version: fields.Version = key("The version of this format: 1.", 1)
    exempt: tuple[Exemption, ...] = key(
        "Tasks that no policy may touch. A bare text is an id pattern.", ["keep-*"], ()
    )
    policies: Annotated[tuple[Policy, ...], SOME] = key(
        "What is watched and stopped. The strongest claim wins: stop over report, then this order.",
        [{"name": "runaway", "targets": ["resize"], "match": {"alive_for": "2h"}, "stop": "why"}],
    )

    @model_validator(mode="after")
    def _has_unique_names(self) -> Self:
        names = [policy.name for policy in self.policies]
        what = "an earlier policy has the same name; give each its own"
        again = [at for at, name in enumerate(names) if name in names[:at]]
        if again:
            raise Fault(*((("policies", at, "name"), what) for at in again))
        for at, policy in enumerate(self.policies):
            policy.know(index=at)
        return self

    def only(self, *policies: Policy) -> Self:
        """This file with these policies in place of its own."""
        copies = tuple(policy.model_copy().know(index=at) for at, policy in enumerate(policies))
        return self.model_copy(update={"policies": copies})

    def report_only(self, names: Collection[str]) -> Self:
        """This file with the policies of these *names* turned into reports, whatever else they say."""
        policies = tuple(
            one.model_copy().know(stops=False, approved=False) if one.stops and one.name in names else one
            for one in self.policies
        )
        return self.model_copy(update={"policies": policies})
