"""Sentences: reproducible step by step, complete, and without anything that is held out."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.catalogs import leave_one_out, read_tables
from workbench.language.requests import held_out
from workbench.language.wording import FRAMES
from workbench.models.start import start_recommender
from workbench.training import batches as module
from workbench.training.batches import POOL, Sentences
from workbench.training.windows import NO_TARGET


def make(split, config, **settings):
    recommender = start_recommender(split.dataset.catalog, layers=1, width=16, heads=2)
    return Sentences(recommender, split, replace(config, **settings))


def same(one, other):
    return one.keys() == other.keys() and all(
        one[kind].keys() == other[kind].keys() and all(torch.equal(one[kind][n], other[kind][n]) for n in one[kind])
        for kind in one
    )


def item_rows(sentences, words):
    first = sentences.recommender.vocabulary.first_item
    return [word - first for word in words.tolist() if word >= first]


def history_rows(sentences, batch):
    """(items read, items predicted) of each history sentence."""
    for words, targets in zip(batch["history"]["words"], batch["history"]["targets"], strict=True):
        yield item_rows(sentences, words), [t for t in targets.tolist() if t != NO_TARGET]


def test_a_step_is_the_same_whoever_asks_and_whenever(wanderings, tiny_config):
    sentences, fresh = make(wanderings, tiny_config), make(wanderings, tiny_config)
    steps = range(len(sentences))
    forth = [sentences[step] for step in steps]
    back = {step: fresh[step] for step in reversed(steps)}
    assert all(same(forth[step], back[step]) and same(forth[step], sentences[step]) for step in steps)
    assert not same(forth[0], forth[1])


def test_another_seed_gives_other_sentences(wanderings, tiny_config):
    assert not same(make(wanderings, tiny_config)[0], make(wanderings, tiny_config, seed=1)[0])


def test_every_event_is_a_target_once_in_every_epoch(cycles, tiny_config):
    sentences = make(cycles, tiny_config)
    expected = Counter(cycles.train["item_id"])
    for epoch in range(3):
        steps = range(epoch * sentences.steps_per_epoch, (epoch + 1) * sentences.steps_per_epoch)
        targets = Counter(f"f{t}" for step in steps for _, row in history_rows(sentences, sentences[step]) for t in row)
        assert targets == expected


def test_a_history_sentence_predicts_the_item_that_follows(wanderings, tiny_config):
    sentences = make(wanderings, tiny_config)
    known = wanderings.train.groupby("user_id")["item_id"].apply(lambda ids: " ".join(ids)).tolist()
    for step in range(len(sentences)):
        for read, predicted in history_rows(sentences, sentences[step]):
            assert read == predicted[:-1]
            assert len(predicted) <= tiny_config.max_history + 1
            run = " ".join(map(str, predicted))
            assert any(f" {run} " in f" {whole} " for whole in known)


def test_long_histories_are_read_from_many_places(wanderings, tiny_config):
    sentences = make(wanderings, tiny_config, epochs=30)
    seen = {t for step in range(len(sentences)) for _, row in history_rows(sentences, sentences[step]) for t in row}
    assert seen == set(wanderings.train["item_id"].astype(int))
    histories = wanderings.train.groupby("user_id").size()
    assert (histories > tiny_config.max_history + 1).any()
    assert len(sentences.windows) == sum(max(1, -(-n // (tiny_config.max_history + 1))) for n in histories)


def private(split):
    """The same split where each viewer's events are films that nobody else met, so that a leak has a name."""
    events = [(f"u{u}", f"{u}-{place}", place) for u in range(12) for place in range(5 + u)]
    interactions = pd.DataFrame(events, columns=["user_id", "item_id", "position"])
    genres = ["Horror|Sci-Fi", "Drama", "Comedy|War"]
    items = pd.DataFrame(
        {
            "item_id": interactions["item_id"],
            "title": "Film " + interactions["item_id"],
            "genres": [genres[i % 3] for i in range(len(interactions))],
        }
    )
    return leave_one_out(read_tables(items=items, interactions=interactions, name="private"))


def test_no_held_out_item_stands_in_a_sentence_of_a_person(wanderings, tiny_config):
    split = private(wanderings)
    sentences = make(split, tiny_config, epochs=8, wishes_after_history=8)
    ids = sentences.recommender.vocabulary.spelling.items
    met = set()
    for step in range(len(sentences)):
        batch = sentences[step]
        met |= {row for pair in history_rows(sentences, batch) for part in pair for row in part}
        if "wish_after_history" in batch:
            group = batch["wish_after_history"]
            met |= {row for words in group["words"] for row in item_rows(sentences, words)}
            met |= set(group["targets"].flatten().tolist()) - {NO_TARGET}
    held = set(split.validation["item_id"]) | set(split.test["item_id"])
    assert {ids[row] for row in met} == set(split.train["item_id"])
    assert not {ids[row] for row in met} & held


