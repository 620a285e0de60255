"""Commands of ours that a document shows: are there such commands, and do they take these options?"""

from __future__ import annotations

import re
import shlex
from typing import Any

import typer

from fc_reaper.cli.app import app
from tests.project.markdown import code, fences


def commands_in(markdown: str) -> list[str]:
    """Every `fc-reaper …` with arguments, in a block of the kind `sh` or within a sentence."""
    lines = [line for fence in fences(markdown, "sh") for line in fence.text.splitlines()]
    every = (*lines, *within_sentences(markdown))
    shown = [re.sub(r"\s+#.*", "", one) for one in every if one.startswith("fc-reaper ")]
    return list(dict.fromkeys(shown))


def within_sentences(markdown: str) -> list[str]:
    """Each piece of code in the text, also one that continues in the next line."""
    prose = re.sub(r"^```.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return [one for paragraph in prose.split("\n\n") for one in code(" ".join(paragraph.split()))]


def refusal_of(command: str) -> str | None:
    """Why the command line would be refused; None where its words are understood. Runs nothing."""
    words = shlex.split(command)[1:]
    words = words[: next((at for at, word in enumerate(words) if word in (">", "|", ";")), None)]
    group: Any = typer.main.get_command(app)
    if words[0] not in group.commands:
        return f"there is no command {words[0]}"
    try:
        group.commands[words[0]].make_context(words[0], words[1:])
    except Exception as error:
        message: Any = getattr(error, "format_message", None)
        if message is None:
            raise
        return str(message())
    return None
