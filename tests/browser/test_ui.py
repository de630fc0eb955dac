"""The times of the views: what was measured keeps the limits, and a figure that is missing keeps none."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import ui
import ui_playground
from lab import Lab
from records import RESULTS

UNTRAINED = "scenes_playground.films_playground(trained=False)"
SLOW = """
make, sleep = playground.worker._work, __import__("time").sleep
playground.worker._work = lambda *order: (sleep(0.4), make(*order))[1]"""


def test_what_was_measured_keeps_the_limits_of_today() -> None:
    measured = json.loads((RESULTS / "ui.json").read_text("utf-8"))
    assert measured["limits"] == ui.LIMITS
    assert ui.over_limit(measured) == []


def test_a_figure_that_is_missing_or_no_number_keeps_no_limit() -> None:
    assert len(ui.over_limit({})) == sum(len(names) for names in ui.LIMITED.values())
    row = {"click_p95_ms": float("nan")}
    assert ui.over_limit({"films": row})[0] == "films: click_p95_ms is nan"
    assert set(ui.LIMITS) == {name for names in ui.LIMITED.values() for name in names}
    assert set(ui.LIMITED) == set(ui.ROWS)


def test_a_row_that_is_named_is_measured_alone_and_the_others_stay(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "ui.json").write_text('{"limits": {}, "films": {"clicks": 40}, "100,000 points": {"pans": 1}}', "utf-8")
    monkeypatch.setattr(ui, "jupyter_lab", nullcontext)
    monkeypatch.setattr(ui, "chromium", lambda flags: nullcontext(SimpleNamespace(version="0")))
    monkeypatch.setitem(ui.ROWS, "100,000 points", (["", "--a-flag"], lambda lab, browser: {"pans": 100}))
    ui.measure(["100,000 points"], results=tmp_path)
    kept = json.loads((tmp_path / "ui.json").read_text("utf-8"))
    assert kept["films"] == {"clicks": 40} and kept["limits"] == ui.LIMITS
    assert kept["100,000 points"]["pans"] == 100 and kept["100,000 points"]["browser"] == "Chromium 0 --a-flag"
    with pytest.raises(ValueError, match="no row 'film'"):
        ui.measure(["film"], results=tmp_path)


def test_a_list_after_a_newer_one_or_with_the_items_of_another_request_is_stale() -> None:
    log = [{"number": number, "first_item": item} for number, item in ((1, "a"), (2, "b"), (3, None))]
    lists = [{"number": number, "items": items} for number, items in ((1, ["a"]), (2, ["b", "a"]), (3, []))]
    assert ui_playground.count_stale(lists, log) == 0
    assert ui_playground.count_stale([*lists, lists[1]], log) == 1
    assert ui_playground.count_stale([lists[0] | {"number": 2}], log) == 1


@pytest.mark.timeout(180)
def test_a_letter_is_timed_from_its_input_event_to_the_frame_with_its_own_list(lab: Lab, browser) -> None:
    row = ui_playground.time_letters(lab, browser, UNTRAINED + SLOW, letters=4)
    assert row["letters"] == 4 and "first_items" not in row  # no slate was written
    assert 400 < row["kernel_p50_ms"] < row["letter_p50_ms"] <= row["letter_p95_ms"] < 5000
