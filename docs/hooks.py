"""The pages of the site, for MkDocs: README.md, docs/ and what they link to, in the folders of the repository.

So a link between files of the repository is the same link on the site, and none needs to be written twice.
"""

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

LINK = re.compile(r"\]\(([^)#\s]+)|\bsrc=\"([^\"]+)\"")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the repository's files in place of those of docs/ alone, of which the style sheet stays."""
    for file in [file for file in files if file.src_dir == config.docs_dir and not file.src_uri.endswith(".css")]:
        files.remove(file)
    root = Path(config.docs_dir).parent
    for path in linked_files([root / "README.md", *sorted(Path(config.docs_dir).rglob("*.md"))], root):
        uri = path.relative_to(root).as_posix()
        files.append(File.generated(config, uri, abs_src_path=str(path)))
        if path.suffix == ".ipynb":
            files.append(File.generated(config, page_of(uri), content=notebook_as_markdown(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to a notebook lead to its page."""
    return re.sub(r"(?<=\]\()([^)#\s]+\.ipynb)(?=\))", lambda link: page_of(link[1]), markdown)


def page_of(notebook: str) -> str:
    """Return where the page of a notebook is."""
    return notebook.removesuffix(".ipynb") + ".md"


def linked_files(pages: list[Path], root: Path) -> list[Path]:
    """Return the pages and every file below the root that they lead to, directly or through other pages."""
    found = dict.fromkeys(pages)
    waiting = list(pages)
    while waiting:
        page = waiting.pop()
        text = page.read_text() if page.suffix == ".md" else ""
        for target in (link or src for link, src in LINK.findall(text)):
            path = (page.parent / target).resolve()
            if "://" not in target and path.is_file() and path.is_relative_to(root) and path not in found:
                found[path] = None
                waiting.append(path)
    return list(found)


def notebook_as_markdown(path: Path) -> str:
    """Return a notebook as a page: its text, its code, and what the code printed and drew."""
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {"text/plain": output.get("text", ())})
            if "image/png" in data:
                parts.append(f"![](data:image/png;base64,{''.join(data['image/png']).strip()})")
            else:
                parts.append(f"```text\n{''.join(data['text/plain'])}\n```")
    return "\n\n".join(parts) + "\n"


class Doctests(griffe.Extension):
    """Doctests at the end of a docstring are shown as its examples."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Give them the heading by which griffe knows examples."""
        if obj.docstring is not None:
            text, prompt, code = obj.docstring.value.partition("\n>>> ")
            if prompt:
                obj.docstring.value = f"{text}\nExamples:\n{textwrap.indent('>>> ' + code, '    ')}"
