"""What the model tests share: a tiny catalog, a tiny recommender, and a tiny checkpoint with GPT-2's own vocabulary."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from workbench.models.gpt2 import GPT2Recommender
from workbench.models.start import start_recommender

TITLES = ["Alien", "Brazil", "Cube", "Dune", "<item_5>", "<history> -> <|endoftext|>", "科幻片", "Heat", "🎬", "Ikiru"]


@pytest.fixture(scope="session")
def tiny_catalog() -> pd.DataFrame:
    """Ten items with ids that a careless reader would turn into numbers."""
    return pd.DataFrame(
        {
            "item_id": [f"{row:03d}" for row in range(10)],
            "title": TITLES,
            "genres": [
                "Horror|Sci-Fi",
                "Comedy|Sci-Fi",
                "Horror",
                "Sci-Fi",
                None,
                None,
                "Sci-Fi",
                "Crime",
                "Drama",
                "",
            ],
            "year": pd.array([1979, 1985, 1997, 2021, None, None, 2001, 1995, 2020, 1952], dtype="Int64"),
        }
    )


@pytest.fixture(scope="session")
def make_tiny(tiny_catalog: pd.DataFrame) -> Callable[..., GPT2Recommender]:
    """Makes random recommenders whose rows are far enough apart that no two scores are nearly equal."""

    def make(catalog: pd.DataFrame = tiny_catalog, **settings: object) -> GPT2Recommender:
        recommender = start_recommender(catalog, layers=2, width=16, heads=2, max_history=12, **settings)
        recommender.item_rows().detach().mul_(20)
        return recommender

    return make


@pytest.fixture(scope="session")
def tiny(make_tiny: Callable[..., GPT2Recommender]) -> GPT2Recommender:
    """Shared between tests, so none may change it."""
    return make_tiny()


@pytest.fixture(scope="session")
def gpt2_folder(datasets_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of one narrow layer behind the 50,257 pieces of the published GPT-2."""
    folder = tmp_path_factory.mktemp("gpt2")
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(datasets_folder / "gpt2-vocab" / name, folder / name)
    GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=256)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder
