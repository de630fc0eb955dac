"""How long the playground takes to answer, measured in the browser: from a letter to its list, alone and in a burst.

Part of ``ui.py``, and imported by the notebooks it writes. A letter counts from its ``input`` event until the frame
that draws the list of its own request is done. The playground's log says which number that list carries: no two letters
ask for the same request.
"""

import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from lab import Lab, LabPage
from records import Row, quantiles
from scenes_playground import TINY
from stage import VIEW

from workbench.catalogs import leave_one_out, load_dataset
from workbench.language import Prompt
from workbench.models import start_recommender
from workbench.models.generation import Decoding
from workbench.training import TrainingConfig, saved_run
from workbench.training.runs import run_folder
from workbench.widgets.playground.prompt_playground import PromptPlayground

WISH = "something slow and quiet about memory, the sea and a long way home, in colour"
WISHES = [  # typed at once; no two begin with the same letter, so that each letter asks for something new
    "a slow film about a long voyage",
    "comedies that end with a wedding",
    "people who cannot tell the truth",
    "horror in a house near the ocean",
    "westerns where nobody is a hero",
]
LETTERS, SLATES, IN_BURST, BURST_SECONDS = 60, 40, 30, 2.0
BACKLOG = 1000.0  # milliseconds after the last letter of a burst; nothing may be on its way then
CHANGES, WARM_UP, RHYTHM = 2_000, 200, 10  # changes of which ten are awaited each, the next ten made at once
WRITING = "Being written"  # how the caption of a list begins that is not done
WATCH = """(writing) => {
  const slate = document.querySelector(".workbench-slate"), columns = slate.querySelector(".wb-columns");
  const seen = (window.seen = { letters: [], lists: [] });
  let waits = false;
  const drawn = () => {
    waits = false;
    const items = [...columns.querySelectorAll("tr[data-item]")].map((row) => row.dataset.item);
    const partial = columns.querySelector("caption").textContent.startsWith(writing);
    const shown = { number: +slate.dataset.number, partial, items };
    setTimeout(() => seen.lists.push({ ...shown, at: performance.now() })); // the frame is done
  };
  new MutationObserver(() => {
    if (!waits) requestAnimationFrame(drawn);
    waits = true;
  }).observe(columns, { childList: true });
  const keep = ({ timeStamp, target }) => seen.letters.push({ at: timeStamp, request: target.value });
  document.addEventListener("input", keep, true);
}"""
RUN_CELL = """async (cell) => {
  const app = window.jupyterapp;
  await app.shell.currentWidget.sessionContext.ready;
  app.shell.currentWidget.content.activeCellIndex = cell;
  await app.commands.execute("notebook:run-cell");
}"""
NUMBER = "+document.querySelector('.workbench-slate').dataset.number"
ANSWERED = "(before) => window.seen.lists.some((list) => list.number > before)"


def films_playground(spelling: str = "atomic", how: str = "beam") -> PromptPlayground:
    """The bundled films, the first four items of the first viewer; the run is called by what its weights are.

    Untrained weights of the same shape take the same time; they stand in for a run that is not there, which would take
    minutes to train. A second, tiny run has learned a context that the first one has not.
    """
    from generation import in_spelling

    split = leave_one_out(load_dataset("films"))
    catalog, history = split.dataset.catalog, next(iter(split.histories(on="test").values()))
    trained = run_folder(split, base="small", spelling=spelling, config=TrainingConfig()).is_dir()
    run = saved_run(split, spelling=spelling) if trained else in_spelling(catalog, spelling)
    marks = [("context", "time_of_day", "evening"), ("context", "time_of_day", "day")]
    runs = {"trained" if trained else "untrained": run, "another": start_recommender(catalog, marks=marks, **TINY)}
    return PromptPlayground(runs, prompt=Prompt(history=tuple(history[:4])), decoding=Decoding(how=how))


def time_letters(lab: Lab, browser: Any, scene: str, *, letters: int = LETTERS) -> Row:
    """Milliseconds from a letter to its list, and to the first item of a slate; each letter waits for the one before.

    ``kernel_p50_ms`` is the median of what the worker needed for a list, without a pause for more letters.
    """
    with open_playground(lab, browser, scene, "ui_playground.keep_log(playground)") as shown:
        for letter in WISH[:letters]:
            type_letter(shown, letter)
        kept, seen, run = read_log(shown, lab), shown.page.evaluate("window.seen"), run_name(shown)
    numbers, seconds = ({row["request"]: row[name] for row in kept["log"]} for name in ("number", "seconds"))
    typed = seen["letters"]
    done = [list_of(seen["lists"], numbers[letter["request"]])["at"] - letter["at"] for letter in typed]
    first = [first_item(seen["lists"], letter["at"]) - letter["at"] for letter in typed]
    slates = quantiles("first_item", first) if any(each["partial"] for each in seen["lists"]) else {}
    kernel = 1000 * float(np.median([seconds[letter["request"]] for letter in typed]))
    return {"weights": run, **slates, **quantiles("letter", done), "kernel_p50_ms": round(kernel, 1)}


