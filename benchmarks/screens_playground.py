"""The scenario of the PromptPlayground, by mouse and then by keyboard alone."""

from collections.abc import Callable
from typing import Any

from stage import VIEW, Stage, serious_findings

SLATE = ".workbench-slate"
LISTS, HITS = f"{SLATE} .wb-columns", ".workbench-search li"
TALL = {"width": 1480, "height": 1240}  # the whole view in one picture
SHOWN = """() => {
  const slate = document.querySelector(".workbench-slate");
  const lists = [...slate.querySelectorAll("table")];
  return {
    number: +slate.dataset.number,
    items: lists.map((table) => [...table.querySelectorAll("tr[data-item]")].map((row) => row.dataset.item)),
    changes: [...(lists[0]?.querySelectorAll("tbody tr") ?? [])].map((row) => row.cells[3].textContent.trim()),
    notes: [...slate.querySelectorAll(".wb-notes p")].map((note) => note.textContent),
    why: slate.querySelector(".wb-why").textContent,
    history: [...document.querySelectorAll(".workbench-rows tbody tr")].map((row) => [...row.cells].map(
      (cell) => cell.textContent)),
  };
}"""
PLACES = """() => ["button[title^='Ends the work']", ".workbench-slate", ".workbench-prompt-line"].map((part) => {
  const box = document.querySelector(part).getBoundingClientRect(), top = document.querySelector(".workbench-view-box");
  return [Math.round(box.x), Math.round(box.y - top.getBoundingClientRect().y)];
})"""
RESTARTED = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
IDLE = ".jp-Notebook-ExecutionIndicator[data-status='idle']"
SAVED = "() => window.jupyterapp.commands.execute('docmanager:save')"


def drive_playground(stage: Stage) -> dict[str, float]:
    """Everything by mouse, everything again by keyboard; then the copy that stays when the kernel is gone."""
    page = stage.page
    page.set_viewport_size(TALL)
    page.wait_for_selector(f"{SLATE}[data-number]")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    follow(stage, "playground-first")
    drawn, places = stage.look(LISTS), page.evaluate(PLACES)
    assert drawn["coloured"] > 1_000, "no bar is drawn"
    by_mouse(stage)
    by_keyboard(stage)
    assert page.evaluate(PLACES) == places, "something has moved"
    serious = serious_findings(page)
    assert serious == [], f"axe says: {serious}"
    lose_kernel(stage)
    return drawn


def by_mouse(stage: Stage) -> None:
    """Search in Chinese and add, move up, remove, a request, context, sampling, a slate and Stop, pin, why, copy."""
    page = stage.page
    field(stage, "Search").click()
    page.keyboard.type("太空")
    page.locator(HITS).nth(1).wait_for()
    stage.picture("playground-search", of=VIEW)
    first = change(stage, page.locator(HITS).nth(1).click)
    assert first["prompt"]["history"][-1] == first_hits(stage, "Solaris"), f"a click added {first['prompt']['history']}"
    page.locator(".workbench-rows tbody tr").nth(1).click()
    moved = change(stage, button(stage, "Up").click)["prompt"]["history"]
    assert moved[-2:] == first["prompt"]["history"][:-3:-1], "Up did not move the row"
    shorter = change(stage, button(stage, "Remove").click)["prompt"]["history"]
    assert shorter == moved[:-1], "Remove took another one"

    typed = change(stage, lambda: field(stage, "Request").press_sequentially("a slow film", delay=40), times=11)
    assert typed["prompt"]["request"] == "a slow film" and typed["number"] >= first["number"] + 3
    context = change(stage, lambda: field(stage, "Time of day").select_option("evening"))
    assert context["prompt"]["context"] == {"time_of_day": "evening"}
    stage.picture("playground-request", of=VIEW)
    asked = stage.after(page.locator(f"{SLATE} tr[data-item] button").nth(2).click, lambda state: state["why"])
    stage.expect("why", lambda: page.evaluate(SHOWN)["why"] == asked["why"])

    change(stage, lambda: field(stage, "Sampling").select_option("sample"))
    seeded = change(stage, lambda: (field(stage, "seed").fill("7"), page.keyboard.press("Enter")))
    assert seeded["decoding"]["how"] == "sample" and "seed=7" in seeded["code"]
    write_and_stop(stage)
    pinned = change(stage, button(stage, "Pin as A").click)
    compared = change(stage, lambda: field(stage, "Template").select_option("history only"))
    assert len(compared["items"]) == 2 and compared["items"][1] == pinned["items"][1], "prompt A has changed"
    follow(stage, "playground-pinned")
    places = page.evaluate(PLACES)
    button(stage, "Copy as Python").click()
    stage.expect("that it is copied", lambda: page.get_by_text("Copied.").is_visible())
    assert page.evaluate(PLACES) == places, "what says that it is copied moves what is below"
    assert page.evaluate("navigator.clipboard.readText()").strip() == compared["code"].strip(), "other code was copied"
    page.get_by_text("Every unit with its ids").click()
    stage.expect("the ids", lambda: page.locator(".workbench-prompt-line table tbody tr").count() > 2)
    serious = serious_findings(page)
    assert serious == [], f"axe says, with two lists: {serious}"
    stage.picture("playground-units", of=VIEW)
    page.get_by_text("Every unit with its ids").click()
    change(stage, button(stage, "Reset").click)


