"""The package is all that the deployed function needs, and nothing else.

It is made as `make package` makes it, then run by a clean interpreter of the target's version, whose own
site-packages are switched off, against the emulator.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml
from scripts import package as script

from tests.emulator_server import Emulator, running_emulator
from tests.package.conftest import POLICY, RUNTIMES, Packages, skip_without_index, use_wheels
from tests.package.fc_runtime import PLATFORMS
from tests.probe_files import write_probe
from tests.project.files import ROOT

RUNTIME = Path(__file__).with_name("fc_runtime.py")
LONGEST = 600

SEED = {
    "invocations": [
        {
            "serviceName": "media",
            "functionName": "transcode",
            "qualifier": "prod",
            "invocationId": name,
            "status": "Running",
            "enqueued": enqueued,
            "started": enqueued,
        }
        for name, enqueued in (("old", "-3h"), ("young", "-10m"))
    ]
}
RIGHT = {"access_key_id": "emulator", "access_key_secret": "emulator-secret", "security_token": "t"}
STALE = {**RIGHT, "access_key_secret": "of-yesterday"}
TIMER = '{"triggerTime": "2023-12-26T07:49:00Z", "triggerName": "schedule"}'


@pytest.fixture(scope="session", params=RUNTIMES)
def package(request: pytest.FixtureRequest, packages: Packages) -> Path:
    return packages[request.param]


def tree(folder: Path) -> dict[str, str]:
    """Every file by its path, with the digest of its bytes."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def interpreter(version: str) -> str:
    """A Python of exactly this version; the test is left out where the machine has none."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the package holds wheels for Linux on x86_64")
    finder = ["sh", str(ROOT / "scripts" / "find-python"), version]
    environment = {**os.environ, "PYTHON": ""}
    found = subprocess.run(finder, capture_output=True, text=True, env=environment, check=False)
    if found.returncode:
        pytest.skip(f"this machine has no Python {version}")
    return found.stdout.strip()


def test_it_holds_the_function_its_policy_and_its_dependencies(package: Path, policy: Path) -> None:
    assert (package / "policy.yaml").read_bytes() == policy.read_bytes()
    assert (package / "index.py").read_text("utf-8").count("import") == 1
    for name in (
        "fc_reaper/handler.py",
        "fc2/client.py",
        "pydantic",
        "requests",
        "yaml",
        "jmespath",
        "pythonjsonlogger",
    ):
        assert (package / name).exists(), name


def test_a_lock_beside_the_policy_goes_with_it(package: Path, policy: Path) -> None:
    """Without it a policy that nobody approved would stop tasks."""
    assert (package / "policy.lock").read_bytes() == policy.with_name("policy.lock").read_bytes()


def test_what_is_known_about_the_account_goes_with_it(package: Path, policy: Path) -> None:
    assert (package / "probe.json").read_bytes() == policy.with_name("probe.json").read_bytes()


@pytest.mark.parametrize(
    "unwanted",
    [
        "fc_emulator*",
        "**/__pycache__",
        "**/*.pyc",
        "*.dist-info",
        "bin",
        "tests",
        "websocket",
        "websocket/*",
        "_yaml",
    ],
)
def test_it_holds_nothing_that_the_function_does_not_need(package: Path, unwanted: str) -> None:
    assert not list(package.glob(unwanted))


def test_it_holds_those_modules_of_fc_reaper_that_the_handler_imports(package: Path) -> None:
    imports = grimp.build_graph("fc_reaper", cache_dir=None)
    # Only the command line and the tests read a result as a model.
    imports.remove_import(importer="fc_reaper.run", imported="fc_reaper.log_lines")
    needed = {"fc_reaper.handler", *imports.find_upstream_modules("fc_reaper.handler")}
    folders = {name.rpartition(".")[0] for name in needed}
    modules = {path.relative_to(package).with_suffix("") for path in package.glob("fc_reaper/**/*.py")}
    assert {".".join(path.parts).removesuffix(".__init__") for path in modules} == needed | folders - {""}


def test_it_is_small_enough_to_start_fast(package: Path) -> None:
    assert sum(path.stat().st_size for path in package.rglob("*") if path.is_file()) <= 14_000_000


def test_everybody_may_read_it(package: Path) -> None:
    """The platform runs the code as a user of its own, whatever the umask was here."""
    modes = {path.stat().st_mode & 0o777 for path in package.rglob("*") if path.is_file()}
    assert modes == {0o644}


def test_equal_files_give_equal_bytes(package: Path, tmp_path: Path) -> None:
    """Whatever the folder and the times of the files are."""
    again = shutil.copytree(package, tmp_path / "function", copy_function=shutil.copyfile)
    script.set_modes(again)
    assert script.write_zip(again).read_bytes() == package.with_suffix(".zip").read_bytes()


def test_no_byte_of_it_names_a_folder_of_this_machine(package: Path) -> None:
    places = [str(ROOT).encode(), str(package).encode(), sys.prefix.encode()]
    found = [
        path.relative_to(package)
        for path in package.rglob("*")
        if path.is_file() and any(place in path.read_bytes() for place in places)
    ]
    assert not found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[object, str]:
    """The status and the standard error of `make package`."""
    try:
        status: object = script.main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = end.code
    return status, capsys.readouterr().err


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the pins that the package is made by; the policy is right, so that it need not be checked."""
    copy = Path(shutil.copy(script.PINS, tmp_path))
    monkeypatch.setattr(script, "PINS", copy)
    monkeypatch.setattr(script, "check", lambda policy: None)
    return copy


