"""Laws of a list: whatever the tasks, whatever happens, pages tell the truth in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fc_emulator.life import Life, step
from fc_emulator.rate import Rate
from fc_emulator.shelf import Key, Shelf, Wanted
from fc_emulator.tasks import Place, Task, Traits

PLACE = Place("media", "transcode", "prod")

lives = st.builds(
    lambda born, runs, status: Life(
        status, steps=tuple(step(at, "Running") for at in sorted(runs)), born=born, enqueued=born
    ),
    born=st.integers(0, 30),
    runs=st.lists(st.integers(31, 60), max_size=3),
    status=st.sampled_from(["Enqueued", "Running", "Retrying"]),
)
tasks = st.dictionaries(st.sampled_from([f"{a}{n}" for a in "ab" for n in range(15)]), lives, max_size=20)
questions = st.builds(
    Wanted,
    limit=st.integers(1, 7),
    newest_first=st.booleans(),
    begin=st.none() | st.integers(0, 60),
    end=st.none() | st.integers(0, 60),
    status=st.none() | st.sampled_from(["Enqueued", "Running", "Failed"]),
    prefix=st.sampled_from(["", "a", "b1"]),
    after=st.none(),
)
bases = st.sampled_from(["enqueue", "execution"])


def _shelf(lives: dict[str, Life], basis: str) -> Shelf:
    shelf = Shelf(lambda task, now: task.life.started_at(now, basis))
    for task_id, life in lives.items():
        shelf.add(Task(PLACE, task_id, life, Traits()))
    return shelf


def _told(lives: dict[str, Life], basis: str, wanted: Wanted, now: int) -> list[str]:
    """What the whole list must be, found the long way."""
    rows: list[Key] = []
    for task_id, life in lives.items():
        started = life.started_at(now, basis)
        fits = wanted.status in (None, life.status_at(now)) and task_id.startswith(wanted.prefix)
        after_begin = wanted.begin is None or started >= wanted.begin
        before_end = wanted.end is None or started <= wanted.end
        if life.born <= now and fits and after_begin and before_end:
            rows.append((started, task_id))
    return [task_id for _, task_id in sorted(rows, reverse=wanted.newest_first)]


def _paged(shelf: Shelf, wanted: Wanted, now: int) -> list[str]:
    shown: list[str] = []
    while True:
        page = shelf.page(wanted, now)
        assert len(page.tasks) <= wanted.limit
        shown += [task.id for task in page.tasks]
        if page.next is None:
            return shown
        wanted = wanted._replace(after=page.next)


@given(tasks, bases, questions, st.lists(st.integers(0, 70), min_size=1, max_size=4).map(sorted))
def test_pages_together_are_the_whole_list(
    lives: dict[str, Life], basis: str, wanted: Wanted, moments: list[int]
) -> None:
    """At any moment, whatever was looked at before."""
    shelf = _shelf(lives, basis)
    for now in moments:
        assert _paged(shelf, wanted, now) == _told(lives, basis, wanted, now)


@given(tasks, bases, questions, st.integers(0, 70))
def test_a_stop_between_two_looks_moves_nobody_else(
    lives: dict[str, Life], basis: str, wanted: Wanted, now: int
) -> None:
    shelf = _shelf(lives, basis)
    shelf.page(wanted, now)
    for task in list(shelf.tasks.values())[::2]:
        task.life = task.life.stopped(now, 1, "r-1")
    later = {task_id: task.life for task_id, task in shelf.tasks.items()}
    assert _paged(shelf, wanted, now + 5) == _told(later, basis, wanted, now + 5)


def test_a_page_looks_at_its_own_rows_only() -> None:
    """The thousandth page of a hundred thousand tasks costs what the first one costs."""
    looks: list[int] = []

    class Counting(Shelf):
        def _window(self, wanted: Wanted):  # type: ignore[no-untyped-def]
            for row in super()._window(wanted):
                looks[-1] += 1
                yield row

    shelf = Counting(lambda task, now: 5)
    for n in range(100_000):
        shelf.add(Task(PLACE, f"job-{n}", Life("Running"), Traits()))
    wanted, seen = Wanted(limit=100), set[str]()
    for _ in range(1_000):
        looks.append(0)
        page = shelf.page(wanted, 10)
        seen |= {task.id for task in page.tasks}
        wanted = wanted._replace(after=page.next)
    assert len(seen) == 100_000
    assert max(looks) <= 101


@given(
    st.integers(1, 20),
    st.lists(st.floats(0, 0.5), max_size=60),
)
def test_no_second_lets_in_more_than_the_rate_and_what_was_saved_before(
    per_second: int, gaps: list[float]
) -> None:
    """In any stretch of time at most one second's worth more than the rate allows."""
    clock = [0.0]
    rate = Rate(per_second, lambda: clock[0])
    let_in: list[float] = []
    for gap in gaps:
        clock[0] += gap
        if rate.allows():
            let_in.append(clock[0])
    for first in range(len(let_in)):
        for last in range(first, len(let_in)):
            stretch = let_in[last] - let_in[first]
            assert last - first + 1 <= per_second * (stretch + 1) + 1e-6


def test_a_steady_caller_at_the_rate_is_never_refused() -> None:
    clock = [0.0]
    rate = Rate(8, lambda: clock[0])
    for _ in range(200):
        clock[0] += 0.125
        assert rate.allows()


def test_without_a_rate_everybody_comes_in() -> None:
    rate = Rate(None, lambda: 0.0)
    assert all(rate.allows() for _ in range(1_000))
