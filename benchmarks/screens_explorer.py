"""The scenario of the EmbeddingExplorer, by mouse and by keyboard."""

from stage import VIEW, Stage, serious_findings

CANVAS = ".workbench-map canvas"
BACK = "new KeyboardEvent('keydown', { key: 'ArrowLeft', altKey: true, bubbles: true, cancelable: true })"
SWITCH = "(name) => window.jupyterapp.commands.execute('apputils:change-theme', { theme: `JupyterLab ${name}` })"


def drive_explorer(stage: Stage) -> dict[str, float]:
    """Click a user, draw around points, search and select with the keyboard alone, walk the rows, move and colour."""
    page = stage.page
    page.wait_for_selector(f"{CANVAS}[data-points]")
    before = stage.picture("explorer-first", of=CANVAS)
    drawn = stage.look(CANVAS)
    assert drawn["coloured"] > 5_000, "the map is blank"

    clicked = click_user(stage, before)
    state = stage.after(lambda: draw_loop(stage), lambda state: len(state["selected"]) > 3)
    assert state["chosen"] is None, "the lasso left a point chosen"
    stage.expect("what is selected", lambda: f"{len(state['selected']):,} selected" in caption(stage))
    assert stage.picture("explorer-lasso", of=CANVAS) != clicked, "the lasso changed nothing on the screen"

    box = stage.page.locator(CANVAS).bounding_box()
    stage.after(lambda: page.mouse.click(box["x"] + 8, box["y"] + 8), lambda state: not state["selected"])
    search_and_walk(stage)
    move_by_keys(stage)
    stage.after(lambda: page.keyboard.press("Escape"), lambda state: not state["selected"])
    move_by_mouse(stage)
    colour_by(stage, "kind")

    page.evaluate(SWITCH, "Light" if stage.theme == "dark" else "Dark")
    stage.expect("the other theme", lambda: abs(stage.look(CANVAS)["lightness"] - drawn["lightness"]) > 0.3)
    return drawn


def click_user(stage: Stage, before: bytes) -> bytes:
    """Click a user, and see recommendations and lit points, and no finding of axe among them; the map's picture."""
    page, canvas = stage.page, stage.page.locator(CANVAS)
    left, top = find_point(stage, "user ")
    state = stage.after(lambda: page.mouse.click(left, top), lambda state: state["chosen"])
    assert state["chosen"][0] == "user" and state["selected"] == [state["chosen"][1]], f"the click chose {state}"
    stage.expect("ten recommendations", lambda: page.locator(".workbench-rows tbody tr").count() == 10)
    stage.expect("lit points", lambda: int(canvas.get_attribute("data-lit")) > 10)
    clicked = stage.picture("explorer-user", of=CANVAS)
    assert clicked != before, "a click changed nothing on the screen"
    serious = serious_findings(page)
    assert serious == [], f"axe says, with a user chosen: {serious}"
    return clicked


def search_and_walk(stage: Stage) -> None:
    """Search a Chinese title, select what is found and walk its rows, all with the keyboard."""
    page = stage.page
    page.locator(f"{VIEW} input[type=text]").first.focus()
    page.keyboard.type("太空")
    stage.expect("two titles found", lambda: "2 found" in caption(stage))
    said = page.locator(".workbench-rows [role=status]")
    stage.expect("the number found for who only hears", lambda: "2 found" in said.text_content())
    stage.tab_to("button[title^='Selects all points']")
    titles = stage.after(lambda: page.keyboard.press("Enter"), lambda state: len(state["selected"]) == 2)["selected"]
    stage.tab_to(".workbench-rows tr", back=True)
    page.keyboard.press("ArrowDown")
    state = stage.after(lambda: page.keyboard.press("Enter"), lambda state: state["chosen"])
    assert state["chosen"] == ["item", titles[1]] and state["selected"] == titles, f"Enter chose {state['chosen']}"
    stage.expect("its neighbours", lambda: "Nearest" in caption(stage))
    stage.expect(
        "the focus in the table", lambda: page.evaluate("document.activeElement.matches('.workbench-rows tr')")
    )


