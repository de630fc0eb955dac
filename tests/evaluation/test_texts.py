"""Texts are scored by what they name, and by what they copy; the floor never sees the item it answers for."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.evaluation.texts import GRAM, copy_nearest, score_texts, split_words, summarize_texts

WORDS = {
    "genres": {
        "Sci-Fi": ["science fiction", "科幻"],
        "Film-Noir": ["film noir", "noir"],
        "Comedy": ["comedies", "喜剧"],
    },
    "country": {"USSR": ["soviet", "苏联"], "South Korea": ["korean"]},
}
CATALOG = pd.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "title": ["Solaris", "<b>Alien</b> & co", "Parasite", "Untitled"],
        "genres": ["Drama|Sci-Fi", "Horror|Sci-Fi", "Comedy|Thriller", None],
        "country": ["USSR", "UK", "South Korea", None],
        "director": ["Andrei Tarkovsky", "Ridley Scott", "Bong Joon-ho", None],
        "year": pd.array([1972, 1979, 2019, None], dtype="Int64"),
    }
)


def scored(text: str, item: str = "a", *, learned: tuple[str, ...] = (), catalog: pd.DataFrame = CATALOG) -> pd.Series:
    return score_texts(pd.DataFrame({"item_id": [item], "text": [text]}), catalog, learned, words=WORDS).iloc[0]


def table(text: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({"item_id": list(text), "text": list(text.values())})


class TestNamed:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Soviet science fiction by ANDREI TARKOVSKY.", {"USSR": True, "Sci-Fi": True, "Andrei Tarkovsky": True}),
            ("苏联科幻电影，70年代", {"USSR": True, "Sci-Fi": True, "1970s": True}),
            ("Sci-fi of the 1970s, of '72? No: 1972.", {"Sci-Fi": True, "1970s": True, "1972": True}),
            ("1980年代的喜剧", {"1980s": False, "Comedy": False}),
            ("Made in 1944年, or the twenties: the 20s.", {"1944": False, "1920s or 2020s": False}),
            ("Horror, horrors, horrible", {"Horror": False}),
            ("A drama? Drama! A soviet drama from the USSR.", {"Drama": True, "USSR": True}),
            ("dramatic undramatic", {}),
            ("", {}),
        ],
    )
    def test_attributes_are_found_as_people_say_them_each_once(self, text, expected):
        row = scored(text)
        assert dict(row["attributes"]) == expected
        assert (row["named"], row["true"]) == (len(expected), sum(expected.values()))

    def test_of_phrases_that_begin_alike_the_longest_counts_alone(self):
        catalog = CATALOG.assign(genres=["Film-Noir", "Horror", "Film", "Noir"])
        assert dict(scored("A film noir.", catalog=catalog)["attributes"]) == {"Film-Noir": True}

    def test_a_phrase_of_two_meanings_counts_once_and_is_true_if_one_is(self):
        catalog = CATALOG.assign(country=["Drama", "UK", "UK", "UK"])
        assert scored("A drama", catalog=catalog)["attributes"] == (("Drama or Drama", True),)

    def test_where_the_catalog_says_nothing_of_an_item_nothing_counts(self):
        row = scored("A Soviet comedy of the 1970s by Ridley Scott", "d")
        assert (row["named"], row["true"], row["attributes"]) == (0, 0, ())

    def test_a_catalog_of_titles_alone_has_nothing_to_name(self):
        row = scored("A Soviet comedy of the 1970s", catalog=CATALOG[["item_id", "title"]])
        assert row["named"] == 0

    def test_values_stand_for_themselves_without_a_list_of_words(self):
        rows = score_texts(table({"a": "Drama from the USSR, a soviet one"}), CATALOG, [])
        assert dict(rows["attributes"][0]) == {"Drama": True, "USSR": True}

    def test_the_given_columns_and_index_stay(self):
        texts = table({"b": "Horror"}).assign(how="greedy").set_index(pd.Index([7]))
        rows = score_texts(texts, CATALOG, [])
        assert list(rows.columns) == ["item_id", "text", "how", "named", "true", "attributes", "copied"]
        assert rows.index.tolist() == [7]

    def test_no_texts_give_an_empty_table(self):
        assert len(score_texts(table({}), CATALOG, [])) == 0

    def test_what_is_missing_is_named(self):
        with pytest.raises(ValueError, match=r"lacks the columns \['text'\]"):
            score_texts(pd.DataFrame({"item_id": ["a"]}), CATALOG, [])
        with pytest.raises(ValueError, match=r"1 item\(s\) that the catalog does not hold: \['z'\]"):
            score_texts(table({"z": "Horror"}), CATALOG, [])


class TestCopied:
    LEARNED = "one two three four five six seven eight nine ten"

    def test_a_copied_text_has_all_its_runs_from_training_and_a_new_one_none(self):
        assert scored(self.LEARNED.upper() + "!", learned=("other", self.LEARNED))["copied"] == 1.0
        assert scored("a b c d e f g h i j", learned=(self.LEARNED,))["copied"] == 0.0

    def test_runs_are_counted_one_by_one(self):
        text = f"{self.LEARNED} eleven twelve"  # 12 words: 5 runs of 8, of which 3 were learned
        assert scored(text, learned=(self.LEARNED,))["copied"] == 3 / 5

    def test_chinese_is_counted_by_characters(self):
        learned = "宇航员去看一片会思考的海"
        assert scored(learned, learned=(learned,))["copied"] == 1.0
        assert scored(f"{learned[:8]}花", learned=(learned,))["copied"] == 1 / 2

    def test_runs_do_not_reach_from_one_training_text_into_the_next(self):
        assert scored("1 2 3 4 5 6 7 8", learned=("1 2 3 4", "5 6 7 8"))["copied"] == 0.0

    @pytest.mark.parametrize("text", ["", "seven words are too few to say"])
    def test_of_a_text_shorter_than_a_run_it_is_not_known(self, text):
        assert np.isnan(scored(text, learned=(text,))["copied"])

    @given(st.lists(st.sampled_from("ab 海雾"), max_size=40).map("".join), st.text(alphabet="ab 海雾", max_size=60))
    def test_it_is_what_a_search_in_the_text_finds(self, text, learned):
        parts, hay = split_words(text), f" {' '.join(split_words(learned))} "
        runs = [f" {' '.join(parts[place : place + GRAM])} " for place in range(len(parts) - GRAM + 1)]
        share = scored(text, learned=(learned,))["copied"]
        assert (np.isnan(share) and not runs) or share == sum(run in hay for run in runs) / len(runs)


class TestFloor:
    TEXTS = table({"a": "text of a", "b": "text of b", "c": "text of c", "d": "text of d"})

    def test_the_text_of_the_most_similar_other_item_is_copied(self):
        found = copy_nearest(CATALOG, self.TEXTS).set_index("item_id")
        assert found.loc["a", "copied_from"] == "b" and found.loc["a", "text"] == "text of b"  # science fiction, 1970s
        assert found.loc["b", "copied_from"] == "a"

    def test_the_item_itself_is_never_copied_not_even_where_another_is_the_same(self):
        twins = CATALOG.iloc[[0, 0, 2]].assign(item_id=["a", "twin", "c"])
        found = copy_nearest(twins, table({"a": "own", "twin": "other", "c": "third"}), items=["a", "twin"])
        assert found["copied_from"].tolist() == ["twin", "a"]

    @given(st.permutations("abcd"), st.lists(st.sampled_from("abcd"), min_size=1, max_size=6))
    def test_neither_the_order_of_texts_nor_of_questions_changes_an_answer(self, order, items):
        whole = copy_nearest(CATALOG, self.TEXTS).set_index("item_id")
        found = copy_nearest(CATALOG, self.TEXTS.set_index("item_id").loc[list(order)].reset_index(), items=items)
        assert found["item_id"].tolist() == items and (found["copied_from"] != found["item_id"]).all()
        assert found["text"].tolist() == whole.loc[items, "text"].tolist()

    def test_only_items_with_a_text_are_copied(self):
        found = copy_nearest(CATALOG, table({"c": "text of c", "a": "text of a"}), items=["a", "b", "c"])
        assert found["copied_from"].tolist() == ["c", "a", "a"]

    def test_rare_words_count_more_than_common_ones(self):
        catalog = pd.DataFrame({"item_id": list("pqrs"), "title": ["film lynx", "film film", "lynx", "film"]})
        assert copy_nearest(catalog, table(dict.fromkeys("qr", "text")), items=["p"])["copied_from"].tolist() == ["r"]

    def test_similarities_are_those_of_a_second_implementation(self):
        from sklearn.feature_extraction.text import TfidfVectorizer

        rng = np.random.default_rng(0)
        titles = [" ".join(rng.choice(list("abcdefghij"), size=6)) for _ in range(40)]
        catalog = pd.DataFrame({"item_id": [f"i{row}" for row in range(40)], "title": titles})
        vectors = TfidfVectorizer(token_pattern=r"\w", lowercase=False).fit_transform(titles)
        alike = (vectors @ vectors.T).toarray()
        np.fill_diagonal(alike, -1)
        found = copy_nearest(catalog, catalog.rename(columns={"title": "text"}))
        chosen = alike[np.arange(40), found["copied_from"].str[1:].astype(int)]
        np.testing.assert_allclose(chosen, alike.max(axis=1), atol=1e-12)

    def test_with_no_other_text_there_is_no_floor(self):
        with pytest.raises(ValueError, match="at least two items"):
            copy_nearest(CATALOG, table({"a": "alone"}), items=["a"])
        with pytest.raises(ValueError, match="'z'"):
            copy_nearest(CATALOG, self.TEXTS, items=["z"])


def scores(named: list[int], true: list[int], copied: list[float] | None = None) -> pd.DataFrame:
    items = [f"i{row}" for row in range(len(named))]
    return pd.DataFrame({"item_id": items, "named": named, "true": true, "copied": copied or [np.nan] * len(named)})


class TestSummary:
    def test_figures_are_shares_of_sums(self):
        row = summarize_texts({"model": scores([2, 0, 3, 1], [1, 0, 3, 0], [0.5, np.nan, 0.25, 0.0])}).loc["model"]
        assert row["precision"] == pytest.approx((1 + 3 + 0) / (2 + 3 + 1))
        assert row["named"] == (2 + 0 + 3 + 1) / 4 and row["names_nothing"] == 1 / 4
        assert row["copied"] == (0.5 + 0.25 + 0.0) / 3 and row["texts"] == 4

    def test_intervals_are_about_as_wide_as_theory_says(self):
        rng = np.random.default_rng(0)
        row = summarize_texts({"model": scores([1] * 400, rng.integers(0, 2, 400).tolist())}).loc["model"]
        half = 1.96 * np.sqrt(0.25 / 400)
        assert row["precision_high"] - row["precision_low"] == pytest.approx(2 * half, rel=0.15)
        assert row["precision_low"] < row["precision"] < row["precision_high"]

    def test_a_writer_is_above_the_floor_only_if_the_difference_is_sure(self):
        good, poor = scores([2] * 60, [2] * 60), scores([2] * 60, [1] * 60)
        nearly = scores([2] * 60, [1] * 59 + [2])
        summary = summarize_texts({"good": good, "nearly": nearly, "copy": poor}, floor="copy")
        verdicts = summary.attrs["verdicts"]
        assert set(verdicts) == {"good", "nearly"}
        assert verdicts["good"].startswith("good is above the floor copy: it names attributes, 100.0% of them true")
        assert "+50.0 points beside copy (95 % interval +50.0 to +50.0)" in verdicts["good"]
        assert verdicts["nearly"].startswith("nearly is a demonstration only")

    def test_texts_that_name_nothing_count_neither_for_nor_against_and_are_stated(self):
        alone = summarize_texts({"model": scores([2, 1], [1, 1])}).loc["model", "precision"]
        summary = summarize_texts({"model": scores([2, 1, 0, 0], [1, 1, 0, 0])})
        assert summary.loc["model", "precision"] == alone == 2 / 3
        assert "50.0% of 4 texts name nothing" in summary.attrs["verdicts"]["model"]

    @pytest.mark.parametrize(("naming", "above"), [(3, False), (19, False), (20, True), (60, True)])
    def test_a_writer_that_hardly_ever_names_anything_is_not_above_the_floor(self, naming, above):
        model, copy = scores([1] * naming + [0] * (60 - naming), [1] * naming + [0] * (60 - naming)), [1, 0] * 30
        summary = summarize_texts({"model": model, "copy": scores([1] * 60, copy)}, floor="copy")
        verdict = summary.attrs["verdicts"]["model"]
        assert verdict.startswith("model is above" if above else "model is a demonstration only")
        assert above or f"{naming} texts name something, of copy 60, and 20 of each are needed" in verdict
        assert summary.loc["model", "true"] == naming / 60

    def test_a_writer_that_names_nothing_is_a_demonstration_only(self):
        summary = summarize_texts({"model": scores([0, 0], [0, 0]), "copy": scores([1, 1], [0, 0])}, floor="copy")
        assert summary.attrs["verdicts"]["model"] == (
            "model is a demonstration only: it names no attribute; 0 texts name something, of copy 2, and 20 of each "
            "are needed; 100.0% of 2 texts name nothing."
        )
        assert summary.loc["model", ["precision", "precision_low", "copied"]].isna().all()

    def test_a_floor_that_names_nothing_and_no_floor_prove_nothing(self):
        model, copy = scores([1] * 30, [1] * 30), scores([0] * 30, [0] * 30)
        verdicts = summarize_texts({"model": model, "copy": copy}, floor="copy").attrs["verdicts"]
        assert verdicts["model"].startswith("model is a demonstration only") and "of copy 0" in verdicts["model"]
        alone = summarize_texts({"model": model}).attrs["verdicts"]["model"]
        assert alone.startswith("model is a demonstration only") and "there is no floor" in alone

    def test_what_cannot_be_compared_is_refused(self):
        with pytest.raises(ValueError, match="no scored text"):
            summarize_texts({"m": scores([], [])})
        with pytest.raises(ValueError, match="'floor'; the scores are of"):
            summarize_texts({"m": scores([1], [1])}, floor="floor")
        with pytest.raises(ValueError, match="different items"):
            summarize_texts({"m": scores([1], [1]), "n": scores([1, 1], [1, 1])})
