"""GPT-2 as a row beside the peers: its defaults, trained anew in a process of its own under the same cap.

Nothing is searched for here: the settings are those of the rule in the size of the data (``training/sizing.py``), which
was chosen on validation items before, as LOG.md tells.
"""

import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
from peer_scripts.exchange import own_measures, peak_mb
from quality import finished_run
from records import OUT_OF_TIME, Row, curve_of

from workbench.catalogs import Split
from workbench.training import TrainingConfig
from workbench.training.sizing import sized

SHAPE = ("layers", "width", "dropout", "batch_users", "max_history")
Answer = tuple[Row, dict[str, pd.DataFrame]]


def settings(seed: int, *, seconds: float) -> TrainingConfig:
    """The defaults, ended like a peer when the time is over; the best moment until then counts."""
    return TrainingConfig(seed=seed, max_seconds=seconds)


def ask(split: Split, *, config: TrainingConfig, places: int, threads: int, folder: Path) -> Answer:
    """Train and rank in a process of its own, so that its memory is its own: what a peer's script answers.

    Args:
        split: The data, texts of the catalog included.
        config: See ``settings``.
        places: Length of the lists.
        threads: That it may use.
        folder: Where the run is kept; what was there goes.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_answer, split, config, places, threads, folder).result()


def _answer(split: Split, config: TrainingConfig, places: int, threads: int, folder: Path) -> Answer:
    torch.set_num_threads(threads)
    recommender = finished_run(split, config=config, folder=folder)
    lists, taken = {}, {}
    for on in ("validation", "test"):
        begun = time.monotonic()
        lists[on] = recommender.rank(split.histories(on), k=places)
        taken[on] = time.monotonic() - begun
    record, curve, chosen = recommender.record, curve_of(recommender.log), sized(config, split).as_json()
    told, seconds = {name: chosen[name] for name in SHAPE}, round(record["seconds"], 2)
    ended = OUT_OF_TIME if record["ended"].startswith("time limit") else record["ended"]
    tried = {"settings": told, "validation_ndcg@10": max(point["ndcg@10"] for point in curve), "ended": ended}
    tried |= {"epochs": float(recommender.log["epoch"].iloc[-1]), "seconds": seconds}
    figures = {
        "library": "workbench",
        "device": record["device"],
        "at_test": "weights from train; the validation item stands in the history",
        "settings": told,
        "epoch": record["best"].get("epoch"),
        "ended": ended,
        "curve": curve,
        "seconds": seconds,
        "search": [tried],
        "search_seconds": seconds,
        "ranking_seconds": round(taken["test"], 4),
        "users_per_second": round(len(split.test) / taken["test"], 1),
        "peak_mb": peak_mb(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 1),
        "theirs": own_measures(lists["validation"], split.validation),
    }
    return figures, lists
