"""The trie: every item is one path, none is the beginning of another, and what is certain is known without reading."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.language.trie import build_trie

END = 9
words = st.lists(st.integers(0, 3), max_size=5)
closed = st.lists(words, min_size=1, max_size=15, unique_by=tuple).map(lambda some: [(*own, END) for own in some])
even = st.integers(1, 4).flatmap(  # all of one length, without an end
    lambda n: st.lists(st.tuples(*[st.integers(0, 3)] * n), min_size=1, max_size=15, unique=True)
)
spellings = closed | even


def beginnings(spelled):
    """Every beginning of an item, the empty one too, and the items behind it: the trie, written again."""
    every = {own[:n] for own in spelled for n in range(len(own) + 1)}
    return {one: [row for row, own in enumerate(spelled) if own[: len(one)] == one] for one in every}


def ways_on(known):
    """The beginnings that are each beginning and one word more."""
    return {own: {other for other in known if other[:-1] == own != other} for own in known}


def nodes_of(trie, spelled):
    """Which beginning each node stands for."""
    nodes = {0: ()}
    for row, own in enumerate(spelled):
        for n, edge in enumerate(trie.paths[row][: len(own)], start=1):
            nodes[int(edge) + 1] = own[:n]
    return nodes


@given(spelled=spellings)
def test_every_path_spells_its_item_and_every_beginning_has_one_node(spelled):
    trie = build_trie(spelled)
    for own, path in zip(spelled, trie.paths, strict=True):
        assert tuple(trie.words[path[path >= 0]]) == own
        assert trie.parents[path[0]] == 0 and (trie.parents[path[1 : len(own)]] == path[: len(own) - 1] + 1).all()
    known, nodes = beginnings(spelled), nodes_of(trie, spelled)
    assert sorted(nodes.values()) == sorted(known) and len(trie.words) + 1 == len(known)
    assert trie.longest == max(map(len, spelled))


@given(spelled=spellings)
def test_edges_lie_in_order_of_level_node_and_word(spelled):
    trie, ways = build_trie(spelled), ways_on(beginnings(spelled))
    nodes = nodes_of(trie, spelled)
    keys = [(len(nodes[edge + 1]), trie.parents[edge], trie.words[edge]) for edge in range(len(trie.words))]
    assert keys == sorted(keys)
    for node, own in nodes.items():
        first, last = trie.first_edges[node : node + 2]
        assert trie.words[first:last].tolist() == sorted(other[-1] for other in ways[own])


@given(spelled=spellings)
def test_forks_stops_and_what_must_be_read_are_those_of_the_definition(spelled):
    trie, known = build_trie(spelled), beginnings(spelled)
    nodes, ways = nodes_of(trie, spelled), ways_on(known)
    forks = {own for own in known if len(ways[own]) > 1}
    assert {nodes[node] for node in trie.forks.tolist()} == forks
    needed = {fork[:n] for fork in forks for n in range(len(fork) + 1)} | {()}
    assert [nodes[node] for node in trie.decisive.tolist()] == [nodes[n] for n in sorted(nodes) if nodes[n] in needed]
    for node, own in nodes.items():
        stop = own
        while len(ways[stop]) == 1:
            (stop,) = ways[stop]
        assert nodes[int(trie.stops[node])] == stop
        assert [nodes[other] for other in trie.ancestors(node)] == [own[:n] for n in range(1, len(own) + 1)]
        assert trie.places[0][node] == len(own) and trie.places[1][node] in known[own]


@given(spelled=spellings, data=st.data())
def test_blocked_are_the_edges_behind_which_nothing_else_lies(spelled, data):
    trie, known = build_trie(spelled), beginnings(spelled)
    out = data.draw(st.lists(st.integers(0, len(spelled) - 1), max_size=20))  # an item may be named twice
    nodes = nodes_of(trie, spelled)
    expected = [set(known[nodes[edge + 1]]) <= set(out) for edge in range(len(trie.words))]
    assert trie.blocked(out).tolist() == expected == trie.blocked(np.array(out, dtype=int)).tolist()
    assert trie.below.tolist() == [len(known[nodes[edge + 1]]) for edge in range(len(trie.words))]
    assert [nodes[leaf] for leaf in trie.leaves.tolist()] == spelled


def test_a_single_item_leaves_no_choice():
    trie = build_trie([(4, 2, 7)])
    assert trie.forks.tolist() == [] and trie.decisive.tolist() == [0] and trie.stops.tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("spelled", "message"),
    [
        ([], "no spellings.*at least one item"),
        ([(1,), (), (2,)], r"item 1 \(from 0\) is empty"),
        ([(1, 2), (3,), (1, 2)], r"item 0 \(from 0\) is that of another item"),
        ([(3,), (1, 2, 4), (1, 2)], r"item 2 \(from 0\).*or its beginning"),
        ([(1,), (2,), (2, 5)], r"item 1 \(from 0\).*or its beginning"),
    ],
)
def test_spellings_that_cannot_be_told_apart_are_refused_and_the_item_is_named(spelled, message):
    with pytest.raises(ValueError, match=message):
        build_trie(spelled)
