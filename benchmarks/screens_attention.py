"""The scenario of the AttentionViewer, by mouse and by keyboard."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stage import VIEW, Stage

PICTURE = f"{VIEW} .js-plotly-plot"
SPACE = ["2001: A Space Odyssey (1968)", "Solaris (1972)"]  # 太空 is in the Chinese titles of these two
TALL = {"width": 1480, "height": 1240}  # the whole view in one picture
CELLS = f"{PICTURE} .heatmaplayer image"
PAGE = """() => {
  const view = document.querySelector(".workbench-view-box"), plot = view.querySelector(".js-plotly-plot");
  const lines = [...view.querySelectorAll("[aria-label='History, weighted'] tbody tr")];
  const round = (cell) => (cell === null || isNaN(cell) ? null : cell.toFixed(4));
  return {
    image: plot.querySelector(".heatmaplayer image")?.href.baseVal ?? "",
    table: lines.map((line) => [...line.children].map((cell) => cell.innerText.trim())),
    cells: Array.from(plot.data[0]?.z ?? [], (row) => Array.from(row, round)),
    title: plot.querySelector(".gtitle")?.textContent ?? "",
    frames: plot.querySelectorAll(".shapelayer path").length,
    alt: view.querySelector("p.wb-unseen").textContent,
    words: [...plot.querySelectorAll(".annotation-text")].map((text) => text.textContent).join(" "),
  };
}"""


@dataclass(frozen=True)
class Seen:
    """What is held and what is shown after an answer.

    Attributes:
        selected: The row of ``.selected``.
        table: Rows as texts.
        cells: Rows of the heat map as texts.
        picture: The heat map as a PNG, title and caption included.
        image: The address of what plotly drew for the cells alone.
    """

    selected: dict[str, Any]
    table: list[list[str]]
    cells: list[list[str | None]]
    picture: bytes
    image: str


def drive_attention(stage: Stage) -> dict[str, float]:
    """Heads by mouse and by keyboard alone, mean, rollout, targets, a row of the picture, a shorter window, reset."""
    page = stage.page
    page.set_viewport_size(TALL)
    page.wait_for_selector(CELLS)
    first = see(stage, "attention-first")
    drawn = stage.look(PICTURE)
    assert stage.look(CELLS)["coloured"] > 5_000, "the heat map is blank"
    assert first.selected["rank"] == 1 and first.selected["layer"] is None, f"it begins with {first.selected}"

    weights, head = page.get_by_label("Weights", exact=True), page.get_by_label("Head", exact=True)
    one = turn(stage, lambda: weights.select_option("one head"), "attention-head", first)
    assert None not in heads_of(one), "a head is shown, and none is selected"
    other = turn(stage, lambda: head.select_option(index=1), "attention-head-mouse", one)
    assert heads_of(other) != heads_of(one), f"another head is chosen, and {heads_of(one)} is selected"

    weights.focus()
    stage.tab_to(exactly(head))
    again = turn(stage, lambda: page.keyboard.press("ArrowUp"), "attention-head-keyboard", other)
    assert heads_of(again) == heads_of(one), "the arrow key does not bring the first head back"
    stage.tab_to(exactly(weights), back=True)
    rollout = turn(stage, lambda: page.keyboard.press("ArrowUp"), "attention-rollout", again)
    assert rollout.selected["rollout"], "the arrow key does not choose rollout"
    mean = turn(stage, lambda: page.keyboard.press("ArrowUp"), "attention-mean", rollout)
    assert mean.cells == first.cells, "the mean is not the mean that it was"

    target = page.get_by_label("Recommending", exact=True)
    fourth = turn(stage, lambda: target.select_option(index=3), "attention-target", mean)
    assert fourth.selected["rank"] == 4 and fourth.cells == mean.cells, "a target changes what the model looked at"
    found = turn(stage, lambda: search(stage, "太空"), "attention-search", fourth)
    titles = [title.replace("\N{NO-BREAK SPACE}", " ") for title in target.locator("option").all_inner_texts()]
    assert titles == SPACE and found.selected["title"] == SPACE[0], f"a Chinese title finds {titles}"
    assert found.cells == mean.cells, "a target changes what the model looked at"

    row = turn(stage, lambda: click_row(stage, 12), "attention-row", found)
    assert row.selected["unit"] == 12, f"a click on row 12 selects {row.selected['unit']}"
    last = page.get_by_label("Last", exact=True)
    short = turn(stage, lambda: (last.fill("8"), last.press("Enter")), "attention-last", row)
    assert len(short.cells) == 8 and len(short.table) < len(row.table), "the last 8 places are not what is shown"
    reset = turn(stage, page.get_by_role("button", name="Reset", exact=True).click, "attention-reset", short)
    assert reset.selected == first.selected and reset.cells == first.cells, "Reset does not bring the first view back"
    return drawn


def turn(stage: Stage, act: Callable[[], Any], name: str, before: Seen) -> Seen:
    """Do something, and see that table and picture are others than before.

    Raises:
        AssertionError: If one of them is the same, or does not show what Python holds.
    """
    stage.after(act, told_since(stage))
    stage.page.mouse.move(1, 1)  # no tip and no buttons in the picture
    after = see(stage, name)
    assert after.table != before.table, f"{name}: the table is the same as before"
    assert after.picture != before.picture, f"{name}: the picture is the same as before"
    assert after.cells == before.cells or after.image != before.image, f"{name}: the cells are drawn as before"
    return after


def told_since(stage: Stage) -> Callable[[dict], bool]:
    """Whether the view has said something new."""
    before = stage.told()
    return lambda state: state != before


def see(stage: Stage, name: str) -> Seen:
    """What is held and shown, as soon as the page shows what Python holds; kept as a picture.

    Raises:
        AssertionError: If it never does.
    """
    held = stage.told()
    try:
        stage.expect("what Python holds", lambda: not not_shown(stage, held))
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}: {not_shown(stage, held)}") from None
    picture, page = stage.picture(name, of=PICTURE), stage.page.evaluate(PAGE)
    return Seen(held["selected"], page["table"], held["cells"], picture, page["image"])


def not_shown(stage: Stage, held: dict) -> dict[str, Any]:
    """What the page should show but does not; words need only hold theirs."""
    page, missing = stage.page.evaluate(PAGE), {}
    for part, expected in expected_page(held).items():
        shown = page[part]
        if not (expected in shown if isinstance(shown, str) else shown == expected):
            missing[part] = expected
    return missing


def expected_page(held: dict) -> dict[str, Any]:
    """What the page must show when Python holds this."""
    selected, newest = held["selected"], held["table"][::-1][: held["last"]]
    rows = [[label, f"{attention:.3f}", signed(effect)] for label, attention, effect in newest]
    table = [[text for text in row if text is not None] for row in rows]  # no column of effects where there is none
    title = f"layer {selected['layer']}, head {selected['head']}" if selected["layer"] is not None else "mean of"
    return {
        "table": table,
        "cells": held["cells"],
        "frames": int(selected["unit"] >= held["places"] - held["last"]),
        "title": "rollout through" if selected["rollout"] else title,
        "alt": held["alt"],
        "words": f"Recommending {selected['title']}: rank {selected['rank']:,}",
    }


def signed(effect: float | None) -> str | None:
    """An effect as the table writes it."""
    return None if effect is None else f"{effect:+.2f}".replace("-", "−")


def heads_of(seen: Seen) -> tuple[int, int]:
    """Layer and head that are selected."""
    return seen.selected["layer"], seen.selected["head"]


def search(stage: Stage, text: str) -> None:
    """Type a part of a title."""
    stage.page.get_by_label("Search", exact=True).focus()
    stage.page.keyboard.type(text)
    stage.page.keyboard.press("Enter")


def exactly(control: Any) -> str:
    """A selector for this control alone."""
    return f"[id='{control.get_attribute('id')}']"


def click_row(stage: Stage, row: int) -> None:
    """Click the second cell of a row of the heat map."""
    box, cells = stage.page.locator(CELLS).bounding_box(), stage.told()["cells"]
    left, top = box["width"] * 1.5 / len(cells[0]), box["height"] * (row + 0.5) / len(cells)
    stage.page.mouse.click(box["x"] + left, box["y"] + top)
