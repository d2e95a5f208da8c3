"""A hook of MkDocs: show the notebooks of ``examples/`` as pages, with what they put out when they were run.

``python -m docs._notebooks [NAME ...]``, or ``make notebooks``, runs them anew and saves them.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_NOTEBOOK = re.compile(r"\]\(\.\./((?:\.\./)*)examples/([\w-]+)\.ipynb")
EXAMPLES = Path(__file__).parents[1] / "examples"
FOLDER = "examples"
"""Where their pages are, below the site."""
_LINK = re.compile(r"\]\(\.\./docs/")
"""Links of a notebook lead into the documentation's source, as on GitHub; of its page to the pages themselves."""


def on_files(files: Files, *, config: Any) -> Files:
    """Add a page for each notebook, and its pictures; MkDocs calls this before it reads any page."""
    for notebook in sorted(EXAMPLES.glob("*.ipynb")):
        text, pictures = page(json.loads(notebook.read_text()), notebook.stem)
        files.append(File.generated(config, f"{FOLDER}/{notebook.stem}.md", content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"{FOLDER}/{name}", content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to a notebook lead to its page; MkDocs calls this before it reads the page."""
    return _NOTEBOOK.sub(r"](\1examples/\2.md", markdown)


def page(notebook: dict[str, Any], name: str) -> tuple[str, dict[str, bytes | str]]:
    """Return a notebook as Markdown, and its pictures by their names.

    Args:
        notebook: as it is saved, of format 4.
        name: of its file, without an ending.
    """
    pictures: dict[str, bytes | str] = {}
    parts = list[str]()
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(_LINK.sub("](../", source))
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            parts += _shown(output, f"{name}-{number}", pictures)
    first, *rest = parts
    note = f"*This page is the notebook `examples/{name}.ipynb`, with what it put out when it was run.*"
    return "\n\n".join([first, note, *rest]) + "\n", pictures


def _shown(output: dict[str, Any], name: str, pictures: dict[str, bytes | str]) -> Iterator[str]:
    """Write what a cell put out: a picture where there is one, else its text."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/svg+xml" in data:
        pictures[f"{name}.svg"] = "".join(data["image/svg+xml"])
        yield f"![What this cell draws]({name}.svg)"
    elif "image/png" in data:
        pictures[f"{name}.png"] = base64.b64decode("".join(data["image/png"]))
        yield f"![What this cell draws]({name}.png)"
    elif text := "".join(data["text/plain"]).strip("\n"):
        yield f'```text title="Output"\n{text}\n```'


def run(notebook: Path, *, timeout_s: int = 600) -> Any:
    """Run a notebook in an empty directory, and return it with what it put out.

    Raises:
        ModuleNotFoundError: if Jupyter isn't installed, which the extra ``notebook`` brings.
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    import nbclient
    import nbformat

    read = nbformat.read(notebook, 4)
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        nbclient.NotebookClient(read, timeout=timeout_s, kernel_name="python3", resources=where).execute()
    for cell in read.cells:
        cell.metadata.pop("execution", None)  # when each cell ran
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    return read


def main(names: list[str]) -> None:
    """Run those of these names, or all, and save them."""
    import nbformat

    for notebook in sorted(EXAMPLES.glob("*.ipynb")):
        if not names or notebook.stem in names:
            nbformat.write(run(notebook), notebook)


if __name__ == "__main__":
    main(sys.argv[1:])
