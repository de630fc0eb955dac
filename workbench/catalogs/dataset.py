"""What there is and who met it when: a catalog and its interactions, with a card that says where they come from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

import numpy as np
import pandas as pd

from workbench.catalogs import schema

LABEL = "text-align:left;padding:2px 16px 2px 0;font-weight:500;white-space:nowrap"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A catalog, the interactions with it, and the card that tells where both come from.

    Attributes:
        name: a short name, shown in tables and plots.
        catalog: one row per item: `item_id` (unique), `title` and any attributes.
        interactions: one row per event: `user_id`, `item_id`, `timestamp` (UTC) or `position`, and any attributes;
            each user's rows together, oldest first, ties in the order of the file.
        users: one row per user with attributes, or None.
        card: `source`, `version`, `licence`, `cleaning` (list of steps), `findings` (list of what is odd in the data).

    Raises:
        ValueError: if the tables break their contract.

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> events = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["b", "a"], "position": [0, 1]})
        >>> Dataset("two films", catalog, events)
        Dataset('two films': 2 items, 1 users, 2 interactions)
    """

    name: str
    catalog: pd.DataFrame
    interactions: pd.DataFrame
    users: pd.DataFrame | None = None
    card: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the contract: columns, unique ids, known items, order."""
        schema.require_columns(self.catalog, ["item_id", "title"], what="items")
        schema.require_columns(self.interactions, ["user_id", "item_id"], what="interactions")
        if "position" not in self.interactions.columns:
            schema.require_columns(self.interactions, ["timestamp"], what="interactions")
        schema.check_ids(self.catalog, ["item_id"], what="items", unique=True)
        schema.check_ids(self.interactions, ["user_id", "item_id"], what="interactions")
        schema.check_known_items(self.interactions, self.catalog)
        schema.check_order(self.interactions)

    def __repr__(self) -> str:
        """Return one line with the counts."""
        events, users = len(self.interactions), self.interactions["user_id"].nunique()
        return f"Dataset({self.name!r}: {len(self.catalog):,} items, {users:,} users, {events:,} interactions)"

    def _repr_html_(self) -> str:
        """Return the card as HTML: counts, density, history lengths, dates, cleaning, findings; all text escaped."""
        rows = "".join(
            f"<tr style='background:none;vertical-align:top'><th style='{LABEL}'>{escape(label)}</th>"
            f"<td style='text-align:left;padding:2px 0'>{escape(value)}</td></tr>"
            for label, value in describe(self).items()
        )
        notes = _notes("Cleaning", self.card.get("cleaning", ())) + _notes("Findings", self.card.get("findings", ()))
        return (
            "<div style='color:var(--jp-ui-font-color1,CanvasText);background:var(--jp-layout-color1,Canvas);"
            "border:1px solid var(--jp-border-color2,GrayText);border-radius:4px;padding:12px 16px;max-width:46em;"
            "font-family:var(--jp-ui-font-family,sans-serif);font-size:var(--jp-ui-font-size1,13px)'>"
            f"<div style='font-weight:600;margin-bottom:6px'>{escape(self.name)}</div>"
            f"<table style='border-collapse:collapse;margin:0;color:inherit;font:inherit'>{rows}</table>{notes}</div>"
        )


def describe(dataset: Dataset) -> dict[str, str]:
    """Return what a person wants to know first, as label -> text: counts, density, history lengths, dates, licence."""
    events = dataset.interactions
    lengths = events["user_id"].value_counts().to_numpy()
    items, met = len(dataset.catalog), events["item_id"].nunique()
    low, middle, high = np.quantile(lengths, [0.25, 0.5, 0.75])
    facts = {
        "Items": f"{items:,} ({met:,} with interactions)",
        "Users": f"{len(lengths):,}",
        "Interactions": f"{len(events):,}",
        "Density": f"{len(events) / (len(lengths) * items):.2%} of user-item pairs",
        "History length": f"{low:.0f} / {middle:.0f} / {high:.0f} (quartiles), {lengths.min():,} to {lengths.max():,}",
    }
    if "timestamp" in events.columns:
        times = events["timestamp"]
        facts["Dates"] = f"{times.min():%Y-%m-%d} to {times.max():%Y-%m-%d} (UTC)"
    else:
        facts["Dates"] = "none: only the order of events is known"
    facts["Attributes"] = ", ".join(str(name) for name in dataset.catalog.columns if name != "item_id")
    for key in ("source", "version", "licence"):
        if dataset.card.get(key):
            facts[key.capitalize()] = str(dataset.card[key])
    return facts


def build_dataset(
    *,
    name: str,
    catalog: pd.DataFrame,
    interactions: pd.DataFrame,
    users: pd.DataFrame | None = None,
    card: dict | None = None,
) -> Dataset:
    """Bring tables to their contract and put them together; what had to be mended is added to the card's findings.

    Raises:
        ValueError: if a table cannot be brought to its contract (names the table, the column and the row).
    """
    card = {"source": "", "version": "", "licence": "", **(card or {})}
    findings = list(card.get("findings", ()))
    catalog = schema.tidy_catalog(catalog, findings)
    interactions = schema.tidy_interactions(interactions, findings)
    users = None if users is None else schema.tidy_users(users)
    card |= {"cleaning": list(card.get("cleaning", ())), "findings": findings + find_oddities(catalog, interactions)}
    return Dataset(name=name, catalog=catalog, interactions=interactions, users=users, card=card)


def find_oddities(catalog: pd.DataFrame, interactions: pd.DataFrame) -> list[str]:
    """Return sentences about what is odd in the data and left as it is: repeats, unmet items, tied times."""
    named = [column for column in ("title", "year") if column in catalog.columns]
    same = "title and year" if len(named) == 2 else "title"
    counts = {
        f"items share their {same} with another item": int(catalog.duplicated(named, keep=False).sum()),
        "items have no interactions": int((~catalog["item_id"].isin(interactions["item_id"].unique())).sum()),
        "interactions repeat a user-item pair": int(interactions.duplicated(["user_id", "item_id"]).sum()),
    }
    found = [f"{count:,} {what}" for what, count in counts.items() if count]
    same_user = (interactions["user_id"] == interactions["user_id"].shift()).to_numpy()
    tied = same_user[1:] & (np.diff(schema.time_values(interactions)) == 0)
    if tied.any():
        share = tied.sum() / same_user.sum()
        found.append(f"{share:.1%} of neighbouring events of a user carry the same time; their order is the file's")
    return found


def _notes(heading: str, sentences: Iterable[str]) -> str:
    """Return a small list of sentences as HTML, or nothing."""
    lines = "".join(f"<li>{escape(str(sentence))}</li>" for sentence in sentences)
    if not lines:
        return ""
    listed = f"<ul style='margin:2px 0 0;padding-left:18px'>{lines}</ul>"
    return f"<div style='margin-top:8px;font-weight:500'>{heading}</div>{listed}"