OLD_REQUESTS = (
    "requests==2.27.0 --hash=sha256:f71a09d7feba4a6b64ffd8e9d9bc60f9bf7d7e19fd0e04362acb1cfc2e3d98df"
)
SPOILT = [
    (r"^PyYAML==\S+", "PyYAML==6.0", r"no wheel of PyYAML==6\.0 .* pin another in \S+function\.txt"),
    (r"^idna==3\S+", "idna==3.10", r"a file of idna==3\.10 has not the hash .* run make pins"),
    (r"^(idna==\S+) .*$", r"\1", r"a file of idna==\S+ has not the hash .* run make pins"),
    (r"^idna==.*\n", "", r"idna\S* is needed and not pinned; add it to \S+function\.txt"),
    (r"^requests==.*$", OLD_REQUESTS, r"the pins in \S+function\.txt contradict each other: "),
]
IDS = ["no-wheel", "a new version", "no hash", "no-pin", "conflict"]


@pytest.mark.parametrize(("pin", "instead", "says"), SPOILT, ids=IDS)
def test_wrong_pins_are_refused_in_one_line(
    pins: Path,
    pin: str,
    instead: str,
    says: str,
    policy: Path,
    wheels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No package of an earlier day is left that could be deployed by mistake."""
    text, changed = re.subn(pin, instead, pins.read_text("utf-8"), flags=re.MULTILINE)
    assert changed == 1
    pins.write_text(text, "utf-8")
    use_wheels(monkeypatch, wheels)
    out = tmp_path / "function"
    out.mkdir()
    (out / "index.py").touch()
    monkeypatch.setenv("FORCE_COLOR", "1")
    status, err = refused(capsys, "--python", "3.12", "--policy", policy, "--out", out)
    skip_without_index(err)
    assert status == 1
    assert re.fullmatch(rf"make package: {says}.*\n", err)
    assert not out.exists()


def test_the_package_without_a_wheel_must_be_pinned(
    pins: Path,
    policy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The other wheel, which is built before, has tests of its own."""
    monkeypatch.setattr(script, "pip", lambda *_: None)
    pins.write_text(re.sub("(?m)^aliyun-fc2==.*$", "", pins.read_text("utf-8")), "utf-8")
    status, err = refused(capsys, "--policy", policy, "--out", tmp_path / "function")
    assert status == 1
    assert re.fullmatch(r"make package: \S+function\.txt must pin aliyun-fc2.*\n", err)


def test_it_is_refused_without_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, err = refused(capsys, "--policy", tmp_path / "policy.yaml", "--out", tmp_path / "function")
    assert (status, err.count("\n")) == (1, 1)
    assert "no policy at" in err


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (POLICY.replace("2h", "2"), r"policy.yaml:5: policies\[0\].match.alive_for: "),
        (POLICY + "    examples: [{given: {alive_for: 3h}, expect: keep}]\n", "examples"),
    ],
    ids=["a wrong value", "an example that fails"],
)
def test_it_is_refused_with_a_policy_that_check_refuses(
    policy: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Deployed, every run would end with that; the settings of this shell do not count."""
    monkeypatch.setenv("REAPER_POLICY", str(tmp_path / "nowhere.yaml"))
    (tmp_path / "policy.yaml").write_text(policy, "utf-8")
    out = tmp_path / "function"
    out.mkdir()
    (out / "index.py").touch()
    status, err = refused(capsys, "--policy", tmp_path / "policy.yaml", "--out", out)
    assert (status, err.splitlines()[0]) == (1, "make package: fc-reaper check refuses the policy:")
    assert re.search(says, err)
    assert not out.exists()


@pytest.mark.parametrize("kind", ["link to nothing", "folder", "loop"])
def test_it_is_refused_with_a_lock_that_is_no_file(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the lock every policy would be allowed to stop."""
    (tmp_path / "policy.yaml").write_text(POLICY, "utf-8")
    lock = tmp_path / "policy.lock"
    if kind == "folder":
        lock.mkdir()
    else:
        lock.symlink_to(lock.name if kind == "loop" else "nowhere")
    status, err = refused(capsys, "--policy", tmp_path / "policy.yaml", "--out", tmp_path / "function")
    assert (status, err.count("\n")) == (1, 1)
    assert "policy.lock is not a file; run fc-reaper approve" in err
    assert not (tmp_path / "function").exists()


@pytest.mark.parametrize("lock", [b"exempt: [", b"", b"version: 99", b"\xff"])
def test_it_is_refused_with_a_lock_that_cannot_be_read(
    lock: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Deployed, no policy would stop anything, and only the log would say why."""
    monkeypatch.setattr(script, "check", lambda policy: None)
    (tmp_path / "policy.yaml").write_text(POLICY, "utf-8")
    (tmp_path / "policy.lock").write_bytes(lock)
    status, err = refused(capsys, "--policy", tmp_path / "policy.yaml", "--out", tmp_path / "function")
    assert (status, err.count("\n")) == (1, 1)
    assert "make package: the lock cannot be used: " in err
    assert not (tmp_path / "function").exists()


def test_it_is_refused_with_facts_that_no_run_could_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY, "utf-8")
    write_probe(tmp_path, facts={"stopping": "1m"})
    status, err = refused(capsys, "--policy", tmp_path / "policy.yaml", "--out", tmp_path / "function")
    assert (status, err.count("\n")) == (1, 1)
    assert "facts.stopping: String should match pattern" in err


def test_it_empties_no_folder_that_is_not_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    before = tree(tmp_path)
    status, err = refused(capsys, "--out", tmp_path)
    assert status == 2
    assert "contains something other than a package" in err
    assert tree(tmp_path) == before


def invocation(number: int, keys: dict[str, str], **environment: str) -> dict[str, Any]:
    return {"request_id": f"request-{number}", "event": TIMER, "keys": keys, "environment": environment}


def run_instance(
    package: Path, platform: str, invocations: list[dict[str, Any]], tmp_path: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    """What the invocations of one instance answered, and the lines that it printed."""
    answers = tmp_path / "answers.json"
    s_yaml = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))
    run = {
        "code": str(package),
        "handler": s_yaml["resources"]["reaper"]["props"]["handler"],
        "platform": platform,
        "answers": str(answers),
        "invocations": invocations,
    }
    # -I -S: no environment, no site-packages; the path is the standard library and the package.
    done = subprocess.run(
        [interpreter(platform.partition("python")[2]), "-I", "-S", "-W", "error", RUNTIME],
        input=json.dumps(run),
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    answered = json.loads(answers.read_text("utf-8"))
    assert all("raised" not in one for one in answered), answered
    return [json.loads(one["answer"]) for one in answered], done.stdout.splitlines()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with running_emulator("--security-token", RIGHT["security_token"], seed=SEED) as running:
        yield running


@pytest.mark.parametrize("platform", PLATFORMS)
def test_one_instance_sweeps_as_the_platform_would_run_it(
    packages: Packages, platform: str, emulator: Emulator, tmp_path: Path
) -> None:
    """Keys of yesterday, then fresh ones, then enforcement: each invocation uses what it is given.

    The code folder is read-only, and the runtime has configured its own logger before.
    """
    package = packages[platform.partition("python")[2]]
    before = tree(package)
    where = {"REAPER_ENDPOINT": emulator.endpoint}
    results, printed = run_instance(
        package,
        platform,
        [invocation(1, STALE, **where), invocation(2, RIGHT), invocation(3, RIGHT, REAPER_MODE="enforce")],
        tmp_path,
    )
    denied, dry_run, enforced = (result["counts"] for result in results)
    assert results[0]["errors"]
    assert denied["listed"] == 0
    assert not results[1]["errors"]
    assert (dry_run["listed"], dry_run["kept"], dry_run["would_stop"]) == (2, 1, 1)
    assert (enforced["due"], enforced["confirmed"] + enforced["accepted"]) == (1, 1)
    asked = {entry["invocationId"] for entry in emulator.journal() if entry["cause"] == "stop"}
    assert asked == {"old"}
    assert_every_line_is_one_json_object(printed)
    assert tree(package) == before


def assert_every_line_is_one_json_object(printed: list[str]) -> None:
    """Besides the platform's own: not prefixed by the root logger, not printed twice."""
    ours = [line for line in printed if not line.startswith("FC Invoke ")]
    events = [json.loads(line) for line in ours]
    assert len(set(ours)) == len(ours)
    assert [event["request_id"] for event in events if event["event"] == "run_finished"] == [
        "request-1",
        "request-2",
        "request-3",
    ]


def test_the_code_folder_of_these_tests_really_refuses_to_be_written(tmp_path: Path) -> None:
    """Otherwise a write by the product would go unseen wherever root runs the suite."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "index.py").write_text(
        "import os\n"
        "def handler(event, context):\n"
        "    for change in (lambda: open('x', 'w'), lambda: os.mkdir('y'), lambda: os.remove('index.py')):\n"
        "        try: change()\n"
        "        except OSError as error: assert 'Read-only' in str(error), error\n"
        "        else: raise AssertionError('written')\n"
        "    open(os.devnull, 'w').close()\n"
        "    return '{}'\n",
        "utf-8",
    )
    run_instance(code, "fc3-python3.10", [invocation(1, RIGHT)], tmp_path)
    assert [path.name for path in code.iterdir()] == ["index.py"]