def test_a_wish_after_a_history_asks_for_the_next_film(wanderings, tiny_config):
    split = private(wanderings)
    sentences = make(split, tiny_config, wishes_after_history=8)
    ids = sentences.recommender.vocabulary.spelling.items
    words = sentences.recommender.vocabulary
    for step in range(len(sentences)):
        group = sentences[step].get("wish_after_history")
        for row, targets in zip(group["words"], group["targets"], strict=True) if group else ():
            [end] = (targets != NO_TARGET).nonzero().flatten().tolist()
            read = [ids[i] for i in item_rows(sentences, row[: end + 1])]
            user, place = ids[targets[end]].split("-")
            assert read == [f"{user}-{p}" for p in range(int(place) - len(read), int(place))] and read
            assert row[0] == words.control("history") and row[end] == words.control("recommend")
            assert len(row) <= sentences.recommender.template.max_words


@pytest.fixture
def asked(monkeypatch):
    """Every (combination, text, settings) that training puts into words."""
    said, real = [], module.phrase

    def phrase(combination, rng, **settings):
        text = real(combination, rng, **settings)
        said.append((combination, text, settings))
        return text

    monkeypatch.setattr(module, "phrase", phrase)
    return said


def test_wishes_use_no_held_out_combination_and_no_held_out_frame(wanderings, tiny_config, asked):
    sentences = make(wanderings, tiny_config, wishes=32, wishes_after_history=32)
    for step in range(len(sentences)):
        sentences[step]
    assert len(asked) > 300 and {settings["language"] for _, _, settings in asked} == {"en", "zh"}
    assert not [combination for combination, _, _ in asked if held_out(combination)]
    assert {combination for combination, _, _ in asked} <= set(sentences.requests.matches)
    unseen = tuple(start for frames in FRAMES.values() for f in frames[1::2] if (start := f.split("{what}")[0]))
    assert not [text for _, text, _ in asked if text.startswith(unseen)]


def wish_steps(sentences):
    """The steps that hold the first pool of wishes."""
    return range(0, POOL * sentences.every["wish"], sentences.every["wish"])


@pytest.mark.parametrize("kind", ["wish", "wish_after_history", "description"])
def test_a_kind_that_is_not_in_every_step_brings_as_many_sentences_more(cycles, tiny_config, kind):
    settings = {"wish": "wishes", "wish_after_history": "wishes_after_history", "description": "descriptions"}
    sentences = make(cycles, tiny_config, epochs=300, **{settings[kind]: 3})
    every = sentences.every[kind]
    first = range(0, 4 * every)
    assert every > 1 and [step for step in first if kind in sentences[step]] == [0, every, 2 * every, 3 * every]
    assert all(len(sentences[step][kind]["words"]) <= 3 * every for step in first[::every])
    assert sum(len(sentences[step][kind]["words"]) for step in first[::every]) > 3 * every


def test_a_long_run_over_few_combinations_has_wishes_in_fewer_of_its_steps_and_none_at_its_end(cycles, tiny_config):
    few, many = make(cycles, tiny_config, epochs=100), make(cycles, tiny_config, epochs=500)
    assert few.every["wish"] == 1 and many.every["wish"] == round(len(many) / 400)
    with_wishes = [step for step in range(len(many)) if "wish" in many[step]]
    assert with_wishes == list(range(0, round(0.8 * len(many)), many.every["wish"]))
    rows = [len(many[step]["wish"]["words"]) for step in with_wishes[:3]]
    assert rows == [4 * tiny_config.wishes] * 3  # at most four times as many, however rare


def test_a_very_long_run_has_all_that_is_not_history_in_fewer_of_its_steps(cycles, tiny_config):
    short, long = make(cycles, tiny_config, epochs=100), make(cycles, tiny_config, epochs=2_000)
    rare = round(len(long) / module.LONG_RUN)
    assert rare > 1 and long.every["description"] == rare * short.every["description"]
    assert long.every["wish_after_history"] == rare * short.every["wish_after_history"]


