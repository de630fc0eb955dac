"""Marks reach the word they stand before, wherever it is read: whole, from a cache, as vectors, after saving."""

import pandas as pd
import pytest
import torch

from workbench.insight import attribute
from workbench.insight.effects.question import Hiding, ask, read_without
from workbench.language import Prompt, spell
from workbench.models import GPT2Recommender, start_recommender
from workbench.models.catalog_vectors import embed_catalog
from workbench.models.marks import MarkedEmbedding

MARKS = (
    ("context", "time", "day"), ("context", "time", "evening"), ("context", "place", "home"),
    ("profile", "age", "old"), ("task", "write", "review"),
)  # fmt: skip
TITLES = ["Alien", "Aliens", "Brazil", "Cube", "Dune", "Heat"]
EVENING = {"time": "evening", "place": "home"}


def make(how="atomic", marks=MARKS):
    catalog = pd.DataFrame({"item_id": [f"f{n}" for n in range(6)], "title": TITLES, "genres": "Drama"})
    spelling = spell(catalog, how=how, embeddings=embed_catalog(catalog)) if how == "semantic" else how
    return start_recommender(catalog, spelling=spelling, marks=marks, layers=2, width=32, heads=2)


@pytest.mark.parametrize("how", ["atomic", "semantic", "title"])
def test_a_mark_is_added_to_every_word_of_the_item_behind_it_and_to_nothing_else(how):
    recommender = make(how)
    words, model = recommender.vocabulary, recommender.model
    evening, home, old = (words.first_mark + n for n in (1, 2, 3))
    first, second = words.spelled[2], words.spelled[3]
    ids = torch.tensor([[old, words.control("history"), *first, evening, home, *second, words.control("request")]])
    with torch.inference_mode():
        added = model.transformer.wte(ids) - model.transformer.wte.weight[ids]
    row, scale = model.transformer.wte.weight, model.config.mark_scale
    both, begin = scale * (row[evening] + row[home]), 2 + len(first) + 2
    torch.testing.assert_close(added[0, 1], scale * row[old], atol=1e-5, rtol=0)
    for place in range(begin, begin + len(second)):
        torch.testing.assert_close(added[0, place], both, atol=1e-5, rtol=0)
    others = [0, *range(2, begin), begin + len(second)]
    assert not added[0, others].any()


def test_a_mark_that_asks_for_a_text_is_added_to_nothing():
    recommender = make()
    words, table = recommender.vocabulary, recommender.model.transformer.wte
    ids = torch.tensor([[*words.spelled[0], words.task("review"), 5, 6]])
    torch.testing.assert_close(table(ids), table.weight[ids], atol=0, rtol=0)


@pytest.mark.parametrize("how", ["atomic", "semantic", "title"])
def test_what_is_said_of_context_moves_beams_draws_and_occlusion_as_it_moves_the_ranking(how):
    recommender = make(how)
    prompt = Prompt(history=("f0", "f1"), context=EVENING)
    ranked = recommender.rank({"u": ["f0", "f1"]}, k=4, context=EVENING)
    beamed = recommender.generate(prompt, k=4, width=6)
    assert ranked["item_id"].tolist() == beamed["item_id"].tolist()
    assert beamed["score"].tolist() == pytest.approx(ranked["score"].tolist(), abs=1e-4)
    plain = recommender.rank({"u": ["f0", "f1"]}, k=4)
    assert abs(plain["score"] - ranked["score"]).max() > 1e-3
    free = recommender.generate(prompt, k=4, width=6, constrain=False)
    again = recommender.generate(prompt, k=4, width=6, constrain=False)
    pd.testing.assert_frame_equal(free, again)


def test_prompts_read_from_what_they_share_are_read_as_each_alone():
    recommender = make()
    question = ask(recommender, ["f0", "f1", "f2"], "f4", context=EVENING, profile={"age": "old"})
    rows = range(len(question.words.df))
    together = read_without(question, [[], *([row] for row in rows)])
    with recommender.at_rest():
        alone = recommender.hidden_states([question.without(absent) for absent in [[], *([row] for row in rows)]])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_the_prompt_as_vectors_is_read_as_the_prompt_as_words():
    recommender = make()
    question = ask(recommender, ["f0", "f1"], "f4", context=EVENING)
    with recommender.at_rest():
        hiding = Hiding(question)
        as_words = recommender.hidden_states([question.words.prompt])
        torch.testing.assert_close(hiding.read(hiding.vectors), as_words, atol=1e-5, rtol=0)
    table = attribute(recommender, ["f0", "f1"], "f4", context=EVENING, method="integrated gradients")
    assert table.df.loc[table.df["kind"] == "context", "effect"].abs().min() > 0


def test_a_hidden_mark_is_the_mean_of_the_marks_of_its_part_and_is_still_added_to_its_item():
    recommender = make()
    question = ask(recommender, ["f0"], "f4", context=EVENING, profile={"age": "old"})
    table = recommender.model.transformer.wte
    first, rows = recommender.vocabulary.first_mark, table.weight.detach()
    context, profile = rows[first : first + 3].mean(0), rows[first + 3]  # the fifth mark asks for a review
    with recommender.at_rest():
        hiding = Hiding(question)
        expected = {"context": context, "profile": profile, "item": recommender.item_rows().mean(0)}
        for kind, places in zip(question.words.df["kind"], question.words.places, strict=True):
            torch.testing.assert_close(hiding.neutral[0, places.start], expected[kind])
        read = table.carry(hiding.neutral, hiding.ids)
        newest = question.words.places[question.words.items[-1]].start
        torch.testing.assert_close(read[0, newest], expected["item"] + table.scale * 2 * context)


def test_a_run_keeps_how_it_hears_marks_and_one_without_hears_none(tmp_path):
    recommender = make()
    loaded = GPT2Recommender.load(recommender.save(tmp_path / "run"))
    assert loaded.model.config.mark_scale == recommender.model.config.mark_scale
    pd.testing.assert_frame_equal(
        loaded.rank({"u": ["f0"]}, context=EVENING), recommender.rank({"u": ["f0"]}, context=EVENING), check_exact=True
    )
    assert loaded.model.lm_head.weight is loaded.model.transformer.wte.weight
    assert not isinstance(make(marks=()).model.transformer.wte, MarkedEmbedding)
