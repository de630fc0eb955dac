"""Lists by chance, which follow the probabilities, and slates, which grow word by word and item by item."""

from itertools import combinations
from threading import Event

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chisquare

from workbench.catalogs import item_labels
from workbench.language import Prompt
from workbench.models import embed_items
from workbench.models.generation import write_text
from workbench.models.generation.chance import take_dice
from workbench.models.generation.decode import draw_items
from workbench.models.repeats import each_item_once
from workbench.models.vectors import unit_rows

IDS = [f"{row:03d}" for row in range(10)]
RARE = 5  # expected draws below which cells are counted together
SURE = 0.001  # chance at which draws that follow the probabilities are refused all the same; seeds are fixed


def agreement(counts, chances):
    """The p-value of a chi-square test; rare cells are one, together with the rarest of the others."""
    counts, expected = np.asarray(counts, dtype=float), np.asarray(chances, dtype=float)
    order = np.argsort(expected)
    counts, expected = counts[order], expected[order] * counts.sum() / expected.sum()
    pooled = min(int((expected < RARE).sum()) + 1, len(expected))
    cells = [np.append(values[:pooled].sum(), values[pooled:]) for values in (counts, expected)]
    return chisquare(*cells).pvalue


def draw(recommender, prompt, *, n=50_000, seed=0, temperature=1.0, top_p=1.0, out=()):
    """How often each item is drawn behind one prompt."""
    n_prompts, draws = n // 100, 100
    chance = {"temperature": temperature, "top_p": top_p, "dice": take_dice(seed, recommender.device)}
    found = draw_items(recommender, [prompt] * n_prompts, out=[list(out)] * n_prompts, draws=draws, chance=chance)
    assert [len(own) for own in found] == [draws] * n_prompts
    return np.bincount([row for own in found for row, _ in own], minlength=10)


def words_by_chance(recommender, prompt, *, temperature=1.0, top_p=1.0):
    """The definition: the chance of every item if each word is drawn among those that go on to one."""
    spelled, chances = recommender.vocabulary.spelled, []
    for own in spelled:
        with torch.no_grad():
            logits = recommender.model(torch.tensor([prompt + list(own)])).logits[0, len(prompt) - 1 : -1].double()
        if each_item_once(recommender.model):
            logits[:, prompt] = -torch.inf
        chance = 1.0
        for place, word in enumerate(own):
            ways = sorted({other[place] for other in spelled if other[:place] == own[:place]})
            likely, order = (logits[place, ways] / temperature).softmax(0).sort(descending=True)
            enough = int((likely.cumsum(0) < top_p - 1e-9).sum()) + 1
            place_in_order = order.tolist().index(ways.index(word))
            chance *= float(likely[place_in_order] / likely[:enough].sum()) if place_in_order < enough else 0.0
        chances.append(chance)
    return np.array(chances)


def test_draws_follow_the_probabilities(spelled):
    prompt = spelled.prompts({"u": []}, {})[0]
    probabilities = np.exp(spelled.log_probabilities({"u": []})[0].astype(float))
    np.testing.assert_allclose(words_by_chance(spelled, prompt), probabilities, atol=1e-5)
    counts = draw(spelled, prompt)
    assert agreement(counts, probabilities) > SURE
    assert agreement(counts, np.roll(probabilities, 1)) < SURE  # the test would notice


@pytest.mark.parametrize(("temperature", "top_p"), [(0.5, 1.0), (3.0, 1.0), (1.0, 0.6), (2.0, 0.8)])
def test_temperature_and_top_p_change_the_chance_of_every_word(spelled, temperature, top_p):
    prompt = spelled.prompts({"u": ["004"]}, {})[0]
    chances = words_by_chance(spelled, prompt, temperature=temperature, top_p=top_p)
    assert chances.sum() == pytest.approx(1, abs=1e-5)
    counts = draw(spelled, prompt, n=20_000, temperature=temperature, top_p=top_p)
    assert counts[chances == 0].sum() == 0
    assert agreement(counts[chances > 0], chances[chances > 0]) > SURE
    assert agreement(counts, words_by_chance(spelled, prompt)) < SURE


def test_close_to_nothing_left_to_chance_the_best_word_is_drawn(spelled):
    (best,) = spelled.generate({"u": []}, how="greedy", k=1)["item_id"]
    prompt = spelled.prompts({"u": []}, {})[0]
    for extreme in ({"temperature": 1e-30}, {"temperature": 1e-3}, {"top_p": 1e-9}):
        assert draw(spelled, prompt, n=200, **extreme)[IDS.index(best)] == 200