def test_items_that_stand_for_all_are_those_asked_for_and_some_drawn_evenly(wanderings, tiny_config):
    sentences = make(wanderings, tiny_config, negatives=5)
    counts = np.zeros(sentences.shares.size)
    for step in range(len(sentences)):
        group = sentences[step]["history"]
        asked = set(group["targets"][group["targets"] >= 0].tolist())
        drawn = group["drawn"].tolist()
        assert asked <= set(drawn) and drawn == sorted(set(drawn)) and len(drawn) <= len(asked) + 5
        assert (group["log_chances"] <= 0).all() and len(group["log_chances"]) == len(drawn)
        counts[drawn] += 1
    assert (counts > 0).all()


def test_where_few_items_are_all_of_them_stand_in_the_softmax(wanderings, tiny_config):
    assert "drawn" not in make(wanderings, tiny_config)[0]["history"]
    assert "drawn" not in make(wanderings, tiny_config, negatives=0)[0]["history"]


def test_a_wish_shares_its_chances_among_the_films_that_match_by_the_root_of_their_views(cycles, tiny_config, asked):
    sentences = make(cycles, tiny_config, epochs=12, wishes=32, wishes_after_history=0)
    chances = torch.cat([sentences[step]["wish"]["chances"] for step in wish_steps(sentences)])
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-5)
    matching = [tuple(np.flatnonzero(row)) for row in chances.numpy()]
    wanted = {tuple(sentences.requests.matches[combination]) for combination, _, _ in asked}
    assert wanted <= set(matching)
    assert all(len(rows) == 1 for rows in set(matching) - wanted)  # the words of one film's own text
    views = cycles.train["item_id"].value_counts()
    root = np.array([(1 + views.get(item, 0)) ** 0.5 for item in cycles.dataset.catalog["item_id"]])
    for row, rows in zip(chances.numpy(), map(list, matching), strict=True):
        np.testing.assert_allclose(row[rows], root[rows] / root[rows].sum(), rtol=1e-5)


def test_rows_are_filled_up_to_few_lengths_but_never_past_the_positions_of_the_model(wanderings, tiny_config):
    sentences = make(wanderings, tiny_config)
    lengths = {sentences[step]["history"]["words"].shape[1] for step in range(len(sentences))}
    assert lengths <= {8, 16}
    sentences.recommender.model.config.n_positions = 1 + tiny_config.max_history
    lengths = {sentences[step]["history"]["words"].shape[1] for step in range(len(sentences))}
    assert lengths <= {8, 1 + tiny_config.max_history}


def test_wishes_of_a_pool_share_steps_with_wishes_of_their_length(cycles, tiny_config):
    sentences = make(cycles, tiny_config, epochs=12, wishes=32, wishes_after_history=0, descriptions=0)
    lengths = sorted((sentences[step]["wish"]["ends"] for step in wish_steps(sentences)), key=lambda ends: ends.min())
    assert all(short.max() <= long.min() for short, long in pairwise(lengths))


def test_descriptions_hold_only_text_of_their_own_film(cycles, tiny_config):
    sentences = make(cycles, tiny_config, descriptions=6)
    words, tokenizer = sentences.recommender.vocabulary, sentences.recommender.tokenizer
    catalog = cycles.dataset.catalog
    for step in range(0, len(sentences), sentences.every["description"]):
        group = sentences[step]["description"]
        for row, targets in zip(group["words"].tolist(), group["targets"].tolist(), strict=True):
            own = catalog.iloc[row[0] - words.first_item]
            assert row[1] == words.control("describe") and targets[0] == NO_TARGET
            known = [t for t in targets if t != NO_TARGET]
            assert known[-1] == words.control("end") and all(t < words.n_text for t in known[:-1])
            assert row[2 : 1 + len(known)] == known[:-1]
            assert tokenizer.decode(known[:-1]).strip() in (own["description"], own["description_zh"])


def test_each_kind_of_sentence_can_be_turned_off(cycles, tiny_config):
    only = make(cycles, tiny_config, wishes=0, wishes_after_history=0, descriptions=0)
    assert list(only[0]) == ["history"]
    assert same({"history": only[0]["history"]}, {"history": make(cycles, tiny_config)[0]["history"]})


def test_a_catalog_without_attributes_or_events_in_pairs_still_trains(tiny_config):
    items = pd.DataFrame({"item_id": list("abc"), "title": ["<item_1>", "<history>", "->"]})
    events = pd.DataFrame([("u", i, t) for t, i in enumerate("abc")], columns=["user_id", "item_id", "position"])
    sentences = make(leave_one_out(read_tables(items=items, interactions=events)), tiny_config)
    assert {kind for step in range(len(sentences)) for kind in sentences[step]} == {"history", "description"}


def test_an_empty_training_table_is_refused(cycles, tiny_config):
    with pytest.raises(ValueError, match="training table is empty"):
        make(replace(cycles, train=cycles.train.iloc[:0]), tiny_config)
