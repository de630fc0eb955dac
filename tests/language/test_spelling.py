"""Spellings: whatever the catalog, every item has words of its own and no item is the beginning of another."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.language import Spelling, Vocabulary, spell, train_tokenizer
from workbench.language.spelling import SPELLINGS

TOKENIZER = train_tokenizer(["slow films about Alien (2) (3)"] * 3, vocab_size=300)
ODD = ["", "  ", "Alien", "Alien 3", "Alien (2)", "<b>Alien</b>", "<item_5>", "🎬", "科幻片", "x" * 500]
catalogs = st.lists(st.tuples(st.sampled_from(ODD), st.sampled_from([1979, None])), min_size=1, max_size=20).map(
    lambda rows: (
        pd.DataFrame(rows, columns=["title", "year"])
        .astype({"year": "Int64"})
        .assign(item_id=[f"{row:03d}" for row in range(len(rows))])
    )
)


def vectors_of(items, *, seed=0, spread=3):
    """Coarse vectors, of which several are the same."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.integers(0, spread, size=(len(items), 2)).astype(float), index=list(items))


def spelled_words(catalog, how, **given):
    vectors = vectors_of(catalog["item_id"])
    spelling = spell(catalog, how=how, embeddings=vectors, tokenizer=TOKENIZER, **given)
    return Vocabulary(TOKENIZER.get_vocab_size(), spelling)


@settings(max_examples=40, deadline=None)
@given(catalog=catalogs, how=st.sampled_from(SPELLINGS))
def test_no_spelling_is_another_or_the_beginning_of_another(catalog, how):
    words = spelled_words(catalog, how)
    assert words.spelling.items == tuple(catalog["item_id"]) and len(words.spelled) == len(catalog)
    begun = {own[:n] for own in words.spelled for n in range(1, len(own))}
    assert len(set(words.spelled)) == len(catalog) and not begun & set(words.spelled)
    assert words.trie.paths.shape == (len(catalog), max(map(len, words.spelled)))


@settings(max_examples=40, deadline=None)
@given(catalog=catalogs, how=st.sampled_from(SPELLINGS))
def test_items_are_written_in_their_own_words_or_in_text_that_ends(catalog, how):
    words = spelled_words(catalog, how)
    used, end = {word for own in words.spelled for word in own}, words.control("end")
    assert used <= set(range(words.size)[words.item_words])
    if how == "title":
        assert all(own[-1] == end and max(own[:-1]) < words.n_text for own in words.spelled)
        assert words.size == words.first_item and words.spelling.n_words == 0
    else:
        assert min(used) >= words.first_item and words.size == words.first_item + words.spelling.n_words
        assert {len(own) for own in words.spelled} == {1 if how == "atomic" else 3}  # two levels and the number


def test_a_catalog_of_any_titles_is_spelled_by_its_codes_whatever_the_titles():
    catalog = pd.DataFrame({"item_id": list("abc"), "title": ["same"] * 3})
    vectors = vectors_of("abc")
    assert spell(catalog, how="semantic", embeddings=vectors) == spell(
        catalog.assign(title=list("xyz")), how="semantic", embeddings=vectors
    )


def test_vectors_are_found_by_id_in_any_order_and_users_among_them_do_not_count():
    catalog = pd.DataFrame({"item_id": list("abcdef"), "title": list("abcdef")})
    vectors = vectors_of("abcdef", spread=100)
    kinds = pd.MultiIndex.from_tuples([("item", item) for item in "fedcba"] + [("user", "a")], names=["kind", "id"])
    table = pd.DataFrame(np.vstack([vectors.to_numpy()[::-1], [[7.0, 7.0]]]), index=kinds)
    plain = spell(catalog, how="semantic", embeddings=vectors)
    assert plain == spell(catalog, how="semantic", embeddings=vectors.iloc[::-1])
    assert plain == spell(catalog, how="semantic", embeddings=table)


def spoiled(value):
    table = vectors_of("abc")
    table.loc["b", 1] = value
    return table


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"how": "runic"}, "'runic' is not known.*'atomic'"),
        ({"how": "title"}, "'title' needs tokenizer=.*train_tokenizer"),
        ({"how": "semantic"}, "'semantic' needs embeddings=.*embed_catalog"),
        ({"how": "semantic", "embeddings": vectors_of("ac")}, r"lack 1 item\(s\), such as \['b'\]"),
        ({"how": "semantic", "embeddings": vectors_of("abbc")}, "item 'b' more than once"),
        ({"how": "semantic", "embeddings": spoiled(np.nan)}, "vector of item 'b' holds NaN or infinity"),
        ({"how": "semantic", "embeddings": spoiled(np.inf)}, "vector of item 'b' holds NaN or infinity"),
    ],
)
def test_what_a_spelling_lacks_is_said_and_the_item_named(given, message):
    with pytest.raises(ValueError, match=message):
        spell(pd.DataFrame({"item_id": list("abc"), "title": list("abc")}), **given)


@pytest.mark.parametrize("how", SPELLINGS)
@pytest.mark.parametrize("ids", [[], ["a", "b", "a"]])
def test_a_catalog_without_items_or_with_an_id_twice_is_refused(how, ids):
    with pytest.raises(ValueError, match="must be unique"):
        spell(pd.DataFrame({"item_id": ids, "title": ids}), how=how, tokenizer=TOKENIZER)


def test_a_hand_made_spelling_with_one_item_inside_another_is_refused_and_the_item_named():
    words = Vocabulary(300, Spelling("semantic", ("a", "b", "c"), ((0, 1), (2, 3), (2,)), 4))
    with pytest.raises(ValueError, match=r"item 2 \(from 0\).*its beginning"):
        _ = words.trie


def test_marks_lie_above_the_items_and_no_two_kinds_share_an_id():
    spelling = Spelling("semantic", ("a", "b"), ((0, 2), (1, 2)), 3)
    words = Vocabulary(300, spelling, (("context", "season", "winter"), ("profile", "age", "18-24")))
    assert (words.first_item, words.first_mark, words.size) == (300 + 5, 300 + 5 + 3, 300 + 5 + 3 + 2)
    assert words.items([1, 0]) == [305 + 1, 305 + 2, 305 + 0, 305 + 2] and words.mean_length == (2 + 2) / 2
    assert words.mark_ids("context", {"season": "winter"}) == [308] and words.mark_ids("profile", {"age": "18-24"}) == [
        309
    ]
