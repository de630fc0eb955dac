"""Runs on disk: train once, open ever after."""

import os
from pathlib import Path

import platformdirs

from workbench.catalogs import Split
from workbench.language import Spelling
from workbench.models.gpt2 import GPT2Recommender
from workbench.training.config import TrainingConfig
from workbench.training.fine_tune import fine_tune
from workbench.training.keys import run_key


def runs_folder() -> Path:
    """Where runs are kept: ``WORKBENCH_RUNS``, else ``runs/`` of the checkout, else the user's data folder."""
    if os.environ.get("WORKBENCH_RUNS"):
        return Path(os.environ["WORKBENCH_RUNS"])
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "runs"
    return Path(platformdirs.user_data_dir("workbench")) / "runs"


def run_folder(
    split: Split, *, base: str, spelling: str | Spelling, config: TrainingConfig, inside: str | Path | None = None
) -> Path:
    """Where the run with these settings on this data is kept; ``inside`` is the folder of all runs."""
    key = run_key(split, base=base, spelling=spelling, config=config)
    how = spelling if isinstance(spelling, str) else spelling.how
    written = "" if how == "atomic" else f"-{how}"
    name = f"{split.dataset.name}-{Path(base).name}{written}-{key[:10]}"
    return Path(inside or runs_folder()) / "".join(c if c.isalnum() or c in "-._" else "_" for c in name)


def saved_run(
    split: Split,
    *,
    base: str = "small",
    spelling: str | Spelling = "atomic",
    config: TrainingConfig | None = None,
    folder: str | Path | None = None,
) -> GPT2Recommender:
    """The run with exactly these settings on exactly this data: read from disk, or trained now and saved.

    Args:
        split: The data; its tables are part of the key.
        base: As in ``fine_tune``.
        spelling: As in ``fine_tune``.
        config: As in ``fine_tune``.
        folder: Where runs are kept; see ``runs_folder`` when None.

    Raises:
        ValueError: If the saved run is damaged or altered; the message says which file.
    """
    config = config or TrainingConfig()
    path = run_folder(split, base=base, spelling=spelling, config=config, inside=folder)
    try:
        return GPT2Recommender.load(path, catalog=split.dataset.catalog)
    except FileNotFoundError:  # no run yet
        return fine_tune(split, base=base, spelling=spelling, config=config, folder=path)
