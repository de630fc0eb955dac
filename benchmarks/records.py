"""Where measured figures are kept: per dataset one JSON file, and ranks and lists behind it as Parquet files.

A page is written after every row, whole or not at all, so that a benchmark that was stopped goes on where it was. Each
row carries the key of what it was measured on; another split or another setting makes another key, and the row is
measured again.
"""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.catalogs import Split
from workbench.evaluation import HeldOutRanks

RESULTS = Path(__file__).resolve().parent / "results"
LIMIT = 20  # ranks up to here are exact, and kept
PLACES = 10  # of lists that are kept
OUT_OF_TIME = "out of time"  # how a training ended that its cap ended
Row = dict[str, Any]


class Page:
    """The figures of one dataset and the ranks they come from.

    Attributes:
        path: The JSON file; the ranks lie beside it as ``<name>-ranks.parquet``.
        figures: What the JSON file holds.
        ranks: One column of ranks per measured ranker, indexed by user; ``inf`` beyond the limit.
        lists: What was recommended, ten columns per ranker whose lists are kept, ``"<name> 1"`` to ``"<name> 10"``:
            the catalog row of each place, -1 for none; indexed by user, in ``<name>-lists.parquet``.
    """

    def __init__(self, path: Path) -> None:
        """Open the page, or begin it."""
        self.path = path
        self.figures: Row = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        self.ranks, self.lists = (self._table(kind) for kind in ("ranks", "lists"))

    def once(
        self, *names: str, key: str, make: Callable[[], tuple[Row, HeldOutRanks | None]], lists: bool = False
    ) -> Row:
        """The row at ``figures[names[0]][names[1]]...``; measured and saved now unless it is there under this key.

        Args:
            names: Where the row stands; the last name is also the column of its ranks.
            key: What the row was measured on, see ``fingerprint``.
            make: Measures it: the row, and the ranks to keep (or None).
            lists: Whether the first ten places of everybody's list are kept as well.
        """
        place = self.figures
        for name in names[:-1]:
            place = place.setdefault(name, {})
        title, row = " / ".join(names), place.get(names[-1])
        if row and row["key"] == key and (not row.get("ranks") or names[-1] in self.ranks):
            say(f"{self.path.stem}: {title}: as measured {row['measured']}")
            return row
        say(f"{self.path.stem}: {title}: begun")
        begun = time.monotonic()
        row, ranks = make()
        row |= {"key": key, "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "ranks": ranks is not None}
        place[names[-1]] = row
        if ranks is not None:
            users = pd.Index(ranks.user_ids, dtype="str", name="user_id")
            self._keep("ranks", pd.DataFrame({names[-1]: ranks.ranks.astype(np.float32)}, index=users))
            if lists:
                places = [f"{names[-1]} {place}" for place in range(1, PLACES + 1)]
                shown = ranks.shown[:, :PLACES].astype(np.int16 if ranks.shown.max() < 2**15 else np.int32)
                self._keep("lists", pd.DataFrame(shown, index=users, columns=places))
        self.save()
        say(f"{self.path.stem}: {title}: done in {time.monotonic() - begun:.0f} s")
        return row

    def held_out(self, name: str) -> HeldOutRanks:
        """The kept ranks of one ranker, as ``compare`` takes them."""
        ranks = self.ranks[name].to_numpy(dtype=float)
        return HeldOutRanks(self.ranks.index.to_numpy(dtype=object), ranks, np.empty((len(ranks), 0)), limit=LIMIT)

    def save(self) -> None:
        """Write the figures, whole or not at all."""
        write_json(self.path, self.figures)

    def _table(self, kind: str) -> pd.DataFrame:
        path = self._path(kind)
        return pd.read_parquet(path) if path.is_file() else pd.DataFrame()

    def _path(self, kind: str) -> Path:
        return self.path.with_name(f"{self.path.stem}-{kind}.parquet")

    def _keep(self, kind: str, columns: pd.DataFrame) -> None:
        """Add columns to a table; those of other users belong to another split and go."""
        table, path = getattr(self, kind), self._path(kind)
        kept = (
            table.drop(columns=columns.columns, errors="ignore") if list(table.index) == list(columns.index) else None
        )
        table = columns if kept is None else pd.concat([kept, columns], axis=1)
        setattr(self, kind, table)
        draft = path.with_name(path.name + ".part")
        draft.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(draft, compression="zstd")
        os.replace(draft, path)


def write_json(path: Path, figures: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(figures, indent=1, ensure_ascii=False, default=plain) + "\n", "utf-8")
    os.replace(draft, path)


def plain(value: Any) -> Any:
    """What JSON does not know, as what it knows: NumPy's numbers and arrays."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def fingerprint(split: Split, *settings: Any) -> str:
    """Twelve hexadecimal digits of the split's tables and of settings; the same again only for the same measurement."""
    digest = hashlib.sha256(repr(settings).encode())
    for table in (split.dataset.catalog, split.train, split.validation, split.test):
        digest.update(pd.util.hash_pandas_object(table.astype(str), index=False).to_numpy().tobytes())
    return digest.hexdigest()[:12]


def quantiles(name: str, times: Sequence[float]) -> Row:
    """Median and 95th percentile in milliseconds, and of how many."""
    middle, high = np.quantile(times, [0.5, 0.95])
    return {f"{name}_p50_ms": round(float(middle), 1), f"{name}_p95_ms": round(float(high), 1), f"{name}s": len(times)}


def curve_of(log: pd.DataFrame) -> list[Row]:
    """What a run was worth when: seconds of training and validation NDCG@10 of each validation in its log."""
    curve = log[["seconds", "validation_ndcg@10"]].rename(columns={"validation_ndcg@10": "ndcg@10"})
    return curve.round(5).to_dict("records")


def seconds_to_reach(curve: Sequence[Mapping[str, float]], ndcg: float) -> float | None:
    """Training seconds at the first validation with this NDCG@10 or more; None if the curve never gets there.

    Example:
        >>> seconds_to_reach([{"seconds": 5.0, "ndcg@10": 0.1}, {"seconds": 9.0, "ndcg@10": 0.3}], 0.2)
        9.0
    """
    return next((point["seconds"] for point in curve if point["ndcg@10"] >= ndcg), None)


def machine() -> Row:
    """What the figures were measured on; ``load`` says how busy it was with other things."""
    import torch
    import transformers

    return {
        "cpus": os.cpu_count(),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def say(sentence: str) -> None:
    """One line of progress, with the time."""
    print(f"{datetime.now():%H:%M:%S}  {sentence}", flush=True)
