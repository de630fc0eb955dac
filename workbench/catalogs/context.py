"""When it happened, as context: time of day, kind of day and season, made from the times of interactions.

A time says when somebody did something only where the doing was recorded as it happened. In ml-100k people typed their
ratings of many years in one sitting, so its times of day are those of the keyboard: ``sitting_share`` tells.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from workbench.catalogs.dataset import Dataset

EVENING = 18  # o'clock
SEASONS = ("winter", "spring", "summer", "autumn")  # from December, March, June and September


def add_context(dataset: Dataset) -> Dataset:
    """The dataset with ``time_of_day``, ``day_type`` and ``season`` beside each interaction; columns it has are kept.

    Times are read as UTC; seasons are those of the northern half.

    Raises:
        ValueError: If the interactions have no ``timestamp``.

    Example:
        >>> events = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "timestamp": ["2024-12-07 20:15"]})
        >>> events["timestamp"] = pd.to_datetime(events["timestamp"], utc=True)
        >>> catalog = pd.DataFrame({"item_id": ["a"], "title": ["Alien"]})
        >>> add_context(Dataset("one", catalog, events)).interactions.iloc[0, 3:].tolist()
        ['evening', 'weekend', 'winter']
    """
    events = dataset.interactions
    if "timestamp" not in events:
        raise ValueError(f"{dataset.name} has no timestamp, so nobody knows when; it has {list(events.columns)}.")
    times = pd.DatetimeIndex(events["timestamp"])
    made = {
        "time_of_day": np.where(times.hour >= EVENING, "evening", "day"),
        "day_type": np.where(times.day_of_week >= 5, "weekend", "weekday"),
        "season": np.array(SEASONS)[times.month % 12 // 3],
    }
    return replace(dataset, interactions=events.assign(**{name: made[name] for name in made if name not in events}))


def sitting_share(interactions: pd.DataFrame, *, within: str = "1h") -> float:
    """Share of users, 0 to 1, all of whose events lie within this time of each other.

    Example:
        >>> times = pd.to_datetime(["2024-01-01 10:00", "2024-01-01 10:30", "2024-01-01 10:00", "2024-02-01 10:00"])
        >>> sitting_share(pd.DataFrame({"user_id": list("aabb"), "timestamp": times}))
        0.5
    """
    times = interactions.groupby("user_id")["timestamp"]
    return float((times.max() - times.min() <= pd.Timedelta(within)).mean())
