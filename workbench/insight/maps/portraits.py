"""One row per user and one per item, in words: tables to filter, join and export.

What the literature calls user portraits and an item knowledge base; here they are plain tables made from the catalog,
the histories and the groups, and nothing in them was written by a model.
"""

import numpy as np
import pandas as pd

from workbench.catalogs import Dataset
from workbench.catalogs.schema import mark_values
from workbench.insight.maps.trust import nearest_rows
from workbench.models.ranking import Histories, as_histories, item_codes


def portray_users(
    groups: pd.DataFrame, names: pd.DataFrame, dataset: Dataset, *, histories: Histories | None = None
) -> pd.DataFrame:
    """User portraits: what each user met, liked most above the average, and whom they resemble.

    Args:
        groups: What ``find_groups`` returns for users.
        names: What ``name_groups`` returns for these groups.
        dataset: Whose catalog and users they are.
        histories: What the users met; all interactions of the dataset when None.

    Returns:
        One row per user: ``user_id``, ``group`` (its name), ``closeness`` (cosine to the group's centre, missing for
        those in no group), ``interactions``, ``genres`` (the three met most above the average), ``decade`` (the usual
        one), ``latest`` (title of the item met last), and the users' own attributes; what the catalog lacks, is not.
    """
    met = as_histories(dataset.interactions if histories is None else histories)
    users = groups.index.get_level_values("id")
    catalog = dataset.catalog.reset_index(drop=True)
    codes = item_codes({user: met.get(user, []) for user in users}, items=pd.Index(catalog["item_id"], dtype=object))
    table = pd.DataFrame(
        {
            "user_id": users,
            "group": names["name"].reindex(groups["group"]).to_numpy(),
            "closeness": groups["closeness"].to_numpy(),
            "interactions": [len(row) for row in codes],
        }
    )
    if "genres" in catalog:
        table["genres"] = _genres_above_average(codes, catalog["genres"])
    if "year" in catalog:
        decades = catalog["year"].astype("Int64") // 10 * 10
        usual = (decades.iloc[row].dropna().mode() for row in codes)
        table["decade"] = [f"{found.iloc[0]}s" if len(found) else "" for found in usual]
    table["latest"] = [catalog["title"].iloc[row[-1]] if len(row) else "" for row in codes]
    if dataset.users is not None:
        table = table.merge(dataset.users, on="user_id", how="left")
    return table


def describe_items(
    groups: pd.DataFrame, names: pd.DataFrame, dataset: Dataset, *, vectors: pd.DataFrame
) -> pd.DataFrame:
    """Item knowledge base: what the catalog says of each item beside what the recommender has learned of it.

    Args:
        groups: What ``find_groups`` returns for items.
        names: What ``name_groups`` returns for these groups.
        dataset: Whose catalog they are.
        vectors: The items' vectors, in which nearest means largest cosine.

    Returns:
        One row per item: all columns of the catalog, ``group`` (its name), ``closeness``, ``interactions``, ``share``
        (of all interactions, 0 to 1) and ``nearest`` (titles of the five nearest items).

    Raises:
        ValueError: If an item of the groups is not in the catalog or has no vector.
    """
    catalog = dataset.catalog.set_index("item_id")
    items = groups.index.get_level_values("id")
    for known, where in ((items.isin(catalog.index), "in the catalog"), (groups.index.isin(vectors.index), "embedded")):
        if not known.all():
            raise ValueError(
                f"{(~known).sum()} item(s) of the groups are not {where}, the first is {items[known.argmin()]!r}. Give "
                "groups, vectors and dataset of the same catalog."
            )
    counts = dataset.interactions["item_id"].value_counts().reindex(items, fill_value=0).to_numpy()
    near = nearest_rows(vectors.loc[groups.index].to_numpy(), min(5, len(items) - 1), metric="cosine")
    titles = catalog.loc[items, "title"].astype(str).to_numpy()
    return (
        catalog.loc[items]
        .reset_index()
        .assign(
            group=names["name"].reindex(groups["group"]).to_numpy(),
            closeness=groups["closeness"].to_numpy(),
            interactions=counts,
            share=counts / max(counts.sum(), 1),
            nearest=["; ".join(titles[row]) for row in near],
        )
    )


def _genres_above_average(codes: list[np.ndarray], genres: pd.Series) -> list[str]:
    """The three genres of each history that stand out most from all histories together."""
    marks = mark_values(genres)
    has = marks.to_numpy(dtype=float)
    mine = np.array([has[row].mean(axis=0) if len(row) else np.zeros(has.shape[1]) for row in codes])
    usual = has[np.concatenate(codes).astype(int)].mean(axis=0) if any(map(len, codes)) else 0
    above = (mine - usual) * (mine > 0)
    order = np.argsort(-above, axis=1, kind="stable")[:, :3]
    return [", ".join(marks.columns[i] for i in row if above[place, i] > 0) for place, row in enumerate(order)]
