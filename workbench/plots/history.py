"""A history weighted by attention and, beside it, by measured effect: as a chart, and as a table of text."""

from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.plots.lists import BLOCK, CELL
from workbench.plots.theme import BLUE, GREEN, RED, TEXT, finish, short_label

LABELS = 200  # pixels left of the bars


@dataclass(frozen=True, eq=False)
class HistoryTable:
    """A weighted history for reading; shows itself as HTML in a notebook.

    Attributes:
        df: All of it: ``label``, ``attention`` (0 to 1), ``effect`` (log-odds; missing where it was not measured).
        last: Rows that are shown, the newest ones.
        caption: The line below the table.
    """

    df: pd.DataFrame
    last: int = 50
    caption: str = ""

    def _repr_html_(self) -> str:
        """Return the table, newest on top, with a bar beside each number."""
        rows, both = self.df.tail(self.last)[::-1], has_effects(self.df)
        headings = ["History, newest first", "Attention", *(["Effect"] if both else [])]
        head = "".join(f"<th scope='col' style='{CELL};font-weight:600'>{name}</th>" for name in headings)
        most, reach = max(rows["attention"].max(), 1e-9), max(rows["effect"].abs().max(), 1e-9) if both else 1
        body = ""
        for row in rows.itertuples():
            cells = f"<td style='{CELL}'>{_beside(f'{row.attention:.3f}', _bar(row.attention / most))}</td>"
            if both:
                effect = _beside(_signed(row.effect), _two_sided(row.effect / reach), middle=True)
                cells += f"<td style='{CELL}'>{effect}</td>"
            body += f"<tr><th scope='row' style='{CELL};font-weight:400'>{escape(row.label)}</th>{cells}</tr>"
        note = f"Showing {len(rows):,} of {len(self.df):,}. {self.caption}".strip()
        style = "border-collapse:collapse;margin:0 0 6px;font-size:inherit;color:inherit"
        table = f"<table style='{style}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<div style='{BLOCK}'>{table}<div style='opacity:.8;font-size:12px'>{escape(note)}</div></div>"


def history_chart(weights: pd.DataFrame, *, caption: str = "", last: int = 50) -> go.Figure:
    """The history weighted: a bar of attention (0 to 1) per item and, if measured, its effect in log-odds beside it.

    Effects above 0 help the item, those below 0 hurt it: bars point right and left, signs are written out.

    Args:
        weights: ``label`` and ``attention``, and perhaps ``effect``; one row per item, oldest first.
        caption: What else a reader should know.
        last: Rows that are shown, the newest ones.

    Raises:
        ValueError: If the table lacks a column or has no rows.
    """
    if missing := [name for name in ("label", "attention") if name not in weights]:
        raise ValueError(f"the weights lack {missing}; give what history_weights returns.")
    if not len(weights):
        raise ValueError("there is no item to weigh: the history is empty. Give a history, then draw.")
    rows, both = weights.tail(last), has_effects(weights)
    figure = make_subplots(1, 2 if both else 1, shared_yaxes=True, horizontal_spacing=0.04)
    figure.add_trace(_bars(rows["attention"], colours=GREEN, words=[f"{value:.3f}" for value in rows["attention"]]))
    if both:
        colours = [RED if effect < 0 else BLUE for effect in rows["effect"]]
        words = [_signed(effect) for effect in rows["effect"]]
        figure.add_trace(_bars(rows["effect"], colours=colours, words=words), row=1, col=2)
    most = rows.loc[rows["attention"].idxmax(), "label"]
    strongest = f"; the strongest effect is that of {rows.loc[rows['effect'].abs().idxmax(), 'label']}" if both else ""
    finish(
        figure,
        title="The history, weighted",
        caption=f"Showing {len(rows):,} of {len(weights):,}, newest on top. {caption}".strip(),
        alt=f"Bars for {len(rows)} items of a history: most attention went to {most}{strongest}.",
        size=(760, max(60, 22 * len(rows))),
        sides=(LABELS, 40),
    )
    figure.update_layout(showlegend=False, bargap=0.35)
    names = [short_label(label) for label in rows["label"]]
    figure.update_yaxes(tickvals=list(range(len(rows))), ticktext=names, showgrid=False, ticks="")
    figure.update_xaxes(title_text="attention", range=[0, 1.2 * max(rows["attention"].max(), 1e-9)], col=1)
    if both:
        reach = 1.3 * max(rows["effect"].abs().max(), 1e-9)
        figure.update_xaxes(title_text="effect in log-odds: − hurts, + helps", range=[-reach, reach], col=2)
        figure.add_vline(0, line={"color": TEXT, "width": 1}, row=1, col=2)
    return figure


def has_effects(weights: pd.DataFrame) -> bool:
    """Whether any effect was measured."""
    return "effect" in weights and bool(weights["effect"].notna().any())


def _bars(values: pd.Series, *, colours: str | list[str], words: list[str]) -> go.Bar:
    """One bar per row with its number at the end."""
    return go.Bar(
        x=values.to_numpy(dtype=np.float32),
        y=list(range(len(values))),
        orientation="h",
        marker={"color": colours, "line_width": 0},
        text=words,
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )


def _signed(effect: float) -> str:
    """An effect with its sign, which stands for the colour too."""
    return "" if pd.isna(effect) else f"{effect:+.2f}".replace("-", "−")


def _beside(number: str, bar: str, *, middle: bool = False) -> str:
    """A number and its bar, which says the same; a line in the middle for bars that go both ways."""
    line = ";background:linear-gradient(currentColor,currentColor) 50%/1px 100% no-repeat" if middle else ""
    bar = f"<div aria-hidden='true' style='width:48px;height:9px{line}'>{bar}</div>"
    number = f"<span style='min-width:3em;font-variant-numeric:tabular-nums'>{number}</span>"
    return f"<div style='display:flex;align-items:center;gap:6px'>{number}{bar}</div>"


def _bar(share: float) -> str:
    """A bar as long as this share of the longest one."""
    return f"<div style='width:{100 * share:.0f}%;height:9px;background:{GREEN}'></div>"


def _two_sided(share: float) -> str:
    """A bar from the middle to the right for what helps, to the left for what hurts; none where nothing is known."""
    if pd.isna(share):
        return ""
    left, colour = (50, BLUE) if share >= 0 else (50 + 50 * share, RED)
    size = f"margin-left:{left:.0f}%;width:{50 * abs(share):.0f}%;height:9px"
    return f"<div style='{size};background:{colour}'></div>"
