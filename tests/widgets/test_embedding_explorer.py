"""The explorer without a browser: what its controls do to the selection, the lists and the points that light up."""

import json
import threading
import time
from dataclasses import replace
from html import escape

import numpy as np
import pandas as pd
import pytest

from workbench.models import Popularity
from workbench.widgets import EmbeddingExplorer
from workbench.widgets.explorer.lists import PointList, say_colours
from workbench.widgets.explorer.point_map import HIDDEN, inside

HOSTILE = "<img src=x onerror=alert(1)>"


def named(explorer, places):
    """Kind and id of places on the map."""
    return explorer.df.iloc[list(places)][["kind", "id"]].apply(tuple, axis=1).tolist()


def titles(explorer):
    return [row[explorer.table.columns.index("Title")] for row in explorer.table.rows]


def loop_around(explorer, *points):
    """A small square around each of a few points in turn cannot be one loop, so: a box that holds them all."""
    frame = explorer.df.set_index(["kind", "id"]).loc[list(points), ["x", "y"]]
    (left, low), (right, high) = frame.min() - 1e-4, frame.max() + 1e-4
    return [[left, low], [right, low], [right, high], [left, high]]


class TestChoosing:
    def test_a_user_shows_history_in_time_order_recommendations_without_seen_items_and_neighbours(
        self, explorer, recommender
    ):
        explorer.choose("user", "cem")
        assert explorer.chosen == ("user", "cem")
        assert explorer.selected[["kind", "id"]].to_numpy().tolist() == [["user", "cem"]]
        expected = recommender.rank({"cem": ["i6", "i3", "i7", "i0"]}, k=10)
        assert named(explorer, explorer.map.ringed) == [("item", item) for item in expected["item_id"]]
        assert not {"i6", "i3", "i7", "i0"} & set(expected["item_id"])
        shares = [float(row[2][0].removesuffix(" %")) / 100 for row in explorer.table.rows]
        assert shares == pytest.approx(np.exp(expected["score"]), abs=6e-4)
        assert named(explorer, explorer.map.line) == [("item", item) for item in ("i6", "i3", "i7", "i0")]
        explorer.controls.tab.value = "History"
        assert titles(explorer) == ["Solaris (1972)", "Dune (2021)", "Alien (1979)", "Cube (1997)"]  # newest first
        assert [row[0] for row in explorer.table.rows] == ["4", "3", "2", "1"]

    @pytest.mark.parametrize("point", [("item", "i3"), ("user", "ann")])
    def test_neighbours_are_the_nearest_by_cosine_in_the_vectors_of_the_map(self, explorer, embedding_map, point):
        explorer.choose(*point)
        explorer.controls.tab.value = "Neighbours"
        own = embedding_map.vectors.loc[point].to_numpy()
        cosines = {
            other: float(vector @ own / np.linalg.norm(vector) / np.linalg.norm(own))
            for other, vector in zip(embedding_map.vectors.index, embedding_map.vectors.to_numpy(), strict=True)
            if other != point
        }
        best = sorted(cosines, key=lambda other: (other[0] != point[0], -cosines[other]))
        assert named(explorer, explorer.map.ringed) == best
        shown = [float(row[explorer.table.columns.index("Cosine")]) for row in explorer.table.rows]
        assert shown == pytest.approx([cosines[other] for other in best], abs=6e-4)

    def test_what_lights_up_is_all_three_lists(self, explorer):
        explorer.choose("user", "bob")
        lists = set()
        for tab in ("History", "Recommended", "Neighbours"):
            explorer.controls.tab.value = tab
            lists |= set(explorer.map.ringed)
        assert set(explorer.map.lit) == lists and len(lists) > 9

    def test_choosing_a_row_is_a_click_on_its_point(self, explorer):
        explorer.choose("user", "ann")
        explorer.controls.tab.value = "Neighbours"
        row = titles(explorer).index("user bob")
        explorer.table.chosen = row
        assert explorer.chosen == ("user", "bob") and explorer.table.chosen == -1
        assert explorer.selected["id"].tolist() == ["bob"]

    def test_a_point_inside_the_selection_keeps_it_and_another_one_replaces_it(self, explorer):
        explorer.controls.search.value = "i"
        explorer.select_results()
        before = explorer.selected["id"].tolist()
        explorer.choose("item", "i0")
        assert explorer.selected["id"].tolist() == before and "i0" in before
        explorer.choose("user", "bob")
        assert explorer.selected["id"].tolist() == ["bob"]

    def test_a_click_into_the_plane_clears(self, explorer):
        for act in (lambda: explorer.choose("user", "ann"), explorer.select_results):
            act()
            assert len(explorer.selected) > 0
            explorer.map.cleared += 1
            assert len(explorer.selected) == 0 and explorer.chosen is None
        assert len(explorer.selected) == 0 and explorer.map.lit == [] and explorer.map.line == []
        assert explorer.table.caption == "Click a point, or search a title."

    def test_a_point_that_is_not_there_is_named(self, explorer):
        with pytest.raises(KeyError, match="user 'zoe' is not on this map"):
            explorer.choose("user", "zoe")

    def test_a_title_with_html_stays_text(self, explorer):
        explorer.choose("item", "i2")
        explorer.controls.tab.value = "Selection"
        assert titles(explorer) == [HOSTILE]  # rows.js puts it in as text
        assert explorer.map.names[2].startswith(HOSTILE)
        page = explorer._repr_mimebundle_()["text/html"]
        assert HOSTILE not in page and escape(HOSTILE) in page.replace("\\u0026", "&").replace("\\u003c", "<")

    def test_names_of_groups_are_escaped_in_the_legend(self, explorer):
        assert "&lt;b&gt;right&lt;/b&gt;" in explorer.controls.legend.value


