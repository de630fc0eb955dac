"""Groups: found where they were planted, named by their own words, portrayed in plain tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

import workbench.insight.maps.groups as groups_module
from workbench.catalogs import Dataset, read_tables
from workbench.insight import agree_with, count_groups, describe_items, find_groups, name_groups, portray_users
from workbench.models import embed_profiles

THEMES = {
    "Horror": ("ghost", "The ghost of {n} comes back.", "鬼魂回到老屋"),
    "Western": ("sheriff", "A sheriff rides through {n}.", "警长骑马追捕"),
    "Musical": ("singer", "A singer is heard in {n}.", "歌手登台演唱"),
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Thirty items in three genres, thirty users who stay within one genre each."""
    rng = np.random.default_rng(0)
    items = [
        {
            "item_id": f"{genre[0]}{n}",
            "title": f"{genre} story {n}",
            "genres": f"{genre}|Drama",
            "year": 1950 + 10 * place,
            "description": THEMES[genre][1].format(n=chr(97 + n) * 3),
            "description_zh": THEMES[genre][2],
        }
        for place, genre in enumerate(THEMES)
        for n in range(10)
    ]
    events = [
        {"user_id": f"{genre[0]}-user{n}", "item_id": f"{genre[0]}{item}", "position": place}
        for genre in THEMES
        for n in range(10)
        for place, item in enumerate(rng.permutation(10)[:6])
    ]
    users = pd.DataFrame(
        [
            {"user_id": f"{genre[0]}-user{n}", "town": "Tombstone" if genre == "Western" else "Paris", "age": 20 + n}
            for genre in THEMES
            for n in range(10)
        ]
    )
    dataset = read_tables(items=pd.DataFrame(items), interactions=pd.DataFrame(events), name="themes")
    return replace(dataset, users=users)


@pytest.fixture(scope="module")
def items(dataset) -> pd.DataFrame:
    """Vectors of the items near one corner per genre."""
    rng = np.random.default_rng(1)
    values = np.repeat(np.eye(3, 8), 10, axis=0) + 0.1 * rng.normal(size=(30, 8))
    index = pd.MultiIndex.from_product([["item"], dataset.catalog["item_id"]], names=["kind", "id"])
    return pd.DataFrame(values, index=index)


@pytest.fixture(scope="module")
def item_groups(items, tmp_path_factory) -> pd.DataFrame:
    return find_groups(items, smallest=5, folder=tmp_path_factory.mktemp("item_groups"))


@pytest.fixture(scope="module")
def user_groups(items, dataset, tmp_path_factory) -> pd.DataFrame:
    profiles = embed_profiles(items, dataset.interactions)
    return find_groups(profiles, smallest=5, folder=tmp_path_factory.mktemp("user_groups"))


@pytest.mark.parametrize("which", ["item_groups", "user_groups"])
def test_planted_groups_are_found(request, which):
    groups = request.getfixturevalue(which)
    truth = groups.index.get_level_values("id").str[0]
    assert adjusted_rand_score(truth, groups["group"]) == 1
    assert groups["closeness"].between(0.8, 1).all()


def test_members_are_nearest_to_their_own_centre_and_groups_are_numbered_by_size(tmp_path):
    rng = np.random.default_rng(3)
    values = np.repeat(np.eye(3, 8), [40, 25, 15], axis=0) + 0.25 * rng.normal(size=(80, 8))
    vectors = pd.DataFrame(values, index=pd.MultiIndex.from_product([["user"], map(str, range(80))]))
    vectors.index.names = ["kind", "id"]
    found = find_groups(vectors, smallest=8, folder=tmp_path)
    centred = values - values.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    numbers = range(found["group"].max() + 1)
    centres = np.stack([centred[found["group"] == number].mean(0) for number in numbers])
    cosines = centred @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T
    inside = (found["group"] >= 0).to_numpy()
    assert (cosines.argmax(1) == found["group"])[inside].all()
    np.testing.assert_allclose(found["closeness"][inside], cosines.max(1)[inside], atol=1e-5)
    sizes = found["group"][inside].value_counts().reindex(numbers)
    assert sizes.is_monotonic_decreasing and len(sizes) == 3
    assert found["closeness"][~inside].isna().all()


def test_the_same_seed_finds_the_same_groups_and_kept_ones_are_read(items, item_groups, tmp_path, monkeypatch):
    pd.testing.assert_frame_equal(find_groups(items, smallest=5, folder=tmp_path), item_groups)
    monkeypatch.setattr(groups_module, "_dense_groups", None)  # nothing is found anew
    pd.testing.assert_frame_equal(find_groups(items, smallest=5, folder=tmp_path), item_groups)
    for other in ({"smallest": 6}, {"smallest": 5, "seed": 1}):
        with pytest.raises(TypeError):
            find_groups(items, folder=tmp_path, **other)


