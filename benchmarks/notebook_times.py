"""How long the notebooks take, one after the other as `make run` executes them: first with nothing saved, then again.

    python benchmarks/notebook_times.py [--dataset films] [--plain]

Results go to ``benchmarks/results/notebooks-<dataset>.json``; the exit status is 1 when a notebook fails. ``--plain``
executes only the first notebook, as on a plain laptop: torch and oneDNN limited to AVX2, where bf16 is not worth it.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from records import RESULTS, Row, machine, write_json

from workbench.notebooks import CELL_SECONDS, run_notebook

PLAIN = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


def time_notebooks(folder: Path, *, dataset: str, results: Path = RESULTS, plain: bool = False) -> Row:
    """Execute every numbered notebook of a folder twice, or the first on a plain laptop; seconds, errors, and sums."""
    page: Row = {"dataset": dataset, "machine": machine(), "notebooks": {}, "sum": {}}
    name, paths = f"notebooks-{Path(dataset).name}", sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if plain:
        page["limits"], name, paths = PLAIN, f"{name}-plain", paths[:1]
    with tempfile.TemporaryDirectory() as scratch:
        before = dict(os.environ)
        os.environ["WORKBENCH_RUNS"] = str(Path(scratch) / "runs")  # nothing is saved there yet
        os.environ.update(PLAIN if plain else {})  # read by the kernels when they start
        try:
            for which in ("first", "again"):
                for path in paths:
                    done = run_notebook(path, output=Path(scratch), dataset=dataset, cell_seconds=CELL_SECONDS)
                    row = page["notebooks"].setdefault(path.stem, {"errors": []})
                    row[f"{which}_seconds"] = round(done.seconds, 1)
                    row["errors"] += [done.error] if done.error else []
                    page["sum"][f"{which}_seconds"] = page["sum"].get(f"{which}_seconds", 0.0) + done.seconds
                    write_json(results / f"{name}.json", page)
        finally:
            os.environ.clear()
            os.environ.update(before)
    return page


def main(words: Sequence[str]) -> int:
    """Time the notebooks; 1 when one fails."""
    parser = argparse.ArgumentParser(prog="notebook_times.py", description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="films", help="a dataset's name or folder (default: films)")
    parser.add_argument("--plain", action="store_true", help="the first notebook, limited to AVX2")
    arguments = parser.parse_args(words)
    page = time_notebooks(RESULTS.parents[1] / "notebooks", dataset=arguments.dataset, plain=arguments.plain)
    return int(any(row["errors"] for row in page["notebooks"].values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
