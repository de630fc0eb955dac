"""Explanations side by side: how far each agrees with the world, and how far with the model."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.plots.theme import BLUE, RED, TEXT, escape, finish

SIDES = {"signed": "plausible: rank correlation with the true effects", "deletion": "faithful: fall of the log-odds"}
FLOORS = ("random", "most recent")


def explanation_chart(table: pd.DataFrame, *, caption: str = "") -> go.Figure:
    """Plausibility (-1 to 1) left and faithfulness (log-odds, higher is more faithful) right, one row per method.

    Args:
        table: What ``average_explanations`` returns: index ``method``, columns ``signed`` and ``deletion`` with
            ``_low`` and ``_high``. The row "truth" is left out: it is what the left side compares with.
        caption: What else a reader should know.

    Raises:
        ValueError: If a column is missing.
    """
    missing = [name + end for name in SIDES for end in ("", "_low", "_high") if name + end not in table]
    if missing:
        raise ValueError(f"the table lacks {missing}; give what average_explanations returns, with curves=True.")
    table = table.drop(index="truth", errors="ignore").sort_values("signed")
    figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.06)
    for column, side in enumerate(SIDES, start=1):
        for floors, colour, symbol in ((False, BLUE, "circle"), (True, RED, "diamond-open")):
            places = [place for place, name in enumerate(table.index) if (name in FLOORS) == floors]
            dots = _dots(table.iloc[places], side, places=places)
            dots.update(marker={"color": colour, "symbol": symbol, "size": 12}, showlegend=column == 1)
            figure.add_trace(dots.update(name="floors" if floors else "methods"), row=1, col=column)
    best = {side: table[side].idxmax() for side in SIDES}
    told = f"{best['signed']} agrees most with the true effects ({table['signed'].max():.2f}); "
    told += f"deleting in the order of {best['deletion']} lowers the log-odds most ({table['deletion'].max():.2f})"
    finish(
        figure,
        title="Plausible and faithful",
        caption=f"{int(table['cases'].max()):,} recommendations, means with 95 % intervals; {told}. Occlusion measures "
        f"what deletion counts first, which favours it there by construction. {caption}".strip(),
        alt=f"Dots with intervals for {len(table)} methods: {told}.",
        size=(860, 34 * len(table)),
        sides=(160, 24),
    )
    for column, title in enumerate(SIDES.values(), start=1):
        figure.update_xaxes(title_text=title, row=1, col=column)
    names = [escape(str(name)) for name in table.index]
    return figure.update_yaxes(tickvals=list(range(len(table))), ticktext=names, range=[-0.6, len(table) - 0.4])


def _dots(table: pd.DataFrame, side: str, *, places: list[int]) -> go.Scatter:
    """A dot and its interval per row."""
    value, low, high = (table[side + end].to_numpy() for end in ("", "_low", "_high"))
    return go.Scatter(
        x=value,
        y=places,
        error_x={"array": high - value, "arrayminus": value - low, "color": TEXT, "thickness": 2, "width": 5},
        mode="markers",
        text=[escape(str(method)) for method in table.index],
        customdata=np.column_stack([low, high]),
        hovertemplate="%{text}: %{x:.2f}<br>95 % interval %{customdata[0]:.2f} to %{customdata[1]:.2f}<extra></extra>",
    )
