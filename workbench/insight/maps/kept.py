"""Results that took long, kept on disk under a hash of everything that decides them."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.training.runs import runs_folder


def content_key(vectors: pd.DataFrame, **settings: Any) -> str:
    """Hexadecimal hash of vectors, whose they are, and the settings of what is made of them; 64 characters.

    Example:
        >>> index = pd.MultiIndex.from_tuples([("item", "a")], names=["kind", "id"])
        >>> vectors = pd.DataFrame([[0.0, 1.0]], index=index)
        >>> content_key(vectors, seed=0) == content_key(vectors + 0, seed=0) != content_key(vectors, seed=1)
        True
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(json.dumps(vectors.index.tolist()).encode())
    digest.update(np.ascontiguousarray(vectors.to_numpy(dtype=np.float32)).tobytes())
    return digest.hexdigest()


def read_kept(key: str, folder: str | Path | None = None) -> tuple[pd.DataFrame, dict[str, Any]] | None:
    """The table kept under a key and what is known of it, or None; a damaged file is as good as none.

    Args:
        key: From ``content_key``.
        folder: Where results are kept; ``maps`` inside ``runs_folder()`` when None.
    """
    try:
        table = pd.read_parquet(_path(key, folder), page_checksum_verification=True)
    except (OSError, ValueError):  # not there, or damaged: pyarrow raises one or the other, depending on where
        return None
    if table.attrs.pop("key", None) != key:
        return None
    facts, table.attrs = table.attrs, {}
    return table, facts


def keep(table: pd.DataFrame, *, key: str, folder: str | Path | None = None, **facts: Any) -> None:
    """Keep a table, and facts about it that JSON can hold, as one Parquet file, whole or not at all."""
    path = _path(key, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = table.copy()
    kept.attrs = {"key": key, **facts}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        kept.to_parquet(draft, write_page_checksum=True)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _path(key: str, folder: str | Path | None) -> Path:
    return Path(folder or runs_folder() / "maps") / f"{key[:16]}.parquet"
