"""Whether the worker of a live view keeps its promises on three generations of ipykernel, message by message.

    python benchmarks/kernels.py

Each generation has a venv under ``build/kernels``; making them needs the network once. A kernel makes a small view, and
this script plays the front end: it speaks the protocol of widgets on the shell channel, and, where the kernel has
subshells, a second time through one, as JupyterLab does. The work takes steps of 50 ms and looks at Stop between them.
Whether a callback runs beside a cell or after it is the kernel's choice: it is told, not judged. Results go to
``benchmarks/results/kernels.json``; the exit status is 1 when a promise is broken.
"""

import sys
import time
from collections.abc import Callable

from front_end import ERROR, STEP, FrontEnd, make_python, make_subshell, open_view, run_cell, start_kernel
from records import RESULTS, Row, machine, say, write_json

VERSIONS = ("6.31", "7.3", "7.4")
BURST = 30


def change_often(front: FrontEnd) -> Row:
    """A burst of changes ends on the last, and no stale list is shown."""
    for change in range(1, BURST + 1):
        last = front.ask(1)
        time.sleep(2 * STEP if change % 6 == 0 else STEP / 5)  # a hand that hesitates now and then
    last = front.ask(2)
    begun = time.monotonic()
    answer = front.hear_answer(last)
    seconds = time.monotonic() - begun
    front.listen(3 * STEP)
    answers = front.answers()
    numbers = [answer["number"] for answer in answers]
    assert numbers == sorted(set(numbers)) and numbers[-1] == last, f"shown in this order: {numbers}"
    assert all(answer["number"] == answer["newest"] for answer in answers), "a stale list was shown"
    assert answer["result"]["steps"] == 2 and not answer["stopped"], answer
    return {"in_words": f"{len(numbers)} lists", "changes": last, "last_ms": round(1000 * seconds, 1)}


def stop_long(front: FrontEnd) -> Row:
    """Stop ends a long request within one step, and what there is is shown."""
    _, times = front.stop_and_hear(front.run_long())
    return {"in_words": f"{times['seen_ms']:.0f} ms", **times}


def change_beside_cell(front: FrontEnd) -> Row:
    """A change while a cell runs is answered, during the cell or after it."""
    cell = front.begin("import time; time.sleep(1)")
    front.hear_answer(front.ask(1))
    return {"in_words": beside_or_after(front, cell)}


def stop_beside_cell(front: FrontEnd) -> Row:
    """Stop while a cell runs ends a long request, within a step of when the kernel lets it through."""
    number = front.run_long()
    cell = front.begin("time.sleep(1)")
    _, times = front.stop_and_hear(number)
    return {"in_words": beside_or_after(front, cell), **times}


def beside_or_after(front: FrontEnd, cell: str) -> str:
    """Whether what was heard last came while a cell ran; waits for its end."""
    told = "after the cell" if front.has(cell, "idle") else "beside the cell"
    front.finish(cell)
    return told


def fail(front: FrontEnd) -> Row:
    """An error of the work is a sentence in a trait, and worker and kernel go on."""
    answer = front.hear_answer(front.ask("fail"))
    assert answer["error"] == f"ValueError: {ERROR}" and answer["result"] is None, answer
    front.hear(lambda: front.values("state")[-1] == "failed", "the state says so")
    assert front.hear_answer(front.ask(1))["result"]["steps"] == 1
    cell = front.begin("1 + 1")
    front.finish(cell)
    assert front.has(cell, "execute_result"), "the kernel does not calculate"
    return {"in_words": "it does", "sentence": answer["error"]}


def interrupt(front: FrontEnd) -> Row:
    """Interrupting the kernel ends its cell, not the work beside it; between cells it ends nothing."""
    number = front.run_long()
    cell = front.begin("time.sleep(60)")
    front.manager.interrupt_kernel()
    front.finish(cell)
    assert front.has(cell, "error"), "the cell was not interrupted"
    begun = time.monotonic()
    front.listen(3 * STEP)
    seconds = time.monotonic() - begun
    front.manager.interrupt_kernel()
    front.listen(3 * STEP)
    assert front.answers()[-1]["number"] < number, "the work was interrupted"
    answer, times = front.stop_and_hear(number)
    assert answer["seconds"] > seconds, "the work did not go on"
    assert front.hear_answer(front.ask(1))["result"]["steps"] == 1
    return {"in_words": "it does", "seconds": round(answer["seconds"], 2), **times}


