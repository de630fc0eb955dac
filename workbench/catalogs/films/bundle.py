"""The bundled files: the catalog (real films) and what is simulated beside it, read and written."""

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workbench.catalogs.films.truth import Films

FOLDER = Path(__file__).resolve().parents[3] / "data" / "films"


@dataclass(frozen=True)
class Simulation:
    """What one run of the simulator made: `interactions`, `users` and the true `taste_groups` of the users."""

    interactions: pd.DataFrame
    users: pd.DataFrame
    taste_groups: pd.DataFrame


def films_truth() -> Films:
    """The truth of the bundled films: probabilities, taste groups and effects as the bundled data were made."""
    return Films(read_catalog(), pd.read_csv(FOLDER / "truth.csv", dtype={"user_id": str}))


def read_catalog(path: Path = FOLDER / "catalog.csv") -> pd.DataFrame:
    """The bundled catalog: real films, one row each, ids as strings, missing texts as empty strings."""
    return pd.read_csv(path, dtype={"item_id": str, "year": "int64"}, keep_default_na=False)


def write_simulation(simulation: Simulation, folder: Path = FOLDER) -> None:
    """Write `interactions.csv.gz`, `users.csv` and `truth.csv`; the same simulation gives the same bytes."""
    interactions = simulation.interactions
    times = interactions["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    texts = {
        "interactions.csv.gz": interactions.assign(timestamp=times).to_csv(index=False, lineterminator="\n"),
        "users.csv": simulation.users.to_csv(index=False, lineterminator="\n"),
        "truth.csv": simulation.taste_groups.to_csv(index=False, lineterminator="\n"),
    }
    for name, text in texts.items():
        data = text.encode()
        unfinished = folder / f".{name}.unfinished"
        # mtime=0: a gzip header carries the time of writing unless told otherwise
        unfinished.write_bytes(gzip.compress(data, compresslevel=9, mtime=0) if name.endswith(".gz") else data)
        os.replace(unfinished, folder / name)
