"""Every numbered notebook, executed top to bottom without a screen, and the pages that come of it."""

import html
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

from workbench.environment import quiet_variables
from workbench.pages import outside_loads, render_page

CELL_SECONDS = 1800  # the longest one cell may take; training on ml-100k needs about 300 on two cores
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.5em;"
    "border-bottom:1px solid #ccc}.failed{color:#b00020;font-weight:bold}"
)


@dataclass(frozen=True)
class Outcome:
    """What became of one notebook.

    Attributes:
        name: The file's name without its suffix.
        title: Its first heading.
        promise: The first paragraph below the heading.
        seconds: How long the execution took.
        error: Why it failed, in one line; empty when it passed.
    """

    name: str
    title: str
    promise: str
    seconds: float
    error: str


def run_notebooks(folder: Path, *, output: Path, dataset: str = "films", cell_seconds: int = CELL_SECONDS) -> int:
    """Execute every `NN_*.ipynb` of a folder and write one page each, and an index of them.

    A notebook that fails still gets its page, with the traceback, and the others still run.

    Args:
        folder: Where the notebooks lie; they are executed there and never changed.
        output: Where the pages go; pages of an earlier run are removed.
        dataset: A dataset's name or folder, put into the cell tagged `parameters` and into `WORKBENCH_DATASET`.
        cell_seconds: The longest one cell may take.

    Returns:
        0 when every notebook passed, otherwise 1.
    """
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        print(f"No notebook named like 00_start_here.ipynb in {folder}; nothing was run.")
        return 1
    if Path(dataset).is_dir() and (os.sep in dataset or dataset.startswith(".")):
        dataset = str(Path(dataset).resolve())  # the kernel runs in another folder
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("*.html"):
        old.unlink()
    outcomes = []
    for number, path in enumerate(paths, start=1):
        print(f"Notebook {number} of {len(paths)}: {path.stem} on {dataset}", flush=True)
        outcomes.append(run_notebook(path, output=output, dataset=dataset, cell_seconds=cell_seconds))
        write_whole(output / "index.html", index_page(outcomes, dataset=dataset))
    failed = [outcome.name for outcome in outcomes if outcome.error]
    seconds = sum(outcome.seconds for outcome in outcomes)
    print(
        f"{len(outcomes) - len(failed)} of {len(outcomes)} notebooks passed in {seconds:.0f} s; see {output}/index.html"
    )
    if failed:
        print("Failed: " + ", ".join(failed))
    return int(bool(failed))


def run_notebook(path: Path, *, output: Path, dataset: str, cell_seconds: int) -> Outcome:
    """Execute one notebook, write its page and say what became of it."""
    notebook = with_dataset(nbformat.read(path, as_version=4), dataset=dataset)
    title, promise = title_and_promise(notebook, name=path.stem)
    began = time.monotonic()
    error = execute(notebook, name=path.stem, folder=path.parent, dataset=dataset, cell_seconds=cell_seconds)
    seconds = time.monotonic() - began
    notice = f"This notebook failed: {error}" if error else ""
    page = render_page(notebook, name=path.stem, folder=str(path.parent), notice=notice)
    if not error and (loads := outside_loads(page)):
        error = f"the page would fetch {loads[0]}; put what it needs into the page"
    write_whole(output / f"{path.stem}.html", page)
    print(f"{path.stem}: {'FAILED, ' + error if error else 'passed'}, {seconds:.1f} s", flush=True)
    return Outcome(path.stem, title, promise, seconds, error)


def execute(notebook: nbformat.NotebookNode, *, name: str, folder: Path, dataset: str, cell_seconds: int) -> str:
    """Run all cells in a new kernel, outputs into the notebook; returns the error in one line, or nothing."""
    runnable = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]
    current: dict[str, float] = {}

    def start(cell: nbformat.NotebookNode, cell_index: int) -> None:
        current.update(index=cell_index, began=time.monotonic())
        print(f"{name}  cell {runnable.index(cell_index) + 1} of {len(runnable)}", end="", flush=True)

    def finish(cell: nbformat.NotebookNode, cell_index: int, execute_reply: dict) -> None:
        print(f"  {time.monotonic() - current['began']:.1f} s", flush=True)

    with tempfile.TemporaryDirectory() as own:  # the person's own IPython start-up files stay out of it
        client = NotebookClient(
            notebook,
            timeout=cell_seconds,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            on_cell_execute=start,
            on_cell_executed=finish,
            config=Config({"KernelManager": {"transport_encryption": "auto"}}),  # other people on this machine
        )
        settings = {"WORKBENCH_DATASET": dataset, "PLOTLY_RENDERER": "plotly_mimetype", "IPYTHONDIR": own}
        try:
            client.execute(env=quiet_variables() | settings)
        except CellExecutionError as error:  # the traceback is already among the outputs
            return f"{error.ename}: {error.evalue}".strip().splitlines()[0]
        except Exception as error:  # a timeout or a dead kernel leaves no trace in the notebook, so it is written there
            print(flush=True)
            lines = str(error).strip().splitlines() or [type(error).__name__]
            place = notebook.cells[int(current["index"])] if current else nbformat.v4.new_code_cell()
            place.outputs.append(
                nbformat.v4.new_output("error", ename=type(error).__name__, evalue="", traceback=lines)
            )
            return f"{type(error).__name__}: {lines[0]}"
    return ""


def with_dataset(notebook: nbformat.NotebookNode, *, dataset: str) -> nbformat.NotebookNode:
    """The notebook with a cell `DATASET = ...` after the one tagged `parameters`; as it is when none is tagged."""
    for index, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", ()):
            added = nbformat.v4.new_code_cell(f"DATASET = {dataset!r}", metadata={"tags": ["injected-parameters"]})
            notebook.cells.insert(index + 1, added)
            break
    return notebook


def title_and_promise(notebook: nbformat.NotebookNode, *, name: str) -> tuple[str, str]:
    """The first heading and the first paragraph below it, without markdown's marks."""
    text = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")
    heading, _, below = text.strip().partition("\n")
    if not heading.startswith("#"):
        heading, below = name, text
    promise = re.split(r"\n\s*\n", below.strip())[0]
    return plain(heading.lstrip("# ")), plain(promise)


def plain(markdown: str) -> str:
    """One line of text without emphasis, code marks and links' addresses.

    Examples:
        >>> plain("a **bold** `name` and [a link](http://a.example)")
        'a bold name and a link'
    """
    return " ".join(re.sub(r"[*`]|\[([^]]*)\]\([^)]*\)", r"\1", markdown).split())


def index_page(outcomes: list[Outcome], *, dataset: str) -> str:
    """The page that lists the pages."""
    rows = ""
    for outcome in outcomes:
        result = f'<td class="failed">failed: {html.escape(outcome.error)}</td>' if outcome.error else "<td>passed</td>"
        link = f'<a href="{html.escape(outcome.name)}.html">{html.escape(outcome.title)}</a>'
        promise = f"<td>{html.escape(outcome.promise)}</td><td>{outcome.seconds:.0f}</td>"
        rows += f"<tr><td>{link}</td>{promise}{result}</tr>\n"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Notebooks</title>\n'
        f"<style>{STYLE}</style></head><body><h1>Notebooks</h1>\n"
        f"<p>Executed top to bottom on <code>{html.escape(dataset)}</code>.</p>\n"
        "<table><tr><th>Notebook</th><th>Promise</th><th>Seconds</th><th>Result</th></tr>\n"
        f"{rows}</table></body></html>\n"
    )


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody ever sees half of it."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
