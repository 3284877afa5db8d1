"""README as PyPI shows it, away from the files that it links to: ``python tests/helpers/pypi_page.py SOURCE``.

It rewrites README.md of an unpacked source archive, for `dist.sh`. With ``Source`` in ``[project.urls]``, the address
of the repository, links and pictures begin with it; without, a link is its text and the name of the file, and pictures
are left out.
"""

from __future__ import annotations

import re
import sys
from email.parser import HeaderParser
from pathlib import Path

PICTURE = re.compile(r"!\[[^\]]*\]\((?P<markdown>[^)\s]+)\)|<img [^>]*\bsrc=\"(?P<html>[^\"]+)\"[^>]*>")
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
ELSEWHERE = re.compile(r"\w+:|#")
CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def page_for_pypi(readme: str, address: str | None) -> str:
    """Return README with links that lead somewhere, as seen from anywhere.

    Args:
        readme: Markdown with links to files beside it.
        address: Address of the repository, where ``/blob/HEAD/FILE`` shows a file and ``/raw/HEAD/FILE`` is one.
    """

    def picture(match: re.Match[str]) -> str:
        name = match["markdown"] or match["html"]
        if ELSEWHERE.match(name):
            return match[0]
        return match[0].replace(name, f"{address}/raw/HEAD/{name}") if address else ""

    def link(match: re.Match[str]) -> str:
        text, target = match["text"], match["target"]
        if ELSEWHERE.match(target):
            return match[0]
        if address:
            return f"[{text}]({address}/blob/HEAD/{target})"
        name = target.partition("#")[0]
        return text if text == name else f"{text} ({name})"

    parts = CODE.split(readme)  # what is at odd places is code
    parts[::2] = [LINK.sub(link, PICTURE.sub(picture, text)) for text in parts[::2]]
    return re.sub(r"\n{3,}", "\n\n", "".join(parts))


def source_address(metadata: str) -> str | None:
    """Return the address of the repository from a package's metadata, if it says one."""
    urls = dict(url.split(", ", 1) for url in HeaderParser().parsestr(metadata).get_all("Project-URL", []))
    return urls.get("Source", "").rstrip("/") or None


if __name__ == "__main__":
    source = Path(sys.argv[1])
    page = page_for_pypi((source / "README.md").read_text(), source_address((source / "PKG-INFO").read_text()))
    (source / "README.md").write_text(page)
