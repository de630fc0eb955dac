"""The published datasets: their counts are the publishers', their texts are mended, their cards tell what is odd."""

import subprocess
import sys

import pandas as pd
import pytest

from workbench.catalogs import k_core, leave_one_out, load_dataset, merge_duplicate_titles, temporal_split

COUNTS = {  # items, users, interactions, as published
    "ml-100k": (1_682, 943, 100_000),
    "ml-1m": (3_883, 6_040, 1_000_209),
    "ml-1m-sasrec": (3_416, 6_040, 999_611),
    "ml-latest-small": (9_742, 610, 100_836),
    "amazon-beauty-2014": (12_101, 22_363, 198_502),
    "amazon-giftcards-2018": (1_547, 458, 2_972),
}


@pytest.fixture(scope="module")
def load(datasets_folder):
    """Load a dataset of the folder of real data, once for this file."""
    loaded = {}
    return lambda name: loaded.setdefault(name, load_dataset(name))


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_the_published_ones(load, name):
    dataset = load(name)
    assert dataset.name == name
    counted = len(dataset.catalog), dataset.interactions["user_id"].nunique(), len(dataset.interactions)
    assert counted == COUNTS[name]
    assert all(dataset.card[key] for key in ("source", "version", "licence", "cleaning"))


@pytest.mark.parametrize("name", COUNTS)
def test_every_user_long_enough_is_asked_once(load, name):
    split = leave_one_out(load(name))
    users = load(name).interactions["user_id"].value_counts()
    assert len(split.test) == len(split.validation) == int((users >= 3).sum())
    assert len(split.train) == COUNTS[name][2] - 2 * len(split.test)


def test_ml_100k_titles_are_mended_and_rows_untouched(load):
    dataset = load("ml-100k")
    catalog = dataset.catalog.set_index("item_id")
    assert catalog.loc["1", "title"] == "Toy Story" and catalog.loc["1", "year"] == 1995
    assert catalog.loc["12", "title"] == "The Usual Suspects"
    assert catalog.loc["1", "genres"] == "Animation|Children's|Comedy"
    assert catalog.loc["267", "title"] == "unknown" and pd.isna(catalog.loc["267", "year"])
    assert int(catalog["description"].notna().sum()) == 1_541
    # Row 77 of the publisher's u.item is latin-1.
    assert catalog["title"].str.contains("é").any()
    assert dataset.interactions["timestamp"].min() == pd.Timestamp(874_724_710, unit="s", tz="UTC")
    assert dataset.interactions["timestamp"].max() == pd.Timestamp(893_286_638, unit="s", tz="UTC")


def test_ml_100k_has_the_known_core_and_duplicate_titles(load):
    core = k_core(load("ml-100k"), k=5)
    assert (len(core.catalog), len(core.interactions)) == (1_349, 99_287)
    assert len(merge_duplicate_titles(load("ml-100k")).catalog) == 1_682 - 18


def test_ml_1m_says_which_times_are_estimates(load):
    dataset = load("ml-1m")
    if "time_is_exact" in dataset.interactions.columns:
        assert int((~dataset.interactions["time_is_exact"]).sum()) == 455_777
        assert any("455,777 of 1,000,209 times are estimates" in finding for finding in dataset.card["findings"])
    counts = dataset.interactions["rating"].value_counts()
    assert [counts[rating] for rating in range(1, 6)] == [56_174, 107_557, 261_197, 348_971, 226_310]
    assert dataset.users["age"].notna().all() and "zip" not in dataset.users.columns
    assert dataset.catalog.set_index("item_id").loc["50", "title"] == "The Usual Suspects"


def test_both_versions_of_ml_1m_hold_out_the_same_films(load):
    by_number = load("ml-1m-sasrec").catalog.set_index("item_id")["movie_id"]
    test = leave_one_out(load("ml-1m-sasrec")).test["item_id"].map(by_number)
    raw = leave_one_out(load("ml-1m")).test["item_id"]
    shared = test.value_counts().sub(raw.value_counts(), fill_value=0).abs().sum()
    assert shared <= 0.01 * 2 * 6_040  # all but the users whose last film has fewer than five ratings


def test_a_global_cut_of_ml_1m_leaks_no_time(load):
    split = temporal_split(load("ml-1m"), at="2000-12-03")
    assert split.protocol["train_after_test"] == 0 and split.protocol["cut"] == "2000-12-03T00:00:00+00:00"
    assert leave_one_out(load("ml-1m")).protocol["train_after_test"] > 0.2


def test_ml_latest_small_has_overviews_and_chinese_titles(load):
    catalog = load("ml-latest-small").catalog.set_index("item_id")
    assert catalog.loc["1", "title_zh"] == "玩具總動員"
    assert int(catalog["title_zh"].notna().sum()) == 1_641 and int(catalog["description"].notna().sum()) == 9_403
    assert int(catalog["genres"].isna().sum()) == 34


def test_beauty_knows_only_the_order_and_fills_missing_titles(load):
    dataset = load("amazon-beauty-2014")
    assert "timestamp" not in dataset.interactions.columns
    assert any(finding.startswith("7 items have no title") for finding in dataset.card["findings"])
    assert dataset.interactions.groupby("user_id").size().min() == 5
    assert not dataset.catalog["title"].str.contains("&amp;|&quot;").any()


def test_reviewer_names_never_enter(load, datasets_folder):
    dataset = load("amazon-giftcards-2018")
    assert dataset.interactions.columns.tolist() == ["user_id", "item_id", "rating", "timestamp", "review", "summary"]
    assert int(dataset.interactions["review"].isna().sum()) == 6
    assert not dataset.catalog["description"].str.contains(r"</\w+>", regex=True, na=False).any()
    assert "reviewer names left at the door" in dataset.card["cleaning"]


@pytest.mark.parametrize("name", COUNTS)
def test_cards_show_the_counts(load, name):
    shown = load(name)._repr_html_()
    for number in COUNTS[name]:
        assert f"{number:,}" in shown


def test_catalogs_import_neither_torch_nor_transformers():
    code = "import sys, workbench.catalogs; sys.exit(bool({'torch', 'transformers', 'tqdm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
