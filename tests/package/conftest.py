"""Archives, wheels and packages: built once in a session of tests, whatever the number of its processes.

Building asks a package index. Where none can be reached these tests are skipped, except with CI=true.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scripts import package as script

from fc_reaper import __version__
from fc_reaper.policy import load_policy
from fc_reaper.policy.lock import dump_lock, lock_of
from tests.probe_files import write_probe
from tests.project.files import ROOT

RUNTIMES = ("3.10", "3.12")
WHEEL = f"fc_reaper-{__version__}-py3-none-any.whl"
SOURCES = f"fc_reaper-{__version__}.tar.gz"
REPOSITORY = "https://github.com/OWNER/fc-reaper"
POLICY = """\
version: 1
policies:
  - name: runaway
    targets: [media/transcode@prod]
    match: {alive_for: 2h}
    stop: A transcode takes 40 minutes at worst.
"""

Once = Callable[[str, Callable[[Path], None]], Path]
Packages = dict[str, Path]
"""The folder that would be deployed, by the version of Python."""

_NO_INDEX = re.compile(
    r"Retrying \(|Could not find a version|ConnectionError|service not known|index could not be reached"
)


def run_with_index(*command: str | Path) -> None:
    """Run what needs a package index; skip the test where none can be reached."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        skip_without_index(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr


def skip_without_index(output: str) -> None:
    if (_NO_INDEX.search(output) or "index could not be reached" in output) and os.environ.get(
        "CI"
    ) != "true":
        pytest.skip("no package index can be reached")


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Fills a folder of this name, unless a process of this session of tests has filled it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def fill(name: str, work: Callable[[Path], None]) -> Path:
        folder = shared / name
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                unfinished = shared / f"{name}.unfinished"
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                work(unfinished)
                unfinished.rename(folder)
        return folder

    return fill


@pytest.fixture(scope="session")
def dist(once: Once) -> Path:
    """The folder of both archives as a release makes them, the wheel built from the source archive."""

    def build(folder: Path) -> None:
        run_with_index(
            "env",
            f"FC_REAPER_REPOSITORY={REPOSITORY}",
            sys.executable,
            "-m",
            "build",
            "--outdir",
            folder,
            ROOT,
        )

    return once("dist", build)


@pytest.fixture(scope="session")
def wheels(once: Once, dist: Path) -> Path:
    """The wheels that `make package` builds before it downloads the others."""

    def build(folder: Path) -> None:
        pin = script.hashed(folder, script.pins(source_only=True))
        run_with_index(sys.executable, "-m", "pip", "wheel", "--use-pep517", "--no-deps", "-w", folder, *pin)
        shutil.copy(dist / WHEEL, folder)

    return once("wheels", build)


@pytest.fixture(scope="session")
def policy(once: Once) -> Path:
    """A policy file with its lock and a probe.json."""

    def write(folder: Path) -> None:
        (folder / "policy.yaml").write_text(POLICY, "utf-8")
        lock = lock_of(load_policy(POLICY, source="policy.yaml"), "2026-11-20")
        (folder / "policy.lock").write_text(dump_lock(lock), "utf-8")
        write_probe(folder)

    return once("policy", write) / "policy.yaml"


@pytest.fixture(scope="session")
def packages(once: Once, policy: Path, wheels: Path) -> Packages:
    """The package of each runtime, from the shared wheels."""

    def make(folder: Path) -> None:
        with ThreadPoolExecutor() as pool, pytest.MonkeyPatch.context() as patch:
            use_wheels(patch, wheels)
            outs = [folder / version / "function" for version in RUNTIMES]
            for out in outs:
                out.parent.mkdir()
            done = [
                pool.submit(script.make_package, out, python=version, policy=policy)
                for out, version in zip(outs, RUNTIMES, strict=True)
            ]
            for one in done:
                try:
                    one.result()
                except script.PackageError as refused:
                    skip_without_index(str(refused))
                    raise

    made = once("packages", make)
    return {version: made / version / "function" for version in RUNTIMES}


def use_wheels(patch: pytest.MonkeyPatch, wheels: Path) -> None:
    """Let `make package` take these wheels instead of building them."""

    def copy(folder: Path) -> None:
        shutil.copytree(wheels, folder, dirs_exist_ok=True)

    patch.setattr(script, "build_wheels", copy)
