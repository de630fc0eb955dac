"""The still picture of a map of embeddings: what the explorer shows, for pages, files and print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from workbench.plots.points import KINDS, Colouring, colour_points, describe_points, name_places
from workbench.plots.theme import FONT, TEXT, escape, finish

if TYPE_CHECKING:  # the room of maps needs torch, drawing does not
    from workbench.insight.maps.fitting import EmbeddingMap

Point = tuple[str, str]  # kind, id
SYMBOLS = {"item": "circle", "user": "diamond", "request": "square"}
DRAWN_FIRST = ("user", "item", "request")  # what comes later lies on top
HOVER = "%{text}<extra></extra>"
MANY = 5000  # points from which on the graphics card draws; below, the picture stays sharp when printed
SIZE = (900, 560)  # of the whole picture and of its axes, in pixels
LEGEND = 190  # pixels right of the axes
LONGEST_NAME = 24  # characters in the legend


def is_map(result: Any) -> bool:
    """Whether a result is an ``EmbeddingMap``; told without its class, whose room needs torch."""
    return type(result).__name__ == "EmbeddingMap"


def map_chart(
    embedding_map: "EmbeddingMap",
    *,
    catalog: pd.DataFrame | None = None,
    users: pd.DataFrame | None = None,
    groups: pd.DataFrame | None = None,
    colour: str | None = None,
    chosen: Point | None = None,
    highlight: Sequence[Point] = (),
    line: Sequence[Point] = (),
    shown: Sequence[bool] | None = None,
    sample: int = 20_000,
    source: str = "",
) -> go.Figure:
    """A map: items are dots, users diamonds, requests squares; what is on it stands in legend, hover and caption.

    Args:
        embedding_map: What ``fit_map`` returns.
        catalog: Titles and attributes of items.
        users: Attributes of users.
        groups: Index (``kind``, ``id``) and a column ``group``; the names of groups are written on the map.
        colour: Attribute to colour by; None colours by kind.
        chosen: The point, as (kind, id), to draw largest and to name.
        highlight: Points to light up; the others are faint then, and groups are not named.
        line: Points to join by a faint line, in this order.
        shown: For every point of the map whether to draw it; all when None.
        sample: Most points drawn; of more, a share of each colour and kind is drawn by chance, always the same one,
            and the caption says how many.
        source: What else a reader should know: dataset, run, start.

    Raises:
        KeyError: If ``colour`` names no attribute, or a highlighted point is not on the map.
    """
    points = describe_points(embedding_map, catalog=catalog, users=users, groups=groups)
    colouring = colour_points(points, colour)
    index, kept = embedding_map.table.index, np.ones(len(points), bool) if shown is None else np.asarray(shown, bool)
    drawn = draw_sample(points, colouring, np.flatnonzero(kept), most=sample)
    lit = _places(index, highlight)
    lit = draw_sample(points, colouring, lit[kept[lit]], most=sample)
    lit = np.append(lit, _places(index, [chosen])) if chosen else lit
    figure = go.Figure(_traces(points, colouring, drawn, faint=bool(len(lit))))
    if len(line):
        path = _places(index, line)
        _add_line(figure, points.iloc[path[kept[path]]])  # not through points that are left out
    if len(lit):
        _add_highlight(figure, points.iloc[lit], [colouring.colours[code] for code in colouring.codes[lit]], chosen)
    figure.add_traces(_legend(colouring, points["kind"].unique()))
    counts = [f"{(points['kind'] == kind).sum():,} {name}" for kind, (name, _) in KINDS.items()]
    counts = [count for count in counts if not count.startswith("0 ")]
    told = _alt(points, colouring, kept, counts, colour=colour, lit=lit)
    finish(
        figure,
        title=f"Map of {' and '.join(counts)}",
        caption=map_caption(embedding_map, len(drawn), len(points), source=source),
        alt=told,
        size=SIZE,
        sides=(8, LEGEND),
    )
    across, up = _ranges(points, width=SIZE[0] - 8 - LEGEND, height=SIZE[1])
    if not len(lit):
        _write_names(figure, name_places(points[kept]), across, up)
    figure.update_layout(legend={"orientation": "v", "x": 1.01, "xanchor": "left", "y": 1, "yanchor": "top"})
    figure.update_layout(legend_title_text=escape(colour or ""), dragmode="pan")
    figure.update_xaxes(visible=False, range=across)
    return figure.update_yaxes(visible=False, range=up, scaleanchor="x")


def draw_sample(
    points: pd.DataFrame, colouring: Colouring, rows: np.ndarray, *, most: int, seed: int = 0
) -> np.ndarray:
    """Rows to draw: all, or a seeded share of each kind and colour, in the order of the map; never more than ``most``.

    Each kind and colour keeps at least one point as long as ``most`` is enough for that; the largest ones give way.

    Example:
        >>> points = pd.DataFrame({"kind": ["item"] * 90 + ["user"] * 10})
        >>> rows = draw_sample(points, colour_points(points, None), np.arange(100), most=20)
        >>> points["kind"][rows].value_counts().to_dict()
        {'item': 18, 'user': 2}
    """
    if len(rows) <= most:
        return rows
    rng, share = np.random.default_rng(seed), most / len(rows)
    parts = pd.Series(rows).groupby([points["kind"].to_numpy()[rows], colouring.codes[rows]], sort=True)
    counts = np.array([max(1, round(share * len(part))) for _, part in parts])
    while counts.sum() > most:  # by rounding, or because the rarest count as one
        counts[counts.argmax()] -= 1
    drawn = [rng.choice(part.to_numpy(), n, replace=False) for (_, part), n in zip(parts, counts, strict=True)]
    return np.sort(np.concatenate(drawn))


def place_names(places: pd.DataFrame, *, across: Sequence[float], up: Sequence[float]) -> pd.DataFrame:
    """The names that fit on the picture without lying on each other, moved up or down by up to three lines.

    Args:
        places: ``group``, ``x``, ``y``, largest first: the larger a group, the nearer its name stands to its place.
        across: The range of x that the picture shows.
        up: The range of y.

    Returns:
        The rows that fit, with ``y`` where the name stands now.
    """
    line, taken, rows = 22, [], []
    pixel = (up[1] - up[0]) / SIZE[1]
    for place in places.itertuples():
        half = 4.2 * min(len(place.group), 2 * LONGEST_NAME) + 8
        x = (place.x - across[0]) / pixel
        for move in (0, 1, -1, 2, -2, 3, -3):
            y = (place.y - up[0]) / pixel + move * line
            box = (x - half, y - line / 2, x + half, y + line / 2)
            if not any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in taken):
                taken.append(box)
                rows.append((place.group, place.x, up[0] + y * pixel))
                break
    return pd.DataFrame(rows, columns=["group", "x", "y"])


def hover_texts(points: pd.DataFrame) -> list[str]:
    """What is said of each point beside it, in lines: title, Chinese title, genres, id. Plain text, not escaped."""
    lines = [points[name] for name in ("title", "title_zh", "genres") if name in points]
    ids = np.where(points["kind"] == "item", points["id"], None)
    texts = zip(*lines, ids, strict=True)
    return ["\n".join(str(line).replace("|", ", ") for line in text if not pd.isna(line) and line) for text in texts]


def _hover_html(points: pd.DataFrame) -> list[str]:
    """The same for plotly, escaped."""
    return [escape(text).replace("\n", "<br>") for text in hover_texts(points)]


def _places(index: pd.MultiIndex, wanted: Sequence[Point]) -> np.ndarray:
    """Rows of points in the map."""
    rows = index.get_indexer(pd.MultiIndex.from_tuples(wanted)) if len(wanted) else np.empty(0, int)
    if (rows < 0).any():
        raise KeyError(f"{wanted[int(np.argmax(rows < 0))]} is not on this map; give (kind, id), ids as strings.")
    return rows


def _traces(
    points: pd.DataFrame, colouring: Colouring, drawn: np.ndarray, *, faint: bool
) -> list[go.Scatter | go.Scattergl]:
    """One trace per kind and colour: users below items, greys below colours."""
    mark, size, opacity = (go.Scattergl, 5, 0.7) if len(drawn) > MANY else (go.Scatter, 7, 0.85)
    kinds, codes = points["kind"].to_numpy()[drawn], colouring.codes[drawn]
    x, y = points["x"].to_numpy()[drawn], points["y"].to_numpy()[drawn]
    texts = np.array(_hover_html(points.iloc[drawn]), dtype=object)
    traces = []
    for kind in DRAWN_FIRST:
        for code in reversed(range(len(colouring.names))):
            own = (codes == code) & (kinds == kind)
            if own.any():
                look = {"symbol": SYMBOLS[kind], "size": size, "color": colouring.colours[code], "line_width": 0}
                places = {"x": x[own], "y": y[own], "text": texts[own], "hovertemplate": HOVER}
                group = {"legendgroup": str(code), "showlegend": False, "opacity": 0.2 if faint else opacity}
                traces.append(mark(mode="markers", marker=look, **places, **group))
    return traces


def _legend(colouring: Colouring, kinds: Sequence[str]) -> list[go.Scatter]:
    """The meaning of colours and of shapes, full even when the points are faint."""
    entries = [
        (name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…", str(code), "square", colour)
        for code, (name, colour) in enumerate(zip(colouring.names, colouring.colours, strict=True))
    ]
    entries += [(KINDS[kind][0], kind, f"{SYMBOLS[kind]}-open", TEXT) for kind in KINDS if kind in set(kinds)]
    return [
        go.Scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=escape(name),
            legendgroup=group,
            marker={"symbol": symbol, "size": 10, "color": colour, "line_width": 1.5 * symbol.endswith("open")},
        )
        for name, group, symbol, colour in entries
    ]


def _add_line(figure: go.Figure, path: pd.DataFrame) -> None:
    """The faint line through points."""
    look = {"color": TEXT, "width": 1.2}
    figure.add_scatter(
        x=path["x"], y=path["y"], mode="lines", line=look, opacity=0.6, hoverinfo="skip", showlegend=False
    )


def _add_highlight(figure: go.Figure, lit: pd.DataFrame, colours: list[str], chosen: Point | None) -> None:
    """The lit points on top of all others, with an outline; the chosen one, which is the last, larger and named."""
    marker = {
        "symbol": [SYMBOLS[kind] for kind in lit["kind"]],
        "size": [11] * (len(lit) - 1) + [17 if chosen else 11],
        "color": colours,
        "line": {"color": TEXT, "width": 2},
    }
    texts = {"text": _hover_html(lit), "hovertemplate": HOVER}
    mark = go.Scattergl if len(lit) > MANY else go.Scatter
    figure.add_trace(mark(x=lit["x"], y=lit["y"], mode="markers", marker=marker, showlegend=False, **texts))
    if chosen:
        _write_pill(figure, lit["title"].iloc[-1], lit["x"].iloc[-1], lit["y"].iloc[-1], yshift=22)


def _write_names(figure: go.Figure, places: pd.DataFrame, across: Sequence[float], up: Sequence[float]) -> None:
    """The names of groups where they fit."""
    for name in place_names(places, across=across, up=up).itertuples():
        _write_pill(figure, name.group, name.x, name.y)


def _write_pill(figure: go.Figure, text: str, x: float, y: float, *, yshift: int = 0) -> None:
    """Plain text on a dark plate, which reads over points on white and on dark pages."""
    text = text if len(text) <= 2 * LONGEST_NAME else f"{text[: 2 * LONGEST_NAME - 1]}…"
    plate = {
        "bgcolor": "rgba(40, 40, 40, 0.85)",
        "borderpad": 3,
        "font": {"family": FONT, "color": "white", "size": 12},
    }
    figure.add_annotation(text=escape(text), x=x, y=y, yshift=yshift, showarrow=False, **plate)


def _ranges(points: pd.DataFrame, *, width: int, height: int) -> tuple[list[float], list[float]]:
    """The ranges of x and y that show all points, with equal scales on both axes."""
    middle = [(points[name].min() + points[name].max()) / 2 for name in ("x", "y")]
    spans = [points[name].max() - points[name].min() for name in ("x", "y")]
    pixel = 1.08 * max(spans[0] / width, spans[1] / height) or 1 / height
    across, up = ([m - pixel * n / 2, m + pixel * n / 2] for m, n in zip(middle, (width, height), strict=True))
    return across, up


def map_caption(embedding_map: "EmbeddingMap", drawn: int, n: int, *, source: str = "") -> str:
    """How many points of how many, how the map was made, and how far it can be believed."""
    made = ", ".join([embedding_map.method.upper(), *(f"{k} {v}" for k, v in embedding_map.settings.items())])
    known = {name: embedding_map.quality.get(name, np.nan) for name in ("trust", "overlap", "mixing")}
    measured = ", ".join(f"{name} {value:.2f}" for name, value in known.items() if not pd.isna(value))
    took = f"fitted in {embedding_map.seconds:.1f} s" + (", now read from the cache" if embedding_map.cached else "")
    return "; ".join(filter(None, (f"{drawn:,} of {n:,} points", made, measured, took, source))) + "."


def _alt(
    points: pd.DataFrame,
    colouring: Colouring,
    kept: np.ndarray,
    counts: list[str],
    *,
    colour: str | None,
    lit: np.ndarray,
) -> str:
    """What the picture shows, from the data."""
    shares = np.bincount(colouring.codes[kept], minlength=len(colouring.names))
    colours = ", ".join(f"{name} {n:,}" for name, n in zip(colouring.names, shares, strict=True) if n)
    told = f"A map of {' and '.join(counts)}, coloured by {colour or 'kind'}: {colours}."
    names = name_places(points[kept])["group"].tolist()
    told += f" {len(names)} groups: {', '.join(names)}." if names else ""
    if len(lit):
        told += f" Lit up: {points['title'].iloc[lit[-1]]}" + (f" and {len(lit) - 1} others." if len(lit) > 1 else ".")
    return told
