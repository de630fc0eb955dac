"""Plots: draws results and writes them to files; never fits anything.

`draw(result)` makes the picture that belongs to a result, `save(result, path)` writes it by suffix, and `list_table`
shows recommendations with titles. Each chart has a caption, alternative text in ``layout.meta["alt"]``, marks that
differ by more than colour, and reads on light and on dark pages. Importing this package lets charts show both in
JupyterLab and in exported pages.
"""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from workbench.catalogs import Dataset
from workbench.plots.attention import attention_chart
from workbench.plots.data import history_lengths, popularity_curve, timeline
from workbench.plots.explanations import explanation_chart
from workbench.plots.history import HistoryTable, history_chart
from workbench.plots.learning import NDCG, learning_curves, ranking_table
from workbench.plots.lists import ListTable, list_table
from workbench.plots.maps import is_map, map_chart
from workbench.plots.saving import write_figure, write_page, write_table
from workbench.plots.theme import chart_html, use_renderer

__all__ = [
    "HistoryTable",
    "ListTable",
    "attention_chart",
    "chart_html",
    "draw",
    "explanation_chart",
    "history_chart",
    "history_lengths",
    "learning_curves",
    "list_table",
    "map_chart",
    "popularity_curve",
    "ranking_table",
    "save",
    "timeline",
]

use_renderer()


def draw(result: Any) -> go.Figure:
    """The chart that belongs to a result.

    Args:
        result: A dataset (its popularity curve), a training log (learning curves), what ``evaluate`` returns (rankers
            side by side), what ``attend`` returns (a heat map), a map of embeddings, or a view (its still picture).

    Raises:
        TypeError: If there is no chart for this kind of result; the message lists the kinds there are.

    Example:
        >>> log = pd.DataFrame(
        ...     {"step": [9], "epoch": [1.0], "train_loss": [6.5], "validation_ndcg@10": [0.05], "seconds": [2.0]}
        ... )
        >>> draw(log).layout.meta["alt"]
        'Two curves over 1.0 epochs: training loss ends at 6.50; best NDCG@10 0.050 at epoch 1.0.'
    """
    if isinstance(result, Dataset):
        return popularity_curve(result)
    if hasattr(result, "history_weights"):  # an AttentionMap; its room would bring torch along
        return attention_chart(result)
    if isinstance(result, pd.DataFrame):
        if "train_loss" in result and NDCG in result:
            return learning_curves(result)
        measured = [name for name in result if f"{name}_low" in result and f"{name}_high" in result]
        if measured:
            return ranking_table(result, "ndcg@10" if "ndcg@10" in measured else measured[0])
    elif is_map(result):
        return map_chart(result)
    elif callable(getattr(result, "figure", None)):
        return result.figure()
    raise TypeError(
        f"there is no chart for this {type(result).__name__}. Give a dataset, a training log, what evaluate or attend "
        "returns, or a map of embeddings; rankings are shown by list_table(rankings, catalog)."
    )


def save(result: Any, path: str | os.PathLike) -> Path:
    """Write a figure or a result to a file, by suffix; an existing file is replaced, only by a complete one.

    Args:
        result: A plotly figure, a table, a ``ListTable``, or anything ``draw`` knows.
        path: Where to: ``.html`` (one page, works offline), ``.png`` (needs Chromium, Chrome or Edge), and for tables
            ``.csv`` or ``.parquet``. Missing folders are made.

    Returns:
        The path.

    Raises:
        ValueError: If the suffix is none of these, or does not fit the result, as a page does not fit a plain table.
        TypeError: If ``draw`` knows no chart for something that is no table.
        RuntimeError: If a ``.png`` cannot be made on this machine.
    """
    path = Path(path)
    table = result if isinstance(result, pd.DataFrame) else getattr(result, "table" if is_map(result) else "df", None)
    if path.suffix in (".csv", ".parquet"):
        if not isinstance(table, pd.DataFrame):
            raise ValueError(
                f"a {type(result).__name__} is no table; save it as .html or .png instead of {path.name!r}."
            )
        write_table(table, path)
    elif path.suffix == ".html" and not isinstance(result, go.Figure | pd.DataFrame) and hasattr(result, "_repr_html_"):
        shown = result._repr_html_()
        script = get_plotlyjs() if "window.Plotly" in shown else ""
        write_page(f"<main style='padding:16px'>{shown}</main>", path, title=type(result).__name__, script=script)
    elif path.suffix in (".html", ".png"):
        if isinstance(result, ListTable):
            raise ValueError(f"a list is text: save it as .html, .csv or .parquet instead of {path.name!r}.")
        try:
            figure = result if isinstance(result, go.Figure) else draw(result)
        except TypeError as problem:
            if result is not table:
                raise
            raise ValueError(
                f"there is no chart for this table; save it as .csv or .parquet instead of {path.name!r}."
            ) from problem
        write_figure(figure, path)
    else:
        raise ValueError(f"{path.name!r} ends in {path.suffix!r}; choose .html, .png, .csv or .parquet.")
    return path
