"""One function for each number of the table; each answers what it measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from types import MappingProxyType

from tests.emulator_server import emulator_process as running_emulator
from tests.reaping import KEYS, reap

from benchmarks import path
from benchmarks.account import TRANSCODE, PlainFc2, ours, policy, tasks
from benchmarks.history import lived, three_policies, write
from fc_reaper.backtest.history import make_history
from fc_reaper.backtest.replay import ReplayOptions, replay
from fc_reaper.evaluator.evaluate import compile_policies, evaluate
from fc_reaper.models import Moment, Task, TaskEvent
from fc_reaper.policy import load_policy

_BASE = "import fc2, pythonjsonlogger.json\nfrom pydantic import BaseModel"
_OURS = "import fc_reaper.handler"
_LISTS = "ListStatefulAsyncInvocations"
IN_FLIGHT = 32


def import_ratio(pairs: int = 9) -> float:
    """Importing the handler by importing what it cannot do without; the median of pairs."""
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        _processor_time(_BASE, folder), _processor_time(_OURS, folder)
        for _ in range(pairs):
            base = _processor_time(_BASE, folder)
            ratios.append(_processor_time(_OURS, folder) / base)
    return median(ratios)


def first_run_ratio(pairs: int = 9) -> float:
    """A fresh interpreter until its first run is over, on an idle account, by the same imports."""
    context = "from types import SimpleNamespace as N\ncontext = N(function=N(timeout=60))"
    run = f"{_OURS}\n{context}\nfc_reaper.handler.handler(b'', context)"
    ratios = []
    with tempfile.TemporaryDirectory() as folder, running_emulator() as cloud:
        env = {**KEYS, "REAPER_ENDPOINT": cloud.endpoint, "REAPER_POLICY": policy("media/transcode")}
        _processor_time(_BASE, folder), _processor_time(run, folder, env)
        for _ in range(pairs):
            base = _processor_time(_BASE, folder)
            ratios.append(_processor_time(run, folder, env) / base)
    return median(ratios)


def idle_calls() -> float:
    """Calls of a sweep of ten literal targets in which nothing is due."""
    names = [f"f{number}" for number in range(10)]
    seed = {"invocations": [tasks(1, name, "-1m", name) for name in names]}
    with running_emulator(seed=seed) as cloud:
        reap(cloud.endpoint, policy(", ".join(f"media/{name}" for name in names)))
        return float(sum(cloud.calls()["counts"].values()))


def calls_to_find() -> float:
    """List calls that find a hundred overdue tasks among a hundred thousand that run."""
    seed = {"invocations": [tasks(99_900, "young", "-1h"), tasks(100, "old", "-3h")]}
    with running_emulator(seed=seed) as cloud:
        reaped = reap(cloud.endpoint, policy("media/transcode", 200))
        assert reaped.counts["due"] == 100
        return float(cloud.calls()["counts"][_LISTS])


def calls_per_stop() -> float:
    """Calls for each stop, reading again and proof included; not List and GetFunction."""
    with running_emulator("--stopping", "5ms", seed={"invocations": [tasks(100, "old", "-3h")]}) as cloud:
        reaped = reap(cloud.endpoint, policy("media/transcode", 200), enforce=True)
        assert reaped.counts["confirmed"] == 100
        counts = cloud.calls()["counts"]
        assert counts["GetFunction"] == 1
        return float(sum(counts.values()) - counts[_LISTS] - 1) / 100


def path_modules() -> float:
    """Modules that an event passes until a stop request leaves."""
    return float(len(path.trace().until_stop))


def path_functions() -> float:
    """Functions that an event passes until a stop request leaves."""
    return float(path.count(path.trace().until_stop))


def throughput() -> float:
    """Calls a second at 100 ms latency by what 32 calls in flight could do at the very best."""
    calls = IN_FLIGHT * 30
    with running_emulator("--latency", "100ms", seed={"invocations": [tasks(10, "t", "-1m")]}) as cloud:
        client = ours(cloud.endpoint)
        _in_parallel(lambda number: client.get(TRANSCODE, "t-1"), IN_FLIGHT)
        begun = time.perf_counter()
        _in_parallel(lambda number: client.get(TRANSCODE, "t-1"), calls)
        rate = calls / (time.perf_counter() - begun)
        client.close()
        return rate / (IN_FLIGHT / 0.1)


def processor_ratio(calls: int = 400) -> float:
    """Processor time of one call by that of a plain fc2 loop."""
    with running_emulator(seed={"invocations": [tasks(10, "t", "-1m")]}) as cloud:
        client, plain = ours(cloud.endpoint), PlainFc2(cloud.endpoint)
        ratios = []
        for _ in range(5):
            one = _processor(lambda: client.get(TRANSCODE, "t-1"), calls)
            ratios.append(one / _processor(lambda: plain.get("t-1"), calls))
        client.close()
        return median(ratios)


def stop_ratio(loops: int = 60) -> float:
    """Stop requests a second with 32 calls in flight by those of a plain fc2 loop, at 20 ms latency."""
    ours_count = IN_FLIGHT * 60
    seed = {"invocations": [tasks(ours_count, "a", "-3h"), tasks(loops, "b", "-3h")]}
    with running_emulator("--latency", "20ms", seed=seed) as cloud:
        client, plain = ours(cloud.endpoint), PlainFc2(cloud.endpoint)
        _in_parallel(lambda number: client.get(TRANSCODE, "a-1"), IN_FLIGHT)
        begun = time.perf_counter()
        _in_parallel(lambda number: client.stop(TRANSCODE, f"a-{number + 1}"), ours_count)
        fast = ours_count / (time.perf_counter() - begun)
        begun = time.perf_counter()
        for number in range(loops):
            plain.stop(f"b-{number + 1}")
        client.close()
        return fast / (loops / (time.perf_counter() - begun))


def memory_ratio() -> float:
    """Peak memory of a sweep over a million listed tasks by that over ten thousand."""
    return _peak(1_000_000) / _peak(10_000)


def evaluated_per_second(number: int = 100_000) -> float:
    """Tasks evaluated in one second of processor time by one process."""
    file = load_policy(policy("media/transcode"), source="p")
    rules = compile_policies(TRANSCODE, file.policies, file.exempt)
    now = 1_800_000_000_000
    moment = Moment.exactly(now)
    names = ("Enqueued", "Dequeued", "Running")
    events = tuple(TaskEvent(now - 3_600_000 + at, at, name) for at, name in enumerate(names))
    task = Task(TRANSCODE, "job-1", "Running", retries=0, events=events)
    begun = time.process_time()
    for _ in range(number):
        evaluate(task, rules, moment)
    return number / (time.process_time() - begun)


def replayed_per_second(number: int = 50_000) -> float:
    """Tasks of one week replayed under three policies in one second of processor time by one process."""
    past = make_history(lived(number, days=7))
    begun = time.process_time()
    replay(past, three_policies(), ReplayOptions(interval=300_000))
    return number / (time.process_time() - begun)


def bytes_replayed(few: int = 50_000, many: int = 200_000) -> float:
    """Bytes that `backtest --json` holds of each further task of a file."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (few, many):
            file = Path(folder, f"{count}.jsonl")
            write(file, count)
            peaks.append(_own_process(f"backtest_peak({str(file)!r})"))
    return (peaks[1] - peaks[0]) * 1024 / (many - few)


def _in_parallel(call: Callable[[int], object], times: int) -> None:
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        list(pool.map(call, range(times)))


def _processor(call: Callable[[], object], times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        call()
    return time.process_time() - begun


def _processor_time(code: str, folder: str, extra: Mapping[str, str] = MappingProxyType({})) -> float:
    """Seconds that a process spends on *code*, with its byte code kept in *folder* from run to run."""
    report = "import time\nbegun = time.process_time()\n" + code + "\nprint(time.process_time() - begun)"
    env = {**os.environ, **extra, "PYTHONPYCACHEPREFIX": folder}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", report]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return float(done.stdout.splitlines()[-1])


def _peak(listed: int) -> float:
    """Peak resident kilobytes of a process of its own that sweeps *listed* tasks."""
    with running_emulator(seed={"invocations": [tasks(listed, "t", "-1h")]}) as cloud:
        return _own_process(f"peak({cloud.endpoint!r}, {listed})")


def _own_process(call: str) -> float:
    """What a function of `benchmarks.memory` answers in a process of its own."""
    code = f"from benchmarks import memory; print(memory.{call})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)
