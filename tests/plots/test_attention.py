"""Charts of attention: what the heat map holds, and a history weighted beside effects."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench import plots
from workbench.insight import AttentionMap, attend
from workbench.plots.history import HistoryTable

IDS = [f"{row:03d}" for row in range(10)]
NASTY = "<img src=x onerror=alert(1)>"


def a_map(n_words: int, *, layers: int = 2, heads: int = 2, label: str = "Film {}", seed: int = 0) -> AttentionMap:
    """A map of made-up weights; a history of ``n_words - 1`` items behind ``<history>``."""
    scores = np.random.default_rng(seed).normal(size=(layers, heads, n_words, n_words)).astype(np.float32)
    weights = np.exp(scores) * np.tri(n_words, dtype=np.float32)
    labels = ["<history>", *(label.format(number) for number in range(1, n_words))]
    words = pd.DataFrame({"position": range(n_words), "unit": range(n_words), "part": 1, "kind": "item"})
    words = words.assign(item_id=labels, label=labels)
    words.loc[0, "kind"] = "control"
    return AttentionMap(weights / weights.sum(-1, keepdims=True), words, n_words - 1, "x", "X", 0.125, 4, "made up")


def weights_table(labels: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"label": labels, "attention": [0.5, 0.2, 0.1], "effect": [-0.5, 1.25, np.nan]})


def test_cells_are_the_weights_and_what_comes_later_has_none(tiny):
    attention = attend(tiny, IDS[:4], item="009")
    for choice in ({}, {"layer": 1}, {"layer": 0, "head": 1}, {"rollout": True}):
        cells = np.asarray(plots.attention_chart(attention, **choice).data[0].z, dtype=float)
        expected = attention.matrix(**choice)
        rows, columns = np.tril_indices(5)
        np.testing.assert_allclose(cells[rows, columns], expected[rows, columns], atol=1e-6)
        assert np.isnan(cells[np.triu_indices(5, 1)]).all()


def test_titles_stand_on_both_axes_and_rows_are_read_from_above(tiny):
    figure = plots.attention_chart(attend(tiny, IDS[:2], item="009"))
    labels = ("&lt;history&gt;", "Alien (1979)", "Brazil (1985)")
    assert figure.layout.xaxis.ticktext == figure.layout.yaxis.ticktext == labels
    assert figure.layout.yaxis.autorange == "reversed"


def test_the_window_shows_the_last_places_and_sums_what_is_older():
    attention = a_map(120)
    figure = plots.attention_chart(attention, last=50)
    cells = np.asarray(figure.data[0].z, dtype=float)
    assert cells.shape == (50, 51)
    np.testing.assert_allclose(np.nansum(cells, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(cells[-1, 0], attention.matrix()[-1, :70].sum(), atol=1e-6)
    assert figure.layout.xaxis.ticktext[0] == "70 older" and figure.layout.yaxis.ticktext[-1] == "Film 119"
    assert "Showing 50 of 120 places" in figure.layout.meta["caption"]
    assert plots.attention_chart(attention, last=500).data[0].z.shape == (120, 120)
    with pytest.raises(ValueError, match="last is 0"):
        plots.attention_chart(attention, last=0)


def test_the_caption_says_what_was_read_for_which_item_by_which_model(tiny):
    figure = plots.attention_chart(attend(tiny, IDS * 3, item="003"))
    caption = figure.layout.meta["caption"]
    assert "the prompt read 12 of 30 items of the history" in caption
    assert "Recommending Dune (2021): rank 1" in caption and "start random, cpu" in caption
    assert "The last place looked most at" in figure.layout.meta["alt"]


def test_colours_end_where_the_later_half_of_the_rows_does_and_the_colour_bar_says_so():
    figure = plots.attention_chart(a_map(30))
    heat = figure.data[0]
    later = np.asarray(heat.z, dtype=float)[15:]
    assert heat.zmax == pytest.approx(np.nanquantile(later, 0.99), rel=1e-5)
    assert heat.colorbar.ticktext[-1].endswith("or more") and heat.colorscale[0][1] == "#00224e"


def test_titles_are_text_in_every_chart_of_attention():
    for figure in (
        plots.attention_chart(a_map(4, label=NASTY)),
        plots.history_chart(weights_table([NASTY, "b", "c"]), caption=NASTY),
    ):
        assert "<img" not in json.dumps([figure.to_dict()["layout"][name] for name in ("xaxis", "yaxis")], default=str)
        assert "<img" not in plots.chart_html(figure)
    assert "<img" not in HistoryTable(weights_table([NASTY, "b", "c"]), caption=NASTY)._repr_html_()


def test_a_history_has_bars_of_attention_and_signed_effects_beside_them():
    figure = plots.history_chart(weights_table(["old", "middle", "new"]))
    attention, effect = figure.data
    assert attention.x.tolist() == pytest.approx([0.5, 0.2, 0.1])
    assert list(effect.text) == ["−0.50", "+1.25", ""]
    assert effect.marker.color[0] != effect.marker.color[1]  # and the sign says it too
    assert "most attention went to old; the strongest effect is that of middle" in figure.layout.meta["alt"]
    assert len(plots.history_chart(weights_table(["a", "b", "c"]).drop(columns="effect")).data) == 1


def test_the_last_rows_of_a_history_are_shown_and_counted():
    many = pd.DataFrame({"label": [f"f{n}" for n in range(80)], "attention": 1 / 80})
    figure = plots.history_chart(many, last=30)
    assert len(figure.data[0].x) == 30 and figure.layout.yaxis.ticktext[-1] == "f79"
    assert figure.layout.meta["caption"].startswith("Showing 30 of 80, newest on top.")
    shown = HistoryTable(many, last=30)._repr_html_()
    assert shown.count("scope='row'") == 30 and "Showing 30 of 80." in shown
    assert shown.index("f79") < shown.index("f50") and "f49<" not in shown


@pytest.mark.parametrize(
    ("table", "message"),
    [(pd.DataFrame({"label": ["a"]}), r"lack \['attention'\]"), (weights_table(["a", "b", "c"]).head(0), "is empty")],
)
def test_a_history_that_cannot_be_drawn_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        plots.history_chart(table)


def test_a_map_is_drawn_and_saved_like_every_result(tmp_path, tiny):
    attention = attend(tiny, IDS[:3], item="009")
    assert plots.draw(attention).layout.meta["title"] == "Where the model looked: mean of 2 layers x 2 heads"
    read = pd.read_csv(plots.save(attention, tmp_path / "map.csv"))
    assert len(read) == 4 * (4 * 5 / 2) and list(read) == ["layer", "head", "position", "looked_at", "weight"]
    assert "window.Plotly" in plots.save(attention, tmp_path / "map.html").read_text("utf-8")


def test_a_view_is_drawn_and_saved_by_its_still_picture_with_plotly_in_the_page(tmp_path):
    figure = plots.attention_chart(a_map(4))
    view = SimpleNamespace(figure=lambda: figure, _repr_html_=lambda: plots.chart_html(figure))
    assert plots.draw(view) is figure
    assert "plotly.js v" in plots.save(view, tmp_path / "view.html").read_text("utf-8")


def test_a_map_of_12_layers_12_heads_and_100_items_stays_far_below_2_mb(tmp_path):
    attention = a_map(101, layers=12, heads=12)
    for last in (50, 101):
        assert len(plots.chart_html(plots.attention_chart(attention, layer=3, head=5, last=last)).encode()) < 200_000
    assert os.path.getsize(plots.save(attention, tmp_path / "map.parquet")) < 12_000_000  # every weight
