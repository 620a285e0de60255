"""For all tests: no key in what they print and write, hypothesis has no stopwatch, long files come first.

`pytest --hypothesis-profile brief` tries a fifth of the examples, for a second look at another Python,
`thorough` ten times as many, for after a change of the rules. Laws that need more than the usual hundred
say how many hundreds: `settings().max_examples` times so many.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("usual", deadline=None, max_examples=100)
settings.register_profile("brief", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("usual")

_KEY = "emulator-secret"

FIRST = (
    *("package/test_package", "referee/test_worlds", "cli/test_apply", "reliability/test_faults"),
    *("cloud/test_memory", "package/test_wheel", "cli/test_app", "policy/test_laws", "project/test_review"),
    *("project/test_readme", "package/test_deploy_document", "backtest/test_laws"),
    *("evaluator/test_world_laws", "events/test_laws", "reliability/test_time"),
    *("evaluator/test_second_reading", "cloud/test_rate", "run/test_failing", "worlds/test_budgets"),
    *("backtest/test_memory", "probing/test_pairs", "probing/test_probe", "reliability/test_overlap"),
    *("referee/test_planted", "run/test_keep", "run/test_promises", "run/test_events", "cli/test_demo"),
)
"""Files that several processes begin with: one of these at the end would run while the others are done.

Packages are built in the first, so that those that need them too do not wait for them.
"""


def pytest_configure(config: pytest.Config) -> None:
    """Let xdist keep the order of the files; its own is by the number of tests."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        places = {Path(__file__).parent / f"{name}.py": place for place, name in enumerate(FIRST)}
        items.sort(key=lambda item: places.get(item.path, len(FIRST)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Search what the test printed, and the files in its folder, for the key of the emulated account."""
    report = yield
    if report.when != "call" or not report.passed:
        return report
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    # The sources and documents of a copied project name the emulator's key.
    paths = folder.rglob("*") if isinstance(folder, Path) else ()
    files = [path for path in paths if path.is_file() and path.suffix not in (".py", ".md")]
    shown = [str(path) for path in files if _KEY.encode() in path.read_bytes()]
    if _KEY in report.capstdout + report.capstderr + report.caplog:
        shown.append("what it printed")
    if shown:
        report.outcome, report.longrepr = "failed", f"the key of the account is in {', '.join(shown)}"
    return report
