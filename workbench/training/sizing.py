"""What a run is told where its settings are left open: rules in the size of the data.

Chosen on the validation items of five datasets, from 570 to 12,101 items and from 56 thousand to a million events; what
was tried is in LOG.md. With them, the default settings come to:

    ======================  ======  =======  ==================  ============
    dataset                 events  windows  steps x windows of  learning rate
    ======================  ======  =======  ==================  ============
    films                     55 k    2,000          567 x 32         0.002
    ml-100k                   97 k    1,1xx        1,1xx x 32         0.0015
    ======================  ======  =======  ==================  ============
"""

from math import ceil

import pandas as pd

LEAST_WINDOWS, LEAST_EVENTS = 32, 800  # in a step
LEAST_STEPS, STEPS_PER_ITEM, EPOCHS_FOR_ITEMS = 560, 2 / 3, 36
EVENTS_FOR_STEP = 100
RATES = ((1_000, 0.002), (5_000, 0.0015))  # for runs of fewer steps than that; longer ones LOWEST_RATE
LOWEST_RATE = 0.001
ALL_ITEMS, NEGATIVES = 5_000, 1_024


def windows_in_step(train: pd.DataFrame) -> int:
    """Windows of history in a step: 32, or as many as hold about 800 events where histories are short.

    Example:
        >>> windows_in_step(pd.DataFrame({"user_id": list("aaaabbbb")}))  # 4 events each
        200
    """
    return max(LEAST_WINDOWS, ceil(LEAST_EVENTS * train["user_id"].nunique() / max(len(train), 1)))


def epochs(*, n_items: int, n_events: int, steps_per_epoch: int) -> int:
    """Passes over all histories, at most.

    560 steps, and two for every three items, since each item's row needs its share of updates, but not more than 36
    passes for that; and a step for every 100 events.

    Example:
        >>> epochs(n_items=600, n_events=50_000, steps_per_epoch=70)  # 560 / 70
        8
        >>> epochs(n_items=3_000, n_events=1_000_000, steps_per_epoch=250)  # 10,000 / 250
        40
    """
    for_items = min(ceil(max(LEAST_STEPS, STEPS_PER_ITEM * n_items) / steps_per_epoch), EPOCHS_FOR_ITEMS)
    return max(for_items, ceil(LEAST_STEPS / steps_per_epoch), ceil(n_events / EVENTS_FOR_STEP / steps_per_epoch))


def learning_rate(steps: int) -> float:
    """Highest rate of a run: a short run must hurry, a long one need not.

    Example:
        >>> learning_rate(560), learning_rate(1_200), learning_rate(10_000)
        (0.002, 0.0015, 0.001)
    """
    return next((rate for limit, rate in RATES if steps < limit), LOWEST_RATE)


def negatives(n_items: int) -> int:
    """Items drawn in each step to stand against the right one; 0 up to 5,000 items: all of them stand there."""
    return 0 if n_items <= ALL_ITEMS else NEGATIVES
