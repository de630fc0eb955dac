"""Recommendations as people read them: titles, genres and probabilities in a table, every text escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
import pandas as pd

CELL = "text-align:left;padding:3px 14px 3px 0;vertical-align:top"
BLOCK = (
    "color:var(--jp-content-font-color1,CanvasText);font-family:var(--jp-ui-font-family,system-ui,sans-serif);"
    "font-size:var(--jp-ui-font-size1,13px);margin:4px 0 12px"
)
HEADINGS = {"rank": "Rank", "title": "Title", "title_zh": "Chinese title", "genres": "Genres"}


@dataclass(frozen=True, eq=False)
class ListTable:
    """Recommendations for reading; shows itself as HTML in a notebook and as text in a terminal.

    Attributes:
        df: What is shown: ``user_id``, ``item_id``, ``rank``, ``title``, perhaps ``title_zh`` and ``genres``, and
            ``probability`` (0 to 1) or ``score``.
        caption: The line below the table.
    """

    df: pd.DataFrame
    caption: str

    def __repr__(self) -> str:
        """Return one line per recommendation."""
        several, lines = self.df["user_id"].nunique() > 1, []
        for user, part in self.df.groupby("user_id", sort=False):
            lines += [f"user {user}"] if several else []
            lines += [f"{row['rank']:>3}  {_number(row):>9}  {row['title']}" for _, row in part.iterrows()]
        return "\n".join([*lines, self.caption]).rstrip()

    def _repr_html_(self) -> str:
        """Return one table per user."""
        tables = "".join(self._table(user, part) for user, part in self.df.groupby("user_id", sort=False))
        note = f"<div style='opacity:.8;font-size:12px'>{escape(self.caption)}</div>" if self.caption else ""
        return f"<div style='{BLOCK}'>{tables}{note}</div>"

    def _table(self, user: str, part: pd.DataFrame) -> str:
        """One user's list."""
        texts = [name for name in HEADINGS if name in part]
        value = "Probability" if "probability" in part else "Score"
        names = [HEADINGS[name] for name in texts] + [value]
        head = "".join(f"<th scope='col' style='{CELL};font-weight:600'>{name}</th>" for name in names)
        longest = self.df[value.lower()].abs().max() or 1
        rows = ""
        for _, row in part.iterrows():
            cells = "".join(f"<td style='{CELL}'>{_text(row[name])}</td>" for name in texts)
            share = max(0.0, row[value.lower()] / longest)
            rows += f"<tr>{cells}<td style='{CELL};white-space:nowrap'>{_number(row)}{_bar(share)}</td></tr>"
        label = f"Recommended to user {escape(str(user))}"
        caption = f"<caption style='text-align:left;font-weight:600;padding:2px 0;color:inherit'>{label}</caption>"
        style = "border-collapse:collapse;margin:0 0 8px;font-size:inherit;color:inherit"
        return f"<table style='{style}'>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def list_table(
    rankings: pd.DataFrame,
    catalog: pd.DataFrame,
    *,
    users: Sequence[str] | None = None,
    scores: Literal["probability", "number"] | None = None,
    caption: str = "",
) -> ListTable:
    """Recommendations with titles, years, Chinese titles and genres where the catalog has them.

    Args:
        rankings: ``user_id``, ``item_id``, ``rank``, ``score``.
        catalog: The catalog the items come from.
        users: Whose lists to show; None shows the first three users and says so.
        scores: "probability" shows exp(score) in per cent, "number" the score itself. None decides: scores that are at
            most 0, and whose exponentials sum to at most 1 for every user, are log-probabilities.
        caption: What else a reader should know: run, seed, request.

    Raises:
        ValueError: If a column, an item or a user is missing.

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Solaris", "Stalker"], "year": [1972, 1979]})
        >>> rankings = pd.DataFrame({"user_id": "u", "item_id": ["b", "a"], "rank": [1, 2], "score": [-0.5, -1.0]})
        >>> list_table(rankings, catalog, caption="two films")
          1     60.7 %  Stalker (1979)
          2     36.8 %  Solaris (1972)
        two films
    """
    for what, table, needed in (
        ("rankings", rankings, ["user_id", "item_id", "rank", "score"]),
        ("the catalog", catalog, ["item_id", "title"]),
    ):
        if missing := [name for name in needed if name not in table]:
            raise ValueError(f"{what} lacks {missing}; it has {[str(name) for name in table.columns]}.")
    everyone = pd.unique(rankings["user_id"])
    if unknown := [user for user in users or () if user not in set(everyone)]:
        raise ValueError(f"rankings hold no list for the users {unknown[:5]}. Rank for them first; ids are strings.")
    chosen = list(everyone[:3] if users is None else users)
    rows = rankings[rankings["user_id"].isin(chosen)]
    strangers = rows.loc[~rows["item_id"].isin(catalog["item_id"]), "item_id"].unique().tolist()
    if strangers:
        raise ValueError(f"the catalog lacks the recommended items {strangers[:5]}. Give the catalog they come from.")
    described = catalog.set_index("item_id").loc[rows["item_id"]].reset_index(drop=True)
    table = rows[["user_id", "item_id", "rank"]].reset_index(drop=True)
    table["title"] = full_titles(described)
    if "title_zh" in described and described["title_zh"].notna().any():
        table["title_zh"] = described["title_zh"]
    if "genres" in described:
        table["genres"] = described["genres"].str.replace("|", ", ")
    if scores == "probability" or scores is None and _are_log_probabilities(rankings):
        table["probability"] = np.exp(rows["score"].to_numpy(dtype=float))
    else:
        table["score"] = rows["score"].to_numpy(dtype=float)
    shown = f"{len(chosen):,} of {len(everyone):,} users." if len(everyone) > 1 else ""
    return ListTable(df=table, caption="; ".join(filter(None, (caption, shown))))


def _are_log_probabilities(rankings: pd.DataFrame) -> bool:
    """Whether the scores can be logarithms of probabilities of different items."""
    scores = rankings["score"].astype(float)
    sums = np.exp(scores.clip(upper=1)).groupby(rankings["user_id"]).sum()
    return bool(len(scores)) and bool((scores <= 0).all()) and bool((sums <= 1 + 1e-4).all())


def full_titles(catalog: pd.DataFrame) -> list[str]:
    """Every row's title with its year, ``Solaris (1972)``; without the year where the catalog has none."""
    years = catalog["year"] if "year" in catalog else pd.Series(pd.NA, index=catalog.index)
    return [_title(title, year) for title, year in zip(catalog["title"], years, strict=True)]


def _title(title: str, year: int) -> str:
    """`Title (1972)`; publishers' titles that carry their year already keep it once."""
    text = "(no title)" if pd.isna(title) else str(title)
    return text if pd.isna(year) or text.endswith(f"({int(year)})") else f"{text} ({int(year)})"


def _number(row: pd.Series) -> str:
    """A probability in per cent, or a score."""
    return f"{row['probability']:.1%}".replace("%", " %") if "probability" in row else f"{row['score']:,.4g}"


def _text(value: object) -> str:
    """One cell, escaped; empty where the catalog says nothing."""
    return "" if pd.isna(value) else escape(str(value))


def _bar(share: float) -> str:
    """A bar as long as this share of the longest one; the number beside it says the same."""
    return (
        f"<div aria-hidden='true' style='width:90px;height:5px;margin-top:2px'>"
        f"<div style='width:{100 * share:.0f}%;height:5px;background:#0072B2'></div></div>"
    )
