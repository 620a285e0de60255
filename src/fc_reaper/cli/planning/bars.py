"""Two bars on standard error while a plan is carried out: whose turn came, and who was seen Stopped since."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fc_reaper.cli.output import console
from fc_reaper.log import Line, Listener, TaskLine

_ENDS = ("confirmed", "ended", "skipped", "stop_failed")


@contextmanager
def bars(total: int) -> Iterator[Listener]:
    """Yield whom to tell each log line of a run over *total* tasks; there are bars on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda line: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as shown:
        turns = shown.add_task("Stopping", total=total)
        proofs = shown.add_task("Proving", total=0, visible=False)

        def draw(counts: Counts) -> None:
            shown.update(turns, completed=counts.begun)
            shown.update(proofs, completed=counts.proven, total=counts.asked, visible=counts.asked > 0)

        yield Counts(draw).hear


class Counts:
    """Counts tasks by the log lines about them: `begun` had their turn, `asked` to stop, `proven` since."""

    def __init__(self, changed: Callable[[Counts], None]) -> None:
        self.begun = self.proven = 0
        self._asked: set[tuple[str | None, str, str, str]] = set()
        self._changed = changed

    @property
    def asked(self) -> int:
        return len(self._asked)

    def hear(self, line: Line) -> None:
        """Take note of one line."""
        if not isinstance(line, TaskLine):
            return
        if line.event != "accepted" and line.event not in _ENDS:
            return
        task = (line.service, line.function, line.qualifier, line.invocation_id)
        if task in self._asked:
            self.proven += 1
        else:
            self.begun += 1
            if line.event == "accepted":
                self._asked.add(task)
        self._changed(self)
