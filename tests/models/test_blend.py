"""Blends: the mean of probabilities, times counts to a power that validation chooses."""

import numpy as np
import pandas as pd
import pytest

from workbench.catalogs import leave_one_out, read_tables
from workbench.evaluation import evaluate
from workbench.models import Blend, Popularity, Transitions, start_recommender


@pytest.fixture(scope="module")
def split():
    """Sixty walkers round a ring of twelve items: what comes next is certain for who counts steps."""
    events = [(f"u{user}", f"i{(user + step) % 12}", step) for user in range(60) for step in range(6)]
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(12)], "title": [f"Item {n}" for n in range(12)]})
    return leave_one_out(
        read_tables(items=items, interactions=pd.DataFrame(events, columns=["user_id", "item_id", "position"]))
    )


@pytest.fixture(scope="module")
def models(split):
    return [start_recommender(split.dataset.catalog, layers=1, width=16, seed=seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def floor(split):
    return Transitions().fit(split.train, items=split.dataset.catalog["item_id"].tolist())


def test_one_model_alone_ranks_as_it_does_by_itself(split, models):
    histories = split.histories("test")
    alone, blend = models[0].rank(histories), Blend(models[:1]).rank(histories)
    pd.testing.assert_frame_equal(blend.drop(columns="score"), alone.drop(columns="score"))
    np.testing.assert_allclose(blend["score"], alone["score"], atol=1e-5)


def test_models_are_joined_by_the_mean_of_their_probabilities(models):
    history = {"u": ["i1", "i2"]}
    ranking = Blend(models).rank(history, k=12, exclude_seen=False).set_index("item_id")["score"]
    by_hand = np.log(np.mean([np.exp(model.log_probabilities(history)[0]) for model in models], axis=0))
    np.testing.assert_allclose(ranking.loc[models[0].catalog["item_id"]], by_hand, atol=1e-5)


def test_counts_enter_by_their_share_of_the_highest(models, floor):
    history = {"u": ["i1", "i2"]}
    blend = Blend(models[:1], floor, weight=0.5, offset=0.1)
    ranking = blend.rank(history, k=12, exclude_seen=False).set_index("item_id")["score"]
    counts = floor.scores(history)[0]
    by_hand = models[0].log_probabilities(history)[0] + 0.5 * np.log(counts / counts.max() + 0.1)
    np.testing.assert_allclose(ranking.loc[floor.items], by_hand, atol=1e-5)


def test_validation_chooses_and_untaught_models_leave_it_to_counting(split, models, floor):
    blend = Blend(models, floor).tune(split)
    assert blend.weight > 0 and len(blend.tuning) == len(Blend.grid["weight"]) * len(Blend.grid["offset"])
    table = evaluate({"blend": blend, "counts": floor, "GPT-2": models[0]}, split, k=[10])["ndcg@10"]
    assert table["blend"] > table["GPT-2"] + 0.3
    chosen = evaluate({"blend": blend}, split, k=[10], on="validation")["ndcg@10"]["blend"]
    assert blend.tuning["ndcg@10"].max() == pytest.approx(chosen, abs=1e-6)


def test_parts_of_different_catalogs_are_refused(models, split):
    with pytest.raises(ValueError, match="different items"):
        Blend(models, Popularity().fit(split.train, items=["i0", *[f"i{n}" for n in range(11, 0, -1)]]))
