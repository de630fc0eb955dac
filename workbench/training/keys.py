"""The key of a run: a hash of everything that decides its weights, so that a saved run is found again or not at all."""

import hashlib
import json
from dataclasses import asdict

import pandas as pd

from workbench.catalogs import Split
from workbench.language import Spelling
from workbench.training.config import TrainingConfig

RECIPE = 3  # raise it when the same settings would give other weights


NEW = {"context": (), "profile": (), "reviews": 0}  # left out where unused: runs of before have the key they had


def run_key(split: Split, *, base: str, spelling: str | Spelling, config: TrainingConfig) -> str:
    """Hexadecimal digest of the split's tables and the settings, 64 characters."""
    settings = {name: value for name, value in asdict(config).items() if name not in NEW or value != NEW[name]}
    how = spelling if isinstance(spelling, str) else [spelling.how, spelling.codes]
    digest = hashlib.sha256(json.dumps([RECIPE, base, how, settings], sort_keys=True).encode())
    tables = [split.dataset.catalog, split.train, split.validation]
    if config.profile:
        tables.append(split.dataset.users)
    for table in tables:
        text = table.astype(str)
        digest.update("|".join(text.columns).encode())
        digest.update(pd.util.hash_pandas_object(text, index=False).to_numpy().tobytes())
    return digest.hexdigest()
