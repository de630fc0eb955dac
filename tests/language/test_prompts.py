"""Vocabulary, spelling and prompt: who sits where, and what the model reads."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.language import PromptTemplate, Vocabulary, spell, train_tokenizer
from workbench.language.vocabulary import CONTROLS

TOKENIZER = train_tokenizer(["slow films"] * 3, vocab_size=300)
CATALOG = pd.DataFrame({"item_id": list("abcdefgh"), "title": ["<item_5>"] * 8})
WORDS = Vocabulary(TOKENIZER.get_vocab_size(), spell(CATALOG))
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
