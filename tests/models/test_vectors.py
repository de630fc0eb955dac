"""Vectors: the dot product of a user's and an item's is what ``rank`` sorts by, for histories and requests alike."""

import numpy as np
import pandas as pd
import pytest

from workbench.models import embed_items, embed_text, embed_users, start_recommender
from workbench.training import TrainingConfig, read_texts

HISTORIES = {"ann": ["000", "001"], "bob": ["002"], "new": []}


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_dot_products_are_the_logits_that_rank_sorts_by(tiny):
    logits = embed_users(tiny, HISTORIES).to_numpy() @ embed_items(tiny).to_numpy().T
    np.testing.assert_allclose(tiny.log_probabilities(HISTORIES), log_softmax(logits), atol=1e-4)


@pytest.mark.parametrize("start", ["random", "text", "hub"])
def test_from_every_start_dot_products_are_the_logits(start, tiny_catalog, request):
    shape = {"layers": 1, "width": 16, "heads": 2, "max_history": 12}
    if start == "hub":
        recommender = start_recommender(tiny_catalog, base=str(request.getfixturevalue("gpt2_folder")), max_history=12)
    else:
        recommender = start_recommender(tiny_catalog, **shape)
    if start == "text":
        read_texts(recommender, config=TrainingConfig(precision="fp32"))
    assert recommender.start.startswith(start)
    items, users = embed_items(recommender), embed_users(recommender, HISTORIES)
    assert items.shape == (10, 16) and users.shape == (3, 16)
    expected = recommender.log_probabilities(HISTORIES)
    np.testing.assert_allclose(expected, log_softmax(users.to_numpy() @ items.to_numpy().T), atol=1e-4)


def test_a_request_has_a_vector_in_the_same_space(tiny):
    wishes = ["slow science fiction", "科幻片"]
    logits = embed_text(tiny, wishes).to_numpy() @ embed_items(tiny).to_numpy().T
    for row, wish in enumerate(wishes):
        expected = tiny.log_probabilities({"somebody": []}, request=wish)[0]
        np.testing.assert_allclose(expected, log_softmax(logits)[row], atol=1e-4)


def test_a_user_alone_has_the_vector_of_a_user_in_company(tiny):
    together = embed_users(tiny, HISTORIES)
    for user, history in HISTORIES.items():
        alone = embed_users(tiny, {user: history})
        np.testing.assert_allclose(alone.loc[("user", user)], together.loc[("user", user)], atol=1e-5)


def test_a_history_longer_than_the_prompt_has_the_vector_of_its_newest_items(tiny):
    newest = [f"{row:03d}" for row in (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8)]  # the tiny prompt keeps 12
    vectors = embed_users(tiny, {"long": ["007"] * 40 + newest, "short": newest})
    np.testing.assert_allclose(vectors.loc[("user", "long")], vectors.loc[("user", "short")], atol=1e-6)


def test_vectors_survive_parquet(tiny, tmp_path):
    vectors = pd.concat([embed_items(tiny), embed_users(tiny, HISTORIES), embed_text(tiny, "科幻片")])
    vectors.to_parquet(tmp_path / "vectors.parquet")
    read = pd.read_parquet(tmp_path / "vectors.parquet")
    pd.testing.assert_frame_equal(read, vectors)
    assert read.index.names == ["kind", "id"]
    assert read.to_numpy().dtype == np.float32


def test_nobody_has_no_vectors(tiny):
    assert embed_users(tiny, {}).shape == (0, 16)


@pytest.mark.parametrize(
    ("requests", "message"),
    [(["films", " "], "request number 2 is empty"), (["films", "films"], "request 'films' is there twice")],
)
def test_a_request_that_means_nothing_is_refused(tiny, requests, message):
    with pytest.raises(ValueError, match=message):
        embed_text(tiny, requests)


def test_an_item_outside_the_catalog_is_named(tiny):
    with pytest.raises(ValueError, match="'no such item'"):
        embed_users(tiny, {"ann": ["no such item"]})