def rank(front: FrontEnd) -> Row:
    """A real recommender ranks in the worker's thread."""
    begun = time.monotonic()
    answer = front.hear_answer(front.ask("rank"))
    assert sorted(answer["result"] or []) == ["b", "c"], answer
    seen = 1000 * (time.monotonic() - begun)
    return {"in_words": f"{seen:.0f} ms", "list": answer["result"], "seen_ms": round(seen, 1)}


def keep_quiet(front: FrontEnd) -> Row:
    """All of the above came as updates of traits on iopub; nothing was printed."""
    printed = [message["content"]["text"] for message in front.heard if message["msg_type"] == "stream"]
    assert not printed, f"printed: {printed}"
    errors = [message["content"]["ename"] for message in front.heard if message["msg_type"] == "error"]
    assert errors == ["KeyboardInterrupt"], f"errors of cells: {errors}"
    return {"in_words": f"{len(front.answers())} lists"}


CHECKS = {
    "a burst of changes ends on the last list": change_often,
    "Stop ends a long request within a step": stop_long,
    "a change while a cell runs is answered": change_beside_cell,
    "Stop while a cell runs ends the request": stop_beside_cell,
    "an error is a sentence, and the kernel lives": fail,
    "the worker lives through Interrupt": interrupt,
    "a real recommender ranks in the worker": rank,
    "answers are updates of traits, none printed": keep_quiet,
}
SHUT_DOWN = "the kernel shuts down while a request runs"


def shut_down(front: FrontEnd) -> Row:
    """A running request does not keep the kernel from ending by itself."""
    front.run_long()
    begun = time.monotonic()
    front.manager.shutdown_kernel()
    seconds = time.monotonic() - begun
    assert seconds < front.manager.shutdown_wait_time, f"it had to be killed after {seconds:.1f} s"
    return {"in_words": f"{seconds:.1f} s", "seconds": round(seconds, 2)}


def check(promise: Callable[[FrontEnd], Row], front: FrontEnd) -> Row:
    """The figures of one check, and whether it holds; if not, why."""
    try:
        return {"holds": True, **promise(front)}
    except Exception as error:
        return {"holds": False, "why": f"{type(error).__name__}: {error}"}


def check_version(version: str) -> Row:
    """All checks on one generation of ipykernel."""
    with start_kernel(make_python(version)) as (manager, client, info):
        found = run_cell(client, "import ipykernel", value="ipykernel.__version__")
        assert found.startswith(f"{version}."), f"this kernel is ipykernel {found}, not {version}"
        routes = {"shell": None}
        if "kernel subshells" in info.get("supported_features", []):
            routes["subshell"] = make_subshell(client)
        row: Row = {"ipykernel": found, "python": info["language_info"]["version"], "routes": {}}
        for route, subshell in routes.items():
            front = open_view(manager, client, subshell=subshell)
            row["routes"][route] = {name: check(promise, front) for name, promise in CHECKS.items()}
        row["routes"][route][SHUT_DOWN] = check(shut_down, front)
        return row


def table(row: Row) -> str:
    """The checks of one generation, a line each, a column for each route.

    Example:
        >>> print(table({"ipykernel": "7.4.0", "routes": {"shell": {"Stop": {"holds": True, "in_words": "9 ms"}}}}))
        ipykernel 7.4.0                                 shell
        Stop                                            ok, 9 ms
    """
    routes = row["routes"]
    lines = [[f"ipykernel {row['ipykernel']}", *routes]]
    for name in dict.fromkeys(name for checks in routes.values() for name in checks):
        found = [checks.get(name) for checks in routes.values()]
        lines.append([name, *("" if each is None else tell(each) for each in found)])
    return "\n".join(f"{line[0]:<47} {''.join(f'{cell:<24}' for cell in line[1:])}".rstrip() for line in lines)


def tell(found: Row) -> str:
    """What came of one check, in a few words."""
    return f"ok, {found['in_words']}" if found["holds"] else f"BROKEN: {found['why']}"


def main() -> int:
    """Check every generation; 1 if a promise is broken."""
    page: Row = {"machine": machine(), "step_ms": 1000 * STEP, "versions": {}}
    for version in VERSIONS:
        page["versions"][version] = row = check_version(version)
        print(table(row), end="\n\n", flush=True)
        write_json(RESULTS / "kernels.json", page)
    routes = [checks for row in page["versions"].values() for checks in row["routes"].values()]
    held = [found["holds"] for checks in routes for found in checks.values()]
    say(f"{sum(held)} of {len(held)} checks hold")
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main())
