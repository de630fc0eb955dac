"""The table of rows in a page of its own, Python played by a few lines: where the focus is, and what is read aloud."""

from pathlib import Path
from urllib.parse import quote

import pytest

from workbench import widgets

SCRIPT = Path(widgets.__file__).with_name("rows.js")
SHOW = """async (script) => {
  const heard = {}, held = { caption: "Two", columns: ["Title"], rows: [["Solaris"], ["Alien"]], chosen: -1 };
  const { default: widget } = await import(script);
  window.set = async (changes) => {
    Object.assign(held, changes);
    heard["change:rows change:caption"]();
    await new Promise(requestAnimationFrame);
  };
  const model = { get: (name) => held[name], on: (names, act) => (heard[names] = act) };
  widget.render({ model, el: document.body });
}"""


@pytest.fixture
def page(browser):
    page = browser.new_page()
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
