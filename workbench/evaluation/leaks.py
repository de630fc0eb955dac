"""Looks for the ways in which a good number can be wrong: answers that were shown, seen or guessed.

Findings about the *model* (what it was taught, shown, or returned) make a number worthless. Findings about the *data*
only inform: nobody can change them, but a reader must know them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench.catalogs import Split
from workbench.catalogs.schema import time_values

Sentences = pd.DataFrame | Iterable[Mapping[str, Any]]
TIMES_CHANCE = 10  # "largest id + 1" must hit this many times as often as chance to be called a rule
SORTED_SHARE = 0.75  # of neighbouring tied events in id order, either way; a random order has one half


def check_leaks(
    split: Split,
    *,
    on: Literal["test", "validation"] = "test",
    rankings: pd.DataFrame | None = None,
    sentences: Sentences | None = None,
) -> pd.DataFrame:
    """Look for leaks in a split, and in rankings and training sentences if they are given.

    Args:
        split: What was fitted on and what was held out.
        on: The held-out table that the numbers are about.
        rankings: What a ranker returned for ``split.histories(on)``.
        sentences: What a model was trained on: a table with ``user_id`` and ``item_id``, or an iterable of
            ``{"user_id": ..., "item_ids": [...]}``. Sentences without a user are no matter of this check.

    Returns:
        One row per check: ``check``, ``where`` ("model" or "data"), ``fired`` (bool), ``count`` and ``share`` of the
        rows looked at, ``finding`` (a sentence). Only the checks that the given tables allow are in it.

    Raises:
        ValueError: If ``rankings`` or ``sentences`` lacks its columns.

    Example:
        >>> from workbench.catalogs import leave_one_out, read_tables
        >>> items = pd.DataFrame({"item_id": list("abc"), "title": ["Alien", "Brazil", "Casablanca"]})
        >>> events = pd.DataFrame({"user_id": ["u"] * 3, "item_id": list("abc"), "position": [0, 1, 2]})
        >>> split = leave_one_out(read_tables(items=items, interactions=events, name="three films"))
        >>> leaks = check_leaks(split, sentences=[{"user_id": "u", "item_ids": ["a", "c"]}])
        >>> leaks.loc[leaks["fired"], "finding"].tolist()
        ["1 of 2 held-out item(s) stand in the user's own training sentences"]
    """
    histories = split.histories(on)
    held_out = split.test if on == "test" else split.validation
    rows = [
        _held_out_in_train(split, held_out),
        _target_in_history(histories, held_out),
        _id_order(split, histories, held_out),
        _sorted_ties(split),
    ]
    if sentences is not None:
        rows.append(_held_out_in_sentences(split, _as_table(sentences)))
    if rankings is not None:
        _require(rankings, ["user_id", "item_id"], what="rankings")
        rows += [_seen_returned(rankings, histories), _off_catalog(rankings, split.dataset.catalog)]
    return pd.DataFrame([row for row in rows if row is not None])


def _held_out_in_train(split: Split, held_out: pd.DataFrame) -> dict[str, Any]:
    """Train events of a held-out pair that are not older than the held-out event itself."""
    both = held_out.assign(time_held=time_values(held_out)).merge(
        split.train[["user_id", "item_id"]].assign(time_train=time_values(split.train)), on=["user_id", "item_id"]
    )
    late = both.loc[both["time_train"] >= both["time_held"], "user_id"].nunique()
    return _row(
        "held-out item in training events",
        "model",
        late,
        len(held_out),
        "held-out event(s) are also among the train events",
    )


def _target_in_history(histories: Mapping[str, Sequence[str]], held_out: pd.DataFrame) -> dict[str, Any]:
    """Held-out items that already stand in the prompt."""
    pairs = zip(held_out["user_id"], held_out["item_id"], strict=True)
    count = sum(item in histories[user] for user, item in pairs)
    text = "held-out item(s) already stand in the user's history; a ranker that removes seen items must miss them"
    return _row("target in the prompt", "data", count, len(held_out), text)


def _id_order(split: Split, histories: Mapping[str, Sequence[str]], held_out: pd.DataFrame) -> dict[str, Any] | None:
    """How often "the largest item number seen, plus one" is the held-out item; None if ids are not numbers."""
    numbers = _id_numbers(split.dataset.catalog["item_id"])
    if numbers is None:
        return None
    pairs = [(histories[user], item) for user, item in zip(held_out["user_id"], held_out["item_id"], strict=True)]
    guesses = [(max(map(numbers.get, items)) + 1, numbers[item]) for items, item in pairs if items]
    hits = sum(guess == number for guess, number in guesses)
    share = hits / max(len(guesses), 1)
    chance = 1 / len(numbers)
    text = f'"largest id seen + 1" is right for {share:.2%} of users; chance is {chance:.2%}'
    row = _row("ID-order rule", "data", hits, len(guesses), text, sentence_is_whole=True)
    return row | {"fired": hits >= 5 and share >= TIMES_CHANCE * chance}


def _sorted_ties(split: Split) -> dict[str, Any] | None:
    """Whether events of one user at one time stand in the order of their item ids; None without timestamps."""
    events = pd.concat([split.train, split.validation, split.between, split.test], ignore_index=True)
    if "timestamp" not in events or events["timestamp"].isna().any():
        return None
    users, times = pd.factorize(events["user_id"])[0], time_values(events)
    order = np.lexsort((times, users))  # stable: ties stay as the tables have them
    numbers = _id_numbers(split.dataset.catalog["item_id"])
    ids = events["item_id"]
    keys = (ids.map(numbers) if numbers else ids.rank(method="dense")).to_numpy()[order]
    tied = (np.diff(users[order]) == 0) & (np.diff(times[order]) == 0) & (np.diff(keys) != 0)
    rising = int((np.diff(keys)[tied] > 0).sum())
    pairs = int(tied.sum())
    share = rising / pairs if pairs else 0.5
    text = f"tied events stand in rising id order in {share:.1%} of {pairs:,} neighbouring pairs; chance is 50 %"
    row = _row("ties sorted by item id", "data", rising, pairs, text, sentence_is_whole=True)
    return row | {"fired": pairs >= 20 and max(share, 1 - share) >= SORTED_SHARE}


def _held_out_in_sentences(split: Split, sentences: pd.DataFrame) -> dict[str, Any]:
    """Validation and test pairs that stand in the training sentences but not in the train events."""
    pair = ["user_id", "item_id"]
    held_out = pd.concat([split.validation[pair], split.test[pair]]).drop_duplicates()
    fair = held_out.merge(split.train[pair].drop_duplicates(), on=pair, how="left", indicator=True)
    secret = fair.loc[fair["_merge"] == "left_only", pair]
    count = len(secret.merge(sentences[pair].drop_duplicates(), on=pair))
    return _row(
        "held-out item in training sentences",
        "model",
        count,
        len(secret),
        "held-out item(s) stand in the user's own training sentences",
    )


def _seen_returned(rankings: pd.DataFrame, histories: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Rows whose item stands in the user's own history."""
    seen = {user: set(items) for user, items in histories.items()}
    pairs = zip(rankings["user_id"], rankings["item_id"], strict=True)
    count = sum(item in seen.get(user, ()) for user, item in pairs)
    return _row("seen items returned", "model", count, len(rankings), "recommended item(s) were already seen")


