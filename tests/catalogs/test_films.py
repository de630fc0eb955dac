"""The bundled films: the committed files are what the simulator makes, and the planted causes are really there."""

import gzip
import importlib.util
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.catalogs import leave_one_out, load_dataset
from workbench.catalogs.films import (
    CONTEXT_EFFECTS,
    TASTE_GROUPS,
    Effects,
    Films,
    OracleRanker,
    films_truth,
    read_context,
    simulate,
    write_simulation,
)

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def films() -> Films:
    return films_truth()


@pytest.fixture(scope="module")
def rebuilt():
    return simulate()


@pytest.fixture(scope="module")
def check_films():
    spec = importlib.util.spec_from_file_location("check_films", DATA / "check_films.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def split():
    return leave_one_out(load_dataset("films"))


def find(films: Films, *titles: str) -> list[str]:
    return films.catalog.set_index("title")["item_id"].loc[list(titles)].tolist()


def measure_ndcg(rankings: pd.DataFrame, test: pd.DataFrame) -> float:
    hits = rankings.merge(test[["user_id", "item_id"]], on=["user_id", "item_id"])
    return (1 / np.log2(hits["rank"] + 1)).sum() / len(test)


def share_of_next_parts(films: Films, interactions: pd.DataFrame) -> float:
    """How often a film directly follows another film of its series."""
    series = interactions["item_id"].map(films.catalog.set_index("item_id")["series"])
    before = series.groupby(interactions["user_id"]).shift(1)
    return float(((series != "") & (series == before)).mean())


# ---- the files ----


def test_the_committed_files_are_what_the_simulator_makes(rebuilt, tmp_path):
    write_simulation(rebuilt, folder=tmp_path)
    for name in ("users.csv", "truth.csv"):
        assert (tmp_path / name).read_bytes() == (DATA / "films" / name).read_bytes()
    # The text is compared, because zlib builds differ in how they pack the same text.
    packed = [folder / "interactions.csv.gz" for folder in (tmp_path, DATA / "films")]
    assert gzip.decompress(packed[0].read_bytes()) == gzip.decompress(packed[1].read_bytes())


def test_writing_twice_gives_the_same_bytes_and_leaves_nothing_unfinished(films, tmp_path):
    simulation = simulate(viewers=3)
    written = []
    for _ in range(2):
        write_simulation(simulation, folder=tmp_path)
        written.append({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert written[0] == written[1]
    assert sorted(written[0]) == ["interactions.csv.gz", "truth.csv", "users.csv"]


def test_the_first_viewers_do_not_depend_on_how_many_there_are(rebuilt):
    few = simulate(viewers=5).interactions
    pd.testing.assert_frame_equal(few, rebuilt.interactions.head(len(few)))


def test_another_seed_gives_other_viewers(rebuilt):
    other = simulate(viewers=5, seed=1).interactions
    assert other["item_id"].tolist() != rebuilt.interactions["item_id"].head(len(other)).tolist()


def test_there_are_enough_films_viewers_and_interactions():
    dataset = load_dataset("films")
    assert len(dataset.catalog) >= 500
    assert len(dataset.users) == 2000
    assert 55_000 <= len(dataset.interactions) <= 65_000
    lengths = dataset.interactions.groupby("user_id").size()
    assert lengths.min() >= 8
    assert lengths.max() > 3 * lengths.median()
    assert sum(path.stat().st_size for path in (DATA / "films").iterdir()) < 3_000_000


def test_no_viewer_has_two_films_at_once_or_one_film_twice(rebuilt):
    interactions = rebuilt.interactions
    assert not interactions.duplicated(["user_id", "timestamp"]).any()
    assert not interactions.duplicated(["user_id", "item_id"]).any()
    assert interactions.groupby("user_id")["timestamp"].apply(lambda times: times.is_monotonic_increasing).all()


def test_the_context_columns_agree_with_the_timestamps(rebuilt):
    said = rebuilt.interactions[["time_of_day", "day_type", "season"]]
    read = read_context(pd.DatetimeIndex(rebuilt.interactions["timestamp"]))[said.columns]
    pd.testing.assert_frame_equal(said, read)


def test_users_do_not_carry_the_truth():
    assert list(load_dataset("films").users.columns) == ["user_id", "age_band", "region"]


def test_about_a_quarter_of_the_interactions_have_a_review_that_fits_the_rating(rebuilt):
    reviewed = rebuilt.interactions[rebuilt.interactions["review"] != ""]
    assert 0.23 < len(reviewed) / len(rebuilt.interactions) < 0.27
    slogs = reviewed[reviewed["review"].str.startswith("What a slog")]
    assert len(slogs) > 0
    assert slogs["rating"].max() <= 2
    assert not reviewed["review"].str.contains(r"[{}]| a (?=[aeiou])|\ban (?![aeiou])").any()


# ---- the probabilities ----


def test_probabilities_sum_to_one_and_are_zero_for_films_already_seen(films):
    history = find(films, "Alien", "Fargo")
    for viewer in (None, "v0001"):
        chances = films.probabilities(history, {"season": "winter"}, viewer=viewer)
        assert chances.sum() == pytest.approx(1)
        assert (chances[films.positions(history)] == 0).all()
        assert (np.delete(chances, films.positions(history)) > 0).all()


def test_an_unknown_context_is_the_average_over_contexts(films):
    history = find(films, "Alien")
    shares = {"day": 0.4, "evening": 0.6}
    parts = [
        share * films.probabilities(history, {"time_of_day": time}, viewer="v0001") for time, share in shares.items()
    ]
    np.testing.assert_allclose(sum(parts), films.probabilities(history, viewer="v0001"), rtol=1e-12)


def test_without_effects_every_unseen_film_is_equally_likely(films):
    none = Effects(popularity=0, drift=0, taste=0, series=0, director=0, contrast=0, context=0)
    chances = replace(films, effects=none).probabilities(find(films, "Alien"))
    np.testing.assert_allclose(chances[chances > 0], 1 / (len(films.catalog) - 1))


def test_the_formula_is_the_product_of_the_tables(films):
    """Two unseen films: the ratio of their probabilities is the ratio of their factors, everything else cancels."""
    only = replace(films, effects=Effects(popularity=0, drift=0, taste=0, context=0, contrast=0))
    alien, aliens, alien_3, blade_runner, shrek = find(films, "Alien", "Aliens", "Alien 3", "Blade Runner", "Shrek")
    p = {film: only.probability(film, [alien]) for film in (aliens, alien_3, blade_runner, shrek)}
    assert p[aliens] / p[shrek] == pytest.approx(np.exp(4.5))  # the next film of the series
    assert p[blade_runner] / p[shrek] == pytest.approx(
        np.exp(3.5)
    )  # the next film by Ridley Scott in the catalog's years
    assert p[alien_3] == pytest.approx(p[shrek])  # a later film of the series has to wait its turn


def test_a_step_has_a_direction_and_is_forgotten_after_another_film(films):
    only = replace(films, effects=Effects(popularity=0, drift=0, taste=0, context=0, contrast=0, director=0))
    alien, aliens, fargo = find(films, "Alien", "Aliens", "Fargo")
    forward, back, later = ([alien], aliens), ([aliens], alien), ([alien, fargo], aliens)
    chances = [only.probability(film, history) for history, film in (forward, back, later)]
    assert chances[0] > 20 * max(chances[1:])


def test_films_without_a_series_lead_nowhere(films):
    alone = replace(films, effects=Effects(director=0, contrast=0))
    outside = (films.catalog["series"].fillna("") == "").to_numpy()
    assert outside.any() and not alone.transitions[outside].any() and not alone.transitions[:, outside].any()
    named = films.catalog["series"][~outside].str.split("|").explode().value_counts()
    assert (alone.transitions > 0).sum() == (named - 1).sum()  # each series is one chain


def test_after_a_heavy_film_comes_a_light_one(films):
    only = replace(films, effects=Effects(popularity=0, drift=0, taste=0, context=0, series=0, director=0))
    heavy, light, other_heavy, other_light = find(films, "Heat", "Shrek", "Saw", "Amélie")
    assert only.probability(light, [heavy]) / only.probability(other_heavy, [heavy]) == pytest.approx(np.exp(1.5))
    assert only.probability(other_heavy, [light]) / only.probability(other_light, [light]) == pytest.approx(np.exp(1.5))


@pytest.mark.parametrize(("feature", "wanted", "strength"), CONTEXT_EFFECTS)
def test_each_context_effect_moves_its_films(films, feature, wanted, strength):
    only = replace(films, effects=Effects(popularity=0, drift=0, taste=0, series=0, director=0))
    has_it = films.features[feature].to_numpy()
    other_words = {
        "time_of_day": {"day": "evening", "evening": "day"},
        "day_type": {"weekday": "weekend", "weekend": "weekday"},
    }
    elsewhere = {name: other_words.get(name, {}).get(word, "spring") for name, word in wanted.items()}
    inside, outside = (only.probabilities([], words)[has_it].sum() for words in (wanted, elsewhere))
    assert np.sign(inside - outside) == np.sign(strength)


def test_a_timestamp_settles_the_context_and_the_drift(films):
    early, late = (films.probabilities([], {"timestamp": f"{year}-12-07 20:00"}) for year in (2023, 2024))
    assert not np.allclose(early, late)
    steady = replace(films, effects=Effects(drift=0))
    early, late = (steady.probabilities([], {"timestamp": f"{year}-12-07 20:00"}) for year in (2024, 2024))
    np.testing.assert_allclose(early, late)


def test_the_history_reveals_the_taste(films):
    noir = find(films, "Chinatown", "The Big Sleep", "Touch of Evil", "L.A. Confidential", "Out of the Past")
    films_only = replace(films, effects=Effects(series=0, director=0, contrast=0))
    crime = films.features["Crime"].to_numpy()
    assert films_only.probabilities(noir)[crime].sum() > 2 * films_only.probabilities([])[crime].sum()


def test_a_group_is_inferred_from_what_its_viewers_watch(films):
    titles = films.catalog.set_index("title")["item_id"]
    assert films.infer_group(titles[["Saw", "The Conjuring", "Scream"]]) == "horror and thrillers"
    assert films.infer_group([]) in films.taste_groups["taste_group"].value_counts().index[:2]  # the largest shares


def test_probability_refuses_what_it_does_not_know(films):
    with pytest.raises(ValueError, match=r"unknown items \['f9999'\]"):
        films.probability("f9999", [])
    with pytest.raises(ValueError, match="unknown viewer 'nobody'"):
        films.probabilities([], viewer="nobody")
    with pytest.raises(ValueError, match="time_of_day='noon' is unknown; accepted"):
        films.probabilities([], {"time_of_day": "noon"})
    with pytest.raises(ValueError, match="outside the simulated time, 2023-12-01 to 2025-11-30"):
        films.probabilities([], {"timestamp": "1999-01-01"})
    with pytest.raises(ValueError, match="contradicts itself"):
        films.probabilities([], {"timestamp": "2024-07-01 20:00", "season": "winter"})


def test_the_simulated_picks_follow_the_probabilities(films, rebuilt):
    """The mean true probability of the sixth film picked is what the probabilities themselves predict for it."""
    surprises, variances = [], []
    for user, events in rebuilt.interactions.head(9000).groupby("user_id", sort=False):
        history, sixth = events["item_id"].tolist()[:5], events.iloc[5]
        p = films.probabilities(history, {"timestamp": sixth["timestamp"]}, viewer=user)
        surprises.append(p[films.positions([sixth["item_id"]])[0]] - (p**2).sum())  # E[p(picked)] = sum of p * p
        variances.append((p**3).sum() - (p**2).sum() ** 2)
    assert len(surprises) > 250
    assert abs(np.sum(surprises)) < 4 * np.sqrt(np.sum(variances))


# ---- the planted causes, found again in the data ----


def test_switching_the_series_effect_off_removes_the_series_transitions(films, rebuilt):
    few = rebuilt.interactions[rebuilt.interactions["user_id"] <= "v0150"]
    without = simulate(viewers=150, effects=Effects(series=0)).interactions
    assert share_of_next_parts(films, few) > 4 * share_of_next_parts(films, without)


def test_horror_is_watched_in_the_evening_unless_context_is_switched_off(films, rebuilt):
    def lift(interactions: pd.DataFrame) -> float:
        horror = films.features["Horror"].loc[interactions["item_id"]].to_numpy()
        evening = (interactions["time_of_day"] == "evening").to_numpy()
        return horror[evening].mean() / horror[~evening].mean()

    assert lift(rebuilt.interactions) > 2
    assert 0.8 < lift(simulate(viewers=300, effects=Effects(context=0)).interactions) < 1.25


def test_each_taste_group_watches_its_own_films(films, rebuilt):
    truth = rebuilt.taste_groups.set_index("user_id")
    events = rebuilt.interactions.assign(group=rebuilt.interactions["user_id"].map(truth["taste_group"]))
    for row, group in enumerate(TASTE_GROUPS):
        taste = films.group_tastes[row][films.positions(events["item_id"])]
        by_group = pd.Series(taste).groupby(events["group"].to_numpy()).mean()
        assert by_group.idxmax() == group


def test_age_leans_on_taste_and_the_region_does_not(rebuilt):
    people = rebuilt.users.merge(rebuilt.taste_groups, on="user_id")
    classic = people["taste_group"] == "classic Hollywood"
    older = people["age_band"].isin(["50-64", "65+"])
    assert older[classic].mean() > older[~classic].mean() + 0.1
    counts = pd.crosstab(people["taste_group"], people["region"]).to_numpy()
    expected = counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 46.8  # chi-square, 21 degrees of freedom, p = 0.001


# ---- the oracle ----


def test_the_oracle_leaves_room_above_popularity_and_below_perfection(films, split):
    histories, test = split.histories("test"), split.test
    oracle = measure_ndcg(OracleRanker(films).rank(histories, k=10), test)
    counts = split.train["item_id"].value_counts()
    popular = counts.index.tolist()
    lists = {user: [item for item in popular if item not in set(seen)][:10] for user, seen in histories.items()}
    rows = [(user, item, rank) for user, items in lists.items() for rank, item in enumerate(items, start=1)]
    floor = measure_ndcg(pd.DataFrame(rows, columns=["user_id", "item_id", "rank"]), test)
    assert 0.2 < oracle < 0.5
    assert floor < oracle / 3


def test_the_oracle_ranks_like_every_ranker(films):
    oracle = OracleRanker(films)
    first, second, unwanted = films.catalog["item_id"].iloc[[3, 5, 7]]
    rankings = oracle.rank({"v0002": [first], "stranger": []}, k=4)
    assert list(rankings.columns) == ["user_id", "item_id", "rank", "score"]
    assert rankings["user_id"].tolist() == ["v0002"] * 4 + ["stranger"] * 4
    assert rankings["rank"].tolist() == [1, 2, 3, 4] * 2
    assert (rankings.groupby("user_id")["score"].diff().dropna() <= 0).all()
    assert first not in rankings["item_id"][:4].tolist()
    short = oracle.rank({"v0002": [first]}, k=10, candidates=[first, second, unwanted])
    assert sorted(short["item_id"]) == sorted([second, unwanted])
    seen = oracle.rank({"v0002": [first]}, k=10, candidates=[first, second], exclude_seen=False)
    assert seen["item_id"].tolist() == [second, first]
    assert seen["score"].iloc[1] == 0
    assert oracle.rank({}).empty


def test_the_oracle_accepts_an_interactions_table(films, rebuilt):
    events = rebuilt.interactions.head(30)
    by_table = OracleRanker(films).rank(events, k=3)
    by_dict = OracleRanker(films).rank(
        {"v0001": events["item_id"].tolist()[: (events["user_id"] == "v0001").sum()]}, k=3
    )
    pd.testing.assert_frame_equal(by_table.head(3), by_dict)


def test_the_oracle_refuses_an_empty_list_length_and_unknown_films(films):
    with pytest.raises(ValueError, match="k is 0"):
        OracleRanker(films).rank({"v0001": []}, k=0)
    with pytest.raises(ValueError, match="unknown items"):
        OracleRanker(films).rank({"v0001": []}, candidates=["f9999"])


# ---- the check script ----


def test_no_frame_repeats_and_ids_tell_nothing(check_films, films):
    assert check_films.find_repeated_frames(films.catalog) == []
    assert check_films.find_telling_ids(films.catalog) == []


def test_the_check_finds_a_frame_used_four_times(check_films):
    nouns = [
        ("widow", "soldier", "barn"),
        ("baker", "secret", "cellar"),
        ("nurse", "gun", "car"),
        ("boy", "fox", "shed"),
    ]
    texts = [f"Every {a} hides a {b} from the others in her {c}." for a, b, c in nouns]
    table = pd.DataFrame({"title": list("abcd"), "description": texts, "description_zh": list("甲乙丙丁")})
    assert any("sentence" in line and "in 4: a, b, c, d" in line for line in check_films.find_repeated_frames(table))
    assert check_films.find_repeated_frames(table.head(3)) == []


def test_the_check_finds_copied_words_in_every_kind_of_file(check_films, tmp_path):
    copied = "a lonely keeper counts the ships that never return at night"
    table = StringIO(
        f"title,description,description_zh\nCopied,{copied},甲\nOwn,nobody else ever wrote this very sentence,乙\n"
    )
    catalog = pd.read_csv(table)
    assert check_films.find_shared_runs(catalog, tmp_path) == []
    (tmp_path / "one.csv").write_text(f"1,So {copied.upper()}!\n", encoding="utf-8")
    (tmp_path / "two.json.gz").write_bytes(gzip.compress(copied.encode()))
    pd.DataFrame({"text": [copied], "n": [1]}).to_parquet(tmp_path / "three.parquet")
    found = check_films.find_shared_runs(catalog, tmp_path)
    assert {line.rsplit(" ", 1)[1] for line in found} == {"one.csv", "two.json.gz", "three.parquet"}
    assert all(line.startswith("Copied") for line in found)


def test_no_synopsis_shares_eight_words_with_a_real_dataset(check_films, films, datasets_folder):
    assert check_films.find_shared_runs(films.catalog, datasets_folder) == []


def test_years_agree_with_movielens_but_for_the_ones_the_readme_names(check_films, films, datasets_folder):
    matched, lines = check_films.find_disagreements(films.catalog, datasets_folder / "ml-latest-small")
    readme = (DATA / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    years = [line.split(": year ") for line in lines if ": year " in line]
    assert matched > 400
    assert all(f"{title} ({year[:4]})" in readme for title, year in years)
