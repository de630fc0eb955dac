"""Lists the model writes: what they hold, in which order, and that no setting lets them off the catalog unasked."""

from threading import Event

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.language import Prompt
from workbench.models import gpt2
from workbench.models.generation import HOW, Decoding
from workbench.models.generation.constraint import trie_table

IDS = [f"{row:03d}" for row in range(10)]
BATCH = {"nobody": [], "one": ["003"], "long": IDS[:7] * 3, "some": ["009", "001"]}


class SetAfter(Event):
    """An event that somebody sets while the model writes: after it was asked so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module")
def shelf():
    """Sixty items whose titles share beginnings of several words."""
    words = ["Alien", "Blue", "Cube", "Dune", "Heat"]
    titles = [" ".join([words[row % 5], words[row // 5 % 3], words[row // 15]][: 1 + row % 3]) for row in range(60)]
    return pd.DataFrame({"item_id": [f"s{row:02d}" for row in range(60)], "title": titles})


def item_scores(recommender, histories, table):
    """What ``log_probabilities`` says of the items of a table."""
    scores = recommender.log_probabilities(histories)
    rows = {user: row for row, user in enumerate(histories)}
    columns = {item: column for column, item in enumerate(recommender.vocabulary.spelling.items)}
    return [scores[rows[user], columns[item]] for user, item in zip(table["user_id"], table["item_id"], strict=True)]


def assert_same_list(ours, theirs):
    pd.testing.assert_frame_equal(ours.drop(columns="score"), theirs.drop(columns="score"))
    np.testing.assert_allclose(ours["score"], theirs["score"], atol=1e-4)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_a_beam_of_full_width_finds_the_ranking_of_all_items(spelled, exclude_seen):
    lists = spelled.generate(BATCH, k=10, width=10, exclude_seen=exclude_seen)
    assert_same_list(lists, spelled.rank(BATCH, k=10, exclude_seen=exclude_seen))


@pytest.mark.parametrize("scale", [1, 30])
@pytest.mark.parametrize("how", ["atomic", "semantic", "title"])
def test_so_it_does_on_a_shelf_of_many_forks(make_spelled, shelf, how, scale):
    recommender = make_spelled(how, catalog=shelf, scale=scale)
    histories = {"nobody": [], "some": ["s11", "s43", "s05"]}
    lists, ranking = recommender.generate(histories, k=60, width=60), recommender.rank(histories, k=60)
    assert len(lists) == len(ranking) == 60 + 57 and set(lists["item_id"]) == set(ranking["item_id"])
    for user in histories:
        ours, theirs = (table[table["user_id"] == user].set_index("item_id")["score"] for table in (lists, ranking))
        np.testing.assert_allclose(ours[theirs.index], theirs, atol=1e-4 * scale)
        assert ours.is_monotonic_decreasing


@settings(max_examples=25, deadline=None)
@given(
    histories=st.dictionaries(st.text(min_size=1, max_size=3), st.lists(st.sampled_from(IDS), max_size=14), max_size=3),
    how=st.sampled_from(list(HOW)),
    k=st.integers(1, 14),
    width=st.none() | st.integers(1, 12),
    exclude_seen=st.booleans(),
)
def test_no_item_twice_nothing_seen_nothing_off_the_catalog(spelled, histories, how, k, width, exclude_seen):
    chance = {"temperature": 2.0, "top_p": 0.9} if how == "sample" else {}
    table = spelled.generate(histories, k=k, how=how, width=width, exclude_seen=exclude_seen, **chance)
    assert list(table.columns) == ["user_id", "item_id", "rank", "score"] and not table.attrs["stopped"]
    for user, history in histories.items():
        own = table[table["user_id"] == user]
        allowed = set(IDS) - (set(history) if exclude_seen else set())
        assert set(own["item_id"]) <= allowed
        assert len(own) == own["item_id"].nunique() == min(k, len(allowed))
        assert own["rank"].tolist() == list(range(1, len(own) + 1))
        if how != "greedy":
            assert own["score"].is_monotonic_decreasing
    if how != "greedy" and histories:
        np.testing.assert_allclose(table["score"], item_scores(spelled, histories, table), atol=1e-4)


@pytest.mark.parametrize("how", list(HOW))
def test_whoever_has_seen_everything_gets_an_empty_list(spelled, how):
    table = spelled.generate({"u": IDS, "v": IDS[:9]}, how=how)
    assert table[["user_id", "item_id"]].to_numpy().tolist() == [["v", "009"]]
    empty = spelled.generate({}, how=how)
    assert len(empty) == 0 and dict(empty.dtypes) == dict(table.dtypes)


def test_a_narrow_beam_writes_full_lists_and_true_scores(make_spelled, shelf):
    for how in ("semantic", "title"):
        recommender = make_spelled(how, catalog=shelf)
        for width in (1, 2, 5):
            lists = recommender.generate({"u": ["s00"]}, k=width, width=width)
            assert len(lists) == width
            np.testing.assert_allclose(lists["score"], item_scores(recommender, {"u": ["s00"]}, lists), atol=1e-4)


def test_a_beam_of_one_follows_the_best_word_at_every_fork(make_spelled, shelf):
    recommender = make_spelled("semantic", catalog=shelf)
    beam, slate = (recommender.generate({"u": []}, k=1, how=how, width=1) for how in ("beam", "greedy"))
    assert_same_list(beam, slate)


def test_a_batch_of_beams_is_what_each_would_be_alone(spelled):
    together = spelled.generate(BATCH, k=6)
    for user, history in BATCH.items():
        own = together[together["user_id"] == user].reset_index(drop=True)
        assert_same_list(own, spelled.generate({user: history}, k=6))


def test_a_beam_writes_alike_with_every_attention_kernel(make_spelled):
    for how in ("semantic", "title"):
        recommender, lists = make_spelled(how), []
        for kernel in ("sdpa", "eager"):
            recommender.model.set_attn_implementation(kernel)
            lists.append(recommender.generate(BATCH, k=10, width=10))
        assert_same_list(*lists)


def test_a_prompt_is_read_as_what_it_says(make_spelled):
    recommender = make_spelled("semantic", marks=[("context", "time", "night"), ("profile", "age", "old")])
    said = {"request": "a western", "context": {"time": "night"}, "profile": {"age": "old"}}
    prompt = Prompt(history=("003", "001"), **said)
    apart = recommender.generate({"somebody": ["003", "001"]}, k=10, **said)
    assert_same_list(recommender.generate(prompt, k=10), apart)
    assert_same_list(apart, recommender.rank({"somebody": ["003", "001"]}, k=10, **said))
    with pytest.raises(ValueError, match="part of the Prompt already"):
        recommender.generate(prompt, request="a comedy")
    with pytest.raises(ValueError, match="'no such film'"):
        recommender.generate(Prompt(history=("no such film",)))


@pytest.mark.parametrize("how", ["semantic", "title"])
@pytest.mark.parametrize("candidates", [None, ["007", "000", "003", "007"], []])
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_ranking_too_many_items_to_score_them_all_takes_a_beam(
    make_spelled, monkeypatch, how, candidates, exclude_seen
):
    recommender = make_spelled(how)
    rules = {"k": 7, "candidates": candidates, "exclude_seen": exclude_seen}
    exact = recommender.rank(BATCH, **rules, request="a western")
    monkeypatch.setattr(gpt2, "EXACT", 5)
    assert not recommender.scores_all
    monkeypatch.setattr(recommender, "log_probabilities", None)
    assert_same_list(recommender.rank(BATCH, **rules, request="a western"), exact)


def test_a_ranking_by_beam_refuses_what_every_ranking_refuses(make_spelled, monkeypatch):
    monkeypatch.setattr(gpt2, "EXACT", 5)
    recommender = make_spelled("title")
    for rules, error, message in [
        ({"candidates": ["also not"]}, ValueError, "'also not'"),
        ({"candidates": "003"}, TypeError, "give a list"),
        ({"k": 0}, ValueError, "k is 0"),
    ]:
        with pytest.raises(error, match=message):
            recommender.rank({"u": []}, **rules)
    assert len(recommender.rank({})) == 0


@pytest.mark.parametrize("how", list(HOW))
def test_a_stop_ends_writing_and_what_is_finished_is_returned(spelled, how):
    begun = spelled.generate(BATCH, how=how, stop=SetAfter(0))
    assert len(begun) == 0 and begun.attrs["stopped"]
    for times in (1, 2, 3, 5, 8):
        stop = SetAfter(times)
        table = spelled.generate(BATCH, how=how, stop=stop)
        assert table.attrs["stopped"] == (stop.left < 0) and set(table["item_id"]) <= set(IDS)
        for user in set(table["user_id"]):
            own = table[table["user_id"] == user]
            assert own["item_id"].is_unique and not set(own["item_id"]) & set(BATCH[user])
        if how != "greedy" and len(table):
            np.testing.assert_allclose(table["score"], item_scores(spelled, BATCH, table), atol=1e-4)
    assert not spelled.generate(BATCH, how=how, stop=Event()).attrs["stopped"]


@pytest.mark.parametrize(
    "settings",
    [
        *[{"how": how, "constrain": constrain} for how in HOW for constrain in (True, False)],
        {"how": "greedy", "diversity": 0.5},
    ],
    ids=str,
)
def test_a_list_is_called_stopped_only_if_something_was_left_to_write(spelled, settings):
    counts = SetAfter(1_000)
    whole = spelled.generate(BATCH, stop=counts, **settings)
    asked = 1_000 - counts.left
    late = spelled.generate(BATCH, stop=SetAfter(asked), **settings)  # set when nobody asks any more
    pd.testing.assert_frame_equal(late, whole)
    assert not whole.attrs["stopped"] and not late.attrs["stopped"]
    early = spelled.generate(BATCH, stop=SetAfter(asked - 1), **settings)  # the last who asks hears yes
    assert early.attrs["stopped"] and not early.equals(whole)
    if settings["how"] == "greedy":
        assert len(early) == len(whole) - 1 and early.equals(whole.head(len(early)))


@pytest.mark.parametrize("how", list(HOW))
def test_where_nothing_can_be_written_nothing_is_stopped(spelled, how):
    table = spelled.generate({"all": IDS}, how=how, stop=SetAfter(0))
    assert len(table) == 0 and not table.attrs["stopped"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"how": "guess"}, "how is 'guess'; choose one of"),
        ({"k": 0}, "k is 0; ask for at least 1"),
        ({"width": 0}, "width is 0; a beam has at least 1"),
        ({"how": "sample", "temperature": 0.0}, "temperature is 0; it must be above 0"),
        ({"how": "sample", "temperature": float("nan")}, "temperature is nan"),
        ({"how": "sample", "temperature": float("inf")}, "temperature is inf"),
        ({"how": "sample", "top_p": 0.0}, "top_p is 0; it must be above 0 and at most 1"),
        ({"how": "sample", "top_p": 1.5}, "top_p is 1.5"),
        ({"how": "greedy", "diversity": -1.0}, "diversity is -1; it must be 0 or more"),
        ({"temperature": 2.0}, "'beam' has none: choose how='sample'"),
        ({"how": "greedy", "top_p": 0.5}, "'greedy' has none: choose how='sample'"),
        ({"diversity": 1.0}, "diversity steers a slate.*choose how='greedy'"),
        ({"how": "greedy", "diversity": 1.0, "constrain": False}, "leave one of them out"),
    ],
)
def test_settings_that_cannot_be_or_would_do_nothing_are_refused_in_one_sentence(spelled, given, message):
    with pytest.raises(ValueError, match=message) as refused:
        spelled.generate({"u": []}, **given)
    assert "\n" not in str(refused.value)


def test_a_beam_is_at_least_as_wide_as_the_list_is_long_and_fifty():
    assert [Decoding(k=k, width=width).beams for k, width in [(3, None), (80, None), (3, 7)]] == [50, 80, 7]


@pytest.mark.parametrize("how", list(HOW))
def test_without_the_trie_the_model_leaves_the_catalog_or_repeats_itself_and_the_table_says_so(spelled, how):
    table = spelled.generate({"u": ["001"]}, how=how, constrain=False, k=10)
    written = table["item_id"].dropna()
    assert set(written) <= set(IDS) and (len(written) < len(table) or not written.is_unique)
    assert (table["score"] < 0).all() and table["rank"].tolist() == list(range(1, len(table) + 1))


def test_without_the_trie_scores_are_among_all_words(make_spelled):
    recommender = make_spelled("atomic")
    written = []
    table = recommender.generate({"u": ["001"]}, how="greedy", constrain=False, k=1, on_word=written.append)
    prompt = recommender.prompts({"u": ["001"]}, {})
    with torch.no_grad():
        chances = recommender.model(torch.tensor(prompt)).logits[0, -1].log_softmax(0)
    assert table["score"].tolist() == pytest.approx([float(chances.max())], abs=1e-5)
    assert [word.probability for word in written] == pytest.approx([float(chances.max().exp())], abs=1e-5)
    wide = recommender.generate({"u": ["001"]}, constrain=False, k=5)
    assert wide["score"].tolist() == pytest.approx(chances.topk(5).values.tolist(), abs=1e-4)


def test_words_that_lead_off_the_trie_are_nowhere(spelled):
    vocabulary = spelled.vocabulary
    table = trie_table(vocabulary.trie, spelled.device)
    longest = vocabulary.trie.longest
    for row, own in enumerate(vocabulary.spelled):
        filled = torch.tensor([[*own, *[vocabulary.control("end")] * (longest - len(own))]])
        assert table.items(filled).tolist() == [row]
        for place in range(len(own)):
            for word in (0, vocabulary.control("history"), vocabulary.size - 1, vocabulary.size + 5):
                other = filled.clone()
                other[0, place] = word
                known = [known for known in vocabulary.spelled if list(known) == other[0, : len(known)].tolist()]
                expected = vocabulary.spelled.index(known[0]) if known else -1
                assert table.items(other).tolist() == [expected]


@pytest.mark.parametrize("how", list(HOW))
def test_writing_names_every_device(spelled, how):
    """What is made on the default device would stay on ``meta``, and could not meet what the model holds."""
    expected = spelled.generate(BATCH, how=how, k=4)
    with torch.device("meta"):
        table = spelled.generate(BATCH, how=how, k=4)
    pd.testing.assert_frame_equal(table, expected)


@pytest.mark.parametrize("how", ["atomic", "semantic", "title"])
def test_a_published_base_ranks_and_writes_in_every_spelling(make_spelled, gpt2_folder, how):
    recommender = make_spelled(how, base=str(gpt2_folder), max_history=12, scale=1)
    assert recommender.vocabulary.n_text == 50257 and recommender.start.startswith("hub")
    scores = recommender.log_probabilities({"u": ["001"]}, request="a western")
    assert np.exp(scores.astype(float)).sum() == pytest.approx(1, abs=1e-5)
    exact = recommender.rank(BATCH, k=10)
    assert_same_list(recommender.generate(BATCH, k=10, width=10), exact)
    for kind in ("sample", "greedy"):
        assert set(recommender.generate({"u": ["001"]}, how=kind, k=9)["item_id"]) == set(IDS) - {"001"}
