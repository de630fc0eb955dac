"""Heads: those built to look somewhere are found, and a head that is switched off is off, and on again afterwards."""

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.catalogs import leave_one_out, read_tables
from workbench.evaluation import evaluate
from workbench.insight import ablate_heads, attend, cost_of_heads, measure_heads, name_heads
from workbench.insight.attention.heads import informative_heads
from workbench.models import start_recommender

IDS = [f"{row:03d}" for row in range(10)]
HISTORIES = {
    f"u{number}": list(np.random.default_rng(number).permutation(IDS)[: 3 + number % 8]) for number in range(8)
}


@torch.no_grad()
def built(make_tiny, *heads: tuple[np.ndarray, np.ndarray], item_rows: np.ndarray | None = None):
    """A recommender whose four heads get these queries and keys for the 13 positions, or for the words of a prompt.

    Blocks write nothing, so both layers see the embeddings: of positions alone, or of items alone.
    """
    recommender = make_tiny()
    model = recommender.model.transformer
    if item_rows is None:
        model.wte.weight.zero_()
        model.wpe.weight[:13] = 9 * torch.eye(16)[:13]
        seen = model.wpe.weight[:13]
    else:
        model.wpe.weight.zero_()
        recommender.item_rows()[:] = seen = torch.tensor(item_rows, dtype=torch.float32)
    for number, (queries, keys) in enumerate(heads):
        block, place = model.h[number // 2], 8 * (number % 2)
        for offset, wanted in ((0, queries), (16, keys)):
            weight = np.linalg.pinv(block.ln_1(seen).double().numpy()) @ wanted
            block.attn.c_attn.weight[:, offset + place : offset + place + 8] = torch.tensor(weight)
        block.attn.c_proj.weight.zero_()
        block.mlp.c_proj.weight.zero_()
    return recommender


def directions(seed: int) -> np.ndarray:
    """One unit vector per position, (13, 8), and long enough for a sharp softmax."""
    rows = np.random.default_rng(seed).normal(size=(13, 8))
    return 12 * rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_heads_built_to_look_somewhere_are_named_after_it(make_tiny):
    where, always = directions(0), np.tile(directions(1)[:1], (13, 1))
    only_first, only_start = np.zeros((13, 8)), np.zeros((13, 8))
    only_first[1], only_start[0] = always[0], always[0]
    recommender = built(
        make_tiny, (where, where), (np.roll(where, 1, axis=0), where), (always, only_first), (always, only_start)
    )
    named = name_heads(recommender, HISTORIES).set_index(["layer", "head"])
    assert named["name"].to_dict() == {
        (0, 0): "looks at the last item",
        (0, 1): "looks at the item before the last",
        (1, 0): "looks at the first item",
        (1, 1): "looks at the start of the prompt",
    }
    assert (named["share"] > 0.9).all() and (named["low"] > 0.8).all() and (named["informative"] > 0.9).all()
    assert (named["n"] == len(HISTORIES)).all()


def test_a_head_without_queries_looks_evenly_and_comes_last(make_tiny):
    nothing, where = np.zeros((13, 8)), directions(0)
    recommender = built(make_tiny, (nothing, where), (where, where), (where, where), (where, where))
    named = name_heads(recommender, HISTORIES)
    assert named["name"].tolist() == ["looks at the last item"] * 3 + ["looks evenly"]
    last = named.iloc[-1]
    assert last["informative"] == pytest.approx(0, abs=1e-5) and last["excess"] == pytest.approx(0, abs=1e-5)
    assert last["last"] == pytest.approx(last["last_even"], abs=1e-5)


@pytest.mark.parametrize(
    ("target", "column", "values"),
    [("genre", "genres", ("Drama", "War|Comedy")), ("director", "director", ("Varda", "Ozu"))],
)
def test_a_head_built_to_look_at_the_same_genre_or_director_is_found(make_tiny, tiny_catalog, target, column, values):
    kinds = np.arange(10) % 2
    rows = np.eye(16)[kinds] * 9 + 0.01 * np.random.default_rng(0).normal(size=(10, 16))
    same = directions(0)[kinds]
    other = directions(0)[1 - kinds]
    recommender = built(make_tiny, *[(same, same)] * 3, (same, other), item_rows=rows)
    nothing = {"genres": None, "director": None}
    recommender.catalog = tiny_catalog.assign(**nothing | {column: np.where(kinds, *values)})
    named = name_heads(recommender, {user: [*IDS, *IDS[:2]] for user in "ab"}).set_index(["layer", "head"])
    assert named.loc[(0, 0), "name"] == f"looks at earlier items of the last one's {target}"
    assert named.loc[(1, 1), "target"] != target and named.loc[(1, 1), target] < 0.01
    assert {"genre", "director", "series"} & set(named) == {target}  # no item has the other, and no column is series


def test_shares_and_even_shares_are_those_of_the_maps(tiny):
    measured = measure_heads(tiny, HISTORIES).set_index(["layer", "head", "target"])
    genres = {
        item: set(str(genre).split("|")) for item, genre in zip(IDS, tiny.catalog["genres"].fillna(""), strict=True)
    }
    shares, even = [], []
    for history in HISTORIES.values():
        weights, own, own_even = attend(tiny, history, item="000").weights[1, 0], [], []
        for place in range(1, len(history)):
            alike = [1 + i for i in range(place) if genres[history[i]] & genres[history[place]] - {""}]
            if alike:
                own.append(weights[place + 1, alike].sum())
                own_even.append(len(alike) / (place + 2))
        if own:
            shares.append(np.mean(own))
            even.append(np.mean(own_even))
    row = measured.loc[(1, 0, "genre")]
    assert row["share"] == pytest.approx(np.mean(shares), abs=1e-5)
    assert row["even"] == pytest.approx(np.mean(even)) and row["n"] == len(shares)
    assert row["low"] <= row["excess"] <= row["high"]


def test_a_batch_measures_like_single_histories(tiny, monkeypatch):
    together = measure_heads(tiny, HISTORIES)
    monkeypatch.setattr("workbench.insight.attention.heads.NUMBERS", 1)
    pd.testing.assert_frame_equal(together, measure_heads(tiny, HISTORIES), atol=1e-5)


def test_one_history_has_no_interval_and_a_long_one_is_cut_like_the_prompt(tiny):
    one = name_heads(tiny, {"u": IDS * 5})
    assert one["low"].isna().all() and (one["n"] == 1).all()
    newest = (IDS * 5)[-tiny.template.max_history :]
    pd.testing.assert_frame_equal(one, name_heads(tiny, {"u": newest}))


def test_histories_too_short_to_say_anything_are_left_out_or_refused(tiny):
    assert (measure_heads(tiny, {"a": IDS[:3], "b": ["001"], "c": []})["n"] == 1).all()
    with pytest.raises(ValueError, match="no history has two items"):
        name_heads(tiny, {"b": ["001"]})


def test_informative_is_zero_for_even_and_one_for_sharp_attention():
    sharp = np.eye(5)
    even = np.tril(np.ones((5, 5))) / np.arange(1, 6)[:, None]
    assert informative_heads(np.stack([even, sharp, np.full((5, 5), np.nan)]))[:2].tolist() == pytest.approx([0, 1])
    assert informative_heads(np.ones((2, 3, 1, 1))).tolist() == [[0, 0, 0], [0, 0, 0]]


def attention_output(recommender, layer: int) -> torch.Tensor:
    """What a layer's attention writes for some prompt, (1, n_words, d_model)."""
    caught = []
    hook = recommender.model.transformer.h[layer].attn.register_forward_hook(lambda _, __, out: caught.append(out[0]))
    with torch.no_grad():  # not by ranking, which asks the last layer at one word only
        recommender.model.transformer(torch.tensor([recommender.prompt([0, 1, 2, 3])]), use_cache=False)
    hook.remove()
    return caught[0]


def test_a_head_switched_off_moves_the_scores_and_only_meanwhile(make_tiny):
    recommender = make_tiny()
    before = recommender.log_probabilities({"u": IDS[:4]})
    alone = {}
    for head in ((0, 0), (0, 1), (1, 0), (1, 1)):
        with ablate_heads(recommender, [head]):
            alone[head] = recommender.log_probabilities({"u": IDS[:4]})
        assert np.abs(alone[head] - before).max() > 1e-4
        np.testing.assert_array_equal(recommender.log_probabilities({"u": IDS[:4]}), before)
    assert np.abs(alone[0, 0] - alone[0, 1]).max() > 1e-4


def test_without_any_head_attention_writes_only_the_bias(make_tiny):
    recommender = make_tiny()
    bias = recommender.model.transformer.h[1].attn.c_proj.bias
    torch.nn.init.normal_(bias)
    with ablate_heads(recommender, [(1, 0), (1, 1)]):
        written = attention_output(recommender, 1)
    torch.testing.assert_close(written, bias.detach().expand_as(written))
    assert (attention_output(recommender, 1) - bias).abs().max() > 1e-4


def test_nothing_stays_behind_after_an_exception(make_tiny):
    recommender = make_tiny()
    with pytest.raises(ZeroDivisionError), ablate_heads(recommender, [(0, 0), (1, 1)]):
        assert len(recommender.model.transformer.h[0].attn.c_proj._forward_pre_hooks) == 1
        1 / 0  # noqa: B018
    assert not any(block.attn.c_proj._forward_pre_hooks for block in recommender.model.transformer.h)
    assert recommender.lock.acquire(blocking=False)
    recommender.lock.release()


@pytest.mark.parametrize("head", [(2, 0), (0, 2), (-1, 0)])
def test_a_head_that_is_not_there_is_named(tiny, head):
    with (
        pytest.raises(ValueError, match=f"no head {head[1]} in layer {head[0]}.*layers 0 to 1"),
        ablate_heads(tiny, [head]),
    ):
        pass


def test_a_catalog_of_ids_and_titles_is_enough():
    catalog = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["Alien", "Brazil", "Cube"]})
    named = name_heads(start_recommender(catalog, layers=1, width=16, heads=2), {"u": ["a", "b"]})
    assert set(named["target"]) <= {"last", "before", "first", "start"} and len(named) == 2


def test_the_cost_of_a_head_is_what_the_ranking_loses_without_it(make_tiny):
    recommender = make_tiny()
    ids = list(recommender.vocabulary.spelling.items)
    rng = np.random.default_rng(0)
    events = [
        {"user_id": f"u{user}", "item_id": item, "position": place}
        for user in range(12)
        for place, item in enumerate(rng.permutation(ids)[:5])
    ]
    dataset = read_tables(
        items=recommender.catalog[["item_id", "title"]], interactions=pd.DataFrame(events), name="toy"
    )
    split = leave_one_out(dataset)
    costs = cost_of_heads(recommender, split)
    assert costs.index.tolist() == [(0, 0), (0, 1), (1, 0), (1, 1)]
    whole = evaluate({"on": recommender}, split, k=[10])["ndcg@10"]["on"]
    with ablate_heads(recommender, [(1, 0)]):
        without = evaluate({"off": recommender}, split, k=[10])["ndcg@10"]["off"]
    assert costs.loc[(1, 0), "ndcg@10"] == without
    assert costs.loc[(1, 0), "difference"] == pytest.approx(without - whole)
    assert (costs["low"] <= costs["difference"]).all() and (costs["difference"] <= costs["high"]).all()