class TestSearching:
    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ("solaris", ["i0"]),
            ("太空", ["i0"]),
            ("AMELIE", ["i1"]),
            (" amé ", ["i1"]),
            ("ann", ["ann"]),
            ("<IMG", ["i2"]),
            (".", []),
            ("nobody", []),
        ],
    )
    def test_a_part_of_a_title_in_either_language_or_of_a_users_id_is_found(self, explorer, words, found):
        explorer.controls.search.value = words
        assert explorer.df["id"].iloc[explorer.map.lit].tolist() == found
        assert explorer.table.caption.startswith(f"{len(found)} found")
        assert len(explorer.selected) == 0
        explorer.controls.select.click()
        assert explorer.selected["id"].tolist() == found

    def test_the_lasso_and_the_keyboard_give_the_same_selection(self, explorer):
        explorer.controls.search.value = "solaris"
        explorer.controls.select.click()
        by_keyboard = explorer.selected
        explorer.reset()
        explorer.map.lasso = loop_around(explorer, ("item", "i0"))
        pd.testing.assert_frame_equal(explorer.selected, by_keyboard)
        assert list(by_keyboard)[:5] == ["kind", "id", "title", "x", "y"] and by_keyboard["year"].tolist() == [1972]

    def test_the_lasso_takes_only_what_is_shown(self, explorer):
        everything = loop_around(explorer, *named(explorer, range(len(explorer.df))))
        explorer.controls.kinds["item"].value = False
        explorer.map.lasso = everything
        assert set(explorer.selected["kind"]) == {"user"} and len(explorer.selected) == 5

    def test_a_filter_and_select_results_replace_the_lasso_for_the_keyboard(self, explorer, dataset):
        explorer.controls.colour.value = "genres"
        explorer.controls.only.value = "Drama"
        explorer.controls.select.click()
        first = dataset.catalog["genres"].str.split("|").str[0]
        assert explorer.selected["id"].tolist() == dataset.catalog.loc[first == "Drama", "item_id"].tolist()

    def test_results_beyond_fifty_are_counted(self, make_map):
        explorer = EmbeddingExplorer(*make_map(300))
        explorer.controls.search.value = "film"
        assert explorer.table.caption == "150 found for “film”, the first 50 shown." and len(explorer.table.rows) == 50
        assert len(explorer.map.lit) == 150

    def test_the_same_loop_drawn_again_selects_again(self, explorer):
        loop = loop_around(explorer, ("item", "i0"), ("item", "i4"))
        for forget in (explorer.reset, explorer.select_results, lambda: explorer.choose("user", "bob")):
            explorer.map.lasso = loop
            selected = explorer.selected["id"].tolist()
            assert {"i0", "i4"} <= set(selected)
            code = explorer.code
            forget()
            exec(code.split("\n", 1)[1], {"explorer": explorer})  # in place, without making another view
            assert explorer.selected["id"].tolist() == selected and explorer.code == code


