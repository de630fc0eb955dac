"""The key of a run: a hash of everything that decides its weights, so that a saved run is found again or not at all."""

import hashlib
import json
from dataclasses import asdict

import pandas as pd

from workbench.catalogs import Split
from workbench.language import Spelling
from workbench.training.config import TrainingConfig
from workbench.training.sizing import sized

RECIPES = {"atomic": 4, "semantic": 4, "title": 4}  # raise one when the same settings would give other weights
RECIPE_OF_MARKS = 3  # the same for runs that learn context or profile
NEW = {
    "context": (),
    "profile": (),
    "reviews": 0,
    "negatives": None,
}  # left out where unused: runs of before have the key they had


def run_key(split: Split, *, base: str, spelling: str | Spelling, config: TrainingConfig) -> str:
    """Hexadecimal digest of the split's tables and the settings, 64 characters."""
    settings = {
        name: value for name, value in asdict(sized(config, split)).items() if name not in NEW or value != NEW[name]
    }
    if config.context or config.profile:
        settings["recipe_of_marks"] = RECIPE_OF_MARKS
    name, how = (spelling, spelling) if isinstance(spelling, str) else (spelling.how, [spelling.how, spelling.codes])
    digest = hashlib.sha256(json.dumps([RECIPES[name], base, how, settings], sort_keys=True).encode())
    tables = [split.dataset.catalog, split.train, split.validation]
    if config.profile and split.dataset.users is not None:
        tables.append(split.dataset.users)
    for table in tables:
        text = table.astype(str)
        digest.update("|".join(text.columns).encode())
        digest.update(pd.util.hash_pandas_object(text, index=False).to_numpy().tobytes())
    return digest.hexdigest()
