"""Attention: what ``attend`` measures is what the model computed, and the model is as it was."""

import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.insight import AttentionMap, attend
from workbench.insight.attention.weights import attention_weights, eager_attention, group, roll_out
from workbench.insight.prompt_words import read_prompt, request_words
from workbench.language import Spelling, Vocabulary, train_tokenizer
from workbench.language.tokenizer import encode
from workbench.models import start_recommender

IDS = [f"{row:03d}" for row in range(10)]
PROMPTS = [(IDS[:7], None), ([], "slow 科幻 films"), (IDS[2:5], "a western"), ([], None)]


def weights_by_hand(recommender, ids: list[int]) -> np.ndarray:
    """All layers and heads from q and k, computed here: softmax(q k / sqrt(d_head)) over the words up to each."""
    model, n = recommender.model.transformer, len(ids)
    with torch.no_grad():
        hidden, layers = model.wte(torch.tensor([ids])) + model.wpe(torch.arange(n)), []
        for block in model.h:
            queries, keys, _ = block.attn.c_attn(block.ln_1(hidden)).split(16, dim=-1)
            queries, keys = (part.view(n, 2, 8).transpose(0, 1) for part in (queries, keys))  # (heads, n, d_head)
            scores = queries @ keys.transpose(1, 2) / 8**0.5
            scores.masked_fill_(torch.ones(n, n).triu(1).bool(), -torch.inf)
            layers.append(scores.softmax(-1))
            hidden = block(hidden)
    return torch.stack(layers).numpy()


def a_map(weights: np.ndarray, *, units: list[int] | None = None) -> AttentionMap:
    """A map of a history of made-up items behind ``<history>``."""
    units = list(range(weights.shape[-1])) if units is None else units
    words = pd.DataFrame({"position": range(len(units)), "unit": units, "kind": "item"})
    words.loc[0, "kind"] = "control"
    words["part"] = words.groupby("unit").cumcount() + 1
    words["item_id"] = words["label"] = [f"i{unit}" for unit in units]
    return AttentionMap(weights, words, max(units), "x", "X", 0.5, 1, "made up")


@pytest.mark.parametrize(("history", "request_"), PROMPTS)
def test_the_weights_are_those_of_queries_and_keys(tiny, history, request_):
    attention = attend(tiny, history, request=request_)
    ids, _ = read_prompt(tiny, history, request=request_)
    assert attention.weights.shape == (2, 2, len(ids), len(ids)) and attention.weights.dtype == np.float32
    np.testing.assert_allclose(attention.weights, weights_by_hand(tiny, ids), atol=1e-5)


@pytest.mark.parametrize(("history", "request_"), PROMPTS)
def test_rows_sum_to_one_and_nothing_looks_ahead(tiny, history, request_):
    attention = attend(tiny, history, request=request_)
    for weights in (attention.weights, attention.matrix(), attention.matrix(rollout=True)):
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
        assert np.abs(np.triu(weights, 1)).max() == 0


def test_eager_attention_gives_the_same_scores_and_is_gone_afterwards(make_tiny):
    recommender = make_tiny()
    fused = recommender.log_probabilities({"u": IDS[:7]}, request="science fiction")
    with eager_attention(recommender):
        assert recommender.model.config._attn_implementation == "eager"
        eager = recommender.log_probabilities({"u": IDS[:7]}, request="science fiction")
    np.testing.assert_allclose(fused, eager, atol=1e-5)
    assert recommender.model.config._attn_implementation == "sdpa"


def test_the_model_is_as_before_after_success_and_after_an_exception(make_tiny, monkeypatch):
    recommender = make_tiny(dropout=0.5)
    recommender.model.train()
    attend(recommender, IDS[:3])
    assert recommender.model.config._attn_implementation == "sdpa" and recommender.model.training
    monkeypatch.setattr(recommender, "log_probabilities", lambda *_, **__: np.zeros((1, 10), dtype=np.float32))
    monkeypatch.setattr(recommender.model.transformer, "forward", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        attend(recommender, IDS[:3])
    assert recommender.model.config._attn_implementation == "sdpa" and recommender.model.training
    assert recommender.lock.acquire(blocking=False)
    recommender.lock.release()


def test_nobody_else_gets_at_the_model_meanwhile(make_tiny):
    recommender = make_tiny()
    done = threading.Event()
    with recommender.lock:
        worker = threading.Thread(target=lambda: (attend(recommender, IDS[:2]), done.set()))
        worker.start()
        assert not done.wait(0.2)
    worker.join(timeout=10)
    assert done.is_set()
    with eager_attention(recommender):
        other = threading.Thread(target=lambda: done.clear() if recommender.lock.acquire(blocking=False) else None)
        other.start()
        other.join()
    assert done.is_set()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda layers: [], r"\(0 layers\), expected were 2 of \(1, 2, 4, 4\). Fused attention returns none"),
        (lambda layers: layers[:1], r"\(1 layers\), expected were 2"),
        (lambda layers: [layer[:, :1] for layer in layers], r"\(1, 1, 4, 4\)"),
        (lambda layers: [layer * 1.01 for layer in layers], "sum of one by up to 0.01"),
        (lambda layers: [layer.flip(-1) for layer in layers], "look ahead by up to"),
        (lambda layers: [layer * torch.nan for layer in layers], "NaN in the weights"),
    ],
)
def test_what_cannot_be_attention_is_refused_and_explained(tiny, spoil, message):
    good = [torch.ones(1, 2, 4, 4).tril() / torch.arange(1, 5)[:, None]] * 2
    assert attention_weights(good, recommender=tiny, shape=(1, 4)).shape == (1, 2, 2, 4, 4)
    with pytest.raises(RuntimeError, match=message):
        attention_weights(spoil(good), recommender=tiny, shape=(1, 4))


