"""What the training tests share: a toy world small enough to learn in seconds, and settings for it."""

import numpy as np
import pandas as pd
import pytest

from workbench.catalogs import Split, leave_one_out, read_tables
from workbench.training import TrainingConfig

TINY = TrainingConfig(
    validate_every=2,
    epochs=4,
    layers=1,
    width=16,
    heads=2,
    batch_users=8,
    wishes=4,
    wishes_after_history=2,
    descriptions=2,
    max_history=10,
    precision="fp32",
)


@pytest.fixture(scope="session")
def cycles() -> Split:
    """30 viewers who all walk round the same circle of twelve films, from different places: the next one is certain."""
    items = pd.DataFrame(
        {
            "item_id": [f"f{i}" for i in range(12)],
            "title": [f"Film number {i}" for i in range(12)],
            "genres": ["Horror|Sci-Fi", "Sci-Fi", "Drama", "Crime|Drama"] * 3,
            "year": [1970 + 3 * i for i in range(12)],
            "description": [f"Somebody walks {word} the circle." for word in ("round", "into", "across", "past")] * 3,
            "description_zh": ["有人绕着圆圈走。"] * 12,
        }
    )
    events = [(f"u{u}", f"f{(u + step) % 12}", step) for u in range(30) for step in range(6 + u % 5)]
    interactions = pd.DataFrame(events, columns=["user_id", "item_id", "position"])
    return leave_one_out(read_tables(items=items, interactions=interactions, name="circle"))


@pytest.fixture(scope="session")
def wanderings() -> Split:
    """25 viewers with histories of 3 to 40 events drawn at random from 60 films: nothing to learn, much to mix up."""
    rng = np.random.default_rng(0)
    items = pd.DataFrame(
        {
            "item_id": [f"{i}" for i in range(60)],
            "title": [f"Title {i}" for i in range(60)],
            "genres": [["Horror|Sci-Fi", "Sci-Fi", "Drama", "Crime|Drama", "Comedy|War"][i % 5] for i in range(60)],
            "year": [1950 + i for i in range(60)],
            "country": [["USA", "Japan", "France"][i % 3] for i in range(60)],
        }
    )
    events = [
        (f"u{u}", str(item), place)
        for u in range(25)
        for place, item in enumerate(rng.permutation(60)[: rng.integers(3, 41)])
    ]
    return leave_one_out(
        read_tables(
            items=items, interactions=pd.DataFrame(events, columns=["user_id", "item_id", "position"]), name="walk"
        )
    )


@pytest.fixture(scope="session")
def tiny_config() -> TrainingConfig:
    """Settings under which a run takes about a second."""
    return TINY
