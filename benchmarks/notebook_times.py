"""How long the notebooks take, one after the other as `make run` executes them: first with nothing saved, then again.

    python benchmarks/notebook_times.py [--dataset films]

Results go to ``benchmarks/results/notebooks-<dataset>.json``; the exit status is 1 when a notebook fails.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from records import RESULTS, Row, machine, write_json

from workbench.notebooks import CELL_SECONDS, run_notebook


def time_notebooks(folder: Path, *, dataset: str, results: Path = RESULTS) -> Row:
    """Execute every numbered notebook of a folder twice; seconds and errors per notebook, and the sums."""
    page: Row = {"dataset": dataset, "machine": machine(), "notebooks": {}, "sum": {}}
    with tempfile.TemporaryDirectory() as scratch:
        before = os.environ.get("WORKBENCH_RUNS")
        os.environ["WORKBENCH_RUNS"] = str(Path(scratch) / "runs")  # nothing is saved there yet
        try:
            for which in ("first", "again"):
                for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
                    done = run_notebook(path, output=Path(scratch), dataset=dataset, cell_seconds=CELL_SECONDS)
                    row = page["notebooks"].setdefault(path.stem, {"errors": []})
                    row[f"{which}_seconds"] = round(done.seconds, 1)
                    row["errors"] += [done.error] if done.error else []
                    page["sum"][f"{which}_seconds"] = page["sum"].get(f"{which}_seconds", 0.0) + done.seconds
                    write_json(results / f"notebooks-{Path(dataset).name}.json", page)
        finally:
            os.environ.pop("WORKBENCH_RUNS")
            if before is not None:
                os.environ["WORKBENCH_RUNS"] = before
    return page


def main(words: Sequence[str]) -> int:
    """Time the notebooks; 1 when one fails."""
    parser = argparse.ArgumentParser(prog="notebook_times.py", description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="films", help="a dataset's name or folder (default: films)")
    page = time_notebooks(RESULTS.parents[1] / "notebooks", dataset=parser.parse_args(words).dataset)
    return int(any(row["errors"] for row in page["notebooks"].values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