class TestColours:
    def test_a_colour_is_told_in_words_beside_the_point_and_in_the_table(self, explorer):
        for by, words in (("group", "left"), ("region", "north"), ("year", "1979"), (None, "items")):
            explorer.controls.colour.value = by
            assert f"{by or 'kind'}: {words}" in explorer.map.meanings
            assert len(explorer.map.meanings) == len(explorer.map.palette)
        codes = np.frombuffer(explorer.map.codes, np.uint8)
        assert [explorer.map.meanings[code] for code in codes[[0, -1]]] == ["kind: items", "kind: users"]
        explorer.controls.search.value = "alien"
        assert "Kind" not in explorer.table.columns  # a title tells it
        explorer.controls.colour.value = "year"
        assert dict(zip(explorer.table.columns, explorer.table.rows[0], strict=True))["Year"] == "1979"

    def test_every_attribute_can_be_coloured_by(self, explorer, embedding_map):
        choices = [value for _, value in explorer.controls.colour.options]
        assert choices == [None, "group", "genres", "year", "region"]
        for value in choices:
            explorer.controls.colour.value = value
            assert "failed" not in explorer.status.value and explorer.controls.colour.value == value
            codes = np.frombuffer(explorer.map.codes, np.uint8)
            assert len(codes) == len(embedding_map.table) and codes.max() < len(explorer.map.palette)

    def test_boxes_hide_points_and_the_caption_counts_the_others(self, explorer):
        explorer.controls.kinds["user"].value = False
        codes = np.frombuffer(explorer.map.codes, np.uint8)
        assert ((codes == HIDDEN) == (explorer.df["kind"] == "user")).all()
        assert explorer.controls.caption_text.startswith("9 of 14 points; PCA, seed 0; trust 0.91, overlap 0.40;")
        assert "mixing" not in explorer.controls.caption_text and "from the cache" in explorer.controls.caption_text
        assert "nine films, not trained, start random, cpu" in explorer.controls.caption_text

    def test_names_of_groups_stand_in_their_middle(self, explorer, groups):
        labels = {label["text"]: label for label in explorer.map.labels}
        assert set(labels) == {"left", "<b>right</b>"}
        own = explorer.df[(groups["group"] == "left").to_numpy()]
        assert labels["left"]["x"] == pytest.approx(np.median(own["x"]))

    def test_shapes_tell_the_kinds_apart(self, explorer):
        shapes = np.frombuffer(explorer.map.shapes, np.uint8)
        assert shapes.tolist() == [0] * 9 + [1] * 5
        assert np.frombuffer(explorer.map.xy, np.float32).reshape(-1, 2) == pytest.approx(
            explorer.df[["x", "y"]].to_numpy()
        )