def test_rollout_follows_two_layers_as_computed_by_hand():
    first, second = np.array([[1, 0], [0.4, 0.6]]), np.array([[1, 0], [0.8, 0.2]])
    heads = np.stack([first, first])[None], np.stack([second + 0.1 * (first - second), second - 0.1 * (first - second)])
    weights = np.concatenate([heads[0], heads[1][None]])  # the heads of a layer have the mean above
    # 0.5 A + 0.5 I: [[1, 0], [0.2, 0.8]] and then [[1, 0], [0.4, 0.6]]; their product, last layer first:
    expected = [[1, 0], [0.4 * 1 + 0.6 * 0.2, 0.6 * 0.8]]
    np.testing.assert_allclose(roll_out(weights), expected)
    np.testing.assert_allclose(a_map(weights).matrix(rollout=True), expected)


def test_a_matrix_is_one_head_one_layer_or_the_mean_of_all(tiny):
    attention = attend(tiny, IDS[:5])
    np.testing.assert_array_equal(attention.matrix(layer=1, head=0), attention.weights[1, 0])
    np.testing.assert_allclose(attention.matrix(layer=1), attention.weights[1].mean(0), atol=1e-7)
    np.testing.assert_allclose(attention.matrix(), attention.weights.reshape(4, 6, 6).mean(0), atol=1e-7)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"layer": 2}, "layer is 2; this model has layers 0 to 1"),
        ({"layer": 0, "head": -1}, "head is -1; this model has heads 0 to 1"),
        ({"head": 1}, "head 1 of which layer"),
        ({"layer": 0, "rollout": True}, "leave out layer and head"),
        ({"unit": 6}, "unit is 6; this prompt has units 0 to 5"),
    ],
)
def test_a_head_that_is_not_there_is_named(tiny, choice, message):
    with pytest.raises(ValueError, match=message):
        attend(tiny, IDS[:5]).history_weights(**choice)


def test_several_words_of_one_item_are_one_unit():
    weights = np.array([[1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0.2, 0.3, 0.5, 0, 0], [0.1, 0.2, 0.3, 0.4, 0]])
    weights = np.vstack([weights, [0.1, 0.2, 0.1, 0.4, 0.2]])[None, None]
    attention = a_map(weights, units=[0, 1, 1, 2, 2])
    np.testing.assert_allclose(attention.matrix(), [[1, 0, 0], [0.2, 0.8, 0], [0.1, 0.3, 0.6]])
    assert attention.history_weights()["attention"].tolist() == pytest.approx([0.3, 0.6])
    assert attention.history_weights(unit=1)["attention"].tolist() == pytest.approx([0.8, 0])
    grouped = group(np.stack([weights[0], weights[0]]), units=[0, 1, 1, 2, 2])
    assert grouped.shape == (2, 1, 3, 3)
    np.testing.assert_allclose(grouped.sum(-1), 1)


def test_a_spelling_of_several_words_gives_one_unit_per_item(tiny):
    codes = tuple((row % 3, 3 + row)[: 1 + row % 2] for row in range(10))  # one word, two words, one word, ...
    vocabulary = Vocabulary(tiny.vocabulary.n_text, Spelling("semantic", tuple(IDS), codes, 13))
    spelled = SimpleNamespace(
        vocabulary=vocabulary, tokenizer=tiny.tokenizer, catalog=tiny.catalog, template=tiny.template
    )
    ids, words = read_prompt(spelled, [*IDS, "001", "001", "002", "003"])  # the newest that fit into 12 words
    assert len(ids) == len(words)
    firsts = words[words["part"] == 1]
    assert firsts["item_id"].dropna().tolist() == ["007", "008", "009", "001", "001", "002", "003"]
    assert words.groupby("unit")["part"].max().tolist() == [1, 2, 1, 2, 2, 2, 1, 2]