def _off_catalog(rankings: pd.DataFrame, catalog: pd.DataFrame) -> dict[str, Any]:
    """Rows whose item does not exist."""
    count = int((~rankings["item_id"].isin(catalog["item_id"])).sum())
    return _row("off-catalog items", "model", count, len(rankings), "recommended item(s) are not in the catalog")


def _row(
    check: str, where: str, count: int, total: int, text: str, *, sentence_is_whole: bool = False
) -> dict[str, Any]:
    """One row of the result; it fires if it counted anything."""
    finding = text if sentence_is_whole else f"{count:,} of {total:,} {text}"
    share = count / total if total else 0.0
    return {"check": check, "where": where, "fired": count > 0, "count": int(count), "share": share, "finding": finding}


def _id_numbers(item_ids: pd.Series) -> dict[str, int] | None:
    """The number each id ends with, or None unless every id is one common word and a different number."""
    parts = item_ids.astype("str").str.extract(r"^(?P<word>\D*)(?P<number>\d{1,15})$")
    if parts["number"].isna().any() or parts["word"].nunique() > 1:
        return None
    numbers = dict(zip(item_ids, parts["number"].astype("int64").tolist(), strict=True))
    return numbers if len(set(numbers.values())) == len(numbers) else None


def _as_table(sentences: Sentences) -> pd.DataFrame:
    """Sentences as one row per user and item."""
    if not isinstance(sentences, pd.DataFrame):
        pairs = [
            (one["user_id"], item) for one in sentences if one.get("user_id") is not None for item in one["item_ids"]
        ]
        sentences = pd.DataFrame(pairs, columns=["user_id", "item_id"], dtype="str")
    _require(sentences, ["user_id", "item_id"], what="sentences")
    return sentences


def _require(table: pd.DataFrame, columns: list[str], *, what: str) -> None:
    """Raise if a table lacks columns."""
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"{what} lacks the columns {missing}; it has {list(table.columns)}.")
