"""The recommender: what may come out of it, how it scores, and what it reads."""

import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from workbench.models import start_recommender
from workbench.models.scoring import read_ends

IDS = [f"{row:03d}" for row in range(10)]
REQUESTS = ["slow science fiction", "我最近很喜欢科幻片", "🎬👩‍🚀", "<item_5> <history> -> <|endoftext|>"]
wishes = st.none() | st.sampled_from(REQUESTS) | st.text(max_size=30)


@settings(max_examples=60, deadline=None)
@given(
    histories=st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.sampled_from(IDS), max_size=30), max_size=4),
    candidates=st.none() | st.lists(st.sampled_from(IDS), max_size=12),
    k=st.integers(1, 25),
    request_=wishes,
)
def test_nothing_outside_the_catalog_and_nothing_seen_is_returned(tiny, histories, candidates, k, request_):
    rankings = tiny.rank(histories, k=k, candidates=candidates, request=request_)
    for user, history in histories.items():
        own = rankings[rankings["user_id"] == user]
        allowed = set(IDS if candidates is None else candidates) - set(history)
        assert set(own["item_id"]) <= allowed
        assert len(own) == own["item_id"].nunique() == min(k, len(allowed))
        assert own["rank"].tolist() == list(range(1, len(own) + 1))
        assert own["score"].is_monotonic_decreasing
    assert set(rankings["user_id"]) <= set(histories)


@settings(max_examples=60, deadline=None)
@given(
    text=st.text()
    | st.sampled_from([*REQUESTS, "<history>", "<item_0>", "\ud83d half an emoji", "\x00", "<|im_start|>"])
)
def test_whatever_is_typed_stays_text(tiny, text):
    words = tiny.template.request_words(tiny.vocabulary, tiny.tokenizer, text)
    assert all(0 <= word < tiny.vocabulary.n_text for word in words[1:-1])
    assert tiny.prompt([3], request=text)[:2] == [tiny.vocabulary.control("history"), tiny.vocabulary.first_item + 3]


def test_scores_of_all_items_are_log_probabilities_that_sum_to_one(tiny):
    for request in (None, "comedies from the 80s"):
        scores = tiny.log_probabilities({"none": [], "some": IDS[:4]}, request=request)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(np.exp(scores.astype(float)).sum(1), 1, atol=1e-5)
        assert scores.max() <= 0


def test_the_ranking_shows_the_log_probabilities(tiny):
    scores = tiny.log_probabilities({"u": ["001"]})[0]
    ranking = tiny.rank({"u": ["001"]}, k=10, exclude_seen=False)
    np.testing.assert_array_equal(ranking["score"], scores[ranking["item_id"].astype(int)])
    assert ranking["item_id"].iloc[0] == IDS[scores.argmax()]


def test_a_batch_ranks_like_single_calls(tiny):
    rng = np.random.default_rng(0)
    histories = {f"u{i}": [IDS[j] for j in rng.integers(0, 10, size=rng.integers(0, 15))] for i in range(300)}
    histories |= {"short": ["001"], "long": IDS + IDS}
    wishes = {user: REQUESTS[i % 4] for i, user in enumerate(histories) if i % 3}
    together = tiny.log_probabilities(histories, request=wishes)
    for place in [*range(0, 300, 17), 300, 301]:
        user = list(histories)[place]
        alone = tiny.log_probabilities({user: histories[user]}, request=wishes.get(user))
        np.testing.assert_allclose(together[place], alone[0], atol=1e-5)


def test_neighbours_that_need_padding_change_nothing(tiny):
    alone = tiny.log_probabilities({"u": ["004"]})
    beside = tiny.log_probabilities({"u": ["004"], "longer": IDS * 2, "talks": []}, request={"talks": "a " * 40})
    np.testing.assert_allclose(beside[0], alone[0], atol=1e-5)


