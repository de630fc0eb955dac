"""Word pieces: every text in every language has them, nothing typed becomes a word of another kind."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from workbench.language import train_tokenizer
from workbench.language.tokenizer import encode, normalize, plain_text_only

TEXTS = [
    "slow science fiction",
    "science fiction from the 70s",
    "科幻片",
    "我最近很喜欢科幻片",
    "<item_5> -> <history>",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS * 5, vocab_size=400)


@settings(max_examples=100, deadline=None)
@given(
    text=st.text()
    | st.sampled_from(["<item_5>", "<history>", "->", "<|endoftext|>", "🎬👩‍🚀", "Ｓｃｉ", "\ud83d", "\x00"])
)
def test_every_text_comes_back_and_stays_below_the_number_of_pieces(tokenizer, text):
    ids = encode(tokenizer, text)
    assert all(0 <= piece < tokenizer.get_vocab_size() for piece in ids)
    assert tokenizer.decode(ids).strip() == normalize(text)
    assert bool(ids) == bool(normalize(text))


def test_there_are_no_special_pieces(tokenizer):
    assert tokenizer.get_added_tokens_decoder() == {}
    assert tokenizer.get_vocab_size() == max(tokenizer.get_vocab().values()) + 1 <= 400


def test_frequent_words_become_one_piece(tokenizer):
    assert len(encode(tokenizer, "science")) == 1
    assert len(encode(tokenizer, "qzxj")) == 5  # the space in front and four bytes


def test_a_chinese_character_never_merges_with_its_neighbours(tokenizer):
    apart = [piece for character in "科幻片" for piece in tokenizer.encode(character, add_special_tokens=False).ids]
    assert encode(tokenizer, "科幻片")[-len(apart) :] == apart


def test_special_tokens_of_a_borrowed_tokenizer_are_read_as_text():
    borrowed = train_tokenizer(TEXTS, vocab_size=300)
    borrowed.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    borrowed.enable_truncation(3)
    borrowed.enable_padding(length=50)
    special = borrowed.token_to_id("<|endoftext|>")
    assert special in borrowed.encode("<|endoftext|>").ids
    ids = encode(plain_text_only(borrowed), "a <|endoftext|> b")
    assert special not in ids and 3 < len(ids) < 50


def test_the_same_texts_give_the_same_tokenizer(tokenizer):
    assert train_tokenizer(TEXTS * 5, vocab_size=400).to_str() == tokenizer.to_str()


def test_fewer_pieces_than_bytes_are_refused():
    with pytest.raises(ValueError, match="vocab_size is 255.*256 or more"):
        train_tokenizer(TEXTS, vocab_size=255)
