"""Batches that are made ahead are the same batches, and nothing of the making is left behind."""

import threading

import pytest
import torch
from torch.utils.data import Dataset

from workbench.training.ahead import made_ahead
from workbench.training.batches import Sentences
from workbench.training.fine_tune import untrained

PATIENCE = 10  # seconds


class Numbers(Dataset):
    """Five rows, of which one is broken; says which were made, and when."""

    def __init__(self) -> None:
        self.made, self.done = [], [threading.Event() for _ in range(5)]

    def __len__(self) -> int:
        return 5

    def __getitem__(self, row: int) -> int:
        self.made.append(row)
        if row == 3:
            raise ValueError("row 3 is broken")
        self.done[row].set()
        return 10 * row


def names_of_threads() -> set[str]:
    return {thread.name.rpartition("_")[0] for thread in threading.enumerate()}


def test_a_row_is_made_before_anybody_asks_for_it():
    rows = Numbers()
    with made_ahead(rows) as ahead:
        assert ahead[0] == 0
        assert rows.done[1].wait(PATIENCE)
        assert ahead[1] == 10


def test_each_row_is_made_once_and_none_behind_the_last():
    rows = Numbers()
    with made_ahead(rows) as ahead:
        assert [ahead[row] for row in range(3)] == [0, 10, 20]
    assert rows.made == [0, 1, 2, 3]
    with made_ahead(rows) as ahead:
        assert ahead[4] == 40
    assert rows.made == [0, 1, 2, 3, 4]  # and no sixth


def test_a_resumed_run_may_begin_anywhere_and_go_back():
    with made_ahead(Numbers()) as ahead:
        assert [ahead[2], ahead[0], ahead[1], ahead[4]] == [20, 0, 10, 40]


def test_what_goes_wrong_is_raised_where_the_row_is_taken():
    with made_ahead(Numbers()) as ahead:
        assert ahead[2] == 20  # row 3 has failed by now, or will
        with pytest.raises(ValueError, match="row 3 is broken"):
            ahead[3]


def test_the_thread_ends_with_the_block_also_after_an_error():
    with pytest.raises(KeyboardInterrupt), made_ahead(Numbers()) as ahead:
        assert ahead[0] == 0 and "workbench-batches" in names_of_threads()
        raise KeyboardInterrupt
    assert "workbench-batches" not in names_of_threads()


def test_sentences_made_ahead_are_the_same_sentences(cycles, tiny_config):
    recommender = untrained(cycles, base="small", spelling="atomic", config=tiny_config)
    alone, beside = (Sentences(recommender, cycles, tiny_config) for _ in range(2))
    with made_ahead(beside) as ahead:
        for step in range(len(alone)):
            one, other = alone[step], ahead[step]
            assert one.keys() == other.keys()
            for kind, group in one.items():
                assert group.keys() == other[kind].keys()
                assert all(torch.equal(group[name], other[kind][name]) for name in group), (step, kind)