class TestFailing:
    def test_without_a_recommender_the_list_says_what_to_add(self, embedding_map, dataset):
        explorer = EmbeddingExplorer(embedding_map, dataset)
        explorer.choose("user", "ann")
        assert explorer.controls.tab.value == "History"
        explorer.controls.tab.value = "Recommended"
        assert "add recommender=" in explorer.table.caption and explorer.table.rows == []

    def test_an_error_stays_inside_the_view_and_the_other_lists_are_there(self, embedding_map, dataset, recommender):
        histories = {"ann": ["i0", "no such <b>item</b>"]}
        explorer = EmbeddingExplorer(embedding_map, dataset, recommender=recommender, histories=histories)
        explorer.choose("user", "ann")
        assert explorer.table.caption.startswith("Ranking failed") and "no such <b>item</b>" in explorer.table.caption
        explorer.controls.tab.value = "History"
        assert titles(explorer) == ["no such <b>item</b>", "Solaris (1972)"]

    def test_an_error_of_a_button_is_told_escaped(self, explorer):
        explorer.controls.file.value = "<b>.pdf"
        explorer.controls.keep.click()
        assert "failed: ValueError: &#x27;&lt;b&gt;.pdf&#x27; ends in" in explorer.status.value

    def test_a_failed_answer_leaves_the_view_as_it_was(self, explorer, monkeypatch):
        explorer.choose("user", "ann")
        before = explorer.map.get_state(), explorer.table.get_state(), explorer.code, explorer.selected
        monkeypatch.setattr(
            "workbench.widgets.explorer.embedding_explorer.look_around", lambda *_, **__: {}["no <list>"]
        )
        for act in (lambda: explorer.choose("item", "i3"), lambda: setattr(explorer.table, "chosen", 0)):
            explorer.say("idle")
            act()
            assert "failed: KeyError: no &lt;list&gt;<" in explorer.status.value
            assert (explorer.map.get_state(), explorer.table.get_state(), explorer.code) == before[:3]
            pd.testing.assert_frame_equal(explorer.selected, before[3])

    def test_a_user_without_history_and_an_item_say_so(self, embedding_map, dataset, recommender):
        explorer = EmbeddingExplorer(embedding_map, dataset, recommender=recommender, histories={})
        explorer.choose("user", "ann")
        explorer.controls.tab.value = "History"
        assert explorer.table.caption == "No history of user ann is known."
        explorer.choose("item", "i0")
        assert explorer.controls.tab.value == "Neighbours" and len(explorer.table.rows) == 13
        explorer.controls.tab.value = "Recommended"
        assert "this is an item" in explorer.table.caption

    def test_a_map_without_points_is_refused(self, embedding_map, dataset):
        with pytest.raises(ValueError, match="holds no points"):
            EmbeddingExplorer(replace(embedding_map, table=embedding_map.table.head(0)), dataset)

    def test_a_recommended_item_outside_the_map_is_named_and_cannot_be_gone_to(
        self, embedding_map, dataset, recommender
    ):
        users = replace(
            embedding_map, table=embedding_map.table.loc[["user"]], vectors=embedding_map.vectors.loc[["user"]]
        )
        explorer = EmbeddingExplorer(users, dataset, recommender=recommender)
        explorer.choose("user", "dai")
        assert "Solaris (1972)" in titles(explorer)
        explorer.table.chosen = titles(explorer).index("Solaris (1972)")
        assert explorer.chosen == ("user", "dai") and "i0 is not on this map" in explorer.status.value


def test_a_history_longer_than_fifty_shows_the_newest_and_says_so(embedding_map, dataset, recommender):
    long = [f"i{place % 9}" for place in range(60)]
    explorer = EmbeddingExplorer(embedding_map, dataset, recommender=recommender, histories={"ann": long})
    explorer.choose("user", "ann")
    explorer.controls.tab.value = "History"
    assert explorer.table.caption == "History of user ann, newest first: 50 of 60 items."
    assert [row[0] for row in explorer.table.rows] == [str(place) for place in range(60, 10, -1)]
    assert named(explorer, explorer.map.line) == [("item", item) for item in long[-50:]]


def test_any_ranker_recommends_and_other_scores_than_probabilities_are_numbers(embedding_map, dataset):
    ranker = Popularity().fit(dataset.interactions, items=dataset.catalog["item_id"])
    explorer = EmbeddingExplorer(embedding_map, dataset, recommender=ranker)
    explorer.choose("user", "bob")
    assert explorer.table.columns == ["Rank", "Title", "Score", "Genres"]
    assert explorer.table.rows[0][1] == "Solaris (1972)"  # met by three


@pytest.mark.parametrize("act", ["choose", "lasso", "search", "filter", "nothing"])
def test_the_code_brings_the_view_back(explorer, embedding_map, dataset, recommender, groups, act):
    controls = explorer.controls
    if act == "choose":
        explorer.choose("user", "ann")
        controls.tab.value = "Neighbours"
    elif act == "lasso":
        explorer.map.lasso = loop_around(explorer, ("item", "i0"), ("item", "i4"))
        explorer.choose("item", "i4")
    elif act == "search":
        controls.colour.value, controls.kinds["user"].value, controls.search.value = None, False, "a"
        controls.select.click()
    elif act == "filter":
        controls.colour.value = "region"
        controls.only.value = "north"
        controls.select.click()
    names = {"embedding_map": embedding_map, "dataset": dataset, "recommender": recommender, "groups": groups}
    names["EmbeddingExplorer"] = EmbeddingExplorer
    exec(explorer.code, names)
    again = names["explorer"]
    pd.testing.assert_frame_equal(again.selected, explorer.selected)
    assert (again.chosen, again.code) == (explorer.chosen, explorer.code) and controls.copy.text == explorer.code
    assert (again.map.lit, again.map.codes, again.table.rows) == (
        explorer.map.lit,
        explorer.map.codes,
        explorer.table.rows,
    )


