"""One world carried through the real handler: what was sent, what was logged, what the journal says."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field, is_dataclass, replace
from functools import partial
from queue import SimpleQueue
from random import Random
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import urllib3.util.connection
import urllib3.util.timeout

import fc_reaper.handler
import fc_reaper.sweep.executor
from fc_emulator.account import Account
from fc_emulator.journal import journal_of
from fc_emulator.options import Options
from fc_emulator.seed import Seed
from fc_emulator.tasks import Function, Task
from fc_emulator.validation import validate
from fc_reaper.clock import Clock
from fc_reaper.policy import load_policy
from fc_reaper.policy.lock import dump_lock, lock_of
from fc_reaper.settings import connect
from tests.referee.simulation import Lock, Queue, Simulation, Thread
from tests.referee.wire import Exchange, Network, WireFault
from tests.referee.worlds import Actor, World

KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "emulator", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "emulator-secret"}


@dataclass
class Run:
    """One run of the handler. Times are milliseconds of the cloud's clock.

    `before` are the tasks as they were when it began, without what it then did.
    """

    event: bytes
    enforce: bool
    begun: int
    before: list[Task]
    ended: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    raised: Exception | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)

    def logged(self, *events: str) -> list[dict[str, Any]]:
        """The log lines of some kinds."""
        return [line for line in self.lines if line["event"] in events]


@dataclass
class Trial:
    """What happened in a world."""

    world: World
    account: Account
    runs: list[Run]
    faults_of_the_emulator: list[str]


def carry_out(world: World) -> Trial:
    """Run the handler in *world*, as often as it says."""
    simulation = Simulation()

    def now() -> int:
        return world.start + int(simulation.time * 1000 + 1e-6)

    seed = validate(Seed, {"invocations": world.invocations, "functions": world.functions})
    account = Account(Options(**world.options), seed, now)
    random = Random(world.number)
    wire_faults = [WireFault(**fault) for fault in world.wire_faults]
    network = Network(simulation, account, now, partial(world.latency, random), wire_faults, random)
    if world.faults:
        network.account_faults.add({"faults": world.faults})
    for actor in world.actors:
        simulation.later(actor.after, partial(_intervene, account, actor))
    clock = Clock(lambda: now() + world.skew, lambda: 1000.0 + simulation.time, simulation.sleep)
    runs = []
    with ExitStack() as stack:
        for target, name, value in (
            *_threading(simulation),
            (urllib3.util.connection, "create_connection", network.connect),
            (urllib3.util.timeout, "time", SimpleNamespace(monotonic=clock.monotonic)),
            (fc_reaper.handler, "SYSTEM_CLOCK", clock),
            (fc_reaper.handler, "Random", lambda: Random(world.number)),
            (fc_reaper.handler, "connect", partial(connect, clock=clock, jitter=random.random)),
        ):
            stack.callback(setattr, target, name, getattr(target, name))
            setattr(target, name, value)
        folder = stack.enter_context(TemporaryDirectory()) if world.locked is not None else None
        env = {**KEYS, **world.env, "REAPER_POLICY": _policy(world, folder)}
        if "security_token" in world.options:
            env["ALIBABA_CLOUD_SECURITY_TOKEN"] = str(world.options["security_token"])
        stack.enter_context(patch.dict(os.environ, env, clear=True))
        for number, (event, mode) in enumerate(world.events):
            os.environ["REAPER_MODE"] = mode
            if number:
                simulation.sleep(world.pause)
            runs.append(_one_run(world, event, mode, account, network, now))
            simulation.drain(100.0)
    return Trial(world, account, runs, network.reports)


def _threading(simulation: Simulation) -> Iterator[tuple[Any, str, Any]]:
    """What the product imported of `threading` and `queue`, and what takes its place."""
    for place, name, real in _USES:
        yield (
            place,
            name,
            partial({threading.Lock: Lock, threading.Thread: Thread, SimpleQueue: Queue}[real], simulation),
        )


def _uses() -> Iterator[tuple[Any, str, Any]]:
    """The variables in which the product has locks, threads and queues: of modules, and of data classes."""
    for module in [one for name, one in sys.modules.items() if name.startswith("fc_reaper.")]:
        for name, value in list(vars(module).items()):
            if value in (threading.Lock, threading.Thread, SimpleQueue):
                yield module, name, value
            if isinstance(value, type) and is_dataclass(value) and value.__module__ == module.__name__:
                for cell in value.__init__.__closure__ or ():
                    if cell.cell_contents is threading.Lock:
                        yield cell, "cell_contents", threading.Lock


_USES = list(_uses())
assert {real for _, _, real in _USES} == {threading.Lock, threading.Thread, SimpleQueue}


def _one_run(world: World, event: bytes, mode: str, account: Account, network: Network, now: Any) -> Run:
    before = [replace(task) for task in account.tasks()]
    run = Run(event, mode == "enforce", now(), before)
    first = len(network.exchanges)
    context = SimpleNamespace(request_id="r-1", function=SimpleNamespace(timeout=world.timeout))
    printed = io.StringIO()
    with redirect_stdout(printed):
        try:
            answer = fc_reaper.handler.handler(event, context)
        except Exception as error:
            run.raised = error
        else:
            result = json.loads(str(answer))
            run.result = json.loads(result["body"]) if "statusCode" in result else result
    run.ended, run.journal = now(), journal_of(account)
    run.lines = [json.loads(line) for line in printed.getvalue().splitlines()]
    run.exchanges = network.exchanges[first:]
    return run


def _policy(world: World, folder: str | None) -> str:
    text = json.dumps(world.tree) + "\n"
    if folder is None or world.locked is None:
        return text
    approved, names = world.locked
    lock = lock_of(load_policy(json.dumps(approved), source="policy.yaml"), "2026-11-20", only=names)
    for name, content in (("policy.yaml", text), ("policy.lock", dump_lock(lock))):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(content)
    return os.path.join(folder, "policy.yaml")


def _intervene(account: Account, actor: Actor) -> None:
    """Somebody else does something to the account."""
    function = Function(*actor.place)
    if actor.action == "repoint":
        account.repoint(function, "8")
    state = account.functions.get(function)
    task = state.listing.tasks.get(actor.invocation_id) if state else None
    if state is None or task is None:
        return
    status = task.lifecycle.status_at(account.now())
    if actor.action == "stop" and status in ("Enqueued", "Dequeued", "Running", "Retrying"):
        account.stop(function, actor.invocation_id, "somebody-else")
    elif actor.action == "forget":
        del account.functions[function]
    elif actor.action == "replace":
        fresh = Task(function, task.id, actor.lifecycle(account.now()), task.template)
        state.listing.tasks[task.id] = fresh
