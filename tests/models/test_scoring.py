"""The probability of every item, in every spelling: it sums to one and is what reading each item whole would say."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.language import spell
from workbench.models import GPT2Recommender, scoring

SPELLINGS = ("atomic", "semantic", "title")
TITLES = ["Alien", "Aliens", "Alien 3", "Alien", "Dune", "Dune: Part Two", "", "🎬", "<end>", "Heat", "Cube", "Cube 2"]
CATALOG = pd.DataFrame({"item_id": [f"{row:02d}" for row in range(12)], "title": TITLES})
HISTORIES = {"nobody": [], "one": ["03"], "some": ["00", "05", "11", "02"], "all": list(CATALOG["item_id"])}
MARKS = (("context", "time", "day"), ("context", "time", "night"), ("profile", "age", "18-24"))
# five vectors for twelve items: most share their code words with others and are told apart by number
VECTORS = pd.DataFrame(np.random.default_rng(0).normal(size=(5, 3))[[0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 0]]).set_axis(
    CATALOG["item_id"]
)


def start(make_tiny, how, *, scale=1.0, catalog=CATALOG, **given):
    """Random weights, their embedding rows scaled: far apart, some items are nearly certain and others nearly never."""
    vectors = VECTORS.loc[catalog["item_id"]]
    spelling = spell(catalog, how=how, embeddings=vectors) if how == "semantic" else how
    recommender = make_tiny(catalog, spelling=spelling, **given)
    recommender.model.transformer.wte.weight.detach().mul_(scale)
    return recommender


@torch.no_grad()
def reference(recommender, prompt):
    """The definition: each item is read whole, and every word chosen among those that go on to an item; in float64."""
    model, spelled = copy.deepcopy(recommender.model).double().eval(), recommender.vocabulary.spelled
    scores = []
    for own in spelled:
        chances = model(torch.tensor([prompt + list(own)])).logits[0, len(prompt) - 1 : -1]
        total = 0.0
        for place, word in enumerate(own):
            ways = sorted({other[place] for other in spelled if other[:place] == own[:place]})
            total += float(chances[place, ways].log_softmax(0)[ways.index(word)])
        scores.append(total)
    return np.array(scores)


@pytest.mark.parametrize("scale", [1, 30])
@pytest.mark.parametrize("how", SPELLINGS)
def test_the_probabilities_of_all_items_sum_to_one(make_tiny, how, scale):
    recommender = start(make_tiny, how, scale=scale)
    for request in (None, "slow science fiction"):
        scores = recommender.log_probabilities(HISTORIES, request=request)
        assert scores.shape == (len(HISTORIES), len(CATALOG)) and scores.dtype == np.float32
        np.testing.assert_allclose(np.exp(scores.astype(float)).sum(1), 1, atol=1e-5)
        assert scores.max() <= 0


@pytest.mark.parametrize("scale", [1, 30])
@pytest.mark.parametrize("how", SPELLINGS)
def test_scores_are_those_of_reading_every_item_whole(make_tiny, how, scale):
    recommender = start(make_tiny, how, scale=scale)
    for history in HISTORIES.values():
        prompts = recommender.prompts({"u": history}, {"request": "a western"})
        scores = recommender.log_probabilities({"u": history}, request="a western")[0]
        np.testing.assert_allclose(scores, reference(recommender, prompts[0]), atol=1e-5 * scale)


def test_some_codes_are_shared_and_some_titles_begin_others(make_tiny):
    semantic, title = (start(make_tiny, how).vocabulary for how in ("semantic", "title"))
    assert len({own[:-1] for own in semantic.spelled}) == len(VECTORS.drop_duplicates()) < len(CATALOG)
    codes = title.spelling.codes
    assert any(one == other[: len(one)] for one in codes for other in codes if one != other)


def test_with_a_word_of_its_own_for_each_item_the_scores_are_one_softmax(make_tiny):
    recommender = start(make_tiny, "atomic")
    states = torch.tensor(recommender.states(HISTORIES))
    rows = recommender.model.transformer.wte.weight[recommender.vocabulary.item_words].detach()
    expected = torch.log_softmax(states @ rows.T, dim=-1).numpy()
    np.testing.assert_array_equal(recommender.log_probabilities(HISTORIES), expected)


@pytest.mark.parametrize("how", SPELLINGS)
def test_a_batch_scores_like_single_calls(make_tiny, how):
    recommender = start(make_tiny, how)
    wishes = {"one": "a western", "all": "科幻片 " * 20}
    together = recommender.log_probabilities(HISTORIES, request=wishes)
    for own, (user, history) in zip(together, HISTORIES.items(), strict=True):
        alone = recommender.log_probabilities({user: history}, request=wishes.get(user))
        np.testing.assert_allclose(own, alone[0], atol=1e-5)


@pytest.mark.parametrize("how", SPELLINGS)
def test_every_attention_kernel_scores_alike(make_tiny, how):
    recommender, scores = start(make_tiny, how), {}
    for kernel in ("sdpa", "eager"):
        recommender.model.set_attn_implementation(kernel)
        scores[kernel] = recommender.log_probabilities(HISTORIES, request="drama")
    np.testing.assert_allclose(scores["sdpa"], scores["eager"], atol=1e-5)


def test_how_the_branches_of_the_trie_are_laid_out_changes_nothing(make_tiny, monkeypatch):
    scores, shapes = [], []
    for nodes in (1, 192):
        monkeypatch.setattr(scoring, "NODES", nodes)
        recommender = start(make_tiny, "semantic")
        scores.append(recommender.log_probabilities(HISTORIES))
        shapes.append(scoring.lay_out_branches(recommender.vocabulary.trie, device=recommender.device).words.shape)
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)
    assert shapes[0][0] > shapes[1][0] == 1


@pytest.mark.parametrize("how", SPELLINGS)
def test_the_only_item_is_certain(make_tiny, how):
    recommender = start(make_tiny, how, catalog=CATALOG.iloc[:1])
    assert recommender.log_probabilities({"u": [], "v": ["00"]}).tolist() == [[0.0], [0.0]]
    assert recommender.rank({"u": []})["score"].tolist() == [0.0]


def test_what_is_certain_is_not_read(make_tiny):
    """Items that part at their first word: the end of the prompt says everything."""
    recommender = start(make_tiny, "semantic", catalog=CATALOG.iloc[[0, 3, 5, 10]])
    assert len(recommender.vocabulary.trie.decisive) == 1 < recommender.vocabulary.trie.longest
    read = []
    hook = recommender.model.transformer.wte.register_forward_hook(lambda _, given, __: read.append(given[0].shape))
    scores = recommender.log_probabilities({"u": ["10"]})
    hook.remove()
    prompt = recommender.prompts({"u": ["10"]}, {})[0]
    assert read == [(1, len(prompt))]
    np.testing.assert_allclose(scores[0], reference(recommender, prompt), atol=1e-5)


@pytest.mark.parametrize("how", SPELLINGS)
def test_scores_have_gradients_for_whoever_asks_also_after_a_ranking(make_tiny, how):
    recommender = start(make_tiny, how)
    recommender.rank(HISTORIES)
    with recommender.at_rest(gradients=True):
        recommender.item_scores(recommender.prompts({"u": ["02"]}, {}))[0, 5].backward()
    assert recommender.model.transformer.wte.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("how", SPELLINGS)
def test_a_saved_run_scores_as_before_marks_included(make_tiny, how, tmp_path):
    recommender = start(make_tiny, how, marks=MARKS)
    said = {"context": {"one": {"time": "night"}, "some": {"time": "day"}}, "profile": {"age": "18-24"}}
    before = recommender.log_probabilities(HISTORIES, **said)
    loaded = GPT2Recommender.load(recommender.save(tmp_path / "run"), catalog=CATALOG)
    assert loaded.vocabulary == recommender.vocabulary and loaded.vocabulary.marks == MARKS
    np.testing.assert_array_equal(loaded.log_probabilities(HISTORIES, **said), before)
    assert np.abs(before - recommender.log_probabilities(HISTORIES)).max() > 1e-4  # what is said counts
