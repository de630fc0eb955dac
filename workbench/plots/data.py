"""Charts of a dataset: how long histories are, how popularity is spread, and when things happened."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from workbench.catalogs import Dataset
from workbench.plots.theme import BLUE, GREEN, RED, add_text, escape, finish

BARS = 30  # about as many as can be told apart
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
ABOVE_RIGHT = {"xanchor": "left", "yanchor": "bottom", "xshift": 6}
BELOW_LEFT = {"xanchor": "right", "yanchor": "top", "xshift": -10, "yshift": -14}


def history_lengths(dataset: Dataset) -> go.Figure:
    """How many users have how long a history, in interactions per user.

    The longest histories, one user in a hundred, share the last bar.
    """
    lengths = dataset.interactions["user_id"].value_counts().to_numpy()
    first, usual, longest = lengths.min(), np.quantile(lengths, 0.99), lengths.max()
    step = next((step for step in STEPS if (usual - first) / step <= BARS), STEPS[-1])
    starts = np.arange(first // step * step, usual + 1, step).astype(int)
    counts, _ = np.histogram(lengths, bins=[*starts, max(longest, starts[-1]) + 1])
    names = [f"{start:,}" if step == 1 else f"{start:,} to {start + step - 1:,}" for start in starts]
    names[-1] = f"{starts[-1]:,} to {longest:,}"
    figure = go.Figure(
        go.Bar(
            x=starts + step / 2 - 0.5,
            y=counts,
            width=0.92 * step,
            marker={"color": BLUE, "line_width": 0},
            customdata=names,
            hovertemplate="%{customdata} interactions<br>%{y:,} users<extra></extra>",
        )
    )
    middle = float(np.median(lengths))
    figure.add_vline(middle, line={"color": RED, "width": 2, "dash": "dash"})
    add_text(figure, f"median {middle:,.0f}", bold=True, x=middle, y=1, yref="paper", **ABOVE_RIGHT)
    words = f"shortest {first:,}, median {middle:,.0f}, longest {longest:,} interactions"
    finish(
        figure,
        title=f"History lengths, {dataset.name}",
        caption=f"{len(lengths):,} users: {words}. The last bar holds everything from {starts[-1]:,} on.",
        alt=f"Histogram of history lengths: {words}.",
        above=12,
    )
    figure.update_yaxes(title_text="users", rangemode="tozero", tickformat=",d")
    return figure.update_xaxes(title_text="interactions per user", tickformat=",d")


def popularity_curve(dataset: Dataset) -> go.Figure:
    """How many interactions each item has, the most popular first, both axes logarithmic.

    Items that nobody met have no place on a logarithmic axis; the caption counts them.
    """
    counts = dataset.interactions["item_id"].value_counts()
    titles = dataset.catalog.set_index("item_id")["title"].reindex(counts.index).astype(str)
    n_items, unmet = len(dataset.catalog), len(dataset.catalog) - len(counts)
    half = int(np.searchsorted(counts.cumsum(), counts.sum() / 2)) + 1
    figure = go.Figure(
        go.Scatter(
            x=np.arange(1, len(counts) + 1),
            y=counts.to_numpy(),
            mode="lines",
            line={"color": BLUE, "width": 3},
            customdata=[escape(title) for title in titles],
            hovertemplate="%{customdata}<br>place %{x:,}: %{y:,} interactions<extra></extra>",
        )
    )
    marker = {"color": RED, "symbol": "diamond", "size": 12}
    figure.add_trace(go.Scatter(x=[half], y=[counts.iloc[half - 1]], mode="markers", marker=marker, hoverinfo="skip"))
    share = f"{half:,} items ({half / n_items:.1%})"
    # The words stand where the curve is not: under it on the right half, over it on the left one.
    side = (
        {"xanchor": "right", "yanchor": "top", "xshift": -10, "yshift": -12} if half**2 > len(counts) else ABOVE_RIGHT
    )
    place = {"x": np.log10(half), "y": np.log10(counts.iloc[half - 1])}
    add_text(figure, f"{share} hold half of all interactions", bold=True, **place, **side)
    words = f"{share} of {n_items:,} hold half of all interactions"
    rare = f"{int((counts < 5).sum()) + unmet:,} have fewer than 5" + (f", {unmet:,} of them none" if unmet else "")
    finish(
        figure,
        title=f"Popularity of items, {dataset.name}",
        caption=f"{words}; {rare}. Most popular: {titles.iloc[0]}, {counts.iloc[0]:,} interactions.",
        alt=f"A falling curve: {words}.",
        sides=(72, 40),
    )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(type="log", title_text="interactions", tickformat=",d", dtick=1)
    ends = [-0.03, np.log10(len(counts)) + 0.03]
    return figure.update_xaxes(type="log", title_text="place by popularity", tickformat=",d", dtick=1, range=ends)


def timeline(dataset: Dataset) -> go.Figure:
    """Interactions over time, per day, week or month, whichever gives a readable number of bars.

    Raises:
        ValueError: If the dataset knows only the order of events.
    """
    if "timestamp" not in dataset.interactions:
        raise ValueError(
            f"{dataset.name!r} has no timestamps, only the order of events. Draw history_lengths(dataset) instead."
        )
    times = dataset.interactions["timestamp"].dt.tz_convert("UTC").dt.tz_localize(None)
    days = (times.max() - times.min()).days
    unit, code = ("day", "D") if days <= 60 else ("week", "W") if days <= 800 else ("month", "M")
    periods = times.dt.to_period(code)
    counts = periods.value_counts().reindex(pd.period_range(periods.min(), periods.max(), freq=code), fill_value=0)
    figure = go.Figure(
        go.Bar(
            x=counts.index.to_timestamp(),
            y=counts.to_numpy(),
            marker={"color": GREEN, "line_width": 0},
            hovertemplate=f"{unit} from %{{x|%Y-%m-%d}}<br>%{{y:,}} interactions<extra></extra>",
        )
    )
    span = f"{times.min():%Y-%m-%d} to {times.max():%Y-%m-%d} (UTC)"
    busiest = f"busiest {unit}: {counts.max():,} from {counts.idxmax().start_time:%Y-%m-%d}"
    finish(
        figure,
        title=f"Interactions per {unit}, {dataset.name}",
        caption=f"{len(times):,} interactions, {span}; {busiest}.",
        alt=f"Bars over time, {span}; {busiest}.",
    )
    figure.update_layout(bargap=0.1)
    figure.update_yaxes(title_text=f"interactions per {unit}", rangemode="tozero", tickformat=",d")
    return figure.update_xaxes(title_text=f"{unit} (UTC)")
