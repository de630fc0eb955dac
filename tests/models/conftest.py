"""What the model tests share: tiny recommenders in every spelling, a tiny checkpoint with GPT-2's own vocabulary."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from workbench.language import Spelling, spell
from workbench.models import GPT2Recommender, start_recommender


@pytest.fixture(scope="session")
def gpt2_folder(datasets_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of one narrow layer behind the 50,257 pieces of the published GPT-2."""
    folder = tmp_path_factory.mktemp("gpt2")
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(datasets_folder / "gpt2-vocab" / name, folder / name)
    GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=256)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


def code_words(catalog: pd.DataFrame) -> Spelling:
    """Semantic codes of made-up vectors, half as many as items: a code is shared by two or more, who are numbered."""
    vectors = np.random.default_rng(0).normal(size=(max(1, len(catalog) // 2), 3))
    table = pd.DataFrame(vectors[np.arange(len(catalog)) % len(vectors)], index=catalog["item_id"].to_list())
    return spell(catalog, how="semantic", embeddings=table)


@pytest.fixture(scope="session")
def make_spelled(tiny_catalog: pd.DataFrame) -> Callable[..., GPT2Recommender]:
    """Makes random recommenders in any spelling; ``scale`` spreads the probabilities of their words."""

    def make(how: str, *, catalog: pd.DataFrame = tiny_catalog, scale: float = 8, **given: object) -> GPT2Recommender:
        spelling = code_words(catalog) if how == "semantic" else how
        given = {"layers": 2, "width": 16, "heads": 2, "max_history": 60, **given}
        recommender = start_recommender(catalog, spelling=spelling, **given)
        recommender.model.transformer.wte.weight.detach().mul_(scale)
        return recommender

    return make


@pytest.fixture(scope="session", params=["atomic", "semantic", "title", "once"])
def spelled(request: pytest.FixtureRequest, make_spelled: Callable[..., GPT2Recommender]) -> GPT2Recommender:
    """The ten items in each spelling, and as words of which none comes a second time; no test may change it."""
    recommender = make_spelled("atomic" if request.param == "once" else request.param)
    recommender.model.config.each_item_once = request.param == "once"
    return recommender