def by_keyboard(stage: Stage) -> None:
    """The same with Tab, arrows, Enter and letters alone."""
    page, press = stage.page, stage.page.keyboard.press
    field(stage, "Search").focus()
    page.keyboard.type("太空")
    page.locator(HITS).nth(1).wait_for()
    change(stage, lambda: press("Enter"))  # the first hit
    stage.expect("an empty field", lambda: field(stage, "Search").input_value() == "")
    page.keyboard.type("solaris")
    page.locator(HITS, has_text="Solaris").first.wait_for()  # the hits of the whole word
    press("ArrowDown")
    added = change(stage, lambda: press("Enter"))["prompt"]["history"]
    stage.tab_to(".workbench-rows tr")
    press("ArrowDown")
    press("Enter")
    stage.tab_to("button[title^='Moves the chosen item up']")
    moved = change(stage, lambda: press("Enter"))["prompt"]["history"]
    assert moved[-2:] == added[:-3:-1], "Up did not move the row"
    stage.tab_to("button[title^='Takes the chosen item']")
    assert change(stage, lambda: press("Space"))["prompt"]["history"] == moved[:-1]
    stage.tab_to("input[placeholder^='what you feel like']")
    typed = change(stage, lambda: page.keyboard.type("war", delay=40), times=3)
    assert typed["prompt"]["request"] == "war"
    stage.tab_to("select")
    assert change(stage, lambda: press("ArrowDown"))["prompt"]["context"], "the arrow said nothing of the context"
    stage.tab_to(f"{SLATE} tr[data-item]")
    press("ArrowDown")
    asked = stage.after(lambda: press("Enter"), lambda state: state["why"])
    stage.expect("why", lambda: page.evaluate(SHOWN)["why"] == asked["why"])
    stage.expect("the focus in the list", lambda: page.evaluate("document.activeElement.matches('tr[data-item]')"))
    stage.picture("playground-keyboard", of=VIEW)
    stage.tab_to("button[title^='Ends the work']", back=True)
    press("Enter")
    stage.expect("that nothing runs", lambda: page.get_by_text("nothing runs").is_visible())
    stage.tab_to("button[title^='Keeps the prompt']")
    assert len(change(stage, lambda: press("Enter"))["items"]) == 2, "nothing was pinned"
    stage.tab_to("button[title^='Everything as it was']", back=True)
    assert change(stage, lambda: press("Enter"))["prompt"]["request"] == ""