def test_an_item_that_was_seen_gives_its_chance_to_all_the_others_alike(spelled):
    """Not to its neighbours in the trie alone, which share its first words."""
    users = {f"u{number}": ["003"] for number in range(4_000)}
    probabilities = np.exp(spelled.log_probabilities({"u": ["003"]})[0].astype(float))
    drawn = spelled.generate(users, how="sample", k=1)["item_id"].astype(int)
    counts = np.bincount(drawn, minlength=10)
    assert counts[3] == 0 and agreement(np.delete(counts, 3), np.delete(probabilities, 3)) > SURE


def test_two_draws_are_those_of_drawing_without_putting_back(spelled):
    users = {f"u{number}": [] for number in range(4_000)}
    p = np.exp(spelled.log_probabilities({"u": []})[0].astype(float))
    table = spelled.generate(users, how="sample", k=2)
    pairs = [tuple(sorted(map(int, own))) for own in table["item_id"].to_numpy().reshape(-1, 2)]
    every = list(combinations(range(10), 2))
    chances = [p[one] * p[other] / (1 - p[one]) + p[other] * p[one] / (1 - p[other]) for one, other in every]
    assert sum(chances) == pytest.approx(1, abs=1e-5)
    assert agreement([pairs.count(pair) for pair in every], chances) > SURE


def test_a_seed_decides_the_list_and_the_chance_of_everybody_else_is_left_alone(spelled):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, again, other = (spelled.generate({"u": ["001"]}, how="sample", k=5, seed=seed) for seed in (1, 1, 2))
    assert torch.rand(1) == expected
    assert first.equals(again) and not first.equals(other)


def test_whoever_else_draws_at_the_same_time_changes_no_list(spelled):
    """Such as the dropout of a training in another thread, or somebody's text."""
    ask = {"how": "sample", "k": 5, "seed": 1}
    alone, free = spelled.generate({"u": ["001"]}, **ask), spelled.generate({"u": ["001"]}, constrain=False, **ask)
    text = write_text(spelled, "describe", item="001", seed=1, length=10).text
    real = torch.nn.functional.layer_norm

    def noisy(*arguments, **settings):
        torch.rand(3)  # torch's own generator moves on in the middle of every reading
        return real(*arguments, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "layer_norm", noisy)
        pd.testing.assert_frame_equal(alone, spelled.generate({"u": ["001"]}, **ask))
        pd.testing.assert_frame_equal(free, spelled.generate({"u": ["001"]}, constrain=False, **ask))
        assert write_text(spelled, "describe", item="001", seed=1, length=10).text == text


def test_without_the_trie_every_draw_is_told(spelled):
    table = spelled.generate({f"u{n}": ["001"] for n in range(20)}, how="sample", constrain=False, k=8)
    assert table.groupby("user_id").size().tolist() == [8] * 20  # also what was drawn before, and what is no item


@pytest.mark.parametrize("request_words", ["", "horror"])
def test_a_slate_goes_on_as_if_its_items_had_been_met(spelled, request_words):
    said = {"request": request_words or None}
    slate = spelled.generate({"u": ["001", "002"]}, how="greedy", k=4, **said)["item_id"].tolist()
    for place in range(4):
        met = ["001", "002", *slate[:place]]
        best = spelled.generate({"u": met}, how="greedy", k=1, **said)
        assert best["item_id"].tolist() == [slate[place]]


def test_a_list_by_chance_is_filled_also_with_what_is_hardly_ever_drawn(make_spelled):
    for how in ("atomic", "semantic", "title"):
        recommender = make_spelled(how, scale=40)
        assert recommender.log_probabilities({"u": []}).min() < np.log(1e-4)
        for exclude_seen in (True, False):
            table = recommender.generate({"u": ["002"]}, how="sample", k=10, exclude_seen=exclude_seen)
            assert set(table["item_id"]) == set(IDS) - ({"002"} if exclude_seen else set())


def after(recommender, history, items):
    """Log-probabilities behind a prompt and items that are written already."""
    rows = [IDS.index(item) for item in items]
    prompt = recommender.prompts({"u": history}, {})[0] + recommender.vocabulary.items(rows)
    with recommender.at_rest():
        return recommender.item_scores([prompt])[0].numpy()


@pytest.mark.parametrize("diversity", [0.0, 2.0])
def test_every_score_of_a_slate_is_that_of_the_item_after_the_items_before_it(spelled, diversity):
    slate = spelled.generate({"u": ["001"]}, how="greedy", k=6, diversity=diversity)
    items = slate["item_id"].tolist()
    for place, (item, score) in enumerate(zip(items, slate["score"], strict=True)):
        assert score == pytest.approx(after(spelled, ["001"], items[:place])[IDS.index(item)], abs=1e-4)


def test_a_slate_takes_the_best_word_each_time(make_spelled):
    recommender = make_spelled("atomic")
    slate, left = recommender.generate({"u": ["001"]}, how="greedy", k=9)["item_id"].tolist(), set(IDS) - {"001"}
    for place, item in enumerate(slate):
        scores = after(recommender, ["001"], slate[:place])
        assert item == max(left, key=lambda one: scores[IDS.index(one)])
        left -= {item}