def test_words_are_titles_with_years_pieces_of_the_request_and_control_words(tiny):
    units = attend(tiny, ["000", "006", "008"], request="Slow 科幻 Films").units
    labels = ["<history>", "Alien (1979)", "科幻片 (2001)", "🎬 (2020)"]
    assert units["label"].tolist() == [*labels, "<request>", "slow", "科", "幻", "films", "<recommend>"]
    assert units["kind"].tolist() == ["control", *["item"] * 3, "control", *["request"] * 4, "control"]
    assert units["item_id"].dropna().tolist() == ["000", "006", "008"]


def test_a_control_word_that_somebody_types_is_text(tiny):
    words = attend(tiny, [], request="<history>").words
    assert words["kind"].tolist() == ["control", *["request"] * (len(words) - 2), "control"]


@pytest.mark.parametrize(
    "text", ["sad, 科幻!", "🎬👩‍🚀 café", "日本語", "\ufffd\ufffd\ufffd\ufffd\ufffd and more", "a\u3000b"]
)
def test_request_words_hold_every_piece_once_and_no_broken_character(text):
    tokenizer = train_tokenizer(["a"], vocab_size=256)
    pieces = encode(tokenizer, text)
    words = request_words(tokenizer, pieces)
    assert sum(size for _, size in words) == len(pieces)
    if "\ufffd" not in text:
        assert "".join(word for word, _ in words).replace(" ", "") == tokenizer.decode(pieces).replace(" ", "")
        assert not any("\ufffd" in word for word, _ in words)
    cut = request_words(tokenizer, pieces[:-1])
    assert sum(size for _, size in cut) == len(pieces) - 1


def test_of_a_long_history_the_newest_items_are_read_and_the_map_knows_how_many(tiny):
    history = IDS * 3 + ["009", "009"]
    attention = attend(tiny, history, item="000")
    assert (attention.n_read, attention.n_history) == (12, 32)  # the tiny prompt keeps 12
    assert attention.history_weights()["item_id"].tolist() == history[-12:]
    np.testing.assert_allclose(attention.weights, attend(tiny, history[-12:], item="000").weights)
    assert attend(tiny, IDS[:3]).n_read == 3


def test_somebody_unknown_is_one_word_that_looks_at_itself(tiny):
    attention = attend(tiny, [])
    assert attention.words["label"].tolist() == ["<history>"]
    assert (attention.weights == 1).all() and attention.n_read == attention.n_history == 0
    assert attention.history_weights().empty and attention.rank == 1


def test_the_item_of_the_map_is_the_first_of_the_ranking_or_any_other(tiny):
    ranking = tiny.rank({"u": IDS[:4]}, request="drama")
    first = attend(tiny, IDS[:4], request="drama")
    assert (first.item_id, first.rank) == (ranking["item_id"][0], 1)
    for place, item in enumerate(ranking["item_id"], start=1):
        attention = attend(tiny, IDS[:4], request="drama", item=item)
        assert attention.rank == place
        assert attention.probability == pytest.approx(np.exp(ranking["score"][place - 1]))
        np.testing.assert_array_equal(attention.weights, first.weights)  # attention does not depend on the item
    assert attend(tiny, IDS[:4], item="001").title == "Brazil (1985)"  # seen before, still a question


def test_an_unknown_item_is_named_and_nothing_left_to_recommend_is_said(tiny):
    with pytest.raises(ValueError, match="item 'no such film' is not in the catalog"):
        attend(tiny, IDS[:3], item="no such film")
    with pytest.raises(ValueError, match=r"\['no such film'\]"):
        attend(tiny, ["001", "no such film"])
    with pytest.raises(TypeError, match="give a list of item ids"):
        attend(tiny, "001")
    with pytest.raises(ValueError, match="the history holds every item"):
        attend(tiny, IDS)
    assert attend(tiny, IDS, item="003").item_id == "003"


def test_the_table_of_a_map_holds_every_weight_that_can_differ_from_zero(tiny):
    attention = attend(tiny, IDS[:4])
    table = attention.df
    assert len(table) == 2 * 2 * (5 * 6 / 2)
    for row in table.sample(10, random_state=0).itertuples():
        assert row.weight == attention.weights[row.layer, row.head, row.position, row.looked_at]
    assert table.groupby(["layer", "head", "position"])["weight"].sum().to_numpy() == pytest.approx(1, abs=1e-5)


def test_titles_stay_as_they_are_for_whoever_escapes_them(tiny_catalog):
    title = "<img src=x onerror=alert(1)>"
    recommender = start_recommender(tiny_catalog.assign(title=title, year=None), layers=1, width=16, heads=2)
    assert attend(recommender, ["001"]).units["label"].tolist() == ["<history>", title]


def test_the_source_says_what_the_model_learned_from(make_tiny):
    recommender = make_tiny()
    assert attend(recommender, []).source == "not trained, start random, cpu"
    recommender.record = {"dataset": "films", "config": {"seed": 3}}
    assert attend(recommender, []).source == "trained on films, start random, seed 3, cpu"
