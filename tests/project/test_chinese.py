"""The Chinese pages have what the English ones have: blocks, headings, tables, code, numbers and links."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.project.files import ROOT
from tests.project.markdown import Fence, code, fences, tables
from tests.project.test_book import anchors, links

TRANSLATED = ("deploy*.md", "doctor.md", "policy*.md", "probe.md", "real-account.md", "troubleshooting.md")
CHINESE = {
    Path("README.md"): Path("README.zh-CN.md"),
    **{
        page.relative_to(ROOT): Path("docs/zh-CN") / page.name
        for pattern in TRANSLATED
        for page in sorted((ROOT / "docs").glob(pattern))
    },
}
"""The Chinese page of each English one that is compared."""
TEMPLATE = Path("deploy/s-template")
LINKED = {**CHINESE, TEMPLATE / "readme_en.md": TEMPLATE / "readme.md"}
"""Where a link leads in Chinese; the template has pages of its own, as Serverless Devs wants them."""

QUOTING = {"message", "`check` warns"}
"""Columns beside what is written, whose cells begin with what is printed, and so with the same words."""

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*$", re.MULTILINE)
_HAN = re.compile(r"[\u4e00-\u9fff]")
_UNITS = ["three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_TEENS = [f"{one}teen" for one in ("thir", "four", "fif", "six", "seven", "eigh", "nine")]
_SPELLED = {word: str(number) for number, word in enumerate([*_UNITS, *_TEENS, "twenty"], start=3)}


class Section(NamedTuple):
    """A heading, its level, and all below it up to the next heading of any level."""

    level: int
    title: str
    text: str


@cache
def sections(page: Path) -> tuple[Section, ...]:
    """In their order; what stands above the first heading is the way back to other pages."""
    text = (ROOT / page).read_text("utf-8")
    hidden = _FENCE.sub(lambda fence: re.sub("^#", "\0", fence[0], flags=re.MULTILINE), text)
    _, *parts = _HEADING.split(hidden)
    return tuple(
        Section(len(level), title, body.replace("\0", "#"))
        for level, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    )


def prose(text: str) -> str:
    """Without blocks; a paragraph is one line, so that code which was wrapped is found."""
    return re.sub(r"(?<!\n)\n(?![\n|#-])", " ", _FENCE.sub("\n", text))


def block(fence: Fence) -> tuple[str, str]:
    """What has to be equal: all that is printed; in files and commands all but the comments."""
    if fence.info in ("console", "text", "json"):
        return fence
    return fence.info, re.sub(r"[ \t]+$", "", _COMMENT.sub("", fence.text), flags=re.MULTILINE)


def words(text: str) -> str:
    """Without code, and of links only what is read."""
    text = re.sub(r"(`+).+?\1", "`", prose(text))
    return re.sub(r"\]\([^)]*\)", "]", text)


def numbers(text: str) -> set[str]:
    """In the text; English spells some out, from three on, for which Chinese has digits."""
    read = words(text)
    spelled = {_SPELLED[word] for word in re.findall("[a-z]+", read.lower()) if word in _SPELLED}
    return spelled | set(re.findall(r"\d+(?:[.,]\d+)*", read))


def shape(text: str) -> list[list[list[list[str]]]]:
    """Each table as its rows of cells, of which the code counts."""
    return [[[sorted(code(cell)) for cell in row] for row in table] for table in tables(text)]


def quoted(english: str, chinese: str) -> Iterator[str]:
    """Messages of English tables that the same cell in Chinese does not begin with."""
    for ours, theirs in zip(tables(english), tables(chinese), strict=True):
        for column, header in enumerate(ours[0]):
            if header in QUOTING and ours[0][0] == "written":
                pairs = zip(ours[1:], theirs[1:], strict=True)
                yield from (row[column] for row, other in pairs if not other[column].startswith(row[column]))


def leads(english: Path, text: str) -> Counter[str]:
    """Where the links of an English page lead in Chinese: to the same section of a page that is there."""
    found: Counter[str] = Counter(re.findall(r"\]\((\w+://[^)\s]+)\)", _FENCE.sub("", text)))
    for page, part in links(english, _FENCE.sub("", text)):
        chinese = LINKED.get(page)
        if chinese is not None and part:
            titles = [slug(one.title) for one in sections(page)]
            part = slug(sections(chinese)[titles.index(part)].title)
        found[f"{chinese or page}#{part}"] += 1
    return found


def slug(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-")


def differences(english: Section, chinese: Section, page: Path) -> Iterator[str]:
    """What one of the two has and the other lacks, in words."""
    ours, theirs = (list(map(block, fences(one.text))) for one in (english, chinese))
    if ours != theirs:
        yield f"blocks: {only(map(str, ours), map(str, theirs))}"
    ours_, theirs_ = shape(english.text), shape(chinese.text)
    if ours_ != theirs_:
        rows, others = ([str(row) for table in one for row in table] for one in (ours_, theirs_))
        yield f"tables: {only(rows, others)}"
    elif missing := list(quoted(english.text, chinese.text)):
        yield f"messages in tables, expected as in English: {missing}"
    for what, one, other in (
        ("code", set(code(prose(english.text))), set(code(prose(chinese.text)))),
        ("numbers", numbers(english.text), numbers(chinese.text)),
    ):
        if one != other:
            yield f"{what}: {only(one, other)}"
    to = Counter(re.findall(r"\]\((\w+://[^)\s]+)\)", _FENCE.sub("", chinese.text)))
    to.update(f"{leads_to}#{part}" for leads_to, part in links(CHINESE[page], _FENCE.sub("", chinese.text)))
    if (expected := leads(page, english.text)) != to:
        yield f"links: {only(expected.elements(), to.elements())}"


def only(english: Iterable[str], chinese: Iterable[str]) -> str:
    ours, theirs = Counter(english), Counter(chinese)
    sides = {"English": ours - theirs, "Chinese": theirs - ours}
    extra = [f"only in {name}: {sorted(side.elements())}" for name, side in sides.items() if side]
    return "; ".join(extra) or "the order differs"


PAGES = pytest.mark.parametrize("english", CHINESE, ids=str)


@PAGES
def test_a_page_has_the_same_sections_in_chinese(english: Path) -> None:
    """Headings of the same levels, in the same order."""
    ours, theirs = sections(english), sections(CHINESE[english])
    for one, other in zip(ours, theirs, strict=False):
        assert one.level == other.level, f"{CHINESE[english]}: “{one.title}” belongs where “{other.title}” is"
    assert len(ours) == len(theirs), f"{CHINESE[english]}: sections were added to {english}, or taken away"


@PAGES
def test_each_section_says_the_same_in_chinese(english: Path) -> None:
    stale = [
        "\n  ".join(
            (f"{CHINESE[english]}: bring “{other.title}” up to date with “{one.title}” of {english}", *found)
        )
        for one, other in zip(sections(english), sections(CHINESE[english]), strict=False)
        if (found := list(differences(without_the_way(one), without_the_way(other), english)))
    ]
    assert not stale, "\n" + "\n".join(stale)


def without_the_way(section: Section) -> Section:
    """From one language to the other: each page has its own."""
    return section._replace(text=re.sub(r" ?\[(?:中文|English)\]\([^)]*\)", "", section.text))


@PAGES
def test_nothing_is_left_in_english(english: Path) -> None:
    """Four words in a row and no Chinese: a paragraph, a heading or a cell that was forgotten."""
    left = [
        f"{CHINESE[english]}, “{section.title}”: {piece.strip()[:80]}"
        for section in sections(CHINESE[english])
        for piece in re.split(r"\n|(?<!\\)\|", f"{section.title}\n{words(section.text)}")
        if re.search(r"(?:\b[A-Za-z']{2,}[ ,]+){3}[A-Za-z']{2,}", piece) and not _HAN.search(piece)
    ]
    assert not left, "\n" + "\n".join(left)


@PAGES
def test_punctuation_beside_chinese_is_chinese(english: Path) -> None:
    """Full-width, as its readers expect; and no line ends within a paragraph, where a blank would show."""
    text = "\n".join(words(section.text) for section in sections(CHINESE[english]))
    found = re.findall(r".{,20}(?:[\u4e00-\u9fff][,:;?!()]|[,:;?!()][\u4e00-\u9fff]).{,20}", text)
    assert not found, f"{CHINESE[english]}: {found}"
    unwrapped = _FENCE.sub("\n", (ROOT / CHINESE[english]).read_text("utf-8"))
    wrapped = re.findall(r"^[^\n|#].*\n(?![-\n|#]|\d+\.).{1,20}", unwrapped, re.MULTILINE)
    assert not wrapped, f"{CHINESE[english]}: {wrapped}"


@PAGES
def test_the_top_of_a_page_leads_to_the_other_language(english: Path) -> None:
    for page, other in ((english, CHINESE[english]), (CHINESE[english], english)):
        top = "\n".join((ROOT / page).read_text("utf-8").splitlines()[:3])
        assert other in {target for target, _ in links(page, top)}, f"{page}: link {other} in its first line"


def test_every_chinese_page_is_compared() -> None:
    """With an English one, and its headings are those that links name."""
    there = {Path("README.zh-CN.md"), *(page.relative_to(ROOT) for page in ROOT.glob("docs/zh-CN/*.md"))}
    assert {*CHINESE.values()} == there
    for page in (one for pair in CHINESE.items() for one in pair):
        assert {slug(section.title) for section in sections(page)} <= anchors(page)


@pytest.mark.parametrize(
    ("chinese", "difference"),
    [
        ("用 `a` 等 3 秒。\n\n```sh\nrun  # 运行\n```\n", ""),
        ("用 `b` 等 3 秒。\n\n```sh\nrun\n```\n", "code: only in English: ['a']; only in Chinese: ['b']"),
        ("用 `a` 等 4 秒。\n\n```sh\nrun\n```\n", "numbers: only in English: ['3']; only in Chinese: ['4']"),
        ("用 `a` 等 3 秒。\n\n```sh\nstop\n```\n", "blocks: "),
        ("用 `a` 等 3 秒。\n\n```sh\nrun\n```\n\n| `x` |\n|---|\n", "tables: "),
        ("用 [`a`](docs/policy.md) 等 3 秒。\n\n```sh\nrun\n```\n", "links: "),
    ],
)
def test_a_difference_is_seen(chinese: str, difference: str) -> None:
    english = "Wait three seconds with `a`.\n\n```sh\nrun  # it\n```\n"
    seen = list(differences(Section(2, "Run", english), Section(2, "运行", chinese), Path("README.md")))
    assert seen[0].startswith(difference) if difference else not seen, seen
