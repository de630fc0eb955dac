"""The notebooks with a wrong recommender: their closing assertions must notice.

    make prove-notebooks
    python benchmarks/prove_notebooks.py [05_attention ...] [--dataset films]

Each model notebook is executed as it is, which must be green, and once per swap of ``swapped.py`` (popularity behind
GPT-2's interface, random weights, shuffled item rows), which must turn at least one closing assertion red. The
assertions are tried one by one, so the table names all that notice. Anything else that goes wrong counts as a failure.
The result is kept in ``benchmarks/results/swaps-<dataset>.json``; notebooks that are not named keep their rows. The
exit status is 1 when a swap goes unnoticed.
"""

import argparse
import ast
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
from records import RESULTS, Row, machine, write_json
from swapped import SWAPS

from workbench.notebooks import CELL_SECONDS, execute, with_dataset

HERE = Path(__file__).resolve().parent
NOTEBOOKS = (
    "02_fine_tuning",
    "03_evaluation",
    "04_embedding_maps",
    "05_attention",
    "06_recommendations",
    "07_playground",
)
AS_IT_IS = "as it is"
MARK = "closing assertion: "


def prove(notebook: Path, *, swap: str, dataset: str) -> Row:
    """Execute one notebook with one swap.

    Returns:
        ``green`` and ``red``, the sentences of the assertions that held and did not, ``error`` (empty unless something
        else failed) and ``as_it_should``: all green as it is, at least one red when swapped.
    """
    page = with_dataset(nbformat.read(notebook, as_version=4), dataset=dataset)
    closing = [cell for cell in page.cells if cell.cell_type == "code"][-1]
    closing.source = one_by_one(closing.source)
    if swap != AS_IT_IS:
        page.cells.insert(0, nbformat.v4.new_code_cell(injection(swap)))
    title = f"{notebook.stem}, {swap}"
    error = execute(page, name=title, folder=notebook.parent, dataset=dataset, cell_seconds=CELL_SECONDS)
    told = [json.loads(line.removeprefix(MARK)) for line in printed(closing) if line.startswith(MARK)]
    red = [claim for claim, holds in told if not holds]
    as_it_should = not error and bool(told) and bool(red) == (swap != AS_IT_IS)
    green = [claim for claim, holds in told if holds]
    return {"green": green, "red": red, "error": error, "as_it_should": as_it_should}


def injection(swap: str) -> str:
    """The cell that stands before all others."""
    return f"import sys\nsys.path.append({str(HERE)!r})\nimport swapped\nswapped.install({swap!r})"


def one_by_one(source: str) -> str:
    """A cell whose assertions are all tried, and each tells how it went instead of ending the cell.

    Raises:
        ValueError: If the cell asserts nothing.
    """
    statements = ast.parse(source).body
    if not any(isinstance(statement, ast.Assert) for statement in statements):
        raise ValueError(f"the closing cell asserts nothing; a notebook's last code cell must. It reads:\n{source}")
    lines = []
    for statement in statements:
        text = ast.unparse(statement)
        if isinstance(statement, ast.Assert):
            claim = ast.unparse(statement.msg or statement.test)
            claim = claim if statement.msg else repr(claim)
            told = [f"print({MARK!r} + __import__('json').dumps([{claim}, {holds}]))" for holds in (True, False)]
            text = f"try:\n    {text}\n    {told[0]}\nexcept AssertionError:\n    {told[1]}"
        lines.append(text)
    return "\n".join(lines)


def printed(cell: nbformat.NotebookNode) -> list[str]:
    """The lines a cell has printed."""
    text = "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")
    return text.splitlines()


def table_text(rows: dict[str, dict[str, Row]]) -> str:
    """Notebook by swap, and which assertions went red."""
    lines = []
    for notebook, swaps in rows.items():
        for swap, row in swaps.items():
            found = row["error"] or "; ".join(row["red"]) or "all green"
            lines.append(f"{'ok ' if row['as_it_should'] else 'BAD'}  {notebook:<18} {swap:<20} {found}")
    return "\n".join(lines)


def main(words: Sequence[str]) -> int:
    """Execute everything; 1 when a swap goes unnoticed or a notebook is not green as it is."""
    parser = argparse.ArgumentParser(prog="prove_notebooks.py", description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="films", help="a dataset's name or folder (default: films)")
    parser.add_argument("notebooks", nargs="*", default=NOTEBOOKS, help="all model notebooks when none is named")
    wanted = parser.parse_args(words)
    dataset, path = wanted.dataset, RESULTS / f"swaps-{Path(wanted.dataset).name}.json"
    rows: dict[str, dict[str, Row]] = json.loads(path.read_text("utf-8"))["notebooks"] if path.is_file() else {}
    for name in wanted.notebooks:
        for swap in (AS_IT_IS, *SWAPS):
            notebook = HERE.parent / "notebooks" / f"{name}.ipynb"
            rows.setdefault(name, {})[swap] = prove(notebook, swap=swap, dataset=dataset)
            write_json(path, {"dataset": dataset, "machine": machine(), "notebooks": rows})
    print(table_text(rows))
    return int(not all(row["as_it_should"] for swaps in rows.values() for row in swaps.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
