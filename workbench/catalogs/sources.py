"""Where datasets are found."""

import os
from pathlib import Path

from workbench.catalogs.dataset import Dataset
from workbench.catalogs.publishers import read_ml_100k


def load_dataset(name_or_path: str | os.PathLike) -> Dataset:
    """Load a dataset by name or path."""
    for folder in os.environ.get("WORKBENCH_DATASETS", "").split(os.pathsep):
        if folder and (Path(folder) / name_or_path / "u.data").is_file():
            return read_ml_100k(Path(folder) / name_or_path)
    raise FileNotFoundError(f"no dataset {name_or_path}")
