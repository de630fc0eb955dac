"""What stands beside a map: the points found for a text, and a point's history, recommendations and neighbours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.catalogs.labels import fold, item_labels
from workbench.insight.maps.neighbours import nearest
from workbench.plots.maps import Point
from workbench.widgets.view import describe_error

LONGEST = 50  # rows of a list that are shown
K = 10  # recommendations, and neighbours of each kind
FIRST = "Click a point, or search a title."


@dataclass(frozen=True, eq=False)
class PointList:
    """Points in a row, and the table that tells of them.

    Attributes:
        caption: What the list is, and how many of how many it shows.
        points: Each row's point as (kind, id), best or newest first.
        table: What is shown of them, same rows.
        bars: Columns of ``table`` that hold probabilities.
    """

    caption: str = FIRST
    points: list[Point] = field(default_factory=list)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    bars: tuple[str, ...] = ()


@dataclass(frozen=True)
class Names:
    """What to call whoever may be listed, by (kind, id); an unknown one is called by their id.

    Attributes:
        titles: ``Solaris (1972)``.
        genres: ``Drama, Sci-Fi``; only of those that have any.
    """

    titles: dict[Point, str]
    genres: dict[Point, str]

    def table(self, points: Sequence[Point]) -> pd.DataFrame:
        """Title and, if anybody has any, genres."""
        table = pd.DataFrame({"Title": [self.titles.get(point, point[1]) for point in points]})
        return table.assign(Genres=[self.genres.get(point) for point in points]) if self.genres else table


def search_texts(points: pd.DataFrame) -> pd.Series:
    """What a search looks into: titles in both languages, and with them the ids of users, folded."""
    texts = points["title"].astype(str)
    if "title_zh" in points:
        texts = texts + "\n" + points["title_zh"].fillna("").astype(str)
    return texts.map(fold)


def known_names(points: pd.DataFrame, catalog: pd.DataFrame) -> Names:
    """What to call the points of a map, and the items of the catalog beside it."""
    items = [("item", name) for name in catalog["item_id"]]
    titles = dict(zip(items, item_labels(catalog), strict=True)) | dict(
        zip(_pairs(points), points["title"], strict=True)
    )
    genres = catalog["genres"].dropna() if "genres" in catalog else pd.Series(dtype=object)
    return Names(titles, {items[row]: str(text).replace("|", ", ") for row, text in genres.items()})


def list_points(points: pd.DataFrame, names: Names, *, caption: str) -> PointList:
    """Points of the map as they come, the first 50."""
    some = points.head(LONGEST)
    caption += f", the first {LONGEST} shown" if len(points) > LONGEST else ""
    table = names.table(_pairs(some))
    if "title_zh" in some and some["title_zh"].notna().any():
        table.insert(1, "Chinese title", some["title_zh"].tolist())
    return PointList(f"{caption}.", _pairs(some), table)


def look_around(
    point: Point,
    names: Names,
    *,
    vectors: pd.DataFrame,
    histories: Mapping[str, Sequence[str]],
    recommender: Any = None,
) -> dict[str, PointList]:
    """A point's history, recommendations and neighbours.

    Args:
        point: Kind and id.
        names: Titles and genres of whoever may be listed.
        vectors: Embeddings table that says who is near.
        histories: ``{user_id: [item_id, ...]}``, oldest first.
        recommender: Who ranks; None for nobody.

    Returns:
        ``{"History": ..., "Recommended": ..., "Neighbours": ...}``; an empty list says why it is empty.
    """
    kind, name = point
    history = list(histories.get(name, ())) if kind == "user" else []
    return {
        "History": list_history(point, history, names),
        "Recommended": list_recommended(point, history, names, recommender=recommender),
        "Neighbours": list_neighbours(point, names, vectors=vectors),
    }


def list_history(point: Point, history: Sequence[str], names: Names) -> PointList:
    """A user's items, newest first; the number is the place in the history."""
    if point[0] != "user":
        return PointList(f"Only users have a history; this is {_article(point[0])}. See Neighbours.")
    if not history:
        return PointList(f"No history of user {point[1]} is known.")
    newest = list(range(len(history), 0, -1))[:LONGEST]
    pairs = [("item", history[place - 1]) for place in newest]
    table = names.table(pairs)
    table.insert(0, "No.", newest)
    caption = f"History of user {point[1]}, newest first: {len(newest)} of {len(history)} items."
    return PointList(caption, pairs, table)


def list_recommended(point: Point, history: Sequence[str], names: Names, *, recommender: Any) -> PointList:
    """What the recommender puts first after a user's history or for a request, seen items left out."""
    kind, name = point
    if recommender is None:
        return PointList("No recommender was given; add recommender=... to the call that made this view.")
    if kind == "item":
        return PointList("Users and requests get recommendations; this is an item. See Neighbours.")
    wish = {"request": name} if kind == "request" else {}
    try:
        ranking = recommender.rank({name: history}, k=K, exclude_seen=True, **wish)
    except Exception as error:  # the other lists can be shown all the same
        return PointList(f"Ranking failed: {describe_error(error)}")
    pairs = [("item", item) for item in ranking["item_id"]]
    table = names.table(pairs)
    scores = ranking["score"].to_numpy(dtype=float)
    shares = bool(len(scores)) and scores.max() <= 0 and np.exp(scores).sum() <= 1 + 1e-4
    table.insert(1, "Probability" if shares else "Score", np.exp(scores) if shares else scores)
    table.insert(0, "Rank", ranking["rank"].tolist())
    caption = f"Recommended to user {name}, seen items left out." if kind == "user" else f"Recommended for “{name}”."
    return PointList(caption, pairs, table, bars=("Probability",) if shares else ())


def list_neighbours(point: Point, names: Names, *, vectors: pd.DataFrame) -> PointList:
    """The nearest of each kind, those of the point's own kind first, by cosine in the vectors of the map."""
    kinds = sorted(vectors.index.get_level_values("kind").unique(), key=lambda kind: kind != point[0])
    near = pd.concat([nearest(vectors, point, k=K, kind=kind) for kind in kinds], ignore_index=True)
    pairs = _pairs(near)
    table = names.table(pairs)
    table.insert(1, "Cosine", near["cosine"].astype(float).to_numpy())
    name = names.titles.get(point, point[1])
    return PointList(f"Nearest to {name} in the vectors of this map, not in the plane.", pairs, table)


def say_colours(listed: PointList, values: pd.Series | None) -> pd.DataFrame:
    """The table of a list with what each point is coloured by in words, unless a column says so already.

    Args:
        listed: The list.
        values: The attribute of all points of the map, index (kind, id); None when the kind colours, which titles tell.
    """
    if values is None or not listed.points or values.name.capitalize() in listed.table:
        return listed.table
    places = values.index.get_indexer(listed.points)
    words = values.iloc[places].astype(object).fillna(f"no {values.name}").astype(str)
    told = np.where(places < 0, "", words)  # who is listed but not on the map has no value
    return listed.table.assign(**{values.name.capitalize(): told})


def _pairs(table: pd.DataFrame) -> list[Point]:
    """(kind, id) per row."""
    return list(zip(table["kind"], table["id"], strict=True))


def _article(kind: str) -> str:
    """The kind with its article."""
    return f"an {kind}" if kind == "item" else f"a {kind}"