def time_bursts(lab: Lab, browser: Any, scene: str, *, bursts: int = len(WISHES)) -> Row:
    """Thirty letters in two seconds, some times: milliseconds from the last one to its list, and what went wrong.

    ``stale_lists`` were shown after a newer one or differ from what their request was answered; ``late_lists`` were
    drawn more than a second after the last letter; ``wrong_items`` are places of the last list in which ``generate``,
    asked for the same prompt, has another item.
    """
    wishes = [wish[:IN_BURST] for wish in WISHES[:bursts]]
    with open_playground(lab, browser, scene, f"ui_playground.keep_log(playground, *{wishes!r})") as shown:
        for wish in wishes:
            type_burst(shown, wish)
        kept, seen, run = read_log(shown, lab), shown.page.evaluate("window.seen"), run_name(shown)
    lists, typed = seen["lists"], {letter["request"]: letter["at"] for letter in seen["letters"]}
    numbers = {row["request"]: row["number"] for row in kept["log"]}
    times, drawn, late, wrong, took = [], [], 0, 0, []
    for wish in wishes:
        began, last, own = typed[wish[0]], typed[wish], list_of(lists, numbers[wish])
        times.append(own["at"] - last)
        took.append((last - began) / 1000)
        drawn.append(len({each["number"] for each in lists if began < each["at"] <= own["at"]}))
        late += sum(last + BACKLOG < each["at"] < last + 2 * BACKLOG for each in lists)
        wrong += sum(shown != asked for shown, asked in zip_longest(own["items"], kept["generated"][wish]))
    counts = {"stale_lists": count_stale(lists, kept["log"]), "late_lists": late, "wrong_items": wrong}
    about = {"weights": run, "letters": IN_BURST, "seconds": round(float(np.median(took)), 2)}
    return about | {"lists_shown": float(np.median(drawn)), **counts, **quantiles("burst", times)}


def measure_memory(lab: Lab, browser: Any, scene: str, *, changes: int = CHANGES, warm_up: int = WARM_UP) -> Row:
    """By how many megabytes the kernel's memory grows in so many changes of the controls, after some to warm up.

    Of ``private_growth_mb`` files are left out, whose pages the system may take back at any time.
    """
    cell = f"ui_playground.change_often(playground, changes={changes}, warm_up={warm_up})"
    with open_playground(lab, browser, scene, cell) as shown:
        run, row = run_name(shown), read_log(shown, lab)
        shown.page.wait_for_function(f"(number) => {NUMBER} === number", arg=row.pop("number"), timeout=60_000)
    return {"weights": run, **row}


@contextmanager
def open_playground(lab: Lab, browser: Any, scene: str, last_cell: str) -> Iterator[LabPage]:
    """A page with a playground whose request field has the focus and whose letters and lists are noted.

    Args:
        lab: Where.
        browser: Who draws.
        scene: Code that makes the playground.
        last_cell: Code for ``read_log`` to run.
    """
    cells = ["import scenes_playground, ui_playground", f"playground = {scene}\nplayground", last_cell]
    with lab.open(browser, cells) as shown:
        for cell in (0, 1):
            run_cell(shown, cell)
        shown.page.wait_for_selector(".workbench-slate[data-number]")
        shown.page.wait_for_timeout(1500)  # the still copy below has followed
        shown.page.evaluate(WATCH, WRITING)
        shown.page.locator(VIEW).get_by_label("Request", exact=True).click()
        yield shown


def run_cell(shown: LabPage, cell: int) -> None:
    """Run one cell and wait until it is done; its error, if it has one, is raised as a ``RuntimeError``."""
    shown.page.evaluate(RUN_CELL, cell)
    if failure := shown.failure():
        raise RuntimeError(failure)


def type_letter(shown: LabPage, letter: str) -> None:
    """One letter, and its list awaited."""
    before = shown.page.evaluate(NUMBER)
    shown.page.keyboard.type(letter)
    shown.page.wait_for_function(ANSWERED, arg=before, timeout=20_000)
    shown.page.wait_for_timeout(300)  # nothing of this answer is still on its way


def type_burst(shown: LabPage, wish: str) -> None:
    """All letters of a wish in an empty field, evenly over the time of a burst; then time for what is late."""
    page, pause = shown.page, 1000 * BURST_SECONDS / len(wish)
    page.locator(VIEW).get_by_label("Request", exact=True).fill("")
    page.wait_for_timeout(1500)
    begun = page.evaluate("performance.now()")
    for count, letter in enumerate(wish):
        page.wait_for_timeout(max(0, begun + count * pause - page.evaluate("performance.now()")))
        page.keyboard.type(letter)
    page.wait_for_timeout(2 * BACKLOG)


