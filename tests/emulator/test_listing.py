"""Laws of lists and of the rate limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fc_emulator.app import RateLimiter
from fc_emulator.lifecycle import Event, Lifecycle
from fc_emulator.listing import ListQuery, SortKey, TaskList
from fc_emulator.tasks import Function, Task, TaskTemplate

FUNCTION = Function("media", "transcode", "prod")

lifecycles = st.builds(
    lambda created, runs, status: Lifecycle(
        status, changes=tuple(Event(at, "Running") for at in sorted(runs)), created=created, enqueued=created
    ),
    created=st.integers(0, 30),
    runs=st.lists(st.integers(31, 60), max_size=3),
    status=st.sampled_from(["Enqueued", "Running", "Retrying"]),
)
tasks = st.dictionaries(
    st.sampled_from([f"{a}{n}" for a in "ab" for n in range(15)]), lifecycles, max_size=20
)
queries = st.builds(
    ListQuery,
    limit=st.integers(1, 7),
    newest_first=st.booleans(),
    begin=st.none() | st.integers(0, 60),
    end=st.none() | st.integers(0, 60),
    status=st.none() | st.sampled_from(["Enqueued", "Running", "Failed"]),
    prefix=st.sampled_from(["", "a", "b1"]),
    after=st.none(),
)
bases = st.sampled_from(["enqueue", "execution"])


def _listing(lifecycles: dict[str, Lifecycle], basis: str) -> TaskList:
    listing = TaskList(lambda task, now: task.lifecycle.started_time_at(now, basis))
    for task_id, lifecycle in lifecycles.items():
        listing.add(Task(FUNCTION, task_id, lifecycle, TaskTemplate()))
    return listing


def _expected(lifecycles: dict[str, Lifecycle], basis: str, query: ListQuery, now: int) -> list[str]:
    """The whole list, computed without an index."""
    rows: list[SortKey] = []
    for task_id, lifecycle in lifecycles.items():
        started = lifecycle.started_time_at(now, basis)
        fits = query.status in (None, lifecycle.status_at(now)) and task_id.startswith(query.prefix)
        after_begin = query.begin is None or started >= query.begin
        before_end = query.end is None or started <= query.end
        if lifecycle.created <= now and fits and after_begin and before_end:
            rows.append((started, task_id))
    return [task_id for _, task_id in sorted(rows, reverse=query.newest_first)]


def _paged(listing: TaskList, query: ListQuery, now: int) -> list[str]:
    shown: list[str] = []
    while True:
        page = listing.page(query, now)
        assert len(page.tasks) <= query.limit
        shown += [task.id for task in page.tasks]
        if page.next is None:
            return shown
        query = query._replace(after=page.next)


@given(tasks, bases, queries, st.lists(st.integers(0, 70), min_size=1, max_size=4).map(sorted))
def test_pages_together_are_the_whole_list(
    lifecycles: dict[str, Lifecycle], basis: str, query: ListQuery, moments: list[int]
) -> None:
    """At any moment, whatever was listed before."""
    listing = _listing(lifecycles, basis)
    for now in moments:
        assert _paged(listing, query, now) == _expected(lifecycles, basis, query, now)


@given(tasks, bases, queries, st.integers(0, 70))
def test_a_stop_between_two_pages_moves_no_other_task(
    lifecycles: dict[str, Lifecycle], basis: str, query: ListQuery, now: int
) -> None:
    listing = _listing(lifecycles, basis)
    listing.page(query, now)
    for task in list(listing.tasks.values())[::2]:
        task.lifecycle = task.lifecycle.stopped(now, 1, "r-1")
    later = {task_id: task.lifecycle for task_id, task in listing.tasks.items()}
    assert _paged(listing, query, now + 5) == _expected(later, basis, query, now + 5)


def test_a_page_reads_its_own_rows_only() -> None:
    """The thousandth page of a hundred thousand tasks costs as much as the first."""
    reads: list[int] = []

    class Counting(TaskList):
        def _window(self, query: ListQuery):  # type: ignore[no-untyped-def]
            for row in super()._window(query):
                reads[-1] += 1
                yield row

    listing = Counting(lambda task, now: 5)
    for n in range(100_000):
        listing.add(Task(FUNCTION, f"job-{n}", Lifecycle("Running"), TaskTemplate()))
    query, seen = ListQuery(limit=100), set[str]()
    for _ in range(1_000):
        reads.append(0)
        page = listing.page(query, 10)
        seen |= {task.id for task in page.tasks}
        query = query._replace(after=page.next)
    assert len(seen) == 100_000
    assert max(reads) <= 101


@given(st.integers(1, 20), st.lists(st.floats(0, 0.5), max_size=60))
def test_the_rate_limit_holds_in_every_interval(per_second: int, gaps: list[float]) -> None:
    """At most one second's worth of calls more than the rate."""
    clock = [0.0]
    rate = RateLimiter(per_second, lambda: clock[0])
    allowed: list[float] = []
    for gap in gaps:
        clock[0] += gap
        if rate.allows():
            allowed.append(clock[0])
    for first in range(len(allowed)):
        for last in range(first, len(allowed)):
            length = allowed[last] - allowed[first]
            assert last - first + 1 <= per_second * (length + 1) + 1e-6


def test_steady_calls_at_the_rate_are_never_refused() -> None:
    clock = [0.0]
    rate = RateLimiter(8, lambda: clock[0])
    for _ in range(200):
        clock[0] += 0.125
        assert rate.allows()


def test_without_a_rate_every_call_is_allowed() -> None:
    rate = RateLimiter(None, lambda: 0.0)
    assert all(rate.allows() for _ in range(1_000))
