"""Maps: kinds share one space without losing the ranking, pictures repeat, and what cannot be drawn is refused."""

import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize
from sklearn.metrics import pairwise_distances

from workbench.insight import EmbeddingMap, NearestItems, align_kinds, fit_map, map_quality, mixing, place
from workbench.insight.maps.alignment import RIDGE
from workbench.insight.maps.fitting import FITTING
from workbench.insight.maps.kept import keep, read_kept
from workbench.models import embed_items, embed_text, embed_users


def table(values: np.ndarray, kind: str = "item", prefix: str = "") -> pd.DataFrame:
    ids = [f"{prefix}{row}" for row in range(len(values))]
    return pd.DataFrame(values, index=pd.MultiIndex.from_product([[kind], ids], names=["kind", "id"]))


def clusters(n: int = 60, seed: int = 0) -> np.ndarray:
    """Points around three corners of a space of eight dimensions."""
    rng = np.random.default_rng(seed)
    return np.repeat(np.eye(3, 8), n // 3, axis=0) + 0.1 * rng.normal(size=(n, 8))


@pytest.fixture
def model_like() -> pd.DataFrame:
    """Items, and users as a language model gives them: far out in one common direction."""
    rng = np.random.default_rng(1)
    items = rng.normal(size=(40, 8)) + 2 * np.eye(8)[1]
    users = rng.normal(size=(30, 8)) * 2 + 9 * np.eye(8)[0]
    return pd.concat([table(items, "item", "i"), table(users, "user", "u")])


def test_a_user_is_aligned_to_where_the_models_own_distribution_is_read_off(model_like):
    items, users = (model_like.loc[kind].to_numpy() for kind in ("item", "user"))
    directions = items - items.mean(0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    logits = users[0] @ items.T
    wanted = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()

    def loss(z: np.ndarray) -> float:
        scores = directions @ z
        return np.log(np.exp(scores).sum()) - wanted @ scores + RIDGE * z @ z

    z = minimize(loss, np.zeros(8)).x  # a second solver
    found = align_kinds(model_like).loc[("user", "u0")].to_numpy()
    assert found @ (z / np.linalg.norm(z)) > 0.999


def test_aligned_vectors_are_directions_and_items_have_no_common_part(model_like):
    aligned = align_kinds(model_like)
    assert aligned.index.equals(model_like.index)
    np.testing.assert_allclose(np.linalg.norm(aligned, axis=1), 1, atol=1e-5)
    centred = model_like.loc["item"] - model_like.loc["item"].mean()
    expected = centred.div(np.linalg.norm(centred, axis=1), axis=0)
    np.testing.assert_allclose(aligned.loc["item"], expected, atol=1e-5)


def test_aligning_brings_two_clouds_together(model_like):
    kinds = model_like.index.get_level_values("kind")
    before = mixing(model_like.to_numpy(), kinds, metric="cosine")
    after = mixing(align_kinds(model_like).to_numpy(), kinds, metric="cosine")
    assert before < 0.15 < 3 * before < after


def test_whoever_else_is_aligned_moves_nobody(model_like, monkeypatch):
    monkeypatch.setattr("workbench.insight.maps.alignment.BLOCK", 7)
    everybody = align_kinds(model_like)
    few = align_kinds(model_like.drop([("user", f"u{row}") for row in range(5, 30)]))
    assert (everybody.loc[few.index].to_numpy() * few.to_numpy()).sum(1).min() > 0.999


def test_nearest_items_rank_by_cosine_and_leave_out_the_seen(tiny):
    histories = {"ann": ["000", "001"], "bob": ["002"]}
    ranked = NearestItems(tiny).rank(histories, k=3)
    aligned = align_kinds(pd.concat([embed_items(tiny), embed_users(tiny, histories)]))
    cosines = aligned.loc["item"] @ aligned.loc[("user", "ann")]
    expected = cosines.drop(histories["ann"]).sort_values(ascending=False).index[:3].tolist()
    assert ranked[ranked["user_id"] == "ann"]["item_id"].tolist() == expected
    assert NearestItems(tiny).rank({}, k=3).empty


def test_requests_are_aligned_like_users(tiny):
    vectors = pd.concat([embed_items(tiny), embed_text(tiny, ["科幻片", "slow films"])])
    assert np.isfinite(align_kinds(vectors).loc["request"].to_numpy()).all()


@pytest.mark.filterwarnings("error::UserWarning")
def test_the_same_seed_gives_the_same_map_and_the_kept_one_is_the_same_to_the_byte(tmp_path):
    vectors = table(clusters())
    first = fit_map(vectors, folder=tmp_path)
    again = fit_map(vectors, folder=tmp_path)
    elsewhere = fit_map(vectors, folder=tmp_path / "other")
    assert not first.cached and again.cached and not elsewhere.cached
    assert "read from the cache" in repr(again) and "fitted in" in repr(first)
    for other in (again, elsewhere):
        assert other.table.to_numpy().tobytes() == first.table.to_numpy().tobytes()
        assert other.quality == first.quality and other.key == first.key
        pd.testing.assert_frame_equal(other.table, first.table)


@pytest.mark.parametrize("what", ["vectors", "ids", "seed", "neighbours", "min_distance", "method"])
def test_whatever_decides_the_picture_changes_the_key(tmp_path, what):
    vectors = table(clusters(30))
    settings = {
        "vectors": {"vectors": vectors + np.eye(30, 8) * 1e-4},
        "ids": {"vectors": table(vectors.to_numpy(), prefix="x")},
        "method": {"method": "pca"},
    }.get(what, {what: {"seed": 1, "neighbours": 5, "min_distance": 0.5}.get(what)})
    before = fit_map(vectors, folder=tmp_path).key
    after = fit_map(**({"vectors": vectors} | settings), folder=tmp_path)
    assert after.key != before and not after.cached


def test_another_model_has_another_key(make_tiny, tmp_path):
    one, other = (fit_map(embed_items(make_tiny(seed=seed)), method="pca", folder=tmp_path) for seed in (0, 1))
    assert one.key != other.key


def test_a_damaged_file_is_fitted_again(tmp_path):
    vectors = table(clusters(30))
    first = fit_map(vectors, folder=tmp_path)
    (kept,) = tmp_path.glob("*.parquet")
    kept.write_bytes(kept.read_bytes()[:100])
    again = fit_map(vectors, folder=tmp_path)
    assert not again.cached
    pd.testing.assert_frame_equal(again.table, first.table)
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]  # no draft stays behind


@pytest.mark.parametrize("share", [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])
def test_a_file_damaged_anywhere_is_as_good_as_none_or_as_it_was(tmp_path, share):
    vectors = table(clusters()).set_axis([f"d{place}" for place in range(8)], axis=1)
    keep(vectors, key="abc", folder=tmp_path, seconds=1.5)
    (kept,) = tmp_path.glob("*.parquet")
    whole = kept.read_bytes()
    place = int(share * (len(whole) - 32))
    kept.write_bytes(whole[:place] + bytes(32) + whole[place + 32 :])
    if (again := read_kept("abc", tmp_path)) is not None:  # bytes that nobody reads
        assert 0.5 < share < 1 and again[1] == {"seconds": 1.5}
        pd.testing.assert_frame_equal(again[0], vectors)


def test_a_map_keeps_neighbourhoods_and_says_so(tmp_path):
    vectors = table(clusters())
    found = fit_map(vectors, folder=tmp_path)
    corner = np.repeat(range(3), 20)
    distances = pairwise_distances(found.table)
    inside = distances[corner[:, None] == corner].max()
    outside = distances[corner[:, None] != corner].min()
    assert inside < outside
    assert found.quality["trust"] > 0.9 and found.quality["points"] == 60 and "mixing" not in found.quality
    assert f"trust {found.quality['trust']:.2f}" in repr(found)


def test_trust_and_overlap_are_one_when_nothing_is_lost_and_fall_when_places_are_shuffled():
    angles = np.random.default_rng(0).uniform(0, np.pi / 2, 40)
    places = np.column_stack([np.cos(angles), np.sin(angles)])
    true = table(places)
    kept = map_quality(true.set_axis(["x", "y"], axis=1), true)
    shuffled = table(np.random.default_rng(0).permutation(places))
    lost = map_quality(shuffled.set_axis(["x", "y"], axis=1), true)
    assert kept["trust"] == kept["overlap"] == 1.0
    assert lost["trust"] < 0.7 and lost["overlap"] < 0.6


def test_quality_of_many_points_is_measured_on_a_seeded_sample(monkeypatch):
    monkeypatch.setattr("workbench.insight.maps.trust.SAMPLE", 30)
    vectors = table(clusters())
    places = pd.DataFrame(clusters()[:, :2], index=vectors.index)
    assert map_quality(places, vectors)["points"] == 30
    assert map_quality(places, vectors, seed=1) == map_quality(places, vectors, seed=1)
    assert map_quality(places, vectors, seed=1) != map_quality(places, vectors, seed=2)


@pytest.mark.parametrize(("method", "cached"), [("umap", False), ("umap", True), ("pca", False)])
def test_new_points_are_placed_beside_their_like(tmp_path, method, cached):
    vectors = table(clusters())
    found = fit_map(vectors, method=method, folder=tmp_path)
    if cached:
        found = fit_map(vectors, method=method, folder=tmp_path)
    newcomers = table(np.eye(3, 8), prefix="new")
    after = place(found, newcomers)
    pd.testing.assert_frame_equal(after.table.iloc[:60], found.table)
    places = after.table.iloc[60:]
    centres = found.table.groupby(np.repeat(range(3), 20)).mean()
    assert pairwise_distances(places, centres).argmin(axis=1).tolist() == [0, 1, 2]
    assert found.cached == cached and after.table.index.equals(after.vectors.index)


def test_a_newcomer_from_another_space_is_refused(tmp_path):
    found = fit_map(table(clusters(30)), method="pca", folder=tmp_path)
    with pytest.raises(ValueError, match="5 dimensions, the map's 8"):
        place(found, table(np.ones((1, 5)), prefix="new"))


@pytest.mark.parametrize(
    ("row", "message"), [(np.full((1, 8), np.nan), "1 of 1 vectors are not finite"), (np.zeros((1, 8)), "is all zeros")]
)
def test_a_newcomer_without_direction_is_refused(tmp_path, row, message):
    found = fit_map(table(clusters(30)), method="pca", folder=tmp_path)
    with pytest.raises(ValueError, match=message):
        place(found, table(row, prefix="new"))


def test_nothing_is_placed_on_a_map_that_comes_out_otherwise_when_fitted_again(tmp_path):
    found = fit_map(table(clusters(30)), folder=tmp_path)
    elsewhere = replace(found, table=found.table + 1, fitted=None)  # as if another machine had kept it
    with pytest.raises(RuntimeError, match="gives other places"):
        place(elsewhere, table(np.eye(3, 8), prefix="new"))


def test_one_umap_waits_for_another(tmp_path):
    done = threading.Event()
    with FITTING:
        worker = threading.Thread(target=lambda: (fit_map(table(clusters(30)), folder=tmp_path), done.set()))
        worker.start()
        assert not done.wait(1)
    worker.join(timeout=60)
    assert done.is_set()


def test_a_point_stands_on_a_map_once(tmp_path):
    found = fit_map(table(clusters(30)), method="pca", folder=tmp_path)
    with pytest.raises(ValueError, match="item '3' is on the map already"):
        place(found, table(clusters(30)).iloc[[3]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((1, 4)), "two points or more; there are 1"),
        (np.ones((0, 4)), "two points or more; there are 0"),
        (np.ones((9, 4)), "all 9 vectors are equal"),
        (np.outer(np.arange(1, 10), [0.3, 0.1, 0.7, -0.2]), "all 9 vectors .* point the same way"),
        (np.vstack([np.eye(4), np.full((1, 4), np.nan)]), "1 of 5 vectors are not finite, the first is item '4'"),
        (np.vstack([np.eye(4), np.zeros((1, 4))]), "the vector of item '4' is all zeros"),
    ],
)
@pytest.mark.parametrize("method", ["umap", "pca"])
def test_what_no_map_can_be_made_of_is_refused_and_leaves_nothing(tmp_path, values, message, method):
    with pytest.raises(ValueError, match=message):
        fit_map(table(values), method=method, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n", [2, 3, 4, 5, 10])
def test_fewer_points_than_neighbours_still_make_a_map(tmp_path, n):
    found = fit_map(table(np.eye(n, 12) + 0.1), folder=tmp_path)
    assert np.isfinite(found.table.to_numpy()).all() and found.table.shape == (n, 2)
    assert found.settings["neighbours"] == n - 1
    assert found.method == ("umap" if n >= 4 else "pca") and found.method in repr(found)


@pytest.mark.parametrize("values", [np.ones((1, 4)), np.full((5, 4), 0.3), np.outer([1, 2, 3], np.ones(4))])
def test_items_without_a_direction_from_their_mean_are_one_clear_error(values):
    vectors = pd.concat([table(values), table(np.ones((2, 4)), "user")])
    with pytest.raises(ValueError, match=f"does not differ from the mean of the {len(values)} items"):
        align_kinds(vectors)


def test_vectors_that_are_not_finite_are_not_aligned(model_like):
    model_like.loc[("user", "u3")] = np.nan
    with pytest.raises(ValueError, match="1 of 70 vectors are not finite, the first is user 'u3'"):
        align_kinds(model_like)


def test_no_items_and_no_method_are_named(tmp_path):
    with pytest.raises(ValueError, match="no items among the vectors"):
        align_kinds(table(clusters(), "user"))
    with pytest.raises(ValueError, match="'tsne' is not known; choose 'umap' or 'pca'"):
        fit_map(table(clusters()), method="tsne", folder=tmp_path)


def test_a_map_is_a_plain_table_to_save(tmp_path):
    found = fit_map(table(clusters(30)), method="pca", folder=tmp_path)
    assert isinstance(found, EmbeddingMap)
    assert found.df is found.table and found.df.dtypes.unique().tolist() == [np.dtype("float32")]


def test_aligning_works_where_gradients_are_switched_off(model_like):
    with torch.no_grad():
        pd.testing.assert_frame_equal(align_kinds(model_like), align_kinds(model_like))