def run_name(shown: LabPage) -> str:
    """Which run is chosen."""
    chosen = "(control) => control.selectedOptions[0].textContent"
    return shown.page.locator(VIEW).get_by_label("Run", exact=True).evaluate(chosen)


def read_log(shown: LabPage, lab: Lab) -> Row:
    """Run the last cell; what it wrote."""
    run_cell(shown, 2)
    return json.loads((lab.folder / "log.json").read_text("utf-8"))


def keep_log(view: PromptPlayground, *requests: str, path: str = "log.json") -> None:
    """In the kernel: write the log, and the items that ``generate`` returns for each of these requests."""
    view.worker.wait(60)
    log = view.history_log[["number", "seconds", "request", "first_item"]]
    run = view.runs.open(view.controls.run.value)
    generated = {
        request: run.generate(replace(view.prompt, request=request), **asdict(view.decoding))["item_id"].tolist()
        for request in requests
    }
    Path(path).write_text(json.dumps({"log": log.to_dict("records"), "generated": generated}), "utf-8")


def change_often(view: PromptPlayground, *, changes: int, warm_up: int, path: str = "log.json") -> None:
    """In the kernel: change the controls and write by how much its memory has grown since the changes to warm up."""
    before, begun = np.zeros(2), view.worker.number
    for step in range(warm_up + changes):
        if step == warm_up:
            before = memory_mb(view)
        change_control(view, step)
        if step // RHYTHM % 2 == 0:
            view.worker.wait(60)
    after = memory_mb(view)
    growth, private = np.round(after - before, 1).tolist()
    row = {"changes": view.worker.number - begun - warm_up, "resident_mb": round(float(after[0]), 1)}
    row |= {"growth_mb": growth, "private_growth_mb": private}
    Path(path).write_text(json.dumps(row | {"number": view.worker.number}), "utf-8")


def change_control(view: PromptPlayground, step: int) -> None:
    """Change one control to something it did not say: of eight steps three the request, one each of the others."""
    controls, turn = view.controls, step // 8
    names, templates, history = controls.run.options[:2], controls.template.options, view.prompt.history
    if step % 8 == 1:
        controls.k.value = 5 + turn % 16
    elif step % 8 == 3:
        controls.template.value = templates[(turn + 1) % len(templates)]
    elif step % 8 == 4:
        controls.how.value = "sample" if controls.how.value == "beam" else "beam"
    elif step % 8 == 6:
        view.remove(0) if len(history) > 8 else view.add(view.df["item_id"].iloc[0])
    elif step % 8 == 7:
        controls.run.value = names[names.index(controls.run.value) - 1]  # the other one
    else:
        controls.request.value = f"{WISH[: step % 60]} {step}"


def memory_mb(view: PromptPlayground) -> np.ndarray:
    """Megabytes of this process once nothing runs or waits to be collected: resident, and without files."""
    import psutil

    view.worker.wait(60)
    gc.collect()
    held = psutil.Process().memory_info()
    return np.array([held.rss, held.rss - getattr(held, "shared", 0)]) / 2**20


def list_of(lists: Sequence[Mapping[str, Any]], number: int) -> Mapping[str, Any]:
    """The first list on the page with this number."""
    return next(each for each in lists if each["number"] == number and not each["partial"])


def first_item(lists: Sequence[Mapping[str, Any]], since: float) -> float:
    """When the first item was there of the slate that was begun since then; of a list that is done at once, its time.

    Example:
        >>> old = {"at": 1.0, "partial": False, "items": ["a"]}
        >>> begun, grown = ({"at": at, "partial": True, "items": items} for at, items in [(4.0, []), (5.0, ["b"])])
        >>> first_item([old, begun, grown], 2.0)
        5.0
    """
    return next(each["at"] for each in lists if each["at"] > since and (each["items"] or not each["partial"]))


def count_stale(lists: Sequence[Mapping[str, Any]], log: Sequence[Mapping[str, Any]]) -> int:
    """How many lists came after a newer one, or begin with another item than the log has for their number.

    Example:
        >>> log = [{"number": 1, "first_item": "a"}, {"number": 2, "first_item": "b"}]
        >>> lists = [{"number": number, "items": [item]} for number, item in [(1, "a"), (2, "b"), (1, "a"), (2, "a")]]
        >>> count_stale(lists, log)
        2
    """
    answered, newest, stale = {row["number"]: row["first_item"] for row in log}, 0, 0
    for each in lists:
        first = each["items"][0] if each["items"] else None
        stale += each["number"] < newest or answered.get(each["number"]) != first
        newest = max(newest, each["number"])
    return stale
