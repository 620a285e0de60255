"""The steps of an explanation as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from fc_reaper.cli.explaining.conclusion import conclusion
from fc_reaper.cli.explaining.records import spoken_moment
from fc_reaper.cli.output import BAD, SOFT, STRONG, counted, percent, printable, short, show, table
from fc_reaper.evaluator.explain import Explanation, FieldRead, KeyResult, MatcherResult, Step
from fc_reaper.evaluator.verdict import Kind, Member
from fc_reaper.policy import Keep, format_duration

Row = tuple[str, str, Text]

_YES, _NO, _UNKNOWN = Text("yes", STRONG), Text("no", SOFT), Text("unknown", BAD)


def show_steps(explained: Explanation, source: str, *, dated: bool = False) -> None:
    """Print every step in its order, then the verdict, what decided, and when it would become due.

    With *dated* the moment of the judgement is told: it need not be now.
    """
    task = explained.task
    rows = [*_record(explained), *_exempt(explained, source), *_policies(explained, source)]
    moment = f", judged as of {spoken_moment(explained.now)}" if dated else ""
    show(Text(f"{printable(task.invocation_id)} at {short(*task.function)}{moment}", STRONG), "")
    show(table(("step", "asked of the task", "answer"), rows), "")
    show(*conclusion(explained, source))


def _record(explained: Explanation) -> Iterator[Row]:
    task = explained.task
    retries = "retries unknown" if task.retries is None else counted(task.retries, "retry", "retries")
    yield "record", f"{printable(task.status) or 'no status'}, {retries}", Text("")
    for event in task.events:
        yield "", printable(event.status), Text(_ago(explained, event.at))
    if not task.events:
        started = "never" if task.started_at is None else _ago(explained, task.started_at)
        yield "", "no dated events; startedTime", Text(started)
    if explained.inconsistency is not None:
        yield "", printable(explained.inconsistency), _UNKNOWN


def _ago(explained: Explanation, at: int) -> str:
    since = explained.now - at
    return f"{format_duration(since)} ago" if since >= 0 else f"in {format_duration(-since)}"


def _exempt(explained: Explanation, source: str) -> Iterator[Row]:
    for asked in explained.exempt:
        yield from _asked("exempt", asked, explained, source)
    if not explained.exempt:
        yield "exempt", "nothing in the file concerns this function", _NO


def _policies(explained: Explanation, source: str) -> Iterator[Row]:
    if not explained.steps:
        yield "policies", "not asked: the steps above decide already", Text("")
    for step in explained.steps:
        yield from _policy(step, explained, source)


def _policy(step: Step, explained: Explanation, source: str) -> Iterator[Row]:
    policy = step.policy
    does = "report" if not policy.stops else "stop" if step.unapproved is None else "stop, not approved"
    triggers = f", only by {' or '.join(policy.triggers)}" if policy.triggers else ""
    yield "policy", f"{policy.name} ({does}{triggers}), {source}:{policy.line}", Text("")
    if step.match is None or step.result is None:
        targets = ", ".join(short(*target) for target in policy.targets)
        yield "  targets", targets, _NO
        return
    yield from _asked("  match", step.match, explained, source)
    for asked in step.unless:
        yield from _asked("  unless", asked, explained, source)
    yield from _afterwards(step, explained)


def _afterwards(step: Step, explained: Explanation) -> Iterator[Row]:
    """What comes once it matches: the group, the share that is spared, the lock."""
    policy = step.policy
    if policy.keep is not None:
        yield "  keep", kept(policy.keep), _place(step, explained)
        yield from _read(step.group_fields)
    if policy.holdout is not None and step.held_out is not None:
        held = Text.assemble(_YES, ": spared by its id") if step.held_out else _NO
        yield "  holdout", f"{percent(policy.holdout)} of all ids", held
    if step.unapproved is not None:
        yield "  lock", printable(step.unapproved), Text("not approved: only reports", BAD)


def kept(keep: Keep) -> str:
    """What a `keep` says, in words."""
    per = "" if keep.per is None else f" for each {printable(str(keep.per))}"
    return f"at most {keep.at_most}{per}, {keep.stop_first} go first"


def _place(step: Step, explained: Explanation) -> Text:
    place = step.membership
    if isinstance(place, Member):
        return _counted(explained.counted(step), explained)
    if place is not None and place.holds is None:
        return Text.assemble(_UNKNOWN, f": {printable(place.why)}")
    return Text("does not count", SOFT)


def _counted(member: Member | None, explained: Explanation) -> Text:
    """Whether it counts in a run, where what other policies say of it matters as well."""
    if member is not None:
        spared = "" if member.selectable else ", and is never chosen"
        return Text.assemble(
            ("counts", STRONG), f": first enqueued {format_duration(member.age)} ago{spared}"
        )
    owner = _owner(explained)
    if owner is None:
        return Text.assemble(_UNKNOWN, f": {printable(explained.verdict.reason)}")
    return Text.assemble(("does not count", SOFT), f": {owner} claims it")


def _owner(explained: Explanation) -> str | None:
    """The stop policy that claims the task, approved or not, so that it counts for no `keep` policy."""
    if explained.verdict.kind is Kind.DUE:
        return explained.verdict.policy
    holding = (one for one in explained.steps if one.unapproved is not None and one.policy.keep is None)
    return next((one.policy.name for one in holding if one.result and one.result.holds), None)


def _read(reads: Iterable[FieldRead]) -> Iterator[Row]:
    """The fields that an expression reads; of their values only the kind."""
    for path, kind in reads:
        yield (
            "",
            f"  {printable(path)}",
            Text("absent", BAD) if kind is None else Text(f"present: {kind}", SOFT),
        )


def _asked(name: str, asked: MatcherResult, explained: Explanation, source: str) -> Iterator[Row]:
    """One row a key; the first one says which matcher it is."""
    for number, question in enumerate(asked.keys):
        where = f"  {source}:{asked.line}" if number == 0 and not name.endswith("match") else ""
        yield (
            name if number == 0 else "",
            f"{_question(question)}{where}",
            _answer(question, explained.task.status),
        )
        yield from _read(question.fields)


def _question(question: KeyResult) -> str:
    return f"{question.key}: {printable(question.wanted)}"


def _answer(question: KeyResult, status: str) -> Text:
    finding = question.result
    if finding.holds is None:
        return Text.assemble(_UNKNOWN, f": {printable(finding.why)}")
    words = _YES if finding.holds else _NO
    if finding.age is not None and finding.over is not None:
        side = "over" if finding.holds else "left"
        limit = f" of {format_duration(finding.limit)}" if question.fields and finding.limit else ""
        measured = f": {format_duration(finding.age)}{limit}, {format_duration(abs(finding.over))} {side}"
        return Text.assemble(words, measured)
    if finding.rule == "status" and question.key != "status" and not finding.holds:
        return Text.assemble(words, f": it is {printable(status)}")
    return words
