"""What a policy would have done in a history of tasks that is known to its end. Pure: no cloud, no clock.

A replay asks, at every moment at which a timer would have rung, what a run would have asked: `claim` of each
task, then `choose`. The rules, exactly:

- Ticks are the multiples of the interval since the epoch, from the first event of the history to its end: the
  moment at which it was taken or, where nobody knows that, the last one that it tells of. Nobody knows what
  became of the tasks after that.
- At a tick a task is its record as of then (`as_of`): the events up to and including that moment, the latest
  of them as its status, as many retries as there were Retrying events. What a record gets only at the end
  (`endTime`, `durationMs`, `returnPayload`, error messages) is absent before. `startedTime` is absent before
  the moment that it names.
- All policies that a timer rings judge together, in the order of the file, with `exempt`, `keep`, `holdout`,
  `halt_over` and the budgets; every timer rings at every tick. A day's budget counts what the replay stopped
  and what the history says was Stopped within 24 hours, or is Stopping.
- A stopped task is gone from that tick on; Stopping is not simulated. Nor is what its stop would have
  changed for others: an earlier start, a caller that submits it again.
- The lock is not asked: a replay shows what an approved policy would do.

What became of a stopped task in truth: `succeeded` makes it a false stop; `failed` is Failed, Expired or
Invalid; `censored` was stopped by somebody, so nobody knows how it would have ended; `open` was alive when
the history ends; `unknown` has a status then that nobody here knows. Saved is the time in Running after the
stop, of those that did not succeed: up to their end, their stop by somebody, or the end of the history.
"""

from fc_reaper.backtest.compare import Change, Comparison, compare
from fc_reaper.backtest.intake import History, Sifted, sift
from fc_reaper.backtest.life import OUTCOMES, Outcome, as_of, first_enqueued, longest, outcome_of, running
from fc_reaper.backtest.replay import replay
from fc_reaper.backtest.result import PolicyReplay, Replay, Reported, Stop
from fc_reaper.backtest.suggest import Spread, Suggestion, percentile, suggest

__all__ = [
    "OUTCOMES",
    "Change",
    "Comparison",
    "History",
    "Outcome",
    "PolicyReplay",
    "Replay",
    "Reported",
    "Sifted",
    "Spread",
    "Stop",
    "Suggestion",
    "as_of",
    "compare",
    "first_enqueued",
    "longest",
    "outcome_of",
    "percentile",
    "replay",
    "running",
    "sift",
    "suggest",
]
