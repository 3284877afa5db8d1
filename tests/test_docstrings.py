"""The docstrings of both packages are in one dialect: whole phrases in Args and Attributes, conditions in Raises."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "dqn_mer").rglob("*.py"), *(ROOT / "envs" / "continual_ple").rglob("*.py")])
PHRASES, CONDITIONS = ("Args", "Attributes"), ("Raises",)
FRAGMENT = re.compile(r"(At(?! least)|By|For|From|In|Of|On|That|To|With|Without|Which|Whose|Its|Their)\b")
"""How a fragment begins that leaves out the noun which it describes."""


def entries(docstring: str) -> Iterator[tuple[str, str, str]]:
    """Yield section, name and text of every entry of the sections that have entries."""
    section, entry = "", ""
    for line in [*inspect.cleandoc(docstring).splitlines(), "end"]:
        if line.startswith(" " * 8) and entry:
            entry += " " + line.strip()
            continue
        if entry:
            name, _, text = entry.partition(": ")
            yield section, name, text
        entry = ""
        if line and not line.startswith(" "):
            section = line[:-1] if line[:-1] in PHRASES + CONDITIONS and line.endswith(":") else ""
        elif line and section:
            entry = line.strip()


def mistakes(docstring: str) -> list[str]:
    """Return the entries that are not in the dialect."""
    wrong = []
    for section, name, text in entries(docstring):
        if section in PHRASES:
            good = re.match("[^a-z]", text) and not FRAGMENT.match(text)
        else:
            good = text.startswith(("if ", "as "))
        if not good or not text.endswith("."):
            wrong.append(f"{name}: {text}")
    return wrong


def documented(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and docstring of everything in a file that has one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            if docstring is not None:
                yield node.body[0].lineno, docstring


def test_every_entry_is_in_the_dialect() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {mistake}"
        for path in FILES
        for line, docstring in documented(path)
        for mistake in mistakes(docstring)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_entries_of_both_packages_are_seen() -> None:
    counts = dict.fromkeys(PHRASES + CONDITIONS, 0)
    for path in FILES:
        for _, docstring in documented(path):
            for section, _, _ in entries(docstring):
                counts[section] += 1
    assert min(counts.values()) > 100


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("Args", "of the run."),
        ("Args", "Of the run."),
        ("Args", "the run's configuration."),
        ("Args", "Configuration of the run"),
        ("Attributes", "Its folder."),
        ("Raises", "A value is not allowed."),
        ("Raises", "If a value is not allowed."),
        ("Raises", "in one line, if a value is not allowed."),
        ("Raises", "if a value is not allowed"),
    ],
)
def test_another_dialect_is_refused(section: str, text: str) -> None:
    first, _, rest = text.partition(" ")
    docstring = (
        f"Do it.\n\n    {section}:\n        name: {first}\n            {rest}\n\n    More of it: with a colon.\n"
    )
    assert mistakes(docstring) == [f"name: {text}"]


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ("Args", "Configuration of the run."),
        ("Args", "``(n, actions)`` float32, at least one row."),
        ("Args", "At least one picture."),
        ("Attributes", "ε after the decay."),
        ("Raises", "if a value is not allowed; the message names it."),
        ("Raises", "as `learning_accuracy`."),
    ],
)
def test_the_dialect_is_accepted(section: str, text: str) -> None:
    assert mistakes(f"Do it.\n\n    {section}:\n        name: {text}\n") == []
