"""The key of a run: a hash of everything that decides its weights, so that a saved run is found again or not at all."""

import hashlib
import json
from dataclasses import asdict

import pandas as pd

from workbench.catalogs import Split
from workbench.training.config import TrainingConfig

RECIPE = 3  # raise it when the same settings would give other weights


def run_key(split: Split, *, base: str, spelling: str, config: TrainingConfig) -> str:
    """Hexadecimal digest of the split's tables and the settings, 64 characters."""
    digest = hashlib.sha256(json.dumps([RECIPE, base, spelling, asdict(config)], sort_keys=True).encode())
    for table in (split.dataset.catalog, split.train, split.validation):
        text = table.astype(str)
        digest.update("|".join(text.columns).encode())
        digest.update(pd.util.hash_pandas_object(text, index=False).to_numpy().tobytes())
    return digest.hexdigest()