def test_reset_brings_the_beginning_back(explorer):
    beginning = explorer.map.get_state()
    explorer.controls.colour.value = "genres"
    explorer.controls.kinds["user"].value = False
    explorer.choose("item", "i3")
    explorer.controls.clear.click()
    assert explorer.map.get_state() == beginning
    assert len(explorer.selected) == 0 and explorer.controls.colour.value == "group"


def test_it_is_saved_as_picture_page_and_table(explorer, tmp_path):
    explorer.choose("user", "ann")
    page = explorer.save(tmp_path / "map.html").read_text("utf-8")
    assert page.count("plotly.js v") == 1 and "user ann" in page and "<img" not in page
    table = pd.read_csv(explorer.save(tmp_path / "map.csv"))
    assert table["id"].tolist() == explorer.df["id"].tolist()
    assert len(pd.read_parquet(explorer.save(tmp_path / "map.parquet"))) == 14


def test_without_a_kernel_a_still_picture_stands_there(explorer, embedding_map, dataset):
    live = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in live and "window.Plotly" in live["text/html"]
    assert live["text/plain"].startswith("A map of 9 items and 5 users, coloured by group")
    still = EmbeddingExplorer(embedding_map, dataset, live=False)._repr_mimebundle_()
    assert set(still) == {"text/plain", "text/html", "application/vnd.plotly.v1+json"}


def test_a_view_with_everything_hidden_still_shows_itself(explorer):
    for box in explorer.controls.kinds.values():
        box.value = False
    assert "0 of 14 points" in explorer._repr_mimebundle_()["text/html"]


def test_answers_never_run_at_the_same_time(explorer, monkeypatch):
    running, most = [], []

    def slow(*_, **__):
        running.append(1)
        most.append(len(running))
        time.sleep(0.05)
        running.pop()
        return {}

    monkeypatch.setattr("workbench.widgets.explorer.embedding_explorer.look_around", slow)
    monkeypatch.setattr(explorer, "_refresh", lambda: None)
    threads = [threading.Thread(target=explorer.choose, args=("user", name)) for name in ("ann", "bob", "cem")]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert most == [1, 1, 1]


def test_twenty_thousand_points_answer_at_once_and_in_little_room(make_map):
    explorer = EmbeddingExplorer(*make_map(20_000))
    sent = explorer.map.get_state()
    assert len(sent["xy"]) == 8 * 20_000 and len(json.dumps(sent["names"])) < 1_500_000
    begun = time.perf_counter()
    explorer.choose("user", "u7")
    explorer.controls.search.value = "film 12"
    explorer.controls.select.click()
    assert time.perf_counter() - begun < 1
    assert len(explorer.selected) == sum("12" in str(row)[:2] for row in range(10_000))
    assert len(explorer._repr_mimebundle_()["text/html"]) < 2_000_000


def test_inside_agrees_with_winding_through_many_random_points():
    rng = np.random.default_rng(0)
    points = rng.uniform(-1.5, 1.5, size=(500, 2))
    angles = np.linspace(0, 2 * np.pi, 7)[:-1]
    hexagon = np.column_stack([np.cos(angles), np.sin(angles)])
    turns = np.zeros(500)
    for one, other in zip(hexagon, np.roll(hexagon, -1, axis=0), strict=True):
        a, b = one - points, other - points
        turns += np.arctan2(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], (a * b).sum(axis=1))
    np.testing.assert_array_equal(inside(points, hexagon.tolist()), np.abs(turns) > np.pi)
    assert not inside(points, [[0, 0], [1, 1]]).any()


def test_a_table_tells_a_points_own_value_even_one_too_rare_for_a_colour():
    index = pd.MultiIndex.from_product([["item"], list("abc")], names=["kind", "id"])
    titles = pd.DataFrame({"Title": ["B", "C", "Elsewhere"]})
    listed = PointList("three", [("item", "b"), ("item", "c"), ("item", "elsewhere")], titles)
    values = pd.Series(["common", "a rare one", None], index=index, name="group")
    assert say_colours(listed, values)["Group"].tolist() == ["a rare one", "no group", ""]
