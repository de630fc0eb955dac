"""Who is asked what: events held out for validation and test, and what was known before each of them."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd

from workbench.catalogs.dataset import Dataset
from workbench.catalogs.schema import time_values

VALIDATION_QUANTILE = 0.9


@dataclass(frozen=True, eq=False)
class Split:
    """A dataset cut into what may be fitted on and what is held out.

    Attributes:
        dataset: the dataset that was split, its interactions in the order the split used.
        train: the interactions rankers are fitted on.
        validation: one held-out interaction per user, for choosing settings.
        test: one held-out interaction per user, for the reported numbers.
        protocol: the rule, the ties rule, cold users and items, and how far the split leaks time.
        between: interactions that are neither fitted on nor held out, but known when the test event happens
            (a temporal split has them; None means there are none).
    """

    dataset: Dataset
    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    protocol: dict = field(default_factory=dict)
    between: pd.DataFrame | None = None

    def __repr__(self) -> str:
        """Return one line with the counts."""
        return (
            f"Split({self.dataset.name!r}, {self.protocol.get('split', 'by hand')}: {len(self.train):,} train events, "
            f"{len(self.validation):,} validation users, {len(self.test):,} test users)"
        )

    def histories(self, on: Literal["test", "validation"] = "test") -> dict[str, list[str]]:
        """Return what was known of each user before the held-out event: user -> item ids, oldest first.

        At validation that is the user's train events; at test also the validation event and whatever came between it
        and the test event. Users without any history get an empty list. Users stand in the order of the held-out table.

        Raises:
            ValueError: if `on` is neither "test" nor "validation".
        """
        if on not in ("test", "validation"):
            raise ValueError(f"on must be 'test' or 'validation', not {on!r}")
        held_out = self.test if on == "test" else self.validation
        parts = [self.train] if on == "validation" else [self.train, self.validation, self.between]
        known = pd.concat([part[["user_id", "item_id"]] for part in parts if part is not None])
        users = pd.Index(held_out["user_id"])
        codes = users.get_indexer(known["user_id"])
        items = known["item_id"].to_numpy(dtype=object)[codes >= 0]
        codes = codes[codes >= 0]
        # The parts follow each other in time, so a stable sort by user keeps every history oldest first.
        items = items[np.argsort(codes, kind="stable")]
        ends = np.cumsum(np.bincount(codes, minlength=len(users)))
        return {user: list(part) for user, part in zip(users, np.split(items, ends[:-1]), strict=True)}


def leave_one_out(dataset: Dataset, *, ties: Literal["file", "shuffled"] = "file", seed: int = 0) -> Split:
    """Hold out each user's last event for test and the one before it for validation.

    Users with fewer than three events stay in train whole.

    Args:
        dataset: what to split.
        ties: events of one user at the same time keep the order of the "file", or are "shuffled" with `seed`.
        seed: the seed of the shuffle; unused with ties="file".

    Raises:
        ValueError: if no user has three events, or `ties` is neither rule.

    Example:
        >>> from workbench.catalogs import read_tables
        >>> items = pd.DataFrame({"item_id": list("abc"), "title": ["Alien", "Brazil", "Casablanca"]})
        >>> events = pd.DataFrame({"user_id": ["u"] * 3, "item_id": list("bca"), "position": [0, 1, 2]})
        >>> split = leave_one_out(read_tables(items=items, interactions=events, name="three films"))
        >>> split.histories(), split.test["item_id"].tolist()
        ({'u': ['b', 'c']}, ['a'])
    """
    if ties not in ("file", "shuffled"):
        raise ValueError(f"ties must be 'file' or 'shuffled', not {ties!r}")
    if ties == "shuffled":
        dataset = _shuffle_ties(dataset, seed=seed)
    lengths = np.bincount(pd.factorize(dataset.interactions["user_id"])[0])
    if lengths.max() < 3:
        raise ValueError(
            f"leave_one_out needs users with at least three events; the longest history of {dataset.name!r} "
            f"has {lengths.max()}"
        )
    from_end = np.repeat(np.cumsum(lengths), lengths) - np.arange(lengths.sum())  # 1 = the user's last event
    long_enough = np.repeat(lengths >= 3, lengths)
    test, validation = long_enough & (from_end == 1), long_enough & (from_end == 2)
    protocol = {
        "split": "leave_one_out",
        "rule": "each user's last event is test, the one before it validation; fitted on the rest",
        "ties": "file order" if ties == "file" else f"shuffled, seed {seed}",
        "users_too_short": int((lengths < 3).sum()),
    }
    return _cut(dataset, train=~test & ~validation, validation=validation, test=test, protocol=protocol)


def temporal_split(dataset: Dataset, *, at: float | str | datetime = 0.9) -> Split:
    """Hold out each user's next event after one moment in time, the same moment for everybody.

    Validation holds out each user's next event after an earlier moment, the one that leaves nine tenths of the events
    before `at` in train. Events before that earlier moment are train. Users and items that are new after the cut stay
    in: their histories are empty or their items unknown, and the protocol counts them. Ties keep the order of the file.

    Args:
        dataset: what to split; needs timestamps.
        at: the moment: a quantile of all events between 0 and 1, or a timestamp (UTC unless it says otherwise).

    Raises:
        ValueError: if there are no timestamps, or `at` leaves nothing before or after it.
    """
    if "timestamp" not in dataset.interactions.columns:
        raise ValueError(
            f"temporal_split needs timestamps and {dataset.name!r} knows only the order of events; use leave_one_out"
        )
    times = time_values(dataset.interactions)
    cut = _moment(times, at)
    period = times < cut
    if not period.any() or period.all():
        side = "before" if not period.any() else "after"
        first, last = (f"{pd.Timestamp(int(t)):%Y-%m-%d %H:%M:%S}" for t in (times.min(), times.max()))
        raise ValueError(f"at={at!r} leaves no event {side} it; the events run from {first} to {last} (UTC)")
    earlier = _quantile(times[period], VALIDATION_QUANTILE)
    train = times < earlier
    if not train.any():
        raise ValueError(f"at={at!r} leaves no event to fit on; choose a later moment")
    users = pd.factorize(dataset.interactions["user_id"])[0]
    validation = _first_of_each(users, period & ~train)
    protocol = {
        "split": "temporal_split",
        "rule": "each user's next event after one moment is test, after an earlier one validation; "
        "fitted on what came before both",
        "ties": "file order",
        "cut": pd.Timestamp(cut, tz="UTC").isoformat(),
        "validation_cut": pd.Timestamp(earlier, tz="UTC").isoformat(),
    }
    return _cut(
        dataset,
        train=train,
        validation=validation,
        test=_first_of_each(users, ~period),
        between=period & ~train & ~validation,
        protocol=protocol,
    )


def _cut(dataset: Dataset, *, protocol: dict, between: np.ndarray | None = None, **masks: np.ndarray) -> Split:
    """Take the masked rows out of the interactions and complete the protocol."""
    events = dataset.interactions
    tables = {name: events[mask].reset_index(drop=True) for name, mask in masks.items()}
    if between is not None:
        tables["between"] = events[between].reset_index(drop=True)
    split = Split(dataset=dataset, protocol=protocol, **tables)
    protocol["users_validation"], protocol["users_test"] = len(split.validation), len(split.test)
    parts = [split.train, split.validation, split.between]
    known = pd.concat([part["user_id"] for part in parts if part is not None])
    protocol["cold_users"] = int((~split.test["user_id"].isin(known.unique())).sum())
    protocol["cold_items"] = int((~split.test["item_id"].isin(split.train["item_id"].unique())).sum())
    protocol["tied_last_time"] = _share_tied(events, masks["test"])
    protocol["train_after_test"] = None
    if "timestamp" in events.columns:
        train_times = np.sort(time_values(split.train))
        before = np.searchsorted(train_times, time_values(split.test), side="right")
        protocol["train_after_test"] = float(1 - before.mean() / len(train_times))
    return split


def _share_tied(events: pd.DataFrame, held_out: np.ndarray) -> float:
    """Return the share of held-out events that share their time with a neighbouring event of the same user, 0 to 1."""
    users, times = pd.factorize(events["user_id"])[0], time_values(events)
    with_next = (np.diff(users) == 0) & (np.diff(times) == 0)
    tied = np.append(with_next, False) | np.append(False, with_next)
    return float(tied[held_out].mean())


def _shuffle_ties(dataset: Dataset, *, seed: int) -> Dataset:
    """Return the dataset with each user's events of the same time in random order."""
    events = dataset.interactions
    chance = np.random.default_rng(seed).random(len(events))
    order = np.lexsort((chance, time_values(events), pd.factorize(events["user_id"])[0]))
    return replace(dataset, interactions=events.iloc[order].reset_index(drop=True))


def _first_of_each(users: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the mask reduced to the first marked row of each user."""
    rows = np.flatnonzero(mask)
    firsts = rows[np.unique(users[rows], return_index=True)[1]]
    reduced = np.zeros(len(mask), dtype=bool)
    reduced[firsts] = True
    return reduced


def _moment(times: np.ndarray, at: float | str | datetime) -> int:
    """Return `at` as nanoseconds since 1970: a quantile of `times` or a timestamp."""
    if isinstance(at, int | float) and not isinstance(at, bool):
        if not 0 < at < 1:
            raise ValueError(f"at must be a quantile between 0 and 1 or a timestamp such as '2000-12-02', not {at!r}")
        return _quantile(times, at)
    try:
        moment = pd.Timestamp(at)
    except (ValueError, TypeError) as problem:
        raise ValueError(f"at={at!r} is neither a quantile between 0 and 1 nor a timestamp") from problem
    moment = moment.tz_localize("UTC") if moment.tz is None else moment.tz_convert("UTC")
    return moment.as_unit("ns").value


def _quantile(times: np.ndarray, share: float) -> int:
    """Return the time of the event before which about `share` of the events lie."""
    place = int(share * len(times))
    return int(np.partition(times, place)[place])
