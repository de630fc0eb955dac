"""The times of the views: what was measured keeps the limits, and a figure that is missing keeps none."""

import json

import ui
from records import RESULTS


def test_what_was_measured_keeps_the_limits_of_today() -> None:
    measured = json.loads((RESULTS / "ui.json").read_text("utf-8"))
    assert measured["limits"] == ui.LIMITS
    assert ui.over_limit(measured) == []


def test_a_figure_that_is_missing_or_no_number_keeps_no_limit() -> None:
    assert len(ui.over_limit({})) == sum(len(names) for names in ui.LIMITED.values())
    row = {"click_p95_ms": float("nan")}
    assert ui.over_limit({"films": row})[0] == "films: click_p95_ms is nan"
    assert set(ui.LIMITS) == {name for names in ui.LIMITED.values() for name in names}
