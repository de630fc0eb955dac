"""The heat map of attention: which place of a prompt looked at which earlier one."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from workbench.plots.theme import add_text, finish, short_label

if TYPE_CHECKING:
    from workbench.insight import AttentionMap

CELL = (9, 22)  # pixels a cell has at least and at most
SQUARE, NARROW = 560, 520  # pixels: what the cells should fill; the narrowest picture
LABELS, BAR = 190, 92  # pixels beside the cells: labels, colour bar
READ_AS = "Each row is a place that reads: its cells say how much it looked at each column."


def attention_chart(
    attention: "AttentionMap",
    *,
    layer: int | None = None,
    head: int | None = None,
    rollout: bool = False,
    last: int = 50,
) -> go.Figure:
    """Who looked at whom: a heat map of weights between 0 and 1; rows read, columns are looked at.

    What comes later than the reader has no cell. Weights on everything older than the window are summed in a first
    column, so that rows still sum to one. The first readers have little to choose from, so their weights are large
    whatever they are: colours end where 99 % of the weights of the later half of the rows do; the numbers do not.

    Args:
        attention: What ``attend`` returns.
        layer: One layer; None for the mean over layers.
        head: One head of that layer; None for the mean over heads.
        rollout: Attention followed through all layers instead.
        last: Places of the prompt that are shown, the last ones; the caption says how many there are.

    Raises:
        ValueError: If there is no such layer or head, or ``last`` is below 1.
    """
    if last < 1:
        raise ValueError(f"last is {last}; show at least 1 place.")
    chosen = {"layer": layer, "head": head, "rollout": rollout}
    weights, labels = attention.matrix(**chosen), attention.units["label"]
    older = max(0, len(labels) - last)
    rows = list(range(older, len(labels)))
    cells = np.where(np.tri(len(labels), dtype=bool), weights, np.nan)[older:, older:]
    top = float(np.nanquantile(cells[len(cells) // 2 :], 0.99))
    names = [short_label(label) for label in labels[older:]]
    columns, headings = rows, names
    if older:
        cells = np.column_stack([weights[older:, :older].sum(axis=1), cells])
        columns, headings = [older - 1, *rows], [f"{older:,} older", *names]
    cell = int(np.clip(SQUARE / len(headings), *CELL))
    width = max(NARROW, LABELS + cell * len(headings) + BAR)
    figure = go.Figure(_heat(cells, columns=columns, rows=rows, top=top))
    finish(
        figure,
        title=f"Where the model looked: {_which(attention, **chosen)}",
        caption=_caption(attention, n_shown=len(rows)),
        alt=_alt(attention, **chosen),
        size=(width, cell * len(rows)),
        sides=(LABELS, width - LABELS - cell * len(headings)),
        above=LABELS - 30,
    )
    edge = {"xref": "paper", "x": 0, "xanchor": "left", "yref": "paper", "y": 0, "yanchor": "top"}
    add_text(figure, READ_AS, font_size=12, xshift=8 - LABELS, yshift=-12, **edge)
    axis = {"showgrid": False, "showline": False, "ticks": "", "tickfont": {"size": min(12, cell)}}
    angle = -60 if cell >= 15 else -90  # leaning labels need more room between them
    figure.update_xaxes(tickvals=columns, ticktext=headings, side="top", tickangle=angle, **axis)
    return figure.update_yaxes(tickvals=rows, ticktext=names, autorange="reversed", **axis)


def _heat(cells: np.ndarray, *, columns: list[int], rows: list[int], top: float) -> go.Heatmap:
    """The cells; colours end at ``top``, and the colour bar says so. A few cells are read without a colour bar."""
    return go.Heatmap(
        z=cells.astype(np.float32),
        x=columns,
        y=rows,
        colorscale="Cividis",
        zmin=0,
        zmax=top,
        xgap=1,
        ygap=1,
        hoverongaps=False,
        hovertemplate="%{y}<br>looked at %{x}<br>weight %{z:.4f}<extra></extra>",
        showscale=len(rows) > 4,
        colorbar={
            "title": {"text": "weight", "font_size": 12},
            "tickvals": [0, top / 2, top],
            "ticktext": ["0", f"{top / 2:.2g}", f"{top:.2g} or more" if np.nanmax(cells) > top else f"{top:.2g}"],
            "thickness": 12,
            "outlinewidth": 0,
            "xpad": 12,
        },
    )


def _which(attention: "AttentionMap", *, layer: int | None, head: int | None, rollout: bool) -> str:
    """Which weights these are, in words."""
    layers, heads = attention.weights.shape[:2]
    if rollout:
        return f"rollout through {layers} layers"
    if layer is None:
        return f"mean of {layers} layers x {heads} heads"
    return f"layer {layer}, " + (f"mean of {heads} heads" if head is None else f"head {head}")


def _caption(attention: "AttentionMap", *, n_shown: int) -> str:
    """How much is shown, what the map was made for, and by which model."""
    chance = f"{100 * attention.probability:.1f}\u00a0%" if attention.probability >= 0.001 else "below 0.1\u00a0%"
    return (
        f"Showing {n_shown:,} of {len(attention.units):,} places; the prompt read {attention.n_read:,} of "
        f"{attention.n_history:,} items of the history. Recommending {attention.title}: rank {attention.rank:,}, "
        f"{chance}; the weights are the same for every item. Model {attention.source}."
    )


def _alt(attention: "AttentionMap", *, layer: int | None, head: int | None, rollout: bool) -> str:
    """What the heat map shows, for whoever cannot see it."""
    most = attention.looked_at(layer=layer, head=head, rollout=rollout).nlargest(3, "attention")
    named = ", ".join(f"{row.label} ({row.attention:.2f})" for row in most.itertuples())
    which = _which(attention, layer=layer, head=head, rollout=rollout)
    return f"Heat map of attention, {which}, over {len(attention.units)} places. The last place looked most at {named}."
