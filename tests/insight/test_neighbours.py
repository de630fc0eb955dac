"""Neighbours: the largest cosines, by a second implementation, and what has no direction."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from workbench.insight.maps.neighbours import nearest


def vectors(rows: np.ndarray) -> pd.DataFrame:
    kinds = ["item" if row % 2 else "user" for row in range(len(rows))]
    index = pd.MultiIndex.from_arrays([kinds, [f"n{row}" for row in range(len(rows))]], names=["kind", "id"])
    return pd.DataFrame(rows.astype(np.float32), index=index)


@pytest.mark.parametrize("kind", [None, "item", "user"])
def test_neighbours_are_those_with_the_largest_cosine_whatever_their_length(kind: str | None) -> None:
    rng = np.random.default_rng(0)
    table = vectors(rng.normal(size=(60, 8)) * rng.uniform(0.1, 9, size=(60, 1)))
    cosines = pd.Series(cosine_similarity(table)[7], index=table.index).drop(("item", "n7"))
    cosines = cosines if kind is None else cosines.loc[[kind]]
    expected = cosines.sort_values(ascending=False).head(10)
    found = nearest(table, ("item", "n7"), k=10, kind=kind)
    assert list(zip(found["kind"], found["id"], strict=True)) == expected.index.tolist()
    assert found["cosine"].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-6)


def test_equal_neighbours_keep_their_order_and_fewer_than_k_are_all_there_are() -> None:
    found = nearest(vectors(np.ones((5, 3))), ("user", "n2"))
    assert found["id"].tolist() == ["n0", "n1", "n3", "n4"] and found["cosine"].tolist() == pytest.approx([1] * 4)
    assert len(nearest(vectors(np.ones((1, 3))), ("user", "n0"))) == 0


def test_a_vector_without_length_is_near_nobody() -> None:
    table = vectors(np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, -2.0]]))
    assert nearest(table, ("user", "n0"))["cosine"].tolist() == [0, 0]
    assert nearest(table, ("item", "n1"))["id"].tolist() == ["n0", "n2"]


def test_an_unknown_point_is_named() -> None:
    with pytest.raises(KeyError, match="item 'n0' has no vector"):
        nearest(vectors(np.ones((2, 2))), ("item", "n0"))
