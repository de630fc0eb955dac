"""What a run is told where its settings are left open: rules in the size of the data.

Chosen on validation items of datasets from 570 to 12,101 items and from 56 thousand to a million events; what was tried
is in LOG.md. ``benchmarks/results/standings.md`` says what comes of it.
"""

from dataclasses import replace
from math import ceil

import pandas as pd

from workbench.catalogs import Split
from workbench.training.config import TrainingConfig

LEAST_WINDOWS, LEAST_EVENTS = 32, 800  # in a step
LEAST_STEPS, STEPS_PER_ITEM, EVENTS_PER_STEP = 560, 2 / 3, 100
MOST_EPOCHS, MOST_STEPS = 36, 4_000  # for the sake of items; events may ask for more
RATES = ((1_000, 0.002), (3_000, 0.0015))  # for runs of fewer steps than that; longer ones LOWEST_RATE
LOWEST_RATE = 0.001
ALL_ITEMS, NEGATIVES = 5_000, 1_024
FEW_EVENTS = 20  # per item: a larger model would learn these by heart
MANY_EVENTS = 500_000  # in all: a run then has steps enough to learn by heart what a shorter one has not
FEW_REPEATS = 0.01  # of all events: up to that an item is met once, as far as a run is concerned
USUAL, SPARSE = {"layers": 2, "width": 160, "dropout": 0.15}, {"layers": 1, "width": 128, "dropout": 0.3}
LONG = USUAL | {"dropout": 0.2}


def sized(config: TrainingConfig, split: Split) -> TrainingConfig:
    """The settings with shape, dropout and windows in a step filled in where they were left open.

    Two layers of 160 with dropout 0.15, or 0.2 from half a million training events on; one layer of 128 with dropout
    0.3 where items have fewer than 20 training events on average.
    """
    shape = shape_for(n_items=len(split.dataset.catalog), n_events=len(split.train))
    open_ = {name: value for name, value in shape.items() if getattr(config, name) is None}
    return replace(config, batch_users=config.batch_users or windows_in_step(split.train), **open_)


def shape_for(*, n_items: int, n_events: int) -> dict[str, float]:
    """Layers, width and dropout.

    Example:
        >>> shape_for(n_items=600, n_events=50_000)["dropout"], shape_for(n_items=3_000, n_events=900_000)["dropout"]
        (0.15, 0.2)
        >>> shape_for(n_items=12_000, n_events=150_000)["layers"]
        1
    """
    if n_events < FEW_EVENTS * n_items:
        return SPARSE
    return LONG if n_events >= MANY_EVENTS else USUAL


def windows_in_step(train: pd.DataFrame) -> int:
    """Windows of history in a step: 32, or as many as hold about 800 events where histories are short.

    Example:
        >>> windows_in_step(pd.DataFrame({"user_id": list("aaaabbbb")}))  # 4 events each
        200
    """
    return max(LEAST_WINDOWS, ceil(LEAST_EVENTS * train["user_id"].nunique() / max(len(train), 1)))


def epochs(*, n_items: int, n_events: int, steps_per_epoch: int) -> int:
    """Passes over all histories, at most.

    560 steps, and two for every three items, since each item's row needs its share of updates, but for that not more
    than 36 passes or 4,000 steps; and a step for every 100 events.

    Example:
        >>> epochs(n_items=600, n_events=50_000, steps_per_epoch=70)  # 560 / 70
        8
        >>> epochs(n_items=3_000, n_events=1_000_000, steps_per_epoch=250)  # 10,000 / 250
        40
    """
    for_items = min(STEPS_PER_ITEM * n_items, MOST_EPOCHS * steps_per_epoch, MOST_STEPS)
    return ceil(max(LEAST_STEPS, for_items, n_events / EVENTS_PER_STEP) / steps_per_epoch)


def learning_rate(steps: int) -> float:
    """Highest rate of a run: a short run must hurry, a long one need not.

    Example:
        >>> learning_rate(560), learning_rate(1_200), learning_rate(10_000)
        (0.002, 0.0015, 0.001)
    """
    return next((rate for limit, rate in RATES if steps < limit), LOWEST_RATE)


def few_repeats(train: pd.DataFrame) -> bool:
    """Whether people hardly ever meet an item twice: at most one event in a hundred is of an item met before.

    Example:
        >>> few_repeats(pd.DataFrame({"user_id": list("aab"), "item_id": list("xyx")}))
        True
        >>> few_repeats(pd.DataFrame({"user_id": list("aab"), "item_id": list("xxx")}))
        False
    """
    return bool(train.duplicated(["user_id", "item_id"]).mean() <= FEW_REPEATS)


def negatives(n_items: int) -> int:
    """Items drawn in each step to stand against the right one; 0 up to 5,000 items: all of them stand there."""
    return 0 if n_items <= ALL_ITEMS else NEGATIVES