def test_groups_have_the_words_of_their_own_texts_in_both_languages(item_groups, dataset):
    names = name_groups(item_groups, dataset)
    for number, row in names.iterrows():
        genre = next(genre for genre in THEMES if row["name"].startswith(genre))
        assert THEMES[genre][0] in row["words"].split(", ")
        assert "Drama" not in row["words"], "a word of every group names none"
        assert row["words_zh"].split("、")[0] in THEMES[genre][2]
        members = item_groups.index[item_groups["group"] == number].get_level_values("id")
        assert all(item.startswith(genre[0]) for item in members)
        assert row["size"] == 10 and row["share"] == 10 / 30
        met = dataset.interactions["item_id"].isin(members).mean()
        assert row["share_of_interactions"] == pytest.approx(met)
    assert names["name"].is_unique


def test_representatives_of_items_are_the_closest_to_the_centre(item_groups, dataset):
    names = name_groups(item_groups, dataset)
    closest = item_groups[item_groups["group"] == 0]["closeness"].sort_values(ascending=False).index[:5]
    titles = dataset.catalog.set_index("item_id")["title"]
    assert names["representatives"][0].split("; ") == [titles[item] for _, item in closest]


def test_groups_of_users_are_told_by_what_they_met_and_by_who_they_are(user_groups, dataset):
    names = name_groups(user_groups, dataset)
    western = names[names["name"].str.startswith("Western")].iloc[0]
    assert western["town"] == "Tombstone (100 %, elsewhere 0 %)"
    assert western["age"] == "median 24.5 (elsewhere 24.5)"
    assert all(title.startswith("Western") for title in western["representatives"].split("; "))
    assert western["share_of_interactions"] == pytest.approx(10 * 6 / (30 * 6))


def test_those_in_no_group_come_last_under_their_own_name(item_groups, dataset):
    groups = item_groups.copy()
    groups.iloc[:4, 0] = -1
    names = name_groups(groups, dataset)
    assert names.index.tolist()[-1] == -1 and names["name"].iloc[-1] == "other"
    assert names["size"].iloc[-1] == 4 and names["share"].sum() == pytest.approx(1)


def test_everybody_in_no_group_is_told_too(item_groups, dataset):
    names = name_groups(item_groups.assign(group=-1, closeness=np.nan), dataset)
    assert names["name"].tolist() == ["other"] and names["size"].tolist() == [30]


def test_a_catalog_of_titles_only_still_has_names(item_groups, dataset):
    bare = replace(dataset, catalog=dataset.catalog[["item_id", "title"]], users=None)
    assert set(name_groups(item_groups, bare)["name"].str.split(", ").str[0]) == {"horror", "western", "musical"}


def test_a_portrait_says_what_somebody_met(user_groups, dataset):
    names = name_groups(user_groups, dataset)
    portraits = portray_users(user_groups, names, dataset).set_index("user_id")
    row = portraits.loc["W-user3"]
    history = dataset.interactions[dataset.interactions["user_id"] == "W-user3"]
    last = history.sort_values("position")["item_id"].iloc[-1]
    assert row["group"].startswith("Western")
    assert row["genres"] == "Western" and row["decade"] == "1960s" and row["interactions"] == 6
    assert row["latest"] == dataset.catalog.set_index("item_id")["title"][last]
    assert row["town"] == "Tombstone" and row["age"] == 23


def test_a_user_without_history_has_an_empty_portrait(user_groups, dataset):
    names = name_groups(user_groups, dataset)
    histories = {"W-user3": []}
    row = portray_users(user_groups, names, dataset, histories=histories).set_index("user_id").loc["W-user3"]
    assert (row["interactions"], row["genres"], row["decade"], row["latest"]) == (0, "", "", "")


def test_an_item_is_described_by_the_catalog_and_by_its_nearest(items, item_groups, dataset):
    names = name_groups(item_groups, dataset)
    described = describe_items(item_groups, names, dataset, vectors=items).set_index("item_id")
    unit = items.to_numpy() / np.linalg.norm(items, axis=1, keepdims=True)
    cosines = unit @ unit[4]
    cosines[4] = -1
    expected = dataset.catalog["title"].to_numpy()[np.argsort(-cosines)[:5]]
    assert described["nearest"]["H4"].split("; ") == expected.tolist()
    assert described["share"].sum() == pytest.approx(1)
    assert described["description"]["H4"] == dataset.catalog.set_index("item_id")["description"]["H4"]
    assert described["interactions"]["H4"] == (dataset.interactions["item_id"] == "H4").sum()


