"""The pages of `plan --html` and `backtest --html`, in a real browser.

Without Chromium or Chrome these tests are skipped, unless REQUIRE_BROWSER is set, as `.ci/run` does.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from base64 import b64decode
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from fc_reaper.cli import page
from fc_reaper.cli.output import as_typed, printable
from fc_reaper.cli.page import plan_page
from fc_reaper.cli.plan import NextTask
from fc_reaper.cli.planfile import Where, make_plan
from fc_reaper.events.parser import Trigger
from fc_reaper.log_lines import Counts, Lines, Saved
from fc_reaper.models import Exit
from fc_reaper.policy import load_policy
from fc_reaper.run import RunResult
from tests.cli.command import a_policy_file, at, fc_reaper
from tests.cli.histories import a_history, record
from tests.emulator_server import running_emulator
from tests.project.files import ROOT
from tests.run.account import policy, seeded

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ON_A_MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"

HOSTILE = (
    "<script>document.ran = 1</script>",
    '"><img src="https://a.example/x" onerror="document.ran = 2">',
    "'-->]]></style></svg></title><svg onload=document.ran=3>",
    "\u202egnp.exe\u2066\x1b[31m\x9b",
    "{{ 7 * 7 }}{% include 'x' %}$x^2$",
    "&lt;b&gt;&#x3c;i&#x3e;",
    "long-" + "x" * 995,
)
"""Ids, owners, reasons, names of policies and errors. No cloud has such ids; a page does not rely on that."""

POLICY = f"""\
version: 1
policies:
  - name: {HOSTILE[1]!r}
    targets: [media/transcode@prod]
    match: {{running_for: 2h}}
    stop: {HOSTILE[0]!r}
  - name: watch
    targets: [media/transcode@prod]
    match: {{alive_for: 1h}}
    report: "Slow\\u202E, says {HOSTILE[2]}."
"""


def a_plan(ids: tuple[str, ...]) -> str:
    """The page of a plan by which the tasks with these *ids* are due, and others are next, or reported."""
    file, lines = load_policy(POLICY, source=HOSTILE[1]), Lines()
    soon, tasks = list[NextTask](), []
    place = {"service": "media", "function": "transcode", "qualifier": "prod", "status": "Running"}
    verdict = {"policy": HOSTILE[1], "rule": "running_for", "reason": HOSTILE[0], "owner": HOSTILE[2]}
    measure = {
        "limit_s": 7200.0,
        "limit_from": "task",
        "retries": None,
        "retries_limit": None,
        "clock": "events",
    }
    run = {"run_id": "r", "request_id": "", "mode": "dry-run", "trigger": "timer", "level": "INFO"}
    run["timestamp"] = "2026-11-27T10:00:00.000Z"
    for number, one in enumerate(ids):
        over = 60.0 * (len(ids) - number)
        its = {**place, **verdict, **measure, "invocation_id": one, "age_s": 7200 + over, "over_s": over}
        told = {**its, "event": "would_stop", "also": [], "new": False}
        tasks.append({**told, "task_request_id": None, "first_enqueue_ms": None})
        lines({**run, **told, "event": "reported"})
        left = {"due_at": "2026-11-27T10:30:00.000Z", "due_in_s": over, "age_s": 7200 - over, "over_s": -over}
        soon.append(NextTask.model_validate({**its, **left}))
    counts = dict.fromkeys(Counts.model_fields, 0) | dict.fromkeys(("due", "would_stop", "listed"), len(ids))
    result = {**run, "event": "run_finished", "counts": counts, "policies": {}, "calls": {}, "duration_ms": 1}
    result["saved"] = {"tasks": 0, "unknown": 0, "vcpu_s": 0, "gb_s": 0, "gpu_gb_s": 0}
    result |= {"partial": False, "unmatched": list(ids[:7]), "errors": list(ids[:7]), "tasks": tasks}
    result["saved"] = dict.fromkeys(Saved.model_fields, 0)
    finished = RunResult(result, Exit.DONE, False, Trigger((), None, ()))
    where: Where = {"account": "1", "region": "cn-hangzhou", "endpoint": "http://127.0.0.1"}
    plan = make_plan(0, where, finished, lines, file, None)
    steps = {"out": HOSTILE[4], "event": HOSTILE[5], "typed": partial(as_typed, region=HOSTILE[0])}
    return plan_page(plan, finished, lines, file, soon, **steps)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages by name: plans of 0, 30 and 600 tasks and of hostile text, and a replay."""
    folder = tmp_path_factory.mktemp("pages")
    found = {"replay": folder / "replay.html"}
    numbers = {f"plan{number}": tuple(f"job-{at:05}" for at in range(number)) for number in (0, 30, 600)}
    for name, ids in {**numbers, "hostile": HOSTILE}.items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(a_plan(ids), "utf-8")
    a_policy_file(folder, POLICY)
    lives = [("Enqueued", "0s"), ("Running", "1m")]
    ends = {"wrong": [("Succeeded", "5h")], "right": [("Failed", "6h")]}
    a_history(folder, [record(one, *lives, *ends.get(one, ())) for one in (*ends, "alive", *HOSTILE)])
    args = ("--history", "history.jsonl", "--html", "replay.html", "--region", "cn-hangzhou")
    assert fc_reaper("backtest", *args, cwd=folder).code == 0
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    path = next(filter(None, map(shutil.which, (*BROWSERS, ON_A_MAC))), None)
    if path is None and not os.environ.get("REQUIRE_BROWSER"):
        pytest.skip("no browser; install Chromium or Chrome (Debian: apt-get install chromium libatomic1)")
    assert path is not None, "REQUIRE_BROWSER is set, and there is no Chromium or Chrome"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


