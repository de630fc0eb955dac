"""The table of rows in a page of its own, Python played by a few lines: where the focus is, and what is read aloud."""

from pathlib import Path
from urllib.parse import quote

import pytest

from workbench import widgets

SCRIPT, STYLE = (Path(widgets.__file__).with_name(name) for name in ("rows.js", "view.css"))
SHOW = """async (script) => {
  const heard = {}, two = [["Solaris"], ["Alien"]];
  const held = { caption: "Two", columns: ["Title"], rows: two, chosen: -1, height: 200 };
  const { default: widget } = await import(script);
  window.set = async (changes) => {
    Object.assign(held, changes);
    heard["change:rows change:caption"]();
    await new Promise(requestAnimationFrame);
  };
  const model = { get: (name) => held[name], on: (names, act) => (heard[names] = act) };
  widget.render({ model, el: document.body });
}"""
PLACE = """() => {
  const box = document.querySelector(".workbench-rows"), around = box.getBoundingClientRect();
  const row = box.querySelector("[aria-selected=true]")?.getBoundingClientRect();
  return { scrolled: box.scrollTop, seen: row && row.top >= around.top && row.bottom <= around.bottom };
}"""
MANY = [[f"Film {row}"] for row in range(40)]


@pytest.fixture
def page(browser):
    page = browser.new_page()
    page.add_style_tag(content=STYLE.read_text("utf-8"))
    page.evaluate(SHOW, f"data:text/javascript,{quote(SCRIPT.read_text('utf-8'))}")
    yield page
    page.close()


def test_the_focus_stays_in_the_table_when_its_rows_go_and_come_back(page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Solaris"
    page.evaluate("set({ rows: [], caption: 'Nothing found.' })")
    assert page.evaluate("document.activeElement.className") == "workbench-view workbench-rows"
    page.evaluate("set({ rows: [['Brazil']], caption: 'One' })")
    assert page.evaluate("document.activeElement.innerText") == "Brazil"


def test_each_caption_is_said_to_whoever_cannot_see_the_table_in_a_place_that_stays(page) -> None:
    said = page.locator("[role=status]").element_handle()
    for caption in ("12 found for “film”.", "Nothing found."):
        page.evaluate("(caption) => set({ caption })", caption)
        assert said.inner_text() == caption == page.locator("caption").inner_text()


def test_a_deep_row_that_is_moved_stays_in_view_and_nothing_jumps(page) -> None:
    page.evaluate("(rows) => set({ rows, chosen: 30 })", MANY)
    deep = page.evaluate(PLACE)
    assert deep["seen"] and deep["scrolled"] > 300
    moved = [*MANY[:29], MANY[30], MANY[29], *MANY[31:]]
    page.evaluate("(rows) => set({ rows, chosen: 29 })", moved)
    assert page.evaluate(PLACE) == deep
    for row in range(28, 20, -1):  # past what was in view
        page.evaluate("([rows, chosen]) => set({ rows, chosen })", [MANY[::-1] if row % 2 else MANY, row])
    higher = page.evaluate(PLACE)
    assert higher["seen"] and 0 < higher["scrolled"] < deep["scrolled"]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
    assert page.evaluate(PLACE) == higher


def test_the_first_row_is_shown_with_its_headings_and_another_table_from_its_top(page) -> None:
    page.evaluate("(rows) => set({ rows, chosen: 30 })", MANY)
    page.evaluate("(rows) => set({ rows, chosen: 0 })", MANY[::-1])
    assert page.evaluate(PLACE) == {"scrolled": 0, "seen": True}
    page.evaluate("(rows) => set({ rows, chosen: 30 })", MANY)
    page.evaluate("(rows) => set({ rows, chosen: -1, caption: 'Another' })", MANY[::-1])
    assert page.evaluate(PLACE)["scrolled"] == 0
