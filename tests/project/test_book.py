"""docs/ is one book: index.md leads to every page, each page leads back, and no link is dead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.project.files import ROOT, project_files
from tests.project.markdown import sections

INDEX = Path("docs/index.md")
ENTRIES = ("Try it", "Deploy it", "Write policies", "Understand it")
ALONE = {Path("README.md"), Path("CHANGELOG.md"), Path("deploy/s-template/readme_en.md")}
"""Pages that are read by themselves, so that their first line is another one."""
PAGES = tuple(path for path in project_files() if path.suffix == ".md" and path.parts[0] == "docs")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@cache
def prose(page: Path) -> str:
    """The text of a page without its blocks of code."""
    return _FENCE.sub("", (ROOT / page).read_text("utf-8"))


def links(page: Path, text: str | None = None) -> Iterator[tuple[Path, str]]:
    """The file, relative to the project, and the part behind # of each link that stays in the project."""
    for link in _LINK.findall(prose(page) if text is None else text):
        if "://" not in link and not link.startswith("mailto:"):
            name, _, part = link.partition("#")
            leads = (ROOT / page.parent / name).resolve() if name else ROOT / page
            yield leads.relative_to(ROOT), part


@cache
def anchors(page: Path) -> frozenset[str]:
    """What a link may name behind its #, as GitHub spells it."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles)


def test_the_index_has_four_entries_and_each_page_is_in_one() -> None:
    """By a line `- [Title](page.md): one sentence.`"""
    parts = sections((ROOT / INDEX).read_text("utf-8"))
    assert tuple(parts) == ENTRIES
    listed = [
        leads
        for title in ENTRIES
        for line in parts[title].splitlines()
        if line.startswith("- ")
        for leads, _ in [next(links(INDEX, line))]
    ]
    absent = [page for page in PAGES if page.parent == INDEX.parent and page not in (INDEX, *listed)]
    assert not absent, f"add a line `- [Title]({absent[0].name}): what it is about.` to an entry of {INDEX}"
    assert len(listed) == len(set(listed)), "a page is in one entry of the index, and there once"


def test_the_index_leads_to_every_page() -> None:
    """Pages in folders of docs/ too, by way of the pages that link them."""
    reached, follow = {INDEX}, [INDEX]
    while follow:
        new = {leads for leads, _ in links(follow.pop()) if leads in PAGES} - reached
        reached |= new
        follow += new
    orphans = sorted(set(PAGES) - reached)
    assert not orphans, f"no way leads from {INDEX} to {orphans[0]}: link it there, or from a page that is"


def test_the_first_line_of_each_page_leads_back() -> None:
    """To the index, or to the index of the folder, which leads on; also pages elsewhere that it lists."""
    listed = {leads for leads, _ in links(INDEX) if leads.suffix == ".md"} - ALONE
    for page in {*PAGES, *listed} - {INDEX}:
        first = prose(page).split("\n", 1)[0]
        back = {leads for leads, _ in links(page, first)}
        indexes = {INDEX, *(folder / "index.md" for folder in page.parents)} - {page}
        assert back & indexes, f"{page}: let its first line be [Documentation](index.md), then a blank line"


def test_no_link_to_a_section_is_dead() -> None:
    """In all documents; links to files are looked up with the other documents."""
    dead = [
        f"{page}: {leads}#{part}"
        for page in project_files()
        if page.suffix == ".md"
        for leads, part in links(page)
        if part and leads.suffix == ".md" and part not in anchors(leads)
    ]
    assert not dead, "no heading has this name: " + ", ".join(dead)
