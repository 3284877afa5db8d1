"""The code in the pages of docs/."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[tuple[str, str]]:
    """Return language and code of every block of a page, in order: a test that names each leaves none out."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def entry_point(toml: str) -> tuple[str, str, str]:
    """Return group, name and object of the entry point that a block of pyproject.toml gives to ``my_package``."""
    found = re.fullmatch(r'\[project\.entry-points\."([\w.]+)"\]\n(\w+) = "my_package:(\w+)"\n', toml)
    assert found is not None, toml
    return found[1], found[2], found[3]
