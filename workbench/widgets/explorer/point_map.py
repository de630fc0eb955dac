"""The map that is drawn in the browser: pan, zoom, lasso and click, with or without a mouse."""

from collections.abc import Sequence
from pathlib import Path

import anywidget
import numpy as np
import pandas as pd
import traitlets

FOLDER = Path(__file__).parent
SHAPES = {"item": 0, "user": 1, "request": 2}
HIDDEN = 255  # the code of a point that is not shown


class PointMap(anywidget.AnyWidget):
    """Points on a canvas. Python says what there is and what is lit; the hands answer in ``chosen`` and ``lasso``.

    Points are told by their place, 0 to n - 1. A canvas of our own because plotly, without a GPU, takes about half a
    second for each frame of 100,000 points (``benchmarks/results/ui.json`` has ours), fires no click while its lasso
    is active, and would put 5 MB of script into every saved notebook.

    Attributes:
        xy: Float32 pairs, ``n * 8`` bytes.
        codes: Place in ``palette`` per point, uint8; 255 hides it.
        shapes: 0 dot, 1 diamond, 2 square per point, uint8.
        palette: CSS colours; later ones lie below.
        meanings: What each colour says of its points, ``group: war``; the last line of what the pointer is told.
        names: What the pointer is told, plain text in lines; the first line names the chosen point.
        labels: Names of groups with their places, ``{"text", "x", "y"}``, the most important first.
        lit: Points that stand out; all others are faint while there are any.
        ringed: Points with an outline.
        line: Points joined by a faint line, in this order.
        chosen: The point that was clicked, or -1.
        cleared: How often the empty plane was clicked, or Escape pressed.
        lasso: The corners of a loop drawn around points, in the map's own coordinates; Python empties it once heard.
        alt: What the picture shows, in words.
        height: Pixels.
    """

    _esm = "".join((FOLDER / name).read_text("utf-8") for name in ("points.js", "point_map.js"))
    _css = FOLDER.parent / "view.css"
    xy = traitlets.Bytes().tag(sync=True)
    codes = traitlets.Bytes().tag(sync=True)
    shapes = traitlets.Bytes().tag(sync=True)
    palette = traitlets.List().tag(sync=True)
    meanings = traitlets.List().tag(sync=True)
    names = traitlets.List().tag(sync=True)
    labels = traitlets.List().tag(sync=True)
    lit = traitlets.List().tag(sync=True)
    ringed = traitlets.List().tag(sync=True)
    line = traitlets.List().tag(sync=True)
    chosen = traitlets.Int(-1).tag(sync=True)
    cleared = traitlets.Int().tag(sync=True)
    lasso = traitlets.List().tag(sync=True)
    alt = traitlets.Unicode("A map.").tag(sync=True)
    height = traitlets.Int(480).tag(sync=True)


def points_to_bytes(points: pd.DataFrame) -> dict[str, bytes]:
    """The traits ``xy`` and ``shapes`` for a table with ``kind``, ``x`` and ``y``."""
    xy = np.ascontiguousarray(points[["x", "y"]].to_numpy(np.float32))
    return {"xy": xy.tobytes(), "shapes": points["kind"].map(SHAPES).to_numpy(np.uint8).tobytes()}


def inside(xy: np.ndarray, loop: Sequence[Sequence[float]]) -> np.ndarray:
    """Which points lie inside a closed loop, by the even-odd rule; boolean, shape (n_points,).

    Args:
        xy: Shape (n_points, 2).
        loop: Corners; fewer than three hold nothing.

    Example:
        >>> inside(np.array([[0.5, 0.5], [2.0, 0.5]]), [[0, 0], [1, 0], [1, 1], [0, 1]])
        array([ True, False])
    """
    x, y = np.asarray(xy, dtype=float).T
    crossed = np.zeros(len(x), dtype=bool)
    if len(loop) < 3:
        return crossed
    for (x1, y1), (x2, y2) in zip(loop, [*loop[1:], loop[0]], strict=True):
        if y1 == y2:
            continue
        between = (y1 > y) != (y2 > y)  # a ray to the right meets this side of the loop
        crossed ^= between & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return crossed