def test_order_of_the_history_matters_and_only_the_newest_items_are_read(tiny):
    forth, back = (tiny.log_probabilities({"u": items})[0] for items in (IDS[:3], IDS[2::-1]))
    assert np.abs(forth - back).max() > 1e-3
    newest = tiny.log_probabilities({"u": IDS[:3] * 9})[0]
    same = tiny.log_probabilities({"u": [*IDS[5:], *(IDS[:3] * 4)]})[0]  # max_history is 12
    np.testing.assert_allclose(newest, same, atol=1e-5)


def test_eager_and_fused_attention_agree(make_tiny):
    recommender = make_tiny()
    histories = {"a": IDS[:7], "b": [], "c": ["009"]}
    scores = {}
    for kernel in ("sdpa", "eager"):
        recommender.model.set_attn_implementation(kernel)
        assert recommender.model.config._attn_implementation == kernel
        scores[kernel] = recommender.log_probabilities(histories, request="science fiction")
    np.testing.assert_allclose(scores["sdpa"], scores["eager"], atol=1e-5)


@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_last_block_asked_at_one_word_says_what_it_says_there_when_asked_at_all(tiny_catalog, layers, kernel):
    model = start_recommender(tiny_catalog, layers=layers, width=16, heads=4, max_history=12).model
    model.set_attn_implementation(kernel)
    for number, block in enumerate(model.transformer.h):
        block.attn.scaling /= number + 1  # as some published checkpoints do
    words, ends = torch.randint(0, model.config.vocab_size, (5, 9)), torch.tensor([8, 0, 3, 8, 5])
    with torch.no_grad():
        everywhere = model.transformer(words).last_hidden_state
        torch.testing.assert_close(read_ends(model, words, ends=ends), everywhere[torch.arange(5), ends])


def test_scores_are_float32_inside_autocast_and_under_training_mode(make_tiny):
    recommender = make_tiny(dropout=0.5)
    plain = recommender.log_probabilities({"u": IDS[:5]}, request="drama")
    recommender.model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = recommender.log_probabilities({"u": IDS[:5]}, request="drama")
    np.testing.assert_array_equal(plain, inside)
    assert recommender.model.training


@pytest.mark.parametrize("request_", [None, *REQUESTS])
@pytest.mark.parametrize("history", [[], ["000", "003"]])
def test_history_and_request_may_each_be_missing(tiny, history, request_):
    ranking = tiny.rank({"u": history}, k=3, request=request_)
    assert ranking["rank"].tolist() == [1, 2, 3]


def test_request_and_history_both_count(tiny):
    scores = [
        tiny.log_probabilities({"u": history}, request=request)[0]
        for history in ([], ["003"])
        for request in (None, "western", "科幻片")
    ]
    for one in range(6):
        for other in range(one):
            assert np.abs(scores[one] - scores[other]).max() > 1e-4


@pytest.mark.parametrize("blank", ["", "   ", "\n\t\u3000"])
def test_a_request_of_only_spaces_is_no_request(tiny, blank):
    for history in ([], ["001"]):
        pd.testing.assert_frame_equal(tiny.rank({"u": history}, request=blank), tiny.rank({"u": history}))


def test_spaces_and_capitals_around_a_request_change_nothing(tiny):
    plain = tiny.log_probabilities({"u": []}, request="science fiction")
    for written in (" Science Fiction ", "ＳＣＩＥＮＣＥ ｆｉｃｔｉｏｎ", " " * 5000 + "science fiction"):
        np.testing.assert_array_equal(plain, tiny.log_probabilities({"u": []}, request=written))


@pytest.mark.parametrize("piece", ["a", "科", "🎬", "word ", " "])
def test_a_request_of_100_000_characters_is_cut_quickly(tiny, piece):
    begin = time.perf_counter()
    assert len(tiny.prompt([], request=piece * 100_000)) <= tiny.template.max_words
    assert time.perf_counter() - begin < 0.5


def test_requests_may_differ_between_users(tiny):
    both = tiny.log_probabilities({"a": ["001"], "b": ["001"]}, request={"b": "a western"})
    np.testing.assert_allclose(both[0], tiny.log_probabilities({"a": ["001"]})[0], atol=1e-5)
    np.testing.assert_allclose(both[1], tiny.log_probabilities({"b": ["001"]}, request="a western")[0], atol=1e-5)


