"""What the widget tests share: a small dataset with hostile and Chinese titles, a recommender for it, and its map.

Of the playground: twenty-four films, runs for them, and playgrounds that are closed after the test.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from workbench.catalogs import Dataset
from workbench.insight.maps.fitting import EmbeddingMap
from workbench.models import GPT2Recommender, embed_items, embed_users, start_recommender
from workbench.widgets import EmbeddingExplorer, PromptPlayground

TITLES = ["Solaris", "Amélie", "<img src=x onerror=alert(1)>", "Alien", "Stalker", "Brazil", "Cube", "Dune", "Heat"]
CHINESE = ["飞向太空", "天使爱美丽", None, "异形", "潜行者", "妙想天开", "心慌方", "沙丘", "盗火线"]
GENRES = ["Drama|Sci-Fi", "Comedy", None, "Horror|Sci-Fi", "Drama|Sci-Fi", "Comedy", "Horror", "Sci-Fi", "Crime"]
HISTORIES = {
    "ann": ["i0", "i4", "i3"],
    "bob": ["i1", "i5"],
    "cem": ["i6", "i3", "i7", "i0"],
    "dai": ["i8"],
    "eve": ["i2", "i1", "i0", "i8"],
}
FILMS = pd.DataFrame(
    {
        "item_id": [f"{row:03d}" for row in range(24)],
        "title": ["<img src=x onerror=alert(1)>", "Solaris", *(f"Film {n}" for n in range(2, 24))],
        "year": [1970 + n for n in range(24)],
        "title_zh": [None, "飞向太空", *(f"第{n}部" for n in range(2, 24))],
    }
)
MARKS = [("context", "time_of_day", "day"), ("context", "time_of_day", "evening"), ("profile", "region", "north")]


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """Nine films and five users who differ in region."""
    catalog = pd.DataFrame({"item_id": [f"i{row}" for row in range(9)], "title": TITLES, "title_zh": CHINESE})
    catalog = catalog.assign(
        genres=GENRES, year=pd.array([1972, 2001, None, 1979, 1979, 1985, 1997, 2021, 1995], "Int64")
    )
    events = [(user, item, step) for user, items in HISTORIES.items() for step, item in enumerate(items)]
    users = pd.DataFrame({"user_id": list(HISTORIES), "region": ["north", "south", "north", "east", "south"]})
    table = pd.DataFrame(events, columns=["user_id", "item_id", "position"])
    return Dataset("nine films", catalog, table, users=users)


@pytest.fixture(scope="session")
def recommender(dataset: Dataset) -> GPT2Recommender:
    """Random weights; shared between tests, so none may change it."""
    made = start_recommender(dataset.catalog, layers=1, width=16, heads=2, max_history=8)
    made.item_rows().detach().mul_(20)  # far enough apart that no two scores are nearly equal
    return made


@pytest.fixture(scope="session")
def embedding_map(recommender: GPT2Recommender) -> EmbeddingMap:
    """All items and users in the plane of their first two principal components."""
    vectors = pd.concat([embed_items(recommender), embed_users(recommender, HISTORIES)])
    places = pd.DataFrame(PCA(2).fit_transform(vectors), index=vectors.index, columns=["x", "y"])
    quality = {"trust": 0.91, "overlap": 0.4, "mixing": float("nan")}
    return EmbeddingMap(places, vectors, "pca", {"seed": 0}, quality, "key", True, 0.2)


@pytest.fixture(scope="session")
def groups(embedding_map: EmbeddingMap) -> pd.DataFrame:
    """Two named groups; the last point is in none."""
    names = np.where(embedding_map.table["x"] > 0, "<b>right</b>", "left").astype(object)
    names[-1] = "other"
    return pd.DataFrame({"group": names}, index=embedding_map.table.index)


@pytest.fixture
def explorer(
    embedding_map: EmbeddingMap, dataset: Dataset, recommender: GPT2Recommender, groups: pd.DataFrame
) -> EmbeddingExplorer:
    """A fresh explorer with everything given."""
    return EmbeddingExplorer(embedding_map, dataset, recommender=recommender, groups=groups)


@pytest.fixture(scope="session")
def make_map() -> Callable[[int], tuple[EmbeddingMap, Dataset]]:
    """Makes maps of any size: half items, half users, vectors around eight centres."""

    def make(n: int) -> tuple[EmbeddingMap, Dataset]:
        rng, half = np.random.default_rng(0), n // 2
        items, users = [f"i{row}" for row in range(half)], [f"u{row}" for row in range(n - half)]
        index = pd.MultiIndex.from_tuples(
            [("item", name) for name in items] + [("user", name) for name in users], names=["kind", "id"]
        )
        vectors = rng.normal(size=(8, 16))[rng.integers(0, 8, n)] + 0.3 * rng.normal(size=(n, 16))
        vectors = pd.DataFrame(vectors.astype(np.float32), index=index)
        places = pd.DataFrame(vectors.to_numpy()[:, :2], index=index, columns=["x", "y"])
        catalog = pd.DataFrame({"item_id": items, "title": [f"Film {row}" for row in range(half)]})
        catalog["genres"] = rng.choice(["Drama", "Comedy", "War"], half)
        events = pd.DataFrame({"user_id": users, "item_id": rng.choice(items, len(users)), "position": 0})
        return EmbeddingMap(places, vectors, "pca", {}, {}, "", False, 0.0), Dataset("made up", catalog, events)

    return make


@pytest.fixture(scope="session")
def make_run() -> Callable[..., GPT2Recommender]:
    """Makes random recommenders for twenty-four films."""

    def make(seed: int = 0, **more: object) -> GPT2Recommender:
        recommender = start_recommender(FILMS, layers=1, width=16, heads=2, max_history=12, seed=seed, **more)
        recommender.model.transformer.wte.weight.detach().mul_(20)  # no two scores are nearly equal
        return recommender

    return make


@pytest.fixture(scope="session")
def make_marked(make_run: Callable[..., GPT2Recommender]) -> Callable[[], GPT2Recommender]:
    """Makes recommenders that have learned a context and a profile."""
    return lambda: make_run(marks=MARKS)


@pytest.fixture(scope="session")
def tiny(make_marked: Callable[[], GPT2Recommender]) -> GPT2Recommender:
    """Has learned a context and a profile; shared between tests, so none may change it."""
    return make_marked()


@pytest.fixture(scope="session")
def titles(make_run: Callable[..., GPT2Recommender]) -> GPT2Recommender:
    """Writes titles, in several words each; shared like ``tiny``."""
    return make_run(spelling="title")


@pytest.fixture
def live() -> Iterator[Callable[..., PromptPlayground]]:
    """Makes live playgrounds and closes them."""
    made: list[PromptPlayground] = []

    def make_live(*given: object, **more: object) -> PromptPlayground:
        made.append(PromptPlayground(*given, **more))
        return made[-1]

    yield make_live
    for each in made:
        each.worker.close()
