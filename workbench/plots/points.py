"""The points of a map as people know them: titles, attributes, and a colour with a name for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from plotly.colors import sample_colorscale

from workbench.catalogs import item_labels
from workbench.plots.theme import BLUE, COLOURS, GREEN, RED, TEXT

if TYPE_CHECKING:  # the room of maps needs torch, drawing does not
    from workbench.insight.maps.fitting import EmbeddingMap

KINDS = {"item": ("items", BLUE), "user": ("users", RED), "request": ("requests", GREEN)}
UNNAMED = "other"  # what a table of groups calls those who are in none
MISSING = "rgba(140, 140, 140, 0.4)"  # lies below everything, and lets it through
OWN = ("kind", "id", "title", "x", "y")  # columns of every map of points
LONGEST_ATTRIBUTE = 40  # characters on average; longer texts are descriptions, which no colour can tell apart
STEPS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500)


@dataclass(frozen=True, eq=False)
class Colouring:
    """A colour for every point, and what the colours mean.

    Attributes:
        codes: Place of each point's colour in ``colours``; uint8, shape (n_points,).
        colours: As CSS writes them, in the order of the legend; greys last.
        names: What each colour stands for.
    """

    codes: np.ndarray
    colours: list[str]
    names: list[str]


def describe_points(
    embedding_map: "EmbeddingMap",
    *,
    catalog: pd.DataFrame | None = None,
    users: pd.DataFrame | None = None,
    groups: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Every point of a map with its title and attributes.

    Args:
        embedding_map: The map.
        catalog: Attributes of items; without it, or for an item it lacks, the id is the title.
        users: Attributes of users.
        groups: Index (``kind``, ``id``) and a column ``group`` of group names; "other" or missing means in none.

    Returns:
        Table ``kind``, ``id``, ``title`` (``Solaris (1972)``), ``x``, ``y``, then the attributes, in the map's order.
        Long texts such as descriptions are left out, and attributes called like a column that is there already:
        ``kind``, ``id``, ``x``, ``y``, and ``group`` when groups are given.
    """
    points = embedding_map.table[["x", "y"]].reset_index()
    points.insert(2, "title", np.where(points["kind"] == "item", "", points["kind"] + " ") + points["id"])
    taken = OWN if groups is None else (*OWN, "group")
    for kind, table in (("item", catalog), ("user", users)):
        if table is None:
            continue
        table = table.set_index(f"{kind}_id")
        rows = points.index[(points["kind"] == kind) & points["id"].isin(table.index)]
        own = table.loc[points["id"][rows]].set_axis(rows)
        if kind == "item":
            points.loc[rows, "title"] = item_labels(own)
        for name in _attributes(own.drop(columns=list(taken), errors="ignore")):
            # a column that items and users share, such as a country, is one column
            points[name] = own[name].reindex(points.index).combine_first(points.get(name, own[name]))
    if groups is not None:
        group = groups["group"].reindex(embedding_map.table.index).to_numpy(dtype=object)
        points["group"] = np.where(group == UNNAMED, None, group)
    return points


def colour_choices(points: pd.DataFrame) -> list[str]:
    """The columns of ``describe_points`` that points can be coloured by; groups first."""
    names = [name for name in points.columns[len(OWN) :] if not name.startswith("title") and points[name].nunique() > 1]
    return sorted(names, key=lambda name: name != "group")


def colour_points(points: pd.DataFrame, by: str | None) -> Colouring:
    """Colours for all points: by kind (None), by an attribute's values, or by ranges of its numbers.

    Texts get Okabe & Ito's colours for the seven most frequent values, of several joined by ``|`` the first counts;
    all others are "other". Numbers get ranges of equal width in the colours of cividis. No value is a grey of its own.

    Raises:
        KeyError: If there is no such attribute; the message lists those there are.

    Example:
        >>> points = pd.DataFrame({"kind": "item", "genres": ["Drama|War", "Drama", None]})
        >>> colour_points(points, "genres").names
        ['Drama', 'no genres']
    """
    if by is None:
        kinds = [kind for kind in KINDS if (points["kind"] == kind).any()]
        codes = points["kind"].map({kind: place for place, kind in enumerate(kinds)})
        return Colouring(codes.to_numpy(np.uint8), [KINDS[k][1] for k in kinds], [KINDS[k][0] for k in kinds])
    if by not in points:
        raise KeyError(f"there is no attribute {by!r} to colour by; there are {colour_choices(points)}.")
    values = points[by]
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and values.nunique() > 7:
        values, names = _ranges(values.astype("Float64"), decades=by == "year")
        colours = cividis(len(names))
    else:
        values = values.astype(object).where(values.isna(), values.astype(str).str.split("|").str[0]).replace("", None)
        counts = values.value_counts()
        names = sorted(counts.index, key=lambda name: (-counts[name], name))
        names, others = names[: len(COLOURS)], names[len(COLOURS) :]
        values = values.where(~values.isin(others), UNNAMED)
        colours = list(COLOURS[: len(names)])
        names, colours = (names + [UNNAMED], colours + [TEXT]) if others else (names, colours)
    places = pd.Index(names).get_indexer(values.astype(object))
    if (places < 0).any():
        places[places < 0] = len(names)
        names, colours = [*names, f"no {by}"], [*colours, MISSING]
    return Colouring(places.astype(np.uint8), list(colours), list(names))


def cividis(n: int) -> list[str]:
    """``n`` colours from dark to light that colour-blind readers tell apart (Nuñez, Anderton & Renslow 2018).

    The ends of the scale, lost on a dark or on a white page, are left out.

    Example:
        >>> cividis(2)
        ['#33456d', '#dfca57']
    """
    shades = sample_colorscale("Cividis", np.linspace(0.2, 0.88, n).tolist(), colortype="tuple")
    return ["#" + "".join(f"{round(255 * part):02x}" for part in shade) for shade in shades]


def name_places(points: pd.DataFrame) -> pd.DataFrame:
    """Where a group's name stands, the median of its points: ``group``, ``x``, ``y``, ``size``, largest first."""
    if "group" not in points or not points["group"].notna().any():
        return pd.DataFrame(columns=["group", "x", "y", "size"])
    places = points.groupby("group").agg(x=("x", "median"), y=("y", "median"), size=("x", "size"))
    return places.sort_values("size", ascending=False, kind="stable").reset_index()


def _attributes(table: pd.DataFrame) -> list[str]:
    """Columns worth showing: no long texts."""
    texts = table.select_dtypes(["object", "str"])
    long = {name for name in texts if texts[name].dropna().astype(str).str.len().mean() > LONGEST_ATTRIBUTE}
    return [name for name in table.columns if name not in long]


def _ranges(values: pd.Series, *, decades: bool) -> tuple[pd.Series, Sequence[str]]:
    """Numbers as the names of at most twelve ranges of equal width, and these names in order."""
    low, high = float(values.min()), float(values.max())
    power = 10.0 ** np.floor(np.log10((high - low) / 12))
    step = 10 if decades else next(s * power for s in STEPS if (high - low) / (s * power) < 11)
    first = int(np.floor(low / step))
    places = np.floor(values / step) - first
    starts = [(first + place) * step for place in range(int(places.max()) + 1)]
    whole = step >= 1 and bool((values.dropna() % 1 == 0).all())
    names = [f"{s:g}s" if decades else f"{s:g} to {s + step - whole:g}" for s in starts]
    return places.map(lambda place: names[int(place)], na_action="ignore"), names
