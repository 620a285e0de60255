"""What the archives say of the place they come from, for the build (hatchling) to call.

On PyPI the README stands alone. A release names its repository in FC_REAPER_REPOSITORY, such as
https://github.com/OWNER/fc-reaper: then links lead there, to the files of this version, and PyPI links to it.
Without it the README is as it stands in the repository.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Repository(MetadataHookInterface):  # type: ignore[misc]  # the build alone has hatchling
    """Fills in `readme` and `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text("utf-8")
        if repository := os.environ.get("FC_REAPER_REPOSITORY"):
            files = f"{repository}/blob/v{metadata['version']}/"
            text = re.sub(r"\]\((?!https?://|#)", f"]({files}", text)
            metadata["urls"] = {"Repository": repository, "Changelog": f"{files}CHANGELOG.md"}
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
