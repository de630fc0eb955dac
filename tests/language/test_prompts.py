"""Vocabulary, spelling and prompt: who sits where, and what the model reads."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.language import PromptTemplate, Spelling, Vocabulary, spell, train_tokenizer
from workbench.language.vocabulary import CONTROLS

TOKENIZER = train_tokenizer(["slow films"] * 3, vocab_size=300)
CATALOG = pd.DataFrame({"item_id": list("abcdefgh"), "title": ["<item_5>"] * 8})
WORDS = Vocabulary(TOKENIZER.get_vocab_size(), spell(CATALOG))
MARKS = (
    ("profile", "age", "18-24"),
    ("context", "time", "evening"),
    ("context", "time", "<history>"),
    ("context", "season", "winter"),
    ("task", "write", "review"),
)
MARKED = Vocabulary(TOKENIZER.get_vocab_size(), spell(CATALOG), MARKS)
# eight items in one to eight words
LONG = Spelling("semantic", tuple("abcdefgh"), tuple((8 + row,) * row + (row,) for row in range(8)), 16)
LONG_WORDS = Vocabulary(TOKENIZER.get_vocab_size(), LONG)
HISTORY, REQUEST, RECOMMEND = (WORDS.control(name) for name in ("history", "request", "recommend"))


def test_text_controls_and_items_share_no_id():
    controls = [WORDS.control(name) for name in CONTROLS]
    items = WORDS.items(range(8))
    assert controls == list(range(WORDS.n_text, WORDS.n_text + len(CONTROLS)))
    assert items == list(range(controls[-1] + 1, WORDS.size))


def test_items_keep_the_order_of_the_catalog():
    assert WORDS.spelling.items == tuple("abcdefgh")
    assert WORDS.items([7, 0]) == [WORDS.size - 1, WORDS.first_item]


@pytest.mark.parametrize("ids", [[], ["a", "a"]])
def test_a_catalog_without_unique_ids_is_refused(ids):
    with pytest.raises(ValueError, match="must be unique"):
        spell(pd.DataFrame({"item_id": ids, "title": ids}))


def test_an_unknown_spelling_is_refused():
    with pytest.raises(ValueError, match="'runic' is not known.*'atomic'"):
        spell(CATALOG, how="runic")


def test_history_request_and_both_have_one_layout():
    template = PromptTemplate()
    pieces = TOKENIZER.encode(" slow").ids
    assert template.encode(WORDS, TOKENIZER, history=[]) == [HISTORY]
    assert template.encode(WORDS, TOKENIZER, history=[2, 1]) == [HISTORY, *WORDS.items([2, 1])]
    assert template.encode(WORDS, TOKENIZER, history=[], request="Slow") == [REQUEST, *pieces, RECOMMEND]
    both = template.encode(WORDS, TOKENIZER, history=[2], request="slow")
    assert both == [HISTORY, *WORDS.items([2]), REQUEST, *pieces, RECOMMEND]


@given(
    history=st.lists(st.integers(0, 7), max_size=40),
    request=st.none() | st.text(max_size=80),
    limits=st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(1, 30)),
)
def test_a_prompt_never_outgrows_its_template_and_keeps_the_newest_items(history, request, limits):
    template = PromptTemplate(*limits)
    prompt = template.encode(WORDS, TOKENIZER, history=history, request=request)
    assert 1 <= len(prompt) <= template.max_words
    items = [word - WORDS.first_item for word in prompt if word >= WORDS.first_item]
    keep = limits[1] if RECOMMEND in prompt else limits[0]
    assert items == history[-keep:]
    assert [word for word in prompt if WORDS.n_text <= word < WORDS.first_item] in (
        [[HISTORY], [HISTORY, REQUEST, RECOMMEND], [REQUEST, RECOMMEND]]
    )


def mark(n):
    return MARKED.first_mark + n


def test_who_somebody_is_stands_first_and_the_context_before_the_word_off_which_the_list_is_read():
    said = {"context": {"season": "winter", "time": "evening"}, "profile": {"age": "18-24"}}
    pieces = TOKENIZER.encode(" slow").ids
    template, (older, newest) = PromptTemplate(), (MARKED.items([row]) for row in (2, 1))
    own = template.encode(MARKED, TOKENIZER, history=[2, 1], request="slow", **said)
    assert own == [mark(0), HISTORY, *older, mark(1), mark(3), *newest, REQUEST, *pieces, RECOMMEND]
    assert template.encode(MARKED, TOKENIZER, history=[], **said) == [mark(0), mark(1), mark(3), HISTORY]
    alone = template.encode(MARKED, TOKENIZER, history=[], request="slow", **said)
    assert alone == [mark(0), mark(1), mark(3), HISTORY, REQUEST, *pieces, RECOMMEND]


def test_columns_stand_in_the_order_they_were_learned_in_and_empty_values_say_nothing():
    assert MARKED.mark_ids("context", {"season": "winter", "time": "<history>"}) == [mark(2), mark(3)]
    assert MARKED.mark_ids("context", {"season": "", "time": None}) == MARKED.mark_ids("context", None) == []
    assert MARKED.known_marks("context") == {"time": ("evening", "<history>"), "season": ("winter",)}


@pytest.mark.parametrize(
    ("part", "said", "message"),
    [
        ("context", {"time": "noon"}, r"not learned the context time = 'noon'; it knows .*'evening'"),
        ("context", {"place": "home"}, r"context place = 'home'.*'season'"),
        ("profile", {"time": "evening"}, r"profile time = 'evening'.*'18-24'"),
    ],
)
def test_what_was_not_learned_of_somebody_is_refused_and_what_was_is_named(part, said, message):
    with pytest.raises(ValueError, match=message):
        PromptTemplate().encode(MARKED, TOKENIZER, history=[], **{part: said})
    with pytest.raises(ValueError, match=rf"name the columns in TrainingConfig\({part}=\) and train again"):
        WORDS.mark_ids(part, said)


def test_a_task_that_was_not_learned_is_refused():
    assert MARKED.task("review") == mark(4)
    with pytest.raises(ValueError, match="not learned to write a review; train with reviews= above 0"):
        WORDS.task("review")


def test_only_the_parts_of_a_template_are_read():
    said = {"history": [2, 1], "request": "slow", "context": {"time": "evening"}, "profile": {"age": "18-24"}}
    pieces = TOKENIZER.encode(" slow").ids
    read = {
        "history": [HISTORY, *MARKED.items([2, 1])],
        "request": [REQUEST, *pieces, RECOMMEND],
        "context": [mark(1), HISTORY],
        "profile": [mark(0), HISTORY],
    }
    for part, words in read.items():
        assert PromptTemplate(parts=[part]).encode(MARKED, TOKENIZER, **said) == words
    unknown = {**said, "context": {"planet": "Mars"}}
    assert PromptTemplate(parts=["history"]).encode(MARKED, TOKENIZER, **unknown) == read["history"]


def test_what_was_cut_is_counted():
    template = PromptTemplate(max_history=3, max_history_with_request=1, max_request=4)
    kept = template.keep(WORDS, TOKENIZER, history=[0, 1, 2, 3, 4])
    assert (kept.rows, kept.n_cut_items, kept.n_cut_pieces) == ((2, 3, 4), 5 - 3, 0)
    wish = "slow films slow films slow films"  # one piece each
    kept = template.keep(WORDS, TOKENIZER, history=[0, 1, 2, 3, 4], request=wish)
    n_pieces = len(TOKENIZER.encode(" " + wish).ids)
    assert (kept.rows, kept.n_cut_items) == ((4,), 5 - 1)
    assert (len(kept.pieces), kept.n_cut_pieces) == (4, n_pieces - 4)


def test_a_long_request_in_few_long_pieces_is_not_called_whole():
    word = "extraordinarily"
    tokenizer = train_tokenizer([f"{word} {word}"] * 3, vocab_size=300)
    assert len(tokenizer.encode(f" {word}").ids) == 1
    kept = PromptTemplate(max_request=4).keep(WORDS, tokenizer, history=[], request=f"{word} " * 10)
    assert 0 < len(kept.pieces) < 4  # what is read of it ends before the pieces do
    assert kept.n_cut_pieces == 10 - len(kept.pieces)


@given(
    history=st.lists(st.integers(0, 7), max_size=30),
    limits=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    request=st.sampled_from([None, "slow"]),
)
def test_the_budget_of_a_history_is_in_words_and_items_are_read_whole(history, limits, request):
    template = PromptTemplate(*limits, max_request=5)
    kept = template.keep(LONG_WORDS, TOKENIZER, history=history, request=request)
    budget, taken = limits[1 if request else 0], [row + 1 for row in history]  # item row has row + 1 words
    fits = [n for n in range(len(history) + 1) if sum(taken[len(history) - n :]) <= budget]
    assert list(kept.rows) == history[len(history) - max(fits) :] and kept.n_cut_items == len(history) - max(fits)
    prompt = template.encode(LONG_WORDS, TOKENIZER, history=history, request=request)
    assert [word for word in prompt if word >= LONG_WORDS.first_item] == LONG_WORDS.items(kept.rows)
    assert len(prompt) <= template.max_words


def test_a_saved_template_is_read_as_it_was(tmp_path):
    template = PromptTemplate(7, 5, 3, parts=("request", "history"))
    assert PromptTemplate.load(template.save(tmp_path / "short.json")) == template
    assert [path.name for path in tmp_path.iterdir()] == ["short.json"]


@pytest.mark.parametrize("text", ["", "[]", "null", '{"max_past": 3}', json.dumps({"parts": ["mood"]}), '{"parts": 3}'])
def test_a_file_that_holds_no_template_is_refused_and_named(tmp_path, text):
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(ValueError, match=r"odd\.json holds no template"):
        PromptTemplate.load(tmp_path / "odd.json")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"parts": ()}, "name at least one"),
        ({"parts": ("history", "mood")}, "mood.*name at least one of"),
        ({"max_history": -1}, "max_history is -1"),
        ({"max_history_with_request": -2}, "max_history_with_request is -2"),
        ({"max_request": -3}, "max_request is -3"),
    ],
)
def test_a_template_that_could_only_fail_later_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        PromptTemplate(**given)
