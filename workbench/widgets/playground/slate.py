"""The lists of the playground as the browser shows them: one, or two beside each other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import pandas as pd
import traitlets

from workbench.insight.list_changes import ListChanges

FOLDER = Path(__file__).parent


class Slate(anywidget.AnyWidget):
    """One or two lists in real tables, with what changed, the words as they are written, and the answer to "why".

    Arrows, Home and End walk through the rows of a list; Enter, space or the button of a row ask why.

    Attributes:
        number: Sequence number of the request that the lists answer, in the page ``data-number``; 0 before the first.
        lists: What ``list_part`` returns, once or twice.
        stream: The word that was written last, and those that lost.
        notes: Sentences below the lists.
        why: The answer to "why".
        asked: List (0 or 1) and item that the hands asked about; Python empties it once heard.
        height: Pixels of the lists; longer ones scroll.
    """

    _esm = FOLDER / "slate.js"
    _css = FOLDER.parent / "view.css"
    number = traitlets.Int().tag(sync=True)
    lists = traitlets.List().tag(sync=True)
    stream = traitlets.Unicode().tag(sync=True)
    notes = traitlets.List().tag(sync=True)
    why = traitlets.Unicode().tag(sync=True)
    asked = traitlets.List().tag(sync=True)
    height = traitlets.Int(440).tag(sync=True)


def list_part(
    df: pd.DataFrame,
    *,
    caption: str,
    heading: str = "Change",
    changes: Mapping[str, str] | None = None,
    empty: str = "",
) -> dict[str, Any]:
    """One list as the browser takes it; all of it plain text.

    Args:
        df: ``rank``, ``item_id``, ``title``, ``probability`` and perhaps ``title_zh``.
        caption: The line above.
        heading: Of the column of changes.
        changes: What became of each item, in words; see ``change_words``.
        empty: What stands in the place of rows where there are none.

    Example:
        >>> df = pd.DataFrame({"rank": [1], "item_id": ["a"], "title": ["Alien"], "probability": [0.182]})
        >>> list_part(df, caption="One film", changes={"a": "new"})["rows"]  # doctest: +NORMALIZE_WHITESPACE
        [{'item': 'a', 'rank': '1', 'title': 'Alien', 'chinese': '', 'probability': '18.2 %', 'share': 1.0,
          'change': 'new'}]
    """
    largest = df["probability"].max() or 1.0
    chinese = df["title_zh"] if "title_zh" in df else [None] * len(df)
    words = dict(changes or {})
    rows = [
        {
            "item": "" if pd.isna(item) else item,
            "rank": f"{rank:,}",
            "title": title,
            "chinese": "" if pd.isna(other) else other,
            "probability": in_per_cent(probability),
            "share": float(probability / largest),
            "change": words.pop(item, ""),  # an item named twice moved to its first place
        }
        for rank, item, title, other, probability in zip(
            df["rank"], df["item_id"], df["title"], chinese, df["probability"], strict=True
        )
    ]
    return {"caption": caption, "heading": heading, "rows": rows, "empty": "" if rows else empty}


def in_per_cent(share: float) -> str:
    """A share as the views write it.

    Example:
        >>> in_per_cent(0.182), in_per_cent(1)
        ('18.2 %', '100.0 %')
    """
    return f"{share:.1%}".replace("%", " %")


def change_words(changes: ListChanges | None) -> dict[str, str]:
    """What became of each item of the new list, in words; nothing where there is no list before."""
    if changes is None:
        return {}
    table = changes.table[changes.table["change"] != "left"]
    return dict(zip(table["item_id"], table["change"], strict=True))
