"""What stands beside a map: the points found for a text, and a point's history, recommendations and neighbours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.catalogs.labels import fold, item_labels
from workbench.insight.maps.neighbours import nearest

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

    caption: str
    points: list[tuple[str, str]] = field(default_factory=list)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    bars: tuple[str, ...] = ()


def search_texts(points: pd.DataFrame) -> pd.Series:
    """What a search looks into: titles in both languages, and with them the ids of users, folded."""
    texts = points["title"].astype(str)
    if "title_zh" in points:
        texts = texts + "\n" + points["title_zh"].fillna("").astype(str)
    return texts.map(fold)


def known_points(points: pd.DataFrame, catalog: pd.DataFrame) -> pd.DataFrame:
    """Whoever may be listed, by (``kind``, ``id``): the points of a map, and the items of the catalog beside it."""
    others = catalog[~catalog["item_id"].isin(points.loc[points["kind"] == "item", "id"])]
    others = others.assign(kind="item", title=item_labels(others)).rename(columns={"item_id": "id"})
    kept = [name for name in ("kind", "id", "title", "genres") if name in others]
    return pd.concat([points, others[kept]], ignore_index=True).set_index(["kind", "id"])


def list_points(points: pd.DataFrame, *, caption: str) -> PointList:
    """Points of the map as they come, the first 50."""
    some = points.head(LONGEST)
    caption += f", the first {LONGEST} shown" if len(points) > LONGEST else ""
    table = _described(some)
    if "title_zh" in some and some["title_zh"].notna().any():
        table.insert(1, "Chinese title", some["title_zh"].tolist())
    return PointList(f"{caption}.", _pairs(some), table)


def look_around(
    point: tuple[str, str],
    points: pd.DataFrame,
    *,
    vectors: pd.DataFrame,
    histories: Mapping[str, Sequence[str]],
    recommender: Any = None,
) -> dict[str, PointList]:
    """A point's history, recommendations and neighbours.

    Args:
        point: Kind and id.
        points: Index (``kind``, ``id``); titles of everything that may be listed.
        vectors: Embeddings table that says who is near.
        histories: ``{user_id: [item_id, ...]}``, oldest first.
        recommender: Who ranks; None for nobody.

    Returns:
        ``{"History": ..., "Recommended": ..., "Neighbours": ...}``; an empty list says why it is empty.
    """
    kind, name = point
    history = list(histories.get(name, ())) if kind == "user" else []
    return {
        "History": list_history(point, history, points),
        "Recommended": list_recommended(point, history, points, recommender=recommender),
        "Neighbours": list_neighbours(point, points, vectors=vectors),
    }


def list_history(point: tuple[str, str], history: Sequence[str], points: pd.DataFrame) -> PointList:
    """A user's items, newest first; the number is the place in the history."""
    if point[0] != "user":
        return PointList(f"Only users have a history; this is {_article(point[0])}. See Neighbours.")
    if not history:
        return PointList(f"No history of user {point[1]} is known.")
    newest = list(range(len(history), 0, -1))[:LONGEST]
    pairs = [("item", history[place - 1]) for place in newest]
    table = _described(_look_up(points, pairs))
    table.insert(0, "No.", newest)
    caption = f"History of user {point[1]}, newest first: {len(newest)} of {len(history)} items."
    return PointList(caption, pairs, table)


def list_recommended(
    point: tuple[str, str], history: Sequence[str], points: pd.DataFrame, *, recommender: Any
) -> PointList:
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
        return PointList(f"Ranking failed: {error}")
    pairs = [("item", item) for item in ranking["item_id"]]
    table = _described(_look_up(points, pairs))
    scores = ranking["score"].to_numpy(dtype=float)
    shares = bool(len(scores)) and scores.max() <= 0 and np.exp(scores).sum() <= 1 + 1e-4
    table.insert(1, "Probability" if shares else "Score", np.exp(scores) if shares else scores)
    table.insert(0, "Rank", ranking["rank"].tolist())
    caption = f"Recommended to user {name}, seen items left out." if kind == "user" else f"Recommended for “{name}”."
    return PointList(caption, pairs, table, bars=("Probability",) if shares else ())


def list_neighbours(point: tuple[str, str], points: pd.DataFrame, *, vectors: pd.DataFrame) -> PointList:
    """The nearest of each kind, those of the point's own kind first, by cosine in the original vectors."""
    kinds = sorted(vectors.index.get_level_values("kind").unique(), key=lambda kind: kind != point[0])
    near = pd.concat([nearest(vectors, point, k=K, kind=kind) for kind in kinds], ignore_index=True)
    pairs = _pairs(near)
    table = _described(_look_up(points, pairs))
    table.insert(1, "Cosine", near["cosine"].astype(float).to_numpy())
    name = _look_up(points, [point])["title"].iloc[0]
    return PointList(f"Nearest to {name} in the original vectors, not in the plane.", pairs, table)


def _described(points: pd.DataFrame) -> pd.DataFrame:
    """Title and genres, as far as there are any."""
    table = pd.DataFrame({"Title": points["title"].tolist()})
    if "genres" in points and points["genres"].notna().any():
        table["Genres"] = points["genres"].astype(object).str.replace("|", ", ").tolist()
    return table


def _look_up(points: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Rows of points in the order asked for; somebody unknown is called by their id."""
    found = points.reindex(pd.MultiIndex.from_tuples(pairs, names=["kind", "id"]))
    ids = pd.Series([name for _, name in pairs], index=found.index)
    return found.assign(title=found["title"].fillna(ids))


def _pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    """(kind, id) per row."""
    return list(zip(table["kind"], table["id"], strict=True))


def _article(kind: str) -> str:
    """The kind with its article."""
    return f"an {kind}" if kind == "item" else f"a {kind}"
