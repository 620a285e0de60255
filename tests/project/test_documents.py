"""A clone contains nothing of the machine it was written on, no dead links, and no outdated file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scripts.schemas import out_of_date

from fc_reaper.cli.app import app
from fc_reaper.log_lines import TaskLine
from fc_reaper.settings import Context, Settings, read_settings
from tests.project.files import ROOT, project_files
from tests.project.markdown import code, fences, tables

# Written so that no pattern finds itself.
STRAY = {
    "notes that are no part of the project": r"\.\.[/]shared",
    "a folder of one machine": r"(?<![\w.~])/(?:work|root|farm|home|Users)/\w",
    "the address of a package registry": r"python[h]osted|pypi\.org[/]simple|registry\.[n]pmjs|deb\.[d]ebian",
}


@pytest.mark.parametrize("what", STRAY)
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(STRAY[what])
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path in project_files()
        for number, line in enumerate(
            (ROOT / path).read_text("utf-8", errors="replace").splitlines(), start=1
        )
        if pattern.search(line)
    ]
    assert not found, f"{what}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("notes that are no part of the project", "see ../" + "shared/design.md"),
        ("a folder of one machine", 'open("/' + 'root/x")'),
        ("the address of a package registry", "https://files.python" + "hosted.org/x"),
    ],
)
def test_the_scan_sees(what: str, line: str) -> None:
    assert re.search(STRAY[what], line)


def documents() -> list[Path]:
    return [path for path in project_files() if path.suffix == ".md"]


def test_every_link_to_a_file_leads_to_one() -> None:
    """Relative links, pictures included; a part after # is not looked up."""
    dead = [
        f"{document}: {link}"
        for document in documents()
        for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", (ROOT / document).read_text("utf-8"))
        if "://" not in link
        and not link.startswith("mailto:")
        and not (ROOT / document.parent / link).exists()
    ]
    assert not dead, "\n".join(dead)


def test_every_file_that_is_named_exists() -> None:
    """In documents, in the Makefile and in the scripts; NAME stands for any name."""
    named = r"(?<![\w./-])(?:(?:src|tests)/[\w./-]*\w|(?:deploy|docs|events|examples|scripts)/[\w./-]*\.\w+)"
    texts = {path for path in documents() if path.name != "CHANGELOG.md"}
    absent = [
        f"{text}: {path}"
        for text in sorted({*texts, Path("Makefile"), Path("scripts/matrix"), Path("pyproject.toml")})
        for path in re.findall(named, (ROOT / text).read_text("utf-8"))
        if "NAME" not in path
        if not any((folder / path).exists() for folder in (ROOT, ROOT / "src" / "fc_reaper"))
    ]
    assert not absent, "\n".join(absent)


def test_what_the_guide_for_contributors_names_exists() -> None:
    """Modules by the end of their path; single words in the code of the project."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    sources = {f"/{path.as_posix()}": ROOT / path for path in project_files() if path.suffix == ".py"}
    named = set(re.findall(r"[\w/]+\.py\b", text)) - {"src/fc_reaper/cli/NAME.py", "tests/cli/test_NAME.py"}
    assert not {name for name in named if not any(path.endswith(f"/{name}") for path in sources)}
    words = {word for line in text.splitlines() for word in code(line) if word.isidentifier()} - {"NAME"}
    known = {word for path in sources.values() for word in re.findall(r"\w+", path.read_text("utf-8"))}
    assert not words - known


def test_the_line_of_the_readme_is_one_that_a_run_can_write() -> None:
    """Each field is one of a task's line, and none that it must have is left out."""
    (line,) = fences((ROOT / "README.md").read_text("utf-8"), "json")
    assert TaskLine.model_validate_json(line.text).event == "confirmed"


def test_make_help_explains_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    helped = set(re.findall(r'echo "make (\w+)', makefile))
    assert set(phony[1].split()) - {"help", "FORCE"} == helped


def test_the_version_stands_in_one_place() -> None:
    """pyproject.toml reads it from the package, so a release changes one line and the changelog."""
    version = re.search(r'__version__ = "([^"]+)"', (ROOT / "src/fc_reaper/__init__.py").read_text("utf-8"))
    assert version is not None
    repeated = [
        path
        for path in project_files()
        if path.suffix in {".toml", ".py", ".yaml"} and f'"{version[1]}"' in (ROOT / path).read_text("utf-8")
    ]
    assert repeated == [Path("src/fc_reaper/__init__.py")]


def test_the_generated_files_are_what_the_models_say() -> None:
    """After a change of a model: make schemas."""
    assert list(out_of_date()) == []


def first_cells(document: str, pattern: str) -> set[str]:
    """What *pattern* captures at the beginning of the rows of a document's tables."""
    text = (ROOT / "docs" / document).read_text("utf-8")
    return set(re.findall(rf"^\| `{pattern}", text, re.MULTILINE))


def test_every_command_and_every_setting_has_its_row() -> None:
    """In the two references."""
    callbacks = (command.callback for command in app.registered_commands)
    commands = {callback.__name__ for callback in callbacks if callback is not None}
    assert first_cells("commands.md", r"fc-reaper (\w+)") == commands
    names = {str(field.alias) for field in Settings.model_fields.values()}
    settings = {name for name in names if name.startswith("REAPER_")}
    assert first_cells("settings.md", r"(REAPER_\w+)`") == settings


def test_a_setting_has_the_default_that_is_shown() -> None:
    """To set it to that value changes nothing."""
    rows = next(tables((ROOT / "docs" / "settings.md").read_text("utf-8")))[1:]
    shown = {code(name)[0]: default.strip("`") for name, default, _ in rows if " " not in default}
    absent = {name for name, default in shown.items() if default == "none"}
    assert (len(rows), len(shown), absent) == (15, 12, {"REAPER_PLATFORM"})
    for name in shown.keys() - absent:
        assert read_settings({name: shown[name]}, Context()) == read_settings({}, Context()), name
