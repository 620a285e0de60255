"""Fills build/function with all that the deployed function needs, and zips it.

    make package            for the runtime python3.10
    make package PY=3.12    for the runtime python3.12

A policy that `fc-reaper check` refuses is not packaged, so Serverless Devs does not deploy it.
No docker: the runtimes of Function Compute take manylinux2014 wheels for x86_64, which pip can download on
any other machine. aliyun-fc2 exists as a source archive only; it is pure Python, so its wheel is built here.
The versions and the hashes of the files are of constraints/function.txt (`make pins` writes the hashes).
The same inputs give the same bytes: nothing that records a time, a tool or a folder of this machine goes in.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "constraints" / "function.txt"
PLATFORM = "manylinux2014_x86_64"
RUNTIMES = ("3.10", "3.12")
"""Runtimes of the platform that this package is tested on; python3.9 is too old for it."""

SOURCE_ONLY = "aliyun-fc2"
OUT = ROOT / "build" / "function"
MOST_BYTES = 14_000_000
"""Unpacked. A larger package makes every cold start slower."""

LEFT_OUT = (
    *("bin", "*.dist-info", "**/py.typed"),
    *("fc_emulator", "fc_reaper/cli", "fc_reaper/backtest", "fc_reaper/probing", "websocket", "_yaml"),
    *("fc_reaper/evaluator/explain.py", "fc_reaper/policy/lint.py"),
    *("fc_reaper/log_lines.py", "fc_reaper/__main__.py"),
)
"""What the wheels contain and the function does not need."""

INDEX = '''"""The platform calls index.handler."""

from fc_reaper.handler import handler

__all__ = ["handler"]
'''


WEBSOCKET = '''"""fc2 imports this module for the name of one class; the function opens no websocket."""


class WebSocketApp:
    pass
'''
"""In place of websocket-client, which fc2 needs for instances that people log into."""


class PackageError(Exception):
    """The package cannot be made. The text says what to do, in one line but for the faults of a policy."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the package and return 0, or print why not and return 1."""
    parser = argparse.ArgumentParser(description="Fills build/function for Function Compute.")
    parser.add_argument("--python", choices=RUNTIMES, default=RUNTIMES[0], help="the function's runtime")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder to fill")
    parser.add_argument("--policy", type=Path, default=ROOT / "policy.yaml", help="the policy to deploy")
    options = parser.parse_args(arguments)
    if not may_be_emptied(options.out):
        parser.error(
            f"{options.out} contains something other than a package; name a folder that may be emptied"
        )
    try:
        make_package(options.out, python=options.python, policy=options.policy)
    except PackageError as refused:
        clear(options.out)
        print(f"make package: {refused}", file=sys.stderr)
        return 1
    return 0


def make_package(out: Path, *, python: str, policy: Path) -> None:
    """Empty *out*, fill it, and write *out*.zip beside it.

    Raises:
        PackageError: a wheel, a pin or the policy is missing, fc-reaper check refuses the policy, the lock
            cannot be used, a probe.json is wrong, or the package is too large.
    """
    if not policy.is_file():
        raise PackageError(f"no policy at {policy}; write one, or name it with --policy")
    lock = policy.with_name("policy.lock")
    if not os.path.lexists(lock):
        # As in a run, a lock beside the file that a link points to counts too.
        lock = policy.resolve().with_name("policy.lock")
    if os.path.lexists(lock) and not lock.is_file():
        raise PackageError(
            f"{shown(lock)} is not a file; run fc-reaper approve, or delete it to let every policy stop"
        )
    check(policy)
    if lock.is_file():
        check_lock(lock)
    probes = sorted(policy.parent.glob("probe*.json"))
    for probe in probes:
        check_probe(probe)
    clear(out)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as wheels:
        build_wheels(Path(wheels))
        install(Path(wheels), out, python)
    trim(out)
    (out / "index.py").write_text(INDEX, encoding="utf-8")
    (out / "websocket.py").write_text(WEBSOCKET, encoding="utf-8")
    shutil.copyfile(policy, out / "policy.yaml")
    if lock.is_file():
        shutil.copyfile(lock, out / lock.name)
    for probe in probes:
        shutil.copyfile(probe, out / probe.name)
    set_modes(out)
    unpacked = sum(path.stat().st_size for path in files(out))
    if unpacked > MOST_BYTES:
        raise PackageError(f"{megabytes(unpacked)} unpacked is over the limit of {megabytes(MOST_BYTES)}")
    archive = write_zip(out)
    print(f"{shown(out)}: for python{python}, {megabytes(unpacked)}")
    print(f"{shown(archive)}: {megabytes(archive.stat().st_size)}, sha256 {digest(archive)}")


