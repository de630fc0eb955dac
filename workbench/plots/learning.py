"""Charts of learning and of measuring: learning curves, and rankers side by side with their intervals."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.plots.theme import BLUE, RED, TEXT, add_text, escape, finish

NDCG = "validation_ndcg@10"
HEIGHT = 260
CARD_LINES = ("measured on", "split", "candidates", "seen items", "ties in score", "interval")


def learning_curves(
    log: pd.DataFrame, floors: Mapping[str, float] | None = None, *, epochs: float | None = None, note: str = ""
) -> go.Figure:
    """Training loss in nats per item, and validation NDCG@10 between 0 and 1, over epochs.

    Args:
        log: Training log: ``step``, ``epoch``, ``train_loss``, ``validation_ndcg@10``, ``seconds``.
        floors: Validation NDCG@10 of rankers that must be beaten, as name -> value; drawn as thin labelled lines.
        epochs: How far the run is to go: the axes reach to there, and a log without a validation is drawn as empty
            axes. None: the log is all there is.
        note: What else the caption should say.

    Raises:
        ValueError: If the log lacks a column, or ``epochs`` is None and nothing was validated yet.
    """
    _require(log, ["step", "epoch", "train_loss", NDCG, "seconds"], what="the training log")
    if epochs is None and not log[NDCG].notna().any():
        raise ValueError("the training log holds no validation yet. Train for at least one epoch, then draw.")
    floors, log, reach = dict(floors or {}), log.reset_index(drop=True), epochs or log["epoch"].max()
    measured = log[log[NDCG].notna()]
    best = measured.loc[measured[NDCG].idxmax()] if len(measured) else None
    top = 1.15 * max([*measured[NDCG], *floors.values()], default=0.1) or 0.1
    figure = make_subplots(1, 2, subplot_titles=("Training loss (nats per item)", "Validation NDCG@10"))
    figure.add_trace(_curve(log, "train_loss", colour=BLUE, symbol="circle", dash="solid"), row=1, col=1)
    figure.add_trace(_curve(log, NDCG, colour=RED, symbol="diamond", dash="dash"), row=1, col=2)
    _draw_floors(figure, floors, top=top)
    if best is not None:
        _mark_best(figure, best, reach=reach)
    said = _story(log, best)
    beaten = "; ".join(f"{name} {value:.3f}" for name, value in floors.items()) or "none given"
    finish(
        figure,
        title="Learning curves",
        caption=f"{said['caption']} Floors: {beaten}. {note}".strip(),
        alt=said["alt"],
        size=(900, HEIGHT),
        sides=(64, 160 if floors else 24),
        above=26,
    )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(title_text="epoch", range=[0, 1.03 * reach])
    figure.update_yaxes(range=None if len(log) else [0, 1], showticklabels=bool(len(log)), row=1, col=1)
    return figure.update_yaxes(range=[0, top], row=1, col=2)


def ranking_table(table: pd.DataFrame, metric: str = "ndcg@10") -> go.Figure:
    """Rankers side by side: one metric, between 0 and 1, as dots with 95 % intervals, the best on top.

    Args:
        table: What ``evaluate`` returns: one row per ranker, and its protocol in ``attrs["card"]``.
        metric: A column with ``_low`` and ``_high`` beside it.

    Raises:
        ValueError: If the table has no such metric or no rows.
    """
    low, high = f"{metric}_low", f"{metric}_high"
    _require(table, [metric, low, high], what="the evaluation table")
    if not len(table):
        raise ValueError("the evaluation table has no rows. Give evaluate at least one ranker.")
    table, card = table.sort_values(metric, kind="stable"), table.attrs.get("card", {})
    names = [str(name) for name in table.index]
    floors = card.get("floors") if isinstance(card.get("floors"), list | tuple) else ()
    figure = go.Figure()
    for label, colour, symbol in (("model", BLUE, "circle"), ("floor", RED, "diamond-open")):
        places = [place for place, name in enumerate(names) if (name in floors) == (label == "floor")]
        figure.add_trace(_dots(table.iloc[places], metric, places=places, name=label, colour=colour, symbol=symbol))
    for place, (value, *ends) in enumerate(table[[metric, low, high]].itertuples(index=False)):
        beside = {"x": 1, "xref": "x domain", "xanchor": "left", "y": place}
        add_text(figure, f"{value:.3f}", bold=True, xshift=14, **beside)
        add_text(figure, f"{ends[0]:.3f} to {ends[1]:.3f}", xshift=64, **beside)
    shown = metric.upper() if metric.startswith(("ndcg", "mrr")) else metric.replace("_", " ")
    finish(
        figure,
        title=f"{shown}, rankers side by side",
        caption=_caption(card),
        alt=f"{len(table)} rankers by {shown}; the best is {names[-1]} with {table[metric].iloc[-1]:.3f}.",
        size=(760, 24 + 34 * len(table)),
        sides=(min(280, 30 + int(7.4 * max(map(len, names)))), 180),
        above=16 if floors else 0,
    )
    figure.update_layout(showlegend=0 < len(floors) < len(table))
    figure.update_xaxes(range=[0, 1.06 * table[high].max() or 1], title_text=f"{shown}; bars are 95 % intervals")
    labels = [escape(name if len(name) <= 34 else f"{name[:33]}…") for name in names]
    return figure.update_yaxes(tickvals=list(range(len(names))), ticktext=labels, range=[-0.6, len(names) - 0.4])


def _curve(log: pd.DataFrame, column: str, *, colour: str, symbol: str, dash: str) -> go.Scatter:
    """One measured curve over epochs, a mark at each validation."""
    return go.Scatter(
        x=log["epoch"],
        y=log[column],
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 2},
        marker={"symbol": symbol, "size": 7},
        customdata=log[["step", "seconds"]],
        hovertemplate="epoch %{x:.1f}, step %{customdata[0]:,}<br>%{y:.4f}<br>%{customdata[1]:.0f} s<extra></extra>",
    )


def _dots(table: pd.DataFrame, metric: str, *, places: list[int], name: str, colour: str, symbol: str) -> go.Scatter:
    """One kind of ranker: a dot per row and its interval."""
    value, low, high = (table[column].to_numpy() for column in (metric, f"{metric}_low", f"{metric}_high"))
    return go.Scatter(
        x=value,
        y=places,
        error_x={"array": high - value, "arrayminus": value - low, "color": TEXT, "thickness": 2, "width": 5},
        mode="markers",
        name=name,
        marker={"color": colour, "symbol": symbol, "size": 12, "line": {"color": colour, "width": 2}},
        text=[escape(str(ranker)) for ranker in table.index],
        customdata=np.column_stack([low, high]),
        hovertemplate="%{text}: %{x:.4f}<br>95 % interval %{customdata[0]:.4f} to %{customdata[1]:.4f}",
    )


def _mark_best(figure: go.Figure, best: pd.Series, *, reach: float) -> None:
    """The best validation is named, towards the middle of the picture and away from the names of the floors."""
    side = "right" if 2 * best["epoch"] > reach else "left"
    place = {"x": best["epoch"], "y": best[NDCG], "xref": "x2", "yref": "y2", "yshift": 14, "xanchor": side}
    add_text(figure, f"best {best[NDCG]:.3f}", bold=True, **place)


def _story(log: pd.DataFrame, best: pd.Series | None) -> dict[str, str]:
    """What the curves show, as ``caption`` and as ``alt``."""
    if not len(log):
        return {"caption": "No validation yet.", "alt": "Two empty charts: nothing was validated yet."}
    last = log.iloc[-1]
    words = "nothing to validate on"
    if best is not None:
        words = f"best NDCG@10 {best[NDCG]:.3f} at epoch {best['epoch']:.1f}"
    return {
        "caption": f"{last['step']:,.0f} steps in {last['seconds']:.0f} s; {words}.",
        "alt": f"Two curves over {last['epoch']:.1f} epochs: training loss ends at {last['train_loss']:.2f}; {words}.",
    }


def _draw_floors(figure: go.Figure, floors: Mapping[str, float], *, top: float) -> None:
    """Thin lines at the floors; their names stand to the right, at least a line of text apart."""
    apart, place = 17 * top / HEIGHT, -np.inf
    for name, value in sorted(floors.items(), key=lambda floor: floor[1]):
        figure.add_hline(value, line={"color": TEXT, "width": 1, "dash": "dot"}, row=1, col=2)
        place = max(value, place + apart)
        beside = {"x": 1, "xref": "x2 domain", "xanchor": "left", "xshift": 8, "y": place, "yref": "y2"}
        add_text(figure, f"{name} {value:.3f}", font_size=12, **beside)


def _caption(card: Mapping) -> str:
    """The lines of the protocol card without which the numbers could not be read."""
    if not card:
        return "No protocol card: this table does not say how it was measured."
    parts = [f"{key}: {str(card[key]).split(':')[0]}" for key in CARD_LINES if key in card]
    floors = card.get("floors", "no floor")
    parts.append(floors if isinstance(floors, str) else f"floors: {', '.join(map(str, floors))}")
    return "; ".join([str(card.get("dataset", "dataset not named")), *parts]) + "."


def _require(table: pd.DataFrame, columns: list[str], *, what: str) -> None:
    """Raise one clear error if a table lacks columns."""
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"{what} lacks {missing}; it has {[str(name) for name in table.columns]}.")
