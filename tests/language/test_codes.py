"""Semantic codes: every item has its own, all have one length, and similar items share their first words."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.language.codes import residual_codes

coarse = st.sampled_from([-3.0, 0.0, 1e-9, 1.0, 1.5, 1e6])  # few values: many vectors are the same, or nearly so
tables = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(coarse, min_size=width, max_size=width), min_size=1, max_size=30)
)


def codes_of(vectors, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # k-means complains when it is asked for more centres than there are vectors
        return residual_codes(pd.DataFrame(vectors), **settings)


@settings(max_examples=60, deadline=None)
@given(vectors=tables, levels=st.integers(1, 3), width=st.none() | st.integers(1, 12))
def test_every_item_has_a_code_of_its_own_and_all_have_one_length(vectors, levels, width):
    codes, n_words, report = codes_of(vectors, levels=levels, width=width)
    assert len(codes) == len(set(codes)) == len(vectors)
    assert {len(code) for code in codes} == {levels + 1}
    words = [set(column) for column in zip(*codes, strict=True)]
    assert sum(map(len, words)) == len(set().union(*words))  # no word stands on two levels
    assert set().union(*words) <= set(range(n_words))
    alike = pd.Series([code[:-1] for code in codes]).value_counts()
    assert report["most_alike"] == alike.max() and report["shared"] == alike[alike > 1].sum()
    assert n_words - max(code[-1] for code in codes) == 1  # the highest number is that of the fullest code


@given(n=st.integers(1, 40))
@settings(max_examples=10, deadline=None)
def test_items_that_are_all_the_same_are_counted(n):
    codes, n_words, report = codes_of([[0.5, 0.25]] * n)
    assert [code[-1] - codes[0][-1] for code in codes] == list(range(n))
    assert report["most_alike"] == n and report["shared"] == (n if n > 1 else 0)


def test_near_items_share_their_first_word_and_far_ones_do_not():
    rng = np.random.default_rng(0)
    vectors = np.repeat([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]], 8, axis=0) + rng.normal(size=(24, 2))
    codes, _, report = codes_of(vectors, width=3)
    firsts = [code[0] for code in codes]
    assert [len(set(firsts[first : first + 8])) for first in (0, 8, 16)] == [1, 1, 1] and len(set(firsts)) == 3
    assert report["used"][0] == 1.0


def test_later_words_divide_what_the_first_left_over():
    vectors = [[cluster + step] for cluster in (0.0, 100.0) for step in (0.0, 1.0)]
    codes, _, report = codes_of(vectors, levels=2, width=2)
    assert report["shared"] == 0
    assert codes[0][0] == codes[1][0] != codes[2][0] == codes[3][0]
    assert codes[0][1] == codes[2][1] != codes[1][1] == codes[3][1]  # the lower and the upper of each


@pytest.mark.parametrize(("n", "width"), [(5, 5), (16, 8), (64, 16), (100, 25), (600, 128)])
def test_a_level_has_a_word_for_four_items_or_twice_the_square_root_of_the_catalog_and_at_least_eight(n, width):
    codes, _, _ = codes_of(np.random.default_rng(0).normal(size=(n, 4)))
    assert [min(column) // width for column in zip(*codes, strict=True)] == [0, 1, 2]
    assert max(code[0] for code in codes) == width - 1


def test_a_seed_decides():
    vectors = np.random.default_rng(0).normal(size=(60, 4))
    assert codes_of(vectors, seed=3)[0] == codes_of(vectors, seed=3)[0] != codes_of(vectors, seed=4)[0]


def test_the_unit_of_the_vectors_does_not_matter():
    vectors = np.random.default_rng(0).normal(size=(40, 4))
    assert codes_of(vectors)[0] == codes_of(1024 * vectors)[0] == codes_of(vectors / 1024)[0]


def test_the_vectors_are_left_as_they_were():
    vectors = pd.DataFrame(np.eye(6))
    residual_codes(vectors)
    assert np.array_equal(vectors, np.eye(6))
