"""Pages of the site that live elsewhere: the README is its first page, clients and scorecards have theirs.

Links of a page are read as GitHub reads them, from where the file lies, and written as the site has them. What is
linked to and is no page (a picture, the licence) goes along as a file. MkDocs itself says what leads nowhere.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<=\]\()([^)#\s]+)(?=[)#])")


def on_files(files: Files, config: Any) -> Files:
    for path in elsewhere():
        files.append(File.generated(config, address(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    here = source(page.file.src_uri)

    def rewritten(found: re.Match[str]) -> str:
        link = found[1]
        if "://" in link or link.startswith("mailto:"):
            return link
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link))
        return posixpath.relpath(address(target), posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(rewritten, markdown)


def elsewhere() -> list[str]:
    """Pages and pictures outside of docs/, as paths in the repository."""
    found = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "NOTICE", "CITATION.cff"]
    for pattern in ("clients/*/README.md", "presets/models/*.md", "presets/models/*.png"):
        found += sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))
    return [path for path in found if (ROOT / path).is_file()]


def address(path: str) -> str:
    """A path in the repository as the site's."""
    return "index.md" if path == "README.md" else path.removeprefix("docs/")


def source(uri: str) -> str:
    """The site's path as the repository's."""
    if uri == "index.md":
        return "README.md"
    return uri if uri in elsewhere() else f"docs/{uri}"