def check(policy: Path) -> None:
    """Refuse what the deployed function would refuse in every run; settings of this shell are not its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REAPER_")}
    command = [sys.executable, "-m", "fc_reaper", "check", str(policy)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise PackageError(f"fc-reaper check refuses the policy:\n{done.stderr.strip()}")


def check_lock(lock: Path) -> None:
    """Refuse a lock that cannot be read: with it all stop policies of a deployment only report."""
    from fc_reaper.errors import PolicyError
    from fc_reaper.policy.lock import load_lock

    try:
        load_lock(lock.read_bytes().decode("utf-8-sig"), shown(lock))
    except (PolicyError, OSError, ValueError) as error:
        raise PackageError(f"the lock cannot be used: {error}") from None


def check_probe(probe: Path) -> None:
    """Refuse what REAPER_PLATFORM would refuse in every run, but for the account, which is unknown here."""
    from fc_reaper.errors import SettingsError
    from fc_reaper.platform import read_platform

    try:
        read_platform(probe.read_text(encoding="utf-8-sig"), shown(probe))
    except (SettingsError, OSError, ValueError) as error:
        raise PackageError(f"{shown(probe)} cannot be used: {error}") from None


def build_wheels(wheels: Path) -> None:
    """Build the wheels of fc-reaper and of the package that has none."""
    # Without --use-pep517 an older pip builds with the setuptools it finds, which may lack bdist_wheel.
    build = ["--use-pep517", "--no-deps", "--wheel-dir", str(wheels)]
    pip("wheel", [*build, ROOT])
    pip("wheel", [*build, *hashed(wheels, pins(source_only=True))])


def install(wheels: Path, out: Path, python: str) -> None:
    """Install fc-reaper and every pinned package into *out*, from wheels for the function's platform."""
    target = platform_options(python)
    pip("download", ["--no-deps", *target, "--dest", wheels, *hashed(wheels, pins(source_only=False))])
    # Without an index: a package that is needed and not pinned is missing, and pip fails.
    pip("install", ["--no-index", "--no-compile", *target, "--target", out, *sorted(wheels.glob("*.whl"))])


def platform_options(python: str) -> list[str]:
    target = ["--platform", PLATFORM, "--python-version", python, "--implementation", "cp"]
    return [*target, "--only-binary", ":all:"]


def pins(*, source_only: bool) -> list[str]:
    """The lines of the pins: of the package that has no wheel, or of all others."""
    lines = [line for line in PINS.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    found = [line for line in lines if line.startswith(f"{SOURCE_ONLY}==") is source_only]
    if not found and source_only:
        raise PackageError(f"{shown(PINS)} must pin {SOURCE_ONLY}, such as {SOURCE_ONLY}==2.5.2")
    return found


def hashed(folder: Path, lines: Sequence[str]) -> list[str]:
    """The options of pip that install these pins, and no file whose hash is not among theirs."""
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(lines), encoding="utf-8")
    return ["--require-hashes", "--requirement", str(requirements)]


def pip(step: str, arguments: Sequence[str | Path]) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color", step]
    command += map(str, arguments)
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise PackageError(why_pip_failed(step, done.stdout + done.stderr))


def why_pip_failed(step: str, output: str) -> str:
    """The cause in one line, with what to do."""
    if "Retrying (" in output:
        return "the package index could not be reached; try again, or set PIP_INDEX_URL to one you can reach"
    if "--hash" in output or "DO NOT MATCH THE HASHES" in output:
        named = re.search(r"^ {4}(\S+==\S+)", output, re.MULTILINE)
        what = named[1].partition("--hash")[0] if named else "a package"
        return (
            f"a file of {what} has not the hash in {shown(PINS)}; after a change of a version, run make pins"
        )
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing and step == "install":
        return f"{missing[1]} is needed and not pinned; add it to {shown(PINS)}"
    if missing:
        return f"no wheel of {missing[1]} for this runtime and {PLATFORM}; pin another in {shown(PINS)}"
    conflict = re.findall(r"^ {4}(.+ depends on .+)$", output, re.MULTILINE)
    if conflict:
        return f"the pins in {shown(PINS)} contradict each other: {'; '.join(dict.fromkeys(conflict))}"
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    return f"pip {step} failed: {' '.join(errors[-1:]) or repr(output[-400:])}"


def trim(out: Path) -> None:
    for pattern in LEFT_OUT:
        for path in sorted(out.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def set_modes(out: Path) -> None:
    """Let everybody read every file and folder, whatever the umask: the platform uses another user."""
    for path in [out, *out.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def write_zip(out: Path) -> Path:
    """Zip *out*: sorted and without times, so that equal files give equal bytes."""
    archive = out.with_name(out.name + ".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for path in files(out):
            entry = zipfile.ZipInfo(path.relative_to(out).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            zipped.writestr(entry, path.read_bytes())
    return archive


def files(out: Path) -> Iterator[Path]:
    yield from sorted(path for path in out.rglob("*") if path.is_file())


def may_be_emptied(out: Path) -> bool:
    """Whether *out* is the usual folder, an earlier package, empty or absent."""
    return out == OUT or (out / "index.py").is_file() or not out.exists() or not any(out.iterdir())


def clear(out: Path) -> None:
    """Delete an earlier package, so that nobody deploys it for a newer one."""
    shutil.rmtree(out, ignore_errors=True)
    out.with_name(out.name + ".zip").unlink(missing_ok=True)


def digest(archive: Path) -> str:
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


if __name__ == "__main__":
    sys.exit(main())
