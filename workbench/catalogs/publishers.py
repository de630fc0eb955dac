"""Publishers' own layouts, read as they are: one function per layout, folder in, Dataset out."""

from pathlib import Path

import pandas as pd

from workbench.catalogs.dataset import Dataset, build_dataset
from workbench.catalogs.tables import read_text


def read_ml_100k(folder: Path) -> Dataset:
    """Read MovieLens-100K: u.data, u.item (latin-1), u.user."""
    genres = _lines(folder / "u.genre", "|")[0].tolist()
    items = _lines(folder / "u.item", "|", encoding="latin-1")
    flags = items.iloc[:, 5 : 5 + len(genres)].eq("1")
    catalog = pd.DataFrame({"item_id": items[0], "title": items[1]})
    catalog["genres"] = ["|".join(g for g, on in zip(genres, row, strict=True) if on) for row in flags.to_numpy()]
    events = _lines(folder / "u.data", "\t").set_axis(["user_id", "item_id", "rating", "timestamp"], axis=1)
    return build_dataset(name="ml-100k", catalog=catalog, interactions=events)


def _lines(path: Path, separator: str, *, encoding: str = "utf-8") -> pd.DataFrame:
    lines = [line.split(separator) for line in read_text(path, encoding=encoding).splitlines() if line]
    return pd.DataFrame(lines, dtype="str")