def test_an_unknown_item_is_named(tiny):
    with pytest.raises(ValueError, match="'no such film'.*user 'ann'"):
        tiny.rank({"bob": ["001"], "ann": ["no such film"]})
    with pytest.raises(ValueError, match="'also not'"):
        tiny.rank({"bob": ["001"]}, candidates=["also not"])


def test_a_longer_list_than_the_catalog_is_the_catalog(tiny):
    assert set(tiny.rank({"u": []}, k=500)["item_id"]) == set(IDS)


def test_no_users_give_an_empty_table(tiny):
    empty = tiny.rank({})
    assert list(empty.columns) == ["user_id", "item_id", "rank", "score"] and len(empty) == 0
    assert tiny.log_probabilities({}).shape == (0, 10)


def test_an_interactions_table_is_read_like_the_mapping(tiny):
    table = pd.DataFrame({"user_id": ["u", "v", "u"], "item_id": ["005", "001", "002"], "position": [2, 1, 1]})
    pd.testing.assert_frame_equal(tiny.rank(table), tiny.rank({"u": ["002", "005"], "v": ["001"]}))


def test_an_error_leaves_the_lock_free(tiny):
    with pytest.raises(ValueError, match="k is 0") as kept:  # noqa: F841 (a notebook keeps the last error and its frames)
        tiny.rank({"u": []}, k=0)
    got = []
    other = threading.Thread(target=lambda: got.append(tiny.lock.acquire(timeout=2)) or tiny.lock.release())
    other.start()
    other.join()
    assert got == [True]


def test_ranking_waits_for_whoever_holds_the_model(make_tiny):
    recommender = make_tiny()
    done = threading.Event()
    with recommender.lock:
        worker = threading.Thread(target=lambda: (recommender.rank({"u": []}), done.set()))
        worker.start()
        assert not done.wait(0.2)
    worker.join(timeout=10)
    assert done.is_set()


class Largest(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that any operation made."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        made = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.elements = max([self.elements, *made])
        return result


def test_no_tensor_grows_with_the_number_of_users(tiny_catalog, monkeypatch):
    catalog = pd.concat([tiny_catalog] * 60, ignore_index=True)
    catalog["item_id"] = [f"{row:03d}" for row in range(600)]
    wide = start_recommender(catalog, layers=1, width=16, heads=2, max_history=4)
    monkeypatch.setattr("workbench.models.ranking.ROOM", 24 * 600 * 4)  # 24 users
    largest = []
    for n_users in (24, 500):
        with Largest() as seen:
            ranking = wide.rank({f"u{row}": IDS[: row % 5] for row in range(n_users)}, k=5)
        assert len(ranking) == 5 * n_users
        largest.append(seen.elements)
    assert largest == [24 * 600, 24 * 600]


def test_users_in_blocks_are_ranked_as_one_by_one(tiny, monkeypatch):
    rng = np.random.default_rng(1)
    histories = {f"u{row}": list(rng.choice(IDS, size=rng.integers(0, 9))) for row in range(40)}
    wishes = {user: REQUESTS[0] for user in list(histories)[::3]}
    rules = {"k": 4, "candidates": IDS[2:]}
    monkeypatch.setattr("workbench.models.gpt2.AT_ONCE", 7)
    together = tiny.rank(histories, request=wishes, **rules)
    alone = [tiny.rank({user: own}, request=wishes.get(user), **rules) for user, own in histories.items()]
    pd.testing.assert_frame_equal(together, pd.concat(alone, ignore_index=True), rtol=1e-4)


def test_a_model_that_has_come_apart_is_noticed_and_its_user_named(make_tiny):
    recommender = make_tiny()
    recommender.item_rows().detach()[3] = torch.nan
    with pytest.raises(ValueError, match="user 'u' hold NaN"):
        recommender.rank({"u": ["001"]})


def test_the_shape_is_told_in_one_line(tiny):
    assert "2 layers x 16" in repr(tiny) and "10 items" in repr(tiny) and "not trained" in repr(tiny)
