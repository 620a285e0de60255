"""The Chinese pages say what the English ones say: sentence by sentence the same code, numbers and links."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.project.files import ROOT
from tests.project.markdown import Fence, code, fences, tables
from tests.project.test_book import anchors, links

TRANSLATED = (
    *("commands.md", "deploy*.md", "doctor.md", "index.md", "monitoring.md", "notifications.md"),
    *("permissions.md", "policy*.md", "probe.md", "real-account.md", "redrive.md", "settings.md"),
    *("triggers.md", "troubleshooting.md"),
)
CHINESE = {
    Path("README.md"): Path("README.zh-CN.md"),
    Path("deploy/README.md"): Path("deploy/README.zh-CN.md"),
    Path("deploy/s-template/readme_en.md"): Path("deploy/s-template/readme.md"),
    **{
        page.relative_to(ROOT): Path("docs/zh-CN") / page.name
        for pattern in TRANSLATED
        for page in sorted((ROOT / "docs").glob(pattern))
    },
}
"""The Chinese page of each English one that is compared."""
TERMS = Path("docs/zh-CN/terms.md")
"""Explains the English words of what is printed, so it has no English page."""
IN_ENGLISH = "〔英文〕"
"""Stands behind each link to a page of the project that has no Chinese one."""

QUOTING = {"message", "`check` warns"}
"""Columns beside what is written, whose cells begin with what is printed, and so with the same words."""

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)
_PIECE = re.compile(r"\n\s*\n|\n(?=- |\d+\. |\|)")
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NAMED_LINK = re.compile(r"\[`[^`]*(?:\.md|/)`\]\(")
_HAN = "[\u4e00-\u9fff]"
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
    """In their order, without the ways to other pages: above the first heading, and to the other language."""
    text = (ROOT / page).read_text("utf-8")
    hidden = _FENCE.sub(lambda fence: re.sub("^#", "\0", fence[0], flags=re.MULTILINE), text)
    _, *parts = _HEADING.split(hidden)
    return tuple(
        Section(len(level), title, re.sub(r" ?\[(?:中文|English)\]\([^)]*\)", "", body.replace("\0", "#")))
        for level, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    )


def pieces(text: str) -> list[str]:
    """Paragraphs, items of lists and rows of tables, each as one line."""
    parts = (part.strip() for part in _PIECE.split(_FENCE.sub("\n", text)))
    return [re.sub(r"\s*\n\s*", " ", part) for part in parts if part.strip("|:- ")]


def block(fence: Fence) -> tuple[str, str]:
    """What has to be equal: all that is printed; in files and commands all but the comments."""
    if fence.info in ("console", "text", "json"):
        return fence
    return fence.info, re.sub(r"[ \t]+$", "", _COMMENT.sub("", fence.text), flags=re.MULTILINE)


def words(text: str) -> str:
    """Without code, and of links only what is read."""
    return _LINK.sub("]", re.sub(r"(`+).+?\1", "`", "\n".join(pieces(text))))


def numbers(text: str) -> Counter[str]:
    """Digits and words; English spells some numbers out, from three on, for which Chinese has digits."""
    read = words(text)
    spelled = (_SPELLED[word] for word in re.findall("[a-z]+", read.lower()) if word in _SPELLED)
    return Counter([*spelled, *re.findall(r"\d+(?:[.,]\d+)*", read)])


def keys(text: str) -> Counter[str]:
    """All code: of a page its Chinese name, and none where that is only what a link to it reads."""
    pages = {str(english): str(chinese) for english, chinese in CHINESE.items()}
    return Counter(pages.get(one, one) for one in code(_NAMED_LINK.sub("[](", text)))


def leads(page: Path, text: str) -> Counter[str]:
    """Where links lead a Chinese reader: to the same section of a Chinese page where there is one."""
    outside = (one for one in _LINK.findall(text) if "://" in one)
    found = Counter(re.sub("(/help|aliyun.com)/en/", r"\1/zh/", one) for one in outside)
    for target, part in links(page, text):
        chinese = CHINESE.get(target, target)
        if chinese != target and part:
            titles = [slug(one.title) for one in sections(target)]
            part = slug(sections(chinese)[titles.index(part)].title)
        found[f"{chinese}#{part}"] += chinese != TERMS
    return +found


def slug(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-")


def shape(text: str) -> list[str]:
    """Each row of each table as the code in its cells."""
    return [str([sorted(keys(cell).elements()) for cell in row]) for table in tables(text) for row in table]


def quoted(english: str, chinese: str) -> Iterator[str]:
    """Messages of English tables that the same cell in Chinese does not begin with."""
    for ours, theirs in zip(tables(english), tables(chinese), strict=True):
        for column, header in enumerate(ours[0]):
            if header in QUOTING and ours[0][0] == "written":
                pairs = zip(ours[1:], theirs[1:], strict=True)
                yield from (row[column] for row, other in pairs if not other[column].startswith(row[column]))


def differences(english: Section, chinese: Section, page: Path) -> Iterator[str]:
    """What one of the two has and the other lacks, in words."""
    ours, theirs = (list(map(str, map(block, fences(one.text)))) for one in (english, chinese))
    if ours != theirs:
        yield f"blocks: {only(ours, theirs)}"
    ours, theirs = shape(english.text), shape(chinese.text)
    if ours != theirs:
        yield f"tables: {only(ours, theirs)}"
    elif missing := list(quoted(english.text, chinese.text)):
        yield f"messages in tables, expected as in English: {missing}"
    ours, theirs = ([one.title, *pieces(one.text)] for one in (english, chinese))
    if len(ours) != len(theirs):
        yield f"paragraphs, items and rows: {len(ours)} in English, {len(theirs)} in Chinese"
    seen: dict[str, Callable[[Path, str], Counter[str]]] = {
        "code": lambda _, text: keys(text),
        "numbers": lambda _, text: numbers(text),
        "links": leads,
    }
    for one, other in zip(ours, theirs, strict=False):
        for what, counted in seen.items():
            if (expected := counted(page, one)) != (found := counted(CHINESE[page], other)):
                yield f"{what}: {only(expected.elements(), found.elements())}: {other[:60]}"


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
        if (found := list(differences(one, other, english)))
    ]
    assert not stale, "\n" + "\n".join(stale)


@PAGES
def test_nothing_is_left_in_english(english: Path) -> None:
    """Four words in a row and no Chinese: a paragraph, a heading or a cell that was forgotten."""
    left = [
        f"{CHINESE[english]}, “{section.title}”: {piece.strip()[:80]}"
        for section in sections(CHINESE[english])
        for piece in re.split(r"\n|(?<!\\)\|", f"{section.title}\n{words(section.text)}")
        if re.search(r"(?:\b[A-Za-z']{2,}[ ,]+){3}[A-Za-z']{2,}", piece) and not re.search(_HAN, piece)
    ]
    assert not left, "\n" + "\n".join(left)


@pytest.mark.parametrize("page", [*CHINESE.values(), TERMS], ids=str)
def test_a_chinese_page_is_set_as_its_readers_expect(page: Path) -> None:
    """Full-width punctuation without blanks; a blank between Chinese and other letters; no wrapped lines."""
    text = "\n".join(f"{one.title}\n{words(one.text)}" for one in sections(page))
    read = re.sub(r"\[([^]]*)\]", r"\1", text)
    wrong = rf"{_HAN}[,:;?!()]|[,:;?!()]{_HAN}|{_HAN}[A-Za-z0-9`]|[A-Za-z0-9`]{_HAN}"
    blanks = "(?<=[，。；：！？、（）“”〔〕]) (?=[^|])|(?<=[^|]) (?=[，。；：！？、（）“”〔〕])"
    found = re.findall(f".{{,20}}(?:{wrong}|{blanks}).{{,20}}", read)
    assert not found, f"{page}: {found}"
    unwrapped = _FENCE.sub("\n", (ROOT / page).read_text("utf-8"))
    wrapped = re.findall(r"^[^\n|#].*\n(?![-\n|#]|\d+\.).{1,20}", unwrapped, re.MULTILINE)
    assert not wrapped, f"{page}: {wrapped}"


@pytest.mark.parametrize("page", [*CHINESE.values(), TERMS], ids=str)
def test_a_link_to_a_page_in_english_says_so(page: Path) -> None:
    """And no other link does."""
    text = "\n".join(one.text for one in sections(page))
    for link in re.finditer(rf"{_LINK.pattern}({IN_ENGLISH})?", text):
        for target, _ in links(page, f"[]({link[1]})"):
            english = target.suffix == ".md" and target not in {*CHINESE.values(), TERMS}
            assert english == bool(link[2]), f"{page}: {link[0]}"


@PAGES
def test_the_top_of_a_page_leads_to_the_other_language(english: Path) -> None:
    for page, other in ((english, CHINESE[english]), (CHINESE[english], english)):
        top = "\n".join((ROOT / page).read_text("utf-8").splitlines()[:3])
        assert other in {target for target, _ in links(page, top)}, f"{page}: link {other} in its first line"


def test_every_chinese_page_is_compared() -> None:
    """With an English one, and its headings are those that links name."""
    there = {*ROOT.glob("*.zh-CN.md"), *ROOT.glob("deploy/**/*.zh-CN.md"), *ROOT.glob("docs/zh-CN/*.md")}
    assert there <= {ROOT / page for page in (*CHINESE.values(), TERMS)}
    for page in (one for pair in CHINESE.items() for one in pair):
        assert {slug(section.title) for section in sections(page)} <= anchors(page)


def test_each_word_of_the_log_is_explained_in_chinese() -> None:
    """By a row of a table, headed by the field."""
    schema = json.loads((ROOT / "docs/log-schema.json").read_text("utf-8"))
    whys = schema["$defs"]["TaskLine"]["properties"]["why"]["enum"]
    expected = {"event": set(schema["properties"]["event"]["enum"]), "why": {why for why in whys if why}}
    rows = [table for table in tables((ROOT / TERMS).read_text("utf-8")) if table[0][0].startswith("`")]
    assert {
        table[0][0].strip("`"): {one for row in table[1:] for one in code(row[0])} for table in rows
    } == expected


@pytest.mark.parametrize(
    ("chinese", "difference"),
    [
        ("用 `a` 等 3 秒。\n\n```sh\nrun  # 运行\n```\n", ""),
        ("用 `b` 等 3 秒。\n\n```sh\nrun\n```\n", "code: only in English: ['a']; only in Chinese: ['b']"),
        ("用 `a` 等 4 秒。\n\n```sh\nrun\n```\n", "numbers: only in English: ['3']; only in Chinese: ['4']"),
        ("用 `a` 等 3 秒。\n\n```sh\nstop\n```\n", "blocks: "),
        ("用 `a` 等 3 秒。\n\n```sh\nrun\n```\n\n| `x` |\n|---|\n", "tables: "),
        ("用 [`a`](docs/policy.md) 等 3 秒。\n\n```sh\nrun\n```\n", "links: "),
        ("用 `a` 等 3 秒。\n\n```sh\nrun\n```\n\n- 再等。\n", "paragraphs, items and rows: "),
    ],
)
def test_a_difference_is_seen(chinese: str, difference: str) -> None:
    english = "Wait three seconds with `a`.\n\n```sh\nrun  # it\n```\n"
    seen = list(differences(Section(2, "Run", english), Section(2, "运行", chinese), Path("README.md")))
    assert seen[0].startswith(difference) if difference else not seen, seen