def test_profiles_are_means_of_the_directions_of_what_was_met(items):
    profiles = embed_profiles(items * 3, {"ann": ["H0", "H1", "H1"], "nobody": []})
    unit = items.div(np.linalg.norm(items, axis=1), axis=0).loc["item"]
    assert profiles.index.tolist() == [("user", "ann")]
    np.testing.assert_allclose(profiles.to_numpy()[0], (unit.loc["H0"] + 2 * unit.loc["H1"]) / 3, atol=1e-6)


def test_agreement_is_the_textbook_score_with_an_interval_and_pairs_with_the_floor():
    rng = np.random.default_rng(0)
    truth = pd.Series(rng.integers(3, size=300))
    good = truth.where(rng.random(300) < 0.9, rng.integers(3, size=300))
    bad = truth.where(rng.random(300) < 0.4, rng.integers(3, size=300))
    found = agree_with(good, truth, floor=bad)
    assert found.loc["rand", "value"] == pytest.approx(adjusted_rand_score(truth, good))
    assert found.loc["information", "floor"] == pytest.approx(adjusted_mutual_info_score(truth, bad))
    assert (found["low"] < found["value"]).all() and (found["value"] < found["high"]).all()
    assert (found["difference_low"] > 0).all(), "0.9 against 0.4 is ahead by an interval"
    assert (agree_with(bad, truth, floor=bad)[["difference_low", "difference_high"]] == 0).all(axis=None)


def test_groups_are_compared_by_user_whatever_their_order():
    truth = pd.Series([0, 0, 0, 1, 1, 1], index=list("abcdef"))
    index = pd.MultiIndex.from_product([["user"], list("abcdef")], names=["kind", "id"])
    found = pd.Series(truth.to_numpy(), index=index)[::-1]
    assert agree_with(found, truth, floor=truth[list("dbeacf")]).loc["rand", ["value", "floor"]].tolist() == [1, 1]


@pytest.mark.parametrize("users", ["abcdeg", "abcde", "abcdee"])
def test_groups_of_other_users_are_refused(users):
    truth = pd.Series([0, 0, 0, 1, 1, 1], index=list("abcdef"))
    others = pd.Series(0, index=list(users))
    with pytest.raises(ValueError, match="not of the same users"):
        agree_with(others, truth)
    with pytest.raises(ValueError, match="not of the same users"):
        agree_with(truth, truth, floor=others)


def test_the_floor_finds_groups_by_counting(dataset):
    groups = count_groups(dataset.interactions, count=3, dimensions=3)
    assert adjusted_rand_score(groups.index.str[0], groups) == 1
    pd.testing.assert_series_equal(groups, count_groups(dataset.interactions, count=3, dimensions=3))


def test_those_in_no_group_count_as_a_class_of_their_own():
    truth = pd.Series([0] * 50 + [1] * 50)
    half_lost = truth.where(np.arange(100) % 2 == 0, -1)
    assert agree_with(half_lost, truth)["value"]["rand"] == pytest.approx(adjusted_rand_score(truth, half_lost))
    assert agree_with(half_lost, truth)["value"]["rand"] < 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda vectors: vectors.iloc[:9], r"10 vectors or more of one kind; there are 9 of \['item'\]"),
        (lambda vectors: pd.concat([vectors, vectors.rename({"item": "user"})]), r"60 of \['item', 'user'\]"),
        (lambda vectors: vectors * np.nan, "30 of 30 vectors are not finite"),
    ],
)
def test_what_has_no_groups_is_refused(items, change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        find_groups(change(items), folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_vectors_that_are_all_equal_are_one_group(items, dataset, tmp_path):
    groups = find_groups(items * 0 + 1, folder=tmp_path)
    assert (groups["closeness"] == 1).all()
    assert groups["group"].tolist() == [0] * 30
    assert name_groups(groups, dataset)["size"].tolist() == [30]


def test_an_item_outside_the_catalog_is_named(items, item_groups, dataset):
    stranger, names = item_groups.rename({"H0": "nowhere"}), name_groups(item_groups, dataset)
    with pytest.raises(ValueError, match="'nowhere'"):
        name_groups(stranger, dataset)
    with pytest.raises(ValueError, match=r"1 item\(s\) of the groups are not in the catalog, the first is 'nowhere'"):
        describe_items(stranger, names, dataset, vectors=items.rename({"H0": "nowhere"}))
    with pytest.raises(ValueError, match="not embedded, the first is 'H0'"):
        describe_items(item_groups, names, dataset, vectors=items.drop([("item", "H0")]))


def test_of_one_group_nothing_is_said_about_elsewhere(user_groups, dataset):
    names = name_groups(user_groups.assign(group=0), dataset)
    assert names["town"][0] == "Paris (67 %)" and names["age"][0] == "median 24.5"  # 20 of 30 live there
