"""What the browser is shown: views on films and on made-up data of any size, and their state as a file.

Imported by the notebooks that ``screens.py`` and ``ui.py`` write.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from workbench.catalogs import Dataset, Split, leave_one_out, load_dataset
from workbench.catalogs.films.bundle import films_truth
from workbench.insight import align_kinds, find_groups, fit_map, name_groups
from workbench.insight.maps.fitting import EmbeddingMap
from workbench.models import GPT2Recommender, embed_items, embed_profiles, embed_users, start_recommender
from workbench.models.vectors import unit_rows
from workbench.training import saved_run
from workbench.widgets import AttentionViewer, EmbeddingExplorer

HOSTILE = "<img src=x onerror=alert(1)>"


def films_explorer(*, trained: bool = True) -> EmbeddingExplorer:
    """The bundled films, simulated viewers and true taste groups, as in notebook 04; untrained, as a draft."""
    split, recommender = films(trained=trained)
    truth = films_truth().taste_groups[["user_id", "taste_group"]]
    dataset = replace(split.dataset, users=split.dataset.users.merge(truth, on="user_id"))
    histories = split.histories(on="test")
    if not trained:
        return draft(dataset, recommender, histories)
    aligned = align_kinds(pd.concat([embed_items(recommender), embed_users(recommender, histories)]))
    items = aligned.loc[["item"]]
    found = [find_groups(vectors) for vectors in (items, embed_profiles(items, histories))]
    names = [name_groups(groups, dataset, histories=histories)["name"] for groups in found]
    groups = [table.assign(group=table["group"].map(name)) for table, name in zip(found, names, strict=True)]
    return EmbeddingExplorer(
        fit_map(aligned), dataset, recommender=recommender, histories=histories, groups=pd.concat(groups)
    )


def films_attention(n_items: int = 30, *, trained: bool = True) -> AttentionViewer:
    """The first simulated viewer of the bundled films whose history has so many items."""
    split, recommender = films(trained=trained)
    history = next(items for items in split.histories(on="test").values() if len(items) == n_items)
    return AttentionViewer(recommender, history)


def films(*, trained: bool) -> tuple[Split, GPT2Recommender]:
    """The bundled films and a recommender for them; untrained weights are there at once."""
    split = leave_one_out(load_dataset("films"))
    untrained = {"layers": 1, "width": 16, "heads": 2}
    return split, saved_run(split) if trained else start_recommender(split.dataset.catalog, **untrained)


def made_up_explorer(n: int) -> EmbeddingExplorer:
    """An explorer over made-up data with an untrained recommender of 64 numbers."""
    dataset, histories = made_up_data(n)
    return draft(dataset, start_recommender(dataset.catalog, layers=2, width=64, heads=2), histories)


def made_up_map(n: int) -> dict:
    """What an explorer without a recommender is made of: a map of vectors around twelve centres, data, histories."""
    dataset, histories = made_up_data(n)
    kinds = [("item", name) for name in dataset.catalog["item_id"]] + [("user", name) for name in histories]
    index = pd.MultiIndex.from_tuples(kinds, names=["kind", "id"])
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 32))
    vectors = centres[rng.integers(0, 12, n)] + 0.6 * rng.normal(size=(n, 32))
    vectors = pd.DataFrame(vectors.astype(np.float32), index=index)
    return {"embedding_map": plane(vectors), "dataset": dataset, "histories": histories}


def made_up_data(n: int) -> tuple[Dataset, dict[str, list[str]]]:
    """Half as many items as points, half users with 20 items each; their histories beside them."""
    rng, n_items = np.random.default_rng(0), n // 2
    ids, genres = [f"f{row:06d}" for row in range(n_items)], ["Drama", "Comedy", "Crime|War", "Horror", "Sci-Fi"]
    catalog = {"item_id": ids, "title": [f"Film number {row}" for row in range(n_items)]}
    catalog |= {"genres": rng.choice(genres, n_items), "year": rng.integers(1930, 2024, n_items)}
    met = rng.integers(0, n_items, size=(n - n_items, 20)).tolist()
    histories = {f"u{row:06d}": [ids[item] for item in items] for row, items in enumerate(met)}
    events = [(user, item, step) for user, items in histories.items() for step, item in enumerate(items)]
    table = pd.DataFrame(events, columns=["user_id", "item_id", "position"])
    return Dataset("made up", pd.DataFrame(catalog), table), histories


def hostile_explorer() -> EmbeddingExplorer:
    """Forty items whose titles, genres and group are HTML that would open a dialog."""
    given = made_up_map(80)
    catalog = given["dataset"].catalog.assign(title=HOSTILE, genres=HOSTILE)
    groups = pd.DataFrame({"group": HOSTILE}, index=given["embedding_map"].table.index)
    return EmbeddingExplorer(**given | {"dataset": replace(given["dataset"], catalog=catalog)}, groups=groups)


def draft(dataset: Dataset, recommender: GPT2Recommender, histories: dict[str, list[str]]) -> EmbeddingExplorer:
    """An explorer over all items and users that is there at once: principal components, and k-means on the plane."""
    vectors = pd.concat([embed_items(recommender), embed_users(recommender, histories)])
    centred = vectors - vectors.groupby(level="kind").transform("mean")  # else users and items are two clouds
    embedding_map = plane(centred)
    groups = draft_groups(embedding_map, dataset.catalog)
    return EmbeddingExplorer(embedding_map, dataset, recommender=recommender, histories=histories, groups=groups)


def plane(vectors: pd.DataFrame) -> EmbeddingMap:
    """The first two principal components as a map; no figure of quality is measured."""
    unit = pd.DataFrame(unit_rows(vectors.to_numpy(dtype=np.float32)), index=vectors.index)
    places = PCA(2, random_state=0).fit_transform(unit)
    table = pd.DataFrame(places, index=vectors.index, columns=["x", "y"])
    return EmbeddingMap(table, unit, "pca", {"seed": 0}, {}, "", False, 0.0)


def draft_groups(embedding_map: EmbeddingMap, catalog: pd.DataFrame) -> pd.DataFrame:
    """Eight groups in the plane, each called by the genres most frequent among its items."""
    labels = KMeans(8, n_init=2, random_state=0).fit_predict(embedding_map.table)
    genres = catalog.set_index("item_id")["genres"].reindex(embedding_map.table.index.get_level_values("id"))
    common = genres.groupby(labels).agg(lambda some: " ".join((some.mode().tolist() or ["?"])[0].split("|")[:2]))
    names = [f"{common[label]} {label + 1}" for label in labels]
    return pd.DataFrame({"group": names}, index=embedding_map.table.index)


def tell(view: EmbeddingExplorer | AttentionViewer, path: str = "state.json") -> EmbeddingExplorer | AttentionViewer:
    """Write, after every answer of a view, what it holds, so that whoever drives the browser can look it up."""
    held = held_by_explorer if isinstance(view, EmbeddingExplorer) else held_by_attention

    def write() -> None:
        draft = Path(path + ".part")
        draft.write_text(json.dumps({"status": view.status.value, "code": view.code} | held(view)), "utf-8")
        os.replace(draft, path)

    say = view.say
    view.say = lambda sentence: (say(sentence), write())  # a view says something after every answer
    write()
    return view


def held_by_explorer(view: EmbeddingExplorer) -> dict:
    """The chosen point and the ids of the selected ones."""
    return {"chosen": view.chosen, "selected": view.selected["id"].tolist()}


def held_by_attention(view: AttentionViewer) -> dict:
    """The row of ``.selected``, the table, and the cells of the picture, as text to four places."""
    selected = view.selected.astype(object).where(view.selected.notna(), None).iloc[0].to_dict()
    table = view.df[["label", "attention", "effect"]].astype({"effect": object})
    cells = [[None if np.isnan(cell) else f"{cell:.4f}" for cell in row] for row in view.heat.data[0].z]
    return {
        "selected": selected,
        "table": table.where(table.notna(), None).to_numpy().tolist(),
        "last": view.controls.last.value,
        "places": len(view.attention.units),
        "cells": cells,
        "alt": view.heat.layout.meta["alt"],
    }
