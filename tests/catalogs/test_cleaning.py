"""Cleaning: each step does what it says, says what it did, and leaves the dataset it was given alone."""

import pandas as pd
import pytest

from workbench.catalogs import (
    Dataset,
    k_core,
    keep_ratings,
    merge_duplicate_titles,
    move_trailing_articles,
    read_tables,
    split_years,
    unescape_entities,
)


def dataset_of(titles: list[str], *, events: list[tuple] | None = None, **columns: list) -> Dataset:
    """Return a dataset of items "0", "1", ... with these titles; events are (user, item) or (user, item, rating)."""
    items = pd.DataFrame({"item_id": [str(i) for i in range(len(titles))], "title": titles, **columns})
    events = events or [("u", "0")]
    table = pd.DataFrame(events, columns=["user_id", "item_id", "rating"][: len(events[0])])
    return read_tables(items=items, interactions=table.assign(position=range(len(events))), name="tiny")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Usual Suspects, The", "The Usual Suspects"),
        ("American in Paris, An", "An American in Paris"),
        ("Avventura, L'", "L'Avventura"),
        ("Good, the Bad and the Ugly, The", "The Good, the Bad and the Ugly"),
        ("Boot, Das (Boat, The)", "Das Boot (The Boat)"),
        ("Convent, The (Convento, O)", "The Convent (O Convento)"),
        ("Honey, I Shrunk the Kids", "Honey, I Shrunk the Kids"),
        ("New York, New York", "New York, New York"),
        ("The Thing", "The Thing"),
    ],
)
def test_trailing_articles_move_to_the_front(before, after):
    assert move_trailing_articles(dataset_of([before])).catalog["title"].tolist() == [after]


def test_years_move_from_titles_to_their_column():
    dataset = split_years(
        dataset_of(["Alien (1979)", "2001", "Death Note (2006–2007)", "(1900)", "Blade Runner (2049 cut)"])
    )
    assert dataset.catalog["title"].tolist() == ["Alien", "2001", "Death Note", "(1900)", "Blade Runner (2049 cut)"]
    assert dataset.catalog["year"].tolist() == [1979, pd.NA, 2006, 1900, pd.NA]
    assert dataset.card["cleaning"] == ["years moved from 3 titles to the column year"]


def test_a_year_already_known_stays():
    dataset = split_years(dataset_of(["Alien (1979)", "Brazil (1985)"], year=[1980, None]))
    assert dataset.catalog["year"].tolist() == [1980, 1985]


def test_entities_are_resolved_in_texts_and_not_in_ids():
    dataset = dataset_of(["Romeo &amp; Juliet", "Alien"], description=["&quot;Love&quot;", None])
    cleaned = unescape_entities(dataset)
    assert cleaned.catalog["title"].tolist() == ["Romeo & Juliet", "Alien"]
    assert cleaned.catalog["description"].iloc[0] == '"Love"'
    assert cleaned.card["cleaning"] == ["HTML entities resolved in 2 texts"]
    assert dataset.catalog["title"].iloc[0] == "Romeo &amp; Juliet"
    assert dataset.card["cleaning"] == []


def test_duplicate_titles_merge_into_the_first_and_interactions_follow():
    dataset = dataset_of(
        ["Sabrina", "sabrina ", "Sabrina", "Alien"],
        year=[1954, 1954, 1995, 1979],
        description=[None, "A chauffeur's daughter.", "A remake.", None],
        events=[("u", "1"), ("u", "0"), ("u", "3"), ("u", "3"), ("v", "1"), ("v", "2")],
    )
    assert "2 items share their title and year with another item" not in dataset.card["findings"]  # cases differ
    merged = merge_duplicate_titles(dataset)
    assert merged.catalog["item_id"].tolist() == ["0", "2", "3"]
    assert merged.catalog["description"].iloc[0] == "A chauffeur's daughter."
    # u met both copies: one event is left; u's own repeat of "3" is not ours to drop.
    assert merged.interactions["item_id"].tolist() == ["0", "3", "3", "0", "2"]
    assert merged.card["cleaning"][-1].startswith("duplicate titles: 1 items merged")
    assert "1 repeated interactions dropped" in merged.card["cleaning"][-1]


def test_the_core_is_found_by_dropping_again_and_again():
    # "2" is met once, so it goes; then v has one event left and goes; "0" and "1" keep u and w.
    events = [("u", "0"), ("u", "1"), ("v", "2"), ("v", "0"), ("w", "0"), ("w", "1")]
    dataset = dataset_of(["A", "B", "C"], events=events)
    core = k_core(dataset, k=2)
    assert core.interactions["user_id"].tolist() == ["u", "u", "w", "w"]
    assert core.catalog["item_id"].tolist() == ["0", "1"]
    assert core.card["cleaning"] == ["2-core: kept 2 of 3 items, 2 of 3 users, 4 of 6 interactions"]
    assert len(dataset.catalog) == 3
    with pytest.raises(ValueError, match="choose a smaller k"):
        k_core(dataset, k=4)
    with pytest.raises(ValueError, match="at least 1"):
        k_core(dataset, k=0)


def test_low_ratings_go_and_the_catalog_stays():
    dataset = dataset_of(["A", "B"], events=[("u", "0", 5), ("u", "1", 3), ("v", "1", 4)])
    kept = keep_ratings(dataset, at_least=4)
    assert kept.interactions["rating"].tolist() == [5, 4]
    assert len(kept.catalog) == 2
    assert kept.card["cleaning"] == ["ratings: kept 2 of 3 interactions rated 4 or higher"]
    with pytest.raises(ValueError, match="the highest is 5"):
        keep_ratings(dataset, at_least=6)
    with pytest.raises(ValueError, match="no column rating"):
        keep_ratings(dataset_of(["A"]), at_least=4)


def test_steps_add_up_on_the_card_and_findings_stay_current():
    dataset = dataset_of(["Alien (1979)", "Alien (1979)", "Thing, The (1982)"], events=[("u", "0"), ("u", "2")])
    assert "2 items share their title with another item" in dataset.card["findings"]
    cleaned = merge_duplicate_titles(move_trailing_articles(split_years(dataset)))
    assert [step.split(":")[0].split(" ")[0] for step in cleaned.card["cleaning"]] == ["years", "trailing", "duplicate"]
    assert not any("share their title" in finding for finding in cleaned.card["findings"])
    assert not any("no interactions" in finding for finding in cleaned.card["findings"])
