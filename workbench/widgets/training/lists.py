"""One user's lists while a model learns: what entered and what left from one validation to the next."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import zip_longest

import numpy as np
import pandas as pd

from workbench.catalogs import Split, item_labels
from workbench.insight.list_changes import compare_lists
from workbench.models import GPT2Recommender
from workbench.plots.learning import NDCG
from workbench.widgets.view import TEXT

K = 10  # places of a list
CELL = "text-align:left;vertical-align:top;padding:2px 12px 2px 0;border-bottom:1px solid var(--jp-border-color2,#8884)"
TABLE = (
    "border-collapse:collapse;table-layout:auto;width:100%;margin:0;"
    "font-size:inherit;color:inherit;font-variant-numeric:tabular-nums"
)
BOX = "height:330px;overflow:auto;padding-right:4px;box-sizing:border-box"


class WatchedLists:
    """The recommendations for one user, taken at each validation.

    Attributes:
        user: Whose lists these are.
        history: Item ids that were known of the user, oldest first.
        held_out: The item that validation asks for, or None.
        lists: ``{step: rankings}``, oldest first.
    """

    def __init__(self, split: Split, user: str | None = None) -> None:
        """Choose the user: the first with a history when None.

        Raises:
            ValueError: If the split does not validate on this user.
        """
        histories = split.histories(on="validation" if len(split.validation) else "test")
        if user is not None and user not in histories:
            some = ", ".join(map(repr, list(histories)[:3]))
            raise ValueError(f"user {user!r} has no held-out item here. Choose one who has, such as {some}.")
        self.user = user or next((name for name, items in histories.items() if items), next(iter(histories), ""))
        self.history = histories.get(self.user, [])
        held_out = dict(zip(split.validation["user_id"], split.validation["item_id"], strict=True))
        self.held_out = held_out.get(self.user)
        self.lists: dict[int, pd.DataFrame] = {}
        catalog = split.dataset.catalog
        self._labels = dict(zip(catalog["item_id"], item_labels(catalog), strict=True))

    def look(self, recommender: GPT2Recommender, step: int) -> None:
        """Rank now, and keep the list as that of this step."""
        self.lists[step] = recommender.rank({self.user: self.history}, k=K)

    def changes(self, log: pd.DataFrame) -> pd.DataFrame:
        """The training log with ``entered`` and ``left``: titles, best first; None where no list was taken."""
        entered, left, before = [], [], None
        for step in log["step"]:
            now = self.lists.get(step)
            changed = None if now is None else compare_lists([] if before is None else before, now)
            entered.append(self._titles(changed.entered) if changed else None)
            left.append(self._titles(changed.left) if changed and before is not None else None)
            before = now
        return log.assign(entered=pd.Series(entered, dtype=object), left=pd.Series(left, dtype=object))

    def newest(self) -> pd.DataFrame:
        """The newest list: ``rank``, ``title``, ``probability``, and ``change`` against the one before, in words."""
        *earlier, now = list(self.lists.values())
        changes = compare_lists(earlier[-1], now).table["change"].head(len(now)) if earlier else [""] * len(now)
        marks = [", held out" if item == self.held_out else "" for item in now["item_id"]]
        return pd.DataFrame(
            {
                "rank": now["rank"],
                "title": self._titles(now["item_id"]),
                "probability": np.exp(now["score"]),
                "change": [change + mark for change, mark in zip(changes, marks, strict=True)],
            }
        )

    def to_html(self, log: pd.DataFrame) -> str:
        """The newest list and, beside it, the log with what entered and left; every title escaped."""
        n, last = len(self.history), ", ".join(self._titles(self.history[-3:][::-1]))
        who = f"{n:,} items in the history, the newest {last}." if n else "an empty history."
        who += f" Held out: {self._titles([self.held_out])[0]}." if self.held_out else ""
        left, right = self._newest_html(log), _log_html(self.changes(log))
        boxes = (
            f"<div tabindex='0' role='region' aria-label='{name}' style='flex:1 1 26em;min-width:0;{BOX}'>{table}</div>"
            for name, table in (("The newest list", left), ("What changed", right))
        )
        who = f"<div style='height:40px;overflow:hidden'><b>User {escape(self.user)}</b>: {escape(who)}</div>"
        side_by_side = f"<div style='display:flex;flex-wrap:wrap;gap:24px'>{''.join(boxes)}</div>"
        return f"<div style='{TEXT};max-width:1200px'>{who}{side_by_side}</div>"

    def _newest_html(self, log: pd.DataFrame) -> str:
        if not self.lists:
            return "<p style='margin:4px 0'>The first list comes with the first validation.</p>"
        epochs = dict(zip(log["step"], log["epoch"], strict=True))
        epoch = epochs.get(list(self.lists)[-1])
        rows = [
            [f"{row.rank}", row.title, f"{row.probability:.1%}".replace("%", " %"), row.change]
            for row in self.newest().itertuples()
        ]
        caption = "List" if epoch is None else f"List after epoch {epoch:.1f}"
        return _table(caption, ["Rank", "Title", "Probability", "Change"], rows)

    def _titles(self, items: Iterable[str]) -> list[str]:
        return [self._labels[item] for item in items]


def _log_html(changes: pd.DataFrame) -> str:
    """One row per validation, the newest on top."""
    if not len(changes):
        return ""
    rows = [
        [
            f"{row.epoch:.1f}",
            f"{row.train_loss:.3f}",
            "" if pd.isna(row.ndcg) else f"{row.ndcg:.4f}",
            "not seen" if row.entered is None else ", ".join(row.entered) or "nothing",
            "" if row.left is None else ", ".join(row.left) or "nothing",
        ]
        for row in changes.rename(columns={NDCG: "ndcg"})[::-1].itertuples()
    ]
    headings = ["Epoch", "Loss", "NDCG@10", "Entered the list", "Left the list"]
    return _table("Validation by validation, newest first", headings, rows, widths=["", "", "", "36%", "36%"])


def _table(caption: str, headings: list[str], rows: list[list[str]], *, widths: Sequence[str] = ()) -> str:
    """A real table of plain texts; columns without a width take what they need."""
    top = f"{CELL};font-weight:600;white-space:nowrap"
    columns = zip_longest(headings, widths, fillvalue="")
    head = "".join(f"<th scope='col' style='{top};width:{width or 'auto'}'>{name}</th>" for name, width in columns)
    cells = ("".join(f"<td style='{CELL}'>{escape(text)}</td>" for text in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    caption = f"<caption style='text-align:left;font-weight:600;padding:2px 0 4px;color:inherit'>{caption}</caption>"
    return f"<table style='{TABLE}'>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