def test_diversity_weighs_the_likeness_to_what_is_there_against_the_probability(spelled):
    vectors = embed_items(spelled).to_numpy()
    cosines = unit_rows(vectors - vectors.mean(axis=0)) @ unit_rows(vectors - vectors.mean(axis=0)).T
    likeness = []
    for diversity in (0.3, 3.0, 100.0):
        slate = spelled.generate({"u": []}, how="greedy", k=5, diversity=diversity)["item_id"].tolist()
        rows = [IDS.index(item) for item in slate]
        for place in range(1, 5):
            worth = after(spelled, [], slate[:place]) - diversity * cosines[:, rows[:place]].max(axis=1)
            worth[rows[:place]] = -np.inf
            assert worth[rows[place]] == pytest.approx(worth.max(), abs=1e-4)
        likeness.append(np.mean([cosines[one, other] for one, other in combinations(rows, 2)]))
    plain = [IDS.index(item) for item in spelled.generate({"u": []}, how="greedy", k=5)["item_id"]]
    assert likeness[-1] < np.mean([cosines[one, other] for one, other in combinations(plain, 2)])
    assert likeness[-1] <= likeness[0]


def test_a_slate_that_outgrows_what_the_model_reads_goes_on_without_its_oldest_items(make_spelled):
    recommender = make_spelled("title", max_history=250)
    positions, longest = recommender.model.config.n_positions, recommender.vocabulary.trie.longest
    history = IDS[:5] * 80
    (prompt,) = recommender.prompts({"u": history}, {})
    words = sum(map(len, recommender.vocabulary.spelled))
    assert len(prompt) + words + longest > positions
    slate = recommender.generate({"u": history}, how="greedy", k=10, exclude_seen=False)
    assert sorted(slate["item_id"]) == IDS


@pytest.mark.parametrize("diversity", [0.0, 2.0])
def test_the_words_that_are_told_spell_the_slate(spelled, tiny_catalog, diversity):
    words, vocabulary = [], spelled.vocabulary
    prompt = Prompt(history=("001",))
    slate = spelled.generate(prompt, how="greedy", k=9, diversity=diversity, on_word=words.append)
    labels = dict(zip(IDS, item_labels(tiny_catalog), strict=True))
    for place, item, score in zip(slate["rank"], slate["item_id"], slate["score"], strict=True):
        own = [word for word in words if word.place == place]
        assert [word.item_id for word in own] == [""] * (len(own) - 1) + [item]
        assert np.prod([word.probability for word in own]) == pytest.approx(np.exp(score), rel=1e-3)
        texts = [word.text for word in own]
        if diversity or vocabulary.spelling.how == "atomic":
            assert texts == [labels[item]]
        elif vocabulary.spelling.how == "semantic":
            codes = vocabulary.spelling.codes[IDS.index(item)]
            assert texts == [*[f"code {code}" for code in codes[:-1]], labels[item]]
        else:
            pieces = vocabulary.spelling.codes[IDS.index(item)]
            assert texts == [*[spelled.tokenizer.decode([piece]) for piece in pieces], "(end)"]
    assert [word.place for word in words] == sorted(word.place for word in words)


def test_the_words_that_lost_are_those_that_could_have_stood_there(spelled):
    words = []
    spelled.generate({"u": ["001"]}, how="greedy", k=9, on_word=words.append)
    for word in words:
        chances = [chance for _, chance in word.others]
        assert chances == sorted(chances, reverse=True) and len(chances) <= 4
        assert all(0 < chance <= word.probability for chance in chances)
        assert word.probability + sum(chances) <= 1 + 1e-5
    assert words[-1].others == () or spelled.vocabulary.trie.longest > 1  # only one item is left


def test_whoever_hears_a_word_can_stop_within_one_more(spelled):
    words, stop = [], Event()

    def hear(word):
        words.append(word)
        if word.place == 3:
            stop.set()

    table = spelled.generate({"u": []}, how="greedy", k=9, stop=stop, on_word=hear)
    whole = spelled.generate({"u": []}, how="greedy", k=9)
    assert table.attrs["stopped"] and 2 <= len(table) <= 3
    assert table["item_id"].tolist() == whole["item_id"].tolist()[: len(table)]
    assert len([word for word in words if word.place == 3]) <= 1 + 1 and words[-1].place == 3


def test_a_stop_at_the_last_word_comes_too_late_and_the_slate_is_whole(spelled):
    words, stop, heard = [], Event(), []
    whole = spelled.generate({"u": []}, how="greedy", k=4, on_word=words.append)

    def hear(word):
        heard.append(word)
        if len(heard) == len(words):
            stop.set()

    table = spelled.generate({"u": []}, how="greedy", k=4, stop=stop, on_word=hear)
    assert stop.is_set() and table.equals(whole) and not table.attrs["stopped"]