class Tab:
    """A page of a browser that reaches nobody, and what it asks for beyond the file shown, or reports."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        usual = {"offline": True, "viewport": {"width": 1440, "height": 900}}
        self.page = browser.new_context(**{**usual, **options}).new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: self.faults.append(dialog.message))
        self.page.on("request", lambda request: self.faults.append(request.url))

    def show(self, file: Path) -> Page:
        """The page with that file, just opened."""
        self.faults.clear()
        self.page.goto(file.as_uri())
        assert self.faults.pop(0) == file.as_uri()
        return self.page


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Tab:
    """One tab, 1440 pixels wide, with JavaScript."""
    return Tab(browser)


OUTLINE = """() => {
  const every = [...document.querySelectorAll("*")], ids = every.map(one => one.id).filter(Boolean);
  const all = (selector, holds) => [...document.querySelectorAll(selector)].every(holds);
  const label = one => document.getElementById(one.getAttribute("aria-labelledby"));
  const link = one => one.hasAttribute("href") || one.hasAttribute("src") && one.localName !== "img";
  const drawn = one => one.src.startsWith("data:image/svg+xml;base64,") && one.naturalWidth && one.alt &&
    document.getElementById(one.getAttribute("aria-describedby"))?.textContent.trim();
  return {
    ran: document.ran ?? null,
    tags: [...new Set(every.map(one => one.localName))],
    headings: [...document.querySelectorAll("h1, h2, h3")].map(one => one.localName).join(" "),
    bad: {
      handlers: every.filter(one => [...one.attributes].some(at => /^on|^style$/.test(at.name))).length,
      links: every.filter(link).length,
      repeated: ids.length - new Set(ids).size,
    },
    good: [
      all("[aria-labelledby]", one => label(one)?.textContent.trim()),
      all("table", one => one.caption && [...one.querySelectorAll("th")].every(th => th.scope)),
      document.images.length > 0 && all("img", drawn),
      document.documentElement.lang === "en" && document.scripts.length === 2,
    ],
  };
}"""
ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "section", "h1", "h2", "p",
    "ul", "li", "b", "dl", "div", "dt", "dd", "code", "figure", "figcaption", "table", "caption",
    "thead", "tbody", "tr", "th", "td", "time", "strong", "script", "img",
}  # fmt: skip
"""All that a page has; its script adds buttons."""


@pytest.mark.parametrize("scripts", [True, False])
def test_text_from_outside_is_text_and_the_page_asks_nobody(
    scripts: bool, browser: Browser, tab: Tab, files: dict[str, Path]
) -> None:
    """No request, and no message of the console; all is there without JavaScript, too.

    Each text is there with its control characters shown, and the page has headings, captions and labels, and
    charts that can be drawn.
    """
    tab = tab if scripts else Tab(browser, java_script_enabled=False)
    for name, texts in (("hostile", HOSTILE), ("replay", HOSTILE[:5])):
        page = tab.show(files[name])
        seen, text = page.evaluate(OUTLINE), page.text_content("main") or ""
        assert (tab.faults, seen["ran"], seen["bad"]) == ([], None, dict.fromkeys(seen["bad"], 0))
        assert set(seen["tags"]) <= ELEMENTS | ({"button"} if scripts else set())
        assert set(seen["headings"].removeprefix("h1 ").split()) == {"h2"}
        assert all(seen["good"]), seen["good"]
        for one in texts:
            assert printable(one) in text


def test_it_allows_only_its_own_style_and_scripts(tab: Tab, files: dict[str, Path]) -> None:
    """What somebody adds, or a fault of ours lets through, does not run, and asks nobody."""
    added = {
        "script": "<script>document.ran = 1</script>",
        "handler": "<img src='data:,' onerror='document.ran = 2'>",
        "style": "<p style='color: red'>",
        "Framing": "<iframe src='https://a.example/'></iframe>",
        "image": "<img src='https://a.example/x'>",
    }
    changed, text = files["plan0"].with_name("changed.html"), files["plan0"].read_text("utf-8")
    changed.write_text(text.replace("<main>", f"<main>{''.join(added.values())}"), "utf-8")
    assert tab.show(changed).evaluate("document.ran ?? null") is None
    refused = [one for one in tab.faults if "Content Security Policy" in one]
    assert [what for what in added if not any(what in one.split("Policy")[0] for one in refused)] == []


def test_it_fits_a_phone_and_a_wide_screen(tab: Tab, files: dict[str, Path]) -> None:
    """What is wider than a phone scrolls within its own frame, which a keyboard reaches."""
    frames = "[...document.querySelectorAll('.scroll')]"
    for name, file in files.items():
        page = tab.show(file)
        for width in (360, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate(f"{frames}.every(one => one.tabIndex === 0)")
        assert page.evaluate(f"{frames}.every(one => one.scrollWidth <= one.clientWidth)"), name


def test_a_keyboard_alone_sorts(tab: Tab, files: dict[str, Path]) -> None:
    """Tab reaches the headers, Enter and the space bar sort, and the header says in which order."""
    due = "#due ~ .scroll"
    ages = f"[...document.querySelectorAll('{due} tbody td:nth-child(6)')].map(one => +one.dataset.sort)"
    once = "document.addEventListener('sort-end', () => done(), {once: true})"
    focused = "(one => one.textContent + one.closest('table')?.caption.textContent)(document.activeElement)"
    page = tab.show(files["plan30"])
    for _ in range(100):
        page.keyboard.press("Tab")
        if page.evaluate(focused).startswith("ageDue"):
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for key, order, sign in (("Enter", "ascending", "<"), ("Space", "descending", ">")):
        page.evaluate(f"void (window.sorted = new Promise(done => {once}))")
        page.keyboard.press(key)
        page.evaluate("window.sorted")
        assert page.evaluate(f"{ages}.every((one, at, all) => !at || all[at - 1] {sign} one)")
        assert page.evaluate("document.activeElement.closest('th').ariaSort") == order
    assert len(page.evaluate(ages)) == 30
    assert page.evaluate(f"document.querySelectorAll('{due} [aria-sort]').length") == 1


CONTRAST = """() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = colour => colour.slice(0, 3).map(one => one / 255)
    .map(one => one <= .03928 ? one / 12.92 : ((one + .055) / 1.055) ** 2.4)
    .reduce((sum, one, at) => sum + one * [.2126, .7152, .0722][at], 0);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const worst = [99, ""];
  for (const one of document.querySelectorAll("body :not(script)")) {
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    const colour = parse(getComputedStyle(one).color);
    const [more, less] = [light(colour), light(behind(one))].sort((a, b) => b - a);
    const ratio = (more + .05) / (less + .05);
    if (ratio < worst[0]) worst.splice(0, 2, ratio, one.outerHTML.slice(0, 200));
  }
  return worst;
}"""


def test_all_text_can_be_read_in_the_dark_and_on_paper(tab: Tab, files: dict[str, Path]) -> None:
    """Contrast of at least 4.5 to 1 (WCAG 2, 1.4.3); paper is white also where the screen is dark.

    A chart is black on white, and inverted in the dark.
    """
    chart = "getComputedStyle(document.images[0]).filter"
    for name in ("plan30", "replay"):
        page = tab.show(files[name])
        for scheme, media, ground in (
            ("dark", "screen", 13), ("dark", "print", 255), ("light", "screen", 255),
        ):  # fmt: skip
            page.emulate_media(color_scheme=scheme, media=media)  # type: ignore[arg-type]
            contrast, where = page.evaluate(CONTRAST)
            assert contrast >= 4.5, (scheme, media, where)
            colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert colour.startswith(f"rgb({ground}, ")
            assert page.evaluate(chart).startswith("invert" if ground == 13 else "none")


def drawn(text: str) -> str:
    """The charts of a page, as SVG."""
    return "".join(b64decode(chart).decode() for chart in re.findall('base64,([^"]+)', text))


def test_it_is_bounded_and_says_what_it_leaves_out(files: dict[str, Path]) -> None:
    """500 rows of a table, 40 bars of a chart, ids by both ends; the same plan gives the same page."""
    text = files["plan600"].read_text("utf-8")
    assert text.count("The first 500 of 600 rows are shown") == 3
    assert "At most 30 over the limit and 10 others are drawn." in text
    with patch.object(page, "_CHARTS", 1):
        assert "At most 1 policies are drawn." in a_plan(("job-1",))
    assert drawn(text).count(">job-") == 40
    assert a_plan(HOSTILE) == files["hostile"].read_text("utf-8")
    alike = drawn(a_plan(tuple(f"{'x' * 100}-{number:05}" for number in (1, 2))))
    assert [f"{'x' * 13}…{'x' * 8}-0000{number}" in alike for number in (1, 2)] == [True, True]


def test_the_library_is_the_published_file() -> None:
    """sortable-tablesort 4.1.7 from npm, dist/standalone/sortable.js; NOTICE has its licence."""
    library = ROOT / "src/fc_reaper/cli/page_files/sortable.js"
    digest = "0b2d084fcfa5fad5d0e8c2282cca7466b170b30e54e289efdd69c7454b44d14f"
    assert sha256(library.read_bytes()).hexdigest() == digest
    assert "sortable-tablesort 4.1.7" in (ROOT / "NOTICE").read_text("utf-8")


def test_plan_writes_it_and_says_who_is_next(tmp_path: Path) -> None:
    """A new file, only for its owner; over another one with --force only. What is spared is not next."""
    warn = "  - {name: warn, targets: [media/transcode@prod], match: {running_for: 90m}, report: Soon.}\n"
    a_policy_file(tmp_path, policy(owner="team-a") + warn)
    started = {"over-1": "-3h", "soon-1": "-100m", "soon-2": "-70m", "vip-1": "-100m", "young-1": "-50m"}
    seed = [seeded(one, "Running", enqueued="-5h", started=ago) for one, ago in started.items()]
    with running_emulator(seed={"invocations": seed}) as cloud:
        cloud.advance("5s")
        env = at(cloud, FC_REGION="cn-hangzhou", COLUMNS="120")
        args = ("plan", "--html", "plan.html")
        first = fc_reaper(*args, "--out", "plan.json", env=env, cwd=tmp_path)
        again = fc_reaper(*args, env=env, cwd=tmp_path)
        (tmp_path / "event.json").write_text('{"serviceName": "media", "shard": "1/1"}')
        forced = fc_reaper(*args, "event.json", "--force", "--json", env=env, cwd=tmp_path)
    assert (first.code, again.code, forced.code) == (0, 2, 0)
    assert "2 tasks will be due within an hour; the first:" in first.text
    assert "soon-1 media/transcode@prod running_for 1h40m 2h - due in 19m, owner" in first.text
    soon = [(one["invocation_id"], one["policy"], one["owner"]) for one in forced.json["next"]]
    assert soon == [("soon-1", "runaway", "team-a"), ("soon-2", "runaway", "team-a")]
    assert 1100 < forced.json["next"][0]["due_in_s"] < 1200
    page = (tmp_path / "plan.html").read_text("utf-8")
    assert (tmp_path / "plan.html").stat().st_mode & 0o777 == 0o600
    for shown in (
        "<h1>1 task due</h1>",
        "cn-hangzhou",
        "sha256:",
        "soon-2",
        "fc-reaper explain",
        "</time>, owner team-a",
    ):
        assert shown in page
    assert "fc-reaper plan event.json --out plan.json" in page  # what it shows, and no other run


@pytest.mark.parametrize(
    ("end", "headline"),
    [
        (("Succeeded", "5h"), "1 stop, 1 of them false"),
        (("Failed", "5h"), "1 stop, none known to be false"),
        (("Failed", "1h"), "No stops"),
    ],
    ids=["false", "right", "none"],
)
def test_a_replay_claims_no_more_than_it_knows(end: tuple[str, str], headline: str, tmp_path: Path) -> None:
    """A task that is still alive, or that somebody stopped, might have succeeded."""
    a_policy_file(tmp_path, policy(owner="team-a"))
    a_history(tmp_path, [record("job-1", ("Enqueued", "0s"), ("Running", "1m"), end)])
    assert fc_reaper("backtest", "--history", "history.jsonl", "--html", "p.html", cwd=tmp_path).code == 0
    page = (tmp_path / "p.html").read_text("utf-8")
    assert f"<h1>{headline}</h1>" in page
    assert ("runaway, owner team-a" in page) is (headline != "No stops")


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
@pytest.mark.parametrize("command", ["plan", "backtest"])
def test_without_the_extra_it_says_how_to_install_it(missing: str, command: str, tmp_path: Path) -> None:
    """Exit 2, before anything is asked or replayed."""
    with patch.dict(sys.modules, {missing: None}):
        ran = fc_reaper(command, "--html", "page.html", cwd=tmp_path)
    why = f"--html needs {missing}; install it: pip install 'fc-reaper[plot]'"
    assert (ran.code, ran.out, ran.errors) == (2, "", [f"fc-reaper: {why}"])