def write_and_stop(stage: Stage) -> None:
    """A long slate is written word by word; Stop ends it and what is there stays, called partial."""
    page, rows = stage.page, stage.page.locator(f"{SLATE} tr[data-item]")
    button(stage, "Stop").hover()  # the hand is there before: a small model is soon done
    field(stage, "k").fill("500")
    change(stage, lambda: page.keyboard.press("Enter"))
    field(stage, "Sampling").select_option("greedy")
    stage.expect("the first words", lambda: "lost to" in page.locator(".wb-stream").inner_text())
    stage.expect("that something runs", lambda: page.get_by_text("running").is_visible())
    stage.expect("a growing list", lambda: 3 < rows.count() < 400)
    partial = stage.after(lambda: (page.mouse.down(), page.mouse.up()), lambda state: state["partial"])
    assert len(partial["items"][0]) < 497 and "stopped after" in partial["notes"][0], f"{partial['notes']}"
    follow(stage, "playground-partial")
    field(stage, "k").fill("10")
    change(stage, lambda: page.keyboard.press("Enter"))
    change(stage, lambda: field(stage, "Sampling").select_option("beam"))


def lose_kernel(stage: Stage) -> None:
    """Save, restart the kernel, which forgets all views, and reload: prompt and list stand there as plain HTML."""
    page, first, before = stage.page, stage.told(), len(stage.shown.errors)
    still = page.locator(".wb-playground-still")
    assert not still.first.is_visible(), "the copy for when the kernel is gone is shown beside the view"
    stage.expect("the copy that follows", lambda: "10 of 570 items shown" in (still.first.text_content() or ""))
    page.wait_for_timeout(1500)  # it follows after a second
    page.evaluate(SAVED)
    page.evaluate(RESTARTED)
    page.reload()
    still.first.wait_for(state="visible", timeout=60_000)
    text = still.first.inner_text()
    assert "<history>" in text and f"{len(first['items'][0])} of 570 items shown" in text, f"the copy says {text[:200]}"
    if stage.pictures:
        page.screenshot(path=stage.pictures / f"playground-still-{stage.theme}.png")
    page.wait_for_selector(IDLE, timeout=60_000)  # else the server waits for a page that is gone when it ends
    stage.shown.run_all()
    page.wait_for_selector(f"{SLATE}[data-number]", timeout=60_000)  # running its cell brings the view back
    assert not still.first.is_visible(), "the copy is shown beside the view that came back"
    del stage.shown.errors[before:]  # JupyterLab calls it an error that the view was gone


def change(stage: Stage, act: Callable[[], Any], *, times: int = 1) -> dict:
    """Do something that changes the list, and see the list with the number of the newest request; the state.

    Args:
        stage: Where.
        act: What to do.
        times: How many requests it makes, at most; fewer are answered when they come quickly.
    """
    before = stage.told()["number"]
    stage.after(act, lambda state: before < state["number"] <= before + times and "running" not in state["status"])
    if times > 1:
        stage.page.wait_for_timeout(600)  # the last letter is answered too
    return follow(stage)


def follow(stage: Stage, name: str = "") -> dict:
    """See that the page shows what Python holds; the state. With a name, keep a picture."""
    page, parts = stage.page, ("number", "items", "notes", "why", "history")

    def same() -> bool:
        held, shown = stage.told(), page.evaluate(SHOWN)
        words = [change.split(" ", 1)[-1] if change[:1] in "▲▼＋" else change for change in shown["changes"]]
        words = [word.removesuffix("why") for word in words]
        return all(held[part] == shown[part] for part in parts) and held["changes"] == words

    stage.expect(f"what Python holds; {page.evaluate(SHOWN)} is not {stage.told()}", same)
    if name:
        stage.picture(name, of=VIEW)
    return stage.told()


def first_hits(stage: Stage, title: str) -> str:
    """The item of the newest row of the history that has this title, by its row's text; its id is in the state."""
    newest = stage.page.locator(".workbench-rows tbody tr").first.inner_text()
    assert title in newest, f"the newest row is {newest!r}"
    return stage.told()["prompt"]["history"][-1]


def field(stage: Stage, name: str) -> Any:
    """A control by its label."""
    return stage.page.locator(VIEW).get_by_label(name, exact=True)


def button(stage: Stage, name: str) -> Any:
    """A button of the view by its name."""
    return stage.page.locator(VIEW).get_by_role("button", name=name)  # its icon may be a part of the name
