"""The scenario of the TrainingMonitor: started by mouse, stopped and resumed by keyboard, watched to its end."""

import time
from typing import Any

from stage import VIEW, Stage

CELLS = ["import scenes_training", "monitor = scenes_training.tell(scenes_training.films_training())\nmonitor"]
PICTURE = f"{VIEW} .js-plotly-plot"
TALL = {"width": 1480, "height": 1280}  # the whole view in one picture
PAGE = """() => {
  const view = document.querySelector(".workbench-view-box"), plot = view.querySelector(".js-plotly-plot");
  const bar = view.querySelector("[role=progressbar]"), still = document.querySelector(".wb-training-still");
  const rows = (name) => [...view.querySelectorAll(`[aria-label='${name}'] tbody tr`)];
  const places = [...view.children].map((part) => Math.round(part.getBoundingClientRect().top));
  return {
    status: view.querySelector("[role=status]").innerText,
    done: Number(bar.getAttribute("aria-valuenow")),
    said: bar.parentElement.innerText,
    marks: [...plot.querySelectorAll(".scatterlayer .trace")].map((trace) => trace.querySelectorAll(".point").length),
    words: [...plot.querySelectorAll(".annotation-text")].map((text) => text.textContent).join(" "),
    titles: rows("The newest list").map((row) => row.children[1].innerText),
    validations: rows("What changed").length,
    places: places.map((top) => top - places[0]),
    focus: document.activeElement.innerText.trim(),
    copy: still.textContent,
    copied: still.getClientRects().length > 0,
    pictures: [...document.querySelectorAll(".js-plotly-plot")].filter((one) => one.getClientRects().length).length,
  };
}"""


def drive_training(stage: Stage) -> dict[str, float]:
    """Start by mouse, the bar moves, Stop and Resume by keyboard, the end; and nothing ever changes its place."""
    page = stage.page
    page.set_viewport_size(TALL)
    page.wait_for_selector(f"{PICTURE} .annotation-text")
    first = see(stage, "training-first")
    assert first["done"] == 0 and "press Start" in first["status"], f"it begins with {first}"
    assert "popularity 0." in first["words"], "the floor is not named"

    press(stage, "Start").click()
    stage.expect("the bar moving", lambda: page.evaluate(PAGE)["done"] > 2, seconds=60)
    stage.expect("two validations", lambda: min(page.evaluate(PAGE)["marks"], default=0) >= 2, seconds=60)
    running = see(stage, "training-running")
    assert "running" in running["status"] and "words/s" in running["said"] and "MB" in running["said"]
    assert len(running["titles"]) == 10 and running["validations"] >= 2 and "best 0." in running["words"]
    assert running["focus"] == "Stop", f"the focus is on {running['focus']!r} while it runs"

    begun = time.perf_counter()
    state = stage.after(lambda: page.keyboard.press("Enter"), lambda told: told["standing"] == "partial")
    seconds = time.perf_counter() - begun
    stage.expect("that the result is partial", lambda: page.evaluate(PAGE)["status"].startswith("partial: stopped"))
    partial = see(stage, "training-partial")
    assert state["ended"].startswith("stopped") and state["offered"] == ["start", "stop", "resume"]
    assert "Partial: stopped at epoch" in partial["words"] and 0 < partial["done"] < 100

    stage.tab_to("[title^='Goes on where']")
    page.keyboard.press("Enter")
    stage.expect("that it runs again", lambda: page.evaluate(PAGE)["status"].startswith("running"))
    stage.expect("the end", lambda: stage.told()["standing"] == "finished", seconds=120)
    stage.expect("that it is finished", lambda: page.evaluate(PAGE)["status"].startswith("finished"))
    stage.expect("the last list", lambda: page.evaluate(PAGE)["titles"] == stage.told()["titles"])
    last, told = see(stage, "training-finished"), stage.told()
    assert last["done"] == 100 and last["validations"] == len(told["steps"]) == last["marks"][0]
    assert told["steps"][: len(state["steps"])] == state["steps"], "Resume did not go on from where it stopped"
    assert "finished" in last["copy"], "the copy for when the kernel is gone is an old one"
    assert not last["copied"] and last["pictures"] == 1, "the copy for when the kernel is gone is shown now"
    for name, seen in (("running", running), ("partial", partial), ("finished", last)):
        assert seen["places"] == first["places"], f"{name}: something jumped: {first['places']} -> {seen['places']}"
    return stage.look(PICTURE) | {"stop_s": seconds}


def see(stage: Stage, name: str) -> dict[str, Any]:
    """What is on the page, kept as a picture too."""
    stage.picture(name, of=PICTURE)
    return stage.page.evaluate(PAGE)


def press(stage: Stage, name: str) -> Any:
    """The button of that name."""
    return stage.page.locator(VIEW).get_by_role("button", name=name, exact=True)
