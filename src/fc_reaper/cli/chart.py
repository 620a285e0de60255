"""A chart of a replay as SVG: when each task was enqueued, how long it took, and the limit."""

import io
from typing import Any

from fc_reaper.backtest.history import History, longest, outcome_of
from fc_reaper.backtest.replay import run_by_timer
from fc_reaper.backtest.stats import Replay
from fc_reaper.cli.output import CommandError, printable
from fc_reaper.policy import Policy, PolicyFile
from fc_reaper.rules.duration import spell_duration
from fc_reaper.rules.fields import CarriedLimit

_TICKS = (1, 3, 10, 30, 60, 180, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 259_200, 864_000)
"""Seconds that have a label; each is less than four times the one before."""

AS_TEXT: Any = {"svg.fonttype": "none", "svg.hashsalt": "fc-reaper", "text.parse_math": False}
"""Settings of matplotlib: a text is text, and the names of what is drawn are not random."""


def drawn_policy(file: PolicyFile, name: str | None) -> Policy:
    """The policy to draw: the one of that *name*, else the first that stops, else the first.

    CommandError if no timer runs such a policy.
    """
    policies = [policy for policy in file.policies if run_by_timer(policy)]
    named = [policy for policy in policies if name in (None, policy.name)]
    if not named:
        known = ", ".join(policy.name for policy in policies) or "none"
        raise CommandError(f"a timer runs no policy {name or ''} to be drawn; there is {known}")
    return next((policy for policy in named if policy.stops), named[0])


def draw_chart(history: History, replayed: Replay, policy: Policy) -> str:
    """Draw the chart of *policy*."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator

    clock, limit = policy.match.limits[0] if policy.match.limits else ("alive_for", None)
    stopped = {stop.number for stop in replayed.stops if stop.verdict.policy == policy.name}
    dots: dict[str, tuple[list[float], list[float]]] = {}
    for number, task in enumerate(history.tasks):
        length, outcome = longest(task, clock, history.end), outcome_of(task)
        if length is not None and policy.watches(task.function):
            stop = "FALSE STOP" if outcome == "succeeded" else f"stop, {outcome}"
            days, seconds = dots.setdefault(stop if number in stopped else outcome, ([], []))
            days.append(task.events[0].at / 86_400_000)
            seconds.append(max(length, 1000) / 1000)
    with rc_context(AS_TEXT):
        figure = Figure(figsize=(10, 6), layout="constrained")
        axes = figure.add_subplot(
            title=printable(f"{policy.name}: {clock} of {', '.join(map(str, policy.targets))}"),
            xlabel=printable(f"first event (UTC); {history.source}"),
            ylabel=f"longest {clock}",
            yscale="log",
        )
        axes.xaxis_date("UTC")
        edge = max(60_000, (history.end - history.begin) // 20)
        axes.set_xlim((history.begin - edge) / 86_400_000, (history.end + edge) / 86_400_000)
        for kind in sorted(dots, key=lambda kind: (kind == "FALSE STOP", "stop" in kind)):  # these on top
            mark, many = "rx" if kind == "FALSE STOP" else "D" if "stop" in kind else ".", len(dots[kind][0])
            # Many are an image within the SVG, which else would be too large to open.
            axes.plot(*dots[kind], mark, label=f"{kind}: {many:,}", rasterized=many > 3_000)
        if limit is not None:
            most, what = (limit.at_most, "at most") if isinstance(limit, CarriedLimit) else (limit, "limit")
            label = f"{what} {spell_duration(most)}"
            axes.axhline(most / 1000, color="tab:red", linestyle="--", label=label)
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom / 2, top * 2)  # four times at least, so that there is a label
        axes.yaxis.set_major_locator(FixedLocator(_TICKS))
        axes.yaxis.set_major_formatter(lambda seconds, _: spell_duration(round(seconds * 1000)))
        axes.minorticks_off()
        figure.legend(loc="outside lower center", ncols=3)
        return to_svg(figure)


def to_svg(figure: Any) -> str:
    """A figure of matplotlib as text, the same for the same figure."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Creator": None, "Date": None})
    return file.getvalue()
