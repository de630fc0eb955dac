"""The chart of explanations: who is plausible, who is faithful, and where the floors stand."""

import pandas as pd
import pytest

from workbench import plots


@pytest.fixture
def table() -> pd.DataFrame:
    values = {"truth": (1.0, 2.0), "random": (0.0, 1.0), "attention": (0.1, 1.5), "<b>occlusion</b>": (0.3, 3.0)}
    rows = {
        name: {"signed": one, "signed_low": one - 0.1, "signed_high": one + 0.1}
        | {"deletion": two, "deletion_low": two - 0.2, "deletion_high": two + 0.3, "cases": 7}
        for name, (one, two) in values.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def test_every_method_has_a_dot_with_its_interval_on_both_sides_and_the_truth_has_none(table):
    figure = plots.explanation_chart(table)
    names = figure.layout.yaxis.ticktext
    assert list(names) == ["random", "attention", "&lt;b&gt;occlusion&lt;/b&gt;"]
    methods = [trace for trace in figure.data if trace.name == "methods"]
    assert [list(trace.x) for trace in methods] == [[0.1, 0.3], [1.5, 3.0]]
    assert [trace.error_x.array[0] for trace in methods] == pytest.approx([0.1, 0.3])
    assert [trace.error_x.arrayminus[0] for trace in methods] == pytest.approx([0.1, 0.2])


def test_floors_differ_from_methods_by_shape(table):
    symbols = {trace.name: trace.marker.symbol for trace in plots.explanation_chart(table).data}
    assert symbols == {"methods": "circle", "floors": "diamond-open"}


def test_the_caption_counts_the_recommendations_and_says_what_wins_by_construction(table):
    meta = plots.explanation_chart(table).layout.meta
    assert meta["caption"].startswith("7 recommendations") and "by construction" in meta["caption"]
    assert "0.30" in meta["alt"]


def test_a_table_without_curves_is_refused(table):
    with pytest.raises(ValueError, match=r"lacks \['deletion', 'deletion_low', 'deletion_high'\]"):
        plots.explanation_chart(table.drop(columns=["deletion", "deletion_low", "deletion_high"]))
