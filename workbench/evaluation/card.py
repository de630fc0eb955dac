"""The protocol card: what must be known about a number before it is compared with another one."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench.catalogs import Split
from workbench.catalogs.schema import time_values
from workbench.evaluation.intervals import REPEATS, TAIL
from workbench.evaluation.leaks import check_leaks
from workbench.evaluation.placement import HeldOutRanks, Ranker


def protocol_card(
    split: Split,
    *,
    rankers: Mapping[str, Ranker],
    results: Mapping[str, HeldOutRanks],
    histories: Mapping[str, Sequence[str]],
    on: Literal["test", "validation"],
    exclude_seen: bool,
    candidates: Sequence[str] | None,
    seed: int,
) -> dict[str, Any]:
    """Write down how a table of numbers was made, as a dict of texts, numbers and small dicts per ranker."""
    held_out = split.test if on == "test" else split.validation
    card, n_items = split.dataset.card, len(split.dataset.catalog)
    leaks = check_leaks(split, on=on)
    floors = [name for name, ranker in rankers.items() if getattr(ranker, "floor", False)]
    cold_users = sum(not history for history in histories.values())
    cold_items = int((~held_out["item_id"].isin(split.train["item_id"])).sum())
    faults = [f"{name} {fault}" for name, result in results.items() for fault in result.faults]
    return {
        "dataset": split.dataset.name,
        "version": card.get("version") or "not stated",
        "filter": "; ".join(map(str, card.get("cleaning", ()))) or "none",
        "split": f"{split.protocol.get('split', 'by hand')}: {split.protocol.get('rule', 'not stated')}",
        "measured on": f"{on}, {len(held_out):,} users",
        "ties in time": split.protocol.get("ties", "not stated"),
        "ties in score": "mean rank",
        "seen items": "removed: the user's history up to the held-out event" if exclude_seen else "not removed",
        "candidates": f"all {n_items:,} items" if candidates is None else f"{len(candidates):,} given items",
        "unknown to the ranker": _unknown_items(rankers, split),
        "cold users": f"{cold_users:,}, counted as misses",
        "cold items": f"{cold_items:,} held-out items never met in train",
        "start": {name: str(getattr(ranker, "start", "none")) for name, ranker in rankers.items()},
        "seeds": {"bootstrap": seed} | _attributes(rankers, "seed"),
        "settings": _attributes(rankers, "settings"),
        "interval": f"{1 - 2 * TAIL:.0%} percentile bootstrap over users, {REPEATS:,} resamples",
        "device": {name: str(getattr(ranker, "device", "CPU")) for name, ranker in rankers.items()},
        "seconds": {name: round(result.seconds, 2) for name, result in results.items()},
        "train events later than the test event": _later_train_events(split, held_out),
        "findings": leaks.loc[leaks["fired"], "finding"].tolist() + faults,
        "floors": floors or "no floor",
    }


def card_html(card: Mapping[str, Any]) -> str:
    """The card as a small HTML table; every text in it is escaped.

    Example:
        >>> "&lt;b&gt;" in card_html({"dataset": "<b>"})
        True
    """
    rows = "".join(
        f"<tr><th style='text-align:left;vertical-align:top;padding:2px 16px 2px 0;font-weight:500'>{escape(str(name))}"
        f"</th><td style='text-align:left;padding:2px 0'>{escape(_as_text(value))}</td></tr>"
        for name, value in card.items()
    )
    style = "border-collapse:collapse;font-size:var(--jp-ui-font-size1,13px)"
    return f"<table style='{style}'><caption style='text-align:left'>Protocol</caption>{rows}</table>"


def _later_train_events(split: Split, held_out: pd.DataFrame) -> str:
    """Share of train events later than the held-out event, averaged over users, as text."""
    if "timestamp" not in split.train or "timestamp" not in held_out or not len(split.train):
        return "not known: no timestamps"
    times = np.sort(time_values(split.train))
    share = 1 - np.searchsorted(times, time_values(held_out), side="right").mean() / len(times)
    return f"{share:.1%}"


def _unknown_items(rankers: Mapping[str, Ranker], split: Split) -> dict[str, int] | str:
    """Number of catalog items that each ranker says it does not know; those cannot be recommended by it."""
    catalog = set(split.dataset.catalog["item_id"])
    stated = {name: ranker.items for name, ranker in rankers.items() if getattr(ranker, "items", None) is not None}
    return {name: len(catalog - set(items)) for name, items in stated.items() if catalog - set(items)} or "nothing"


def _attributes(rankers: Mapping[str, Ranker], name: str) -> dict[str, Any]:
    """One attribute of those rankers that have it."""
    return {key: getattr(ranker, name) for key, ranker in rankers.items() if getattr(ranker, name, None) is not None}


def _as_text(value: Any) -> str:
    """One line for a dict, a list, or a plain value."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_as_text(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list | tuple):
        return "; ".join(map(_as_text, value)) or "none"
    return str(value)
