"""A table whose rows can be chosen, by mouse and by keyboard; ``ipywidgets.HTML`` cannot say what was clicked."""

from collections.abc import Sequence
from pathlib import Path

import anywidget
import pandas as pd
import traitlets

FOLDER = Path(__file__).parent


class Rows(anywidget.AnyWidget):
    """A real table with focusable rows: arrows, Home and End walk, Enter, space or a click chooses.

    Attributes:
        caption: The line above the table; alone when there are no rows.
        columns: Headings.
        rows: One list per row; a cell is a text, or a pair of a text and a share (0 to 1) drawn as a bar below it.
        chosen: Place of the chosen row, or -1.
        height: Pixels; a longer table scrolls.

    Example:
        >>> rows = Rows()
        >>> rows.show(pd.DataFrame({"Title": ["Solaris"], "Share": [0.182]}), caption="One film", bars=["Share"])
        >>> rows.rows
        [['Solaris', ['18.2 %', 1.0]]]
    """

    _esm = FOLDER / "rows.js"
    _css = FOLDER / "view.css"
    caption = traitlets.Unicode().tag(sync=True)
    columns = traitlets.List().tag(sync=True)
    rows = traitlets.List().tag(sync=True)
    chosen = traitlets.Int(-1).tag(sync=True)
    height = traitlets.Int(440).tag(sync=True)

    def show(self, table: pd.DataFrame, *, caption: str, bars: Sequence[str] = (), chosen: int = -1) -> None:
        """Show another table, from its top; with a chosen row it stays where it was scrolled to, that row in view.

        Args:
            table: What to show; headings are its columns, missing values are empty cells, floats get three decimals.
            caption: The line above.
            bars: Columns of probabilities, shown in per cent with a bar as long as their share of the largest.
            chosen: Place of the chosen row, or -1.
        """
        cells = [_bars(table[name]) if name in bars else [_text(value) for value in table[name]] for name in table]
        with self.hold_sync():
            self.columns, self.caption, self.chosen = [str(name) for name in table], caption, chosen
            self.rows = [list(row) for row in zip(*cells, strict=True)]


def _bars(values: pd.Series) -> list[list]:
    """Probabilities in per cent, each with its share of the largest."""
    largest = values.max() or 1
    return [[f"{value:.1%}".replace("%", " %"), float(value / largest)] for value in values]


def _text(value: object) -> str:
    """One cell as text."""
    if pd.isna(value):
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
