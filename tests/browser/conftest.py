"""What the browser tests share: the benchmarks that drive the views, and one JupyterLab."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from lab import Lab, jupyter_lab  # noqa: E402


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One server for all views, as in ``make screens``."""
    with jupyter_lab(tmp_path_factory.mktemp("lab")) as server:
        yield server