def move_by_keys(stage: Stage) -> None:
    """Zoom and walk with the keys of the map."""
    page = stage.page
    stage.tab_to(CANVAS, back=True)
    before, place = (
        stage.picture("explorer-keyboard", of=CANVAS),
        place_of(stage),
    )  # the focus is in the picture already
    page.keyboard.press("+")
    stage.expect("a larger map", lambda: place_of(stage)["scale"] > 1.4 * place["scale"])
    kept = page.locator(CANVAS).evaluate(f"(canvas) => canvas.dispatchEvent({BACK})")
    assert kept, "the map takes Alt and an arrow from the browser"
    page.keyboard.press("ArrowLeft")
    stage.expect("what lies left", lambda: place_of(stage)["x"] < place["x"])
    assert stage.picture("explorer-zoomed", of=CANVAS) != before, "the keys of the map changed nothing"


def move_by_mouse(stage: Stage) -> None:
    """Zoom with the wheel, which the map takes while it has the focus, and drag the map."""
    page, mouse = stage.page, stage.page.mouse
    box, place = page.locator(CANVAS).bounding_box(), place_of(stage)
    before = stage.picture("explorer-unmoved", of=CANVAS)
    mouse.move(box["x"] + 200, box["y"] + 200)
    mouse.wheel(0, -240)
    stage.expect("a larger map", lambda: place_of(stage)["scale"] > 1.4 * place["scale"])  # exp(240 / 400) = 1.8
    place = place_of(stage)
    mouse.down()
    mouse.move(box["x"] + 290, box["y"] + 260, steps=6)
    mouse.up()
    stage.expect("what lies left", lambda: abs((place["x"] - place_of(stage)["x"]) * place["scale"] - 90) < 1)
    assert abs((place_of(stage)["y"] - place["y"]) * place["scale"] - 60) < 1, "the map does not follow the pointer"
    mouse.move(1, 1)
    assert stage.picture("explorer-moved", of=CANVAS) != before, "the wheel and dragging changed nothing on the screen"
    page.get_by_role("button", name="Whole map").click()


def colour_by(stage: Stage, name: str) -> None:
    """Choose another colouring, and see it on the map and beside a point."""
    page = stage.page
    page.mouse.move(1, 1)
    before = stage.picture("explorer-grouped", of=CANVAS)
    page.get_by_label("Colour by", exact=True).select_option(name)
    stage.expect("another legend", lambda: page.get_by_text("■").count() == 0)
    assert stage.picture("explorer-coloured", of=CANVAS) != before, "another colouring changed nothing on the map"
    find_point(stage, "user ")
    told = page.locator(".wb-tip").inner_text()
    assert told.endswith(f"{name}: users"), f"beside a point stands {told!r}"


def place_of(stage: Stage) -> dict[str, float]:
    """The middle of the map on the screen, ``x`` and ``y``, and its ``scale`` in pixels."""
    return stage.page.locator(CANVAS).evaluate("({ dataset: { x, y, scale } }) => ({ x: +x, y: +y, scale: +scale })")


def caption(stage: Stage) -> str:
    """The line above the table."""
    return stage.page.locator(".workbench-rows caption").inner_text()


def find_point(stage: Stage, start: str, *, first: int = 0) -> tuple[float, float]:
    """A place on the screen where the pointer meets a point whose name begins so; looked for as a person does.

    Args:
        stage: Where.
        start: How the name begins.
        first: Another number looks elsewhere first.
    """
    box = stage.page.locator(CANVAS).bounding_box()
    for step in range(first, first + 600):
        left = box["x"] + box["width"] * (0.2 + 0.6 * (37 * step % 101) / 101)
        top = box["y"] + box["height"] * (0.15 + 0.7 * (53 * step % 103) / 103)
        stage.page.mouse.move(left, top)
        tip = stage.page.locator(".wb-tip")
        if tip.is_visible() and tip.inner_text().startswith(start):
            return left, top
    raise AssertionError(f"no point called {start!r} was found under the pointer")


def draw_loop(stage: Stage) -> None:
    """Draw around the upper half of the map with shift held down."""
    box, mouse = stage.page.locator(CANVAS).bounding_box(), stage.page.mouse
    corners = [(0.2, 0.1), (0.75, 0.12), (0.8, 0.4), (0.5, 0.5), (0.25, 0.45), (0.2, 0.12)]
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
    mouse.move(*places[0])
    stage.page.keyboard.down("Shift")
    mouse.down()
    for place in places[1:]:
        mouse.move(*place, steps=6)
    mouse.up()
    stage.page.keyboard.up("Shift")
