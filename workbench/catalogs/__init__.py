"""Catalogs: what there is, and who met it when. Tables in, splits out.

A `Dataset` is a catalog of items, the interactions with it and a card that tells where both come from. `load_dataset`
reads the bundled and the published ones, `read_tables` one's own. The cleaning functions take a dataset to a dataset
and write what they did on its card. `leave_one_out` and `temporal_split` hold events out without leaks.

Example:
    >>> import pandas as pd
    >>> items = pd.DataFrame({"movieId": [1, 2, 3], "title": ["Alien", "Brazil", "Casablanca"]})
    >>> events = pd.DataFrame({"user_id": [7, 7, 7], "movieId": [2, 3, 1], "timestamp": [10, 20, 30]})
    >>> dataset = read_tables(items=items, interactions=events, columns={"movieId": "item_id"}, name="mine")
    >>> dataset
    Dataset('mine': 3 items, 1 users, 3 interactions)
    >>> leave_one_out(dataset).test["item_id"].tolist()
    ['1']
"""

from workbench.catalogs.cleaning import (
    k_core,
    keep_ratings,
    merge_duplicate_titles,
    move_trailing_articles,
    split_years,
    unescape_entities,
)
from workbench.catalogs.context import add_context, sitting_share
from workbench.catalogs.dataset import Dataset
from workbench.catalogs.labels import find_items, item_labels
from workbench.catalogs.sources import available_datasets, load_dataset
from workbench.catalogs.splits import Split, leave_one_out, temporal_split
from workbench.catalogs.tables import read_tables

__all__ = [
    "Dataset",
    "Split",
    "add_context",
    "available_datasets",
    "find_items",
    "item_labels",
    "k_core",
    "keep_ratings",
    "leave_one_out",
    "load_dataset",
    "merge_duplicate_titles",
    "move_trailing_articles",
    "read_tables",
    "sitting_share",
    "split_years",
    "temporal_split",
    "unescape_entities",
]
