"""A program that trains and kills itself: ``python killed.py FOLDER STRIKES``; tests/training/test_resume.py calls it.

STRIKES is a JSON list of [what, count]. For each, a process of its own takes up the run in FOLDER and is ended by
SIGKILL the count-th time it does what; a last one is left alone. One line per process is printed: how it ended, and the
step it began with.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import torch

from workbench.catalogs import Split, leave_one_out, read_tables
from workbench.training import TrainingConfig, fine_tune, watch

CONFIG = TrainingConfig(
    epochs=8, layers=1, width=16, batch_users=8, wishes=4, wishes_after_history=4, descriptions=2, precision="fp32"
)
STEPS = 24  # 20 viewers in steps of 8, eight times


def world() -> Split:
    """20 viewers and 15 films."""
    items = pd.DataFrame({"item_id": [f"f{i}" for i in range(15)], "title": [f"Film {i}" for i in range(15)]})
    items["genres"] = ["Drama", "Comedy|War", "Horror"] * 5
    events = [(f"u{u}", f"f{(u * step + 7 * u) % 15}", step) for u in range(20) for step in range(3 + u % 9)]
    interactions = pd.DataFrame(events, columns=["user_id", "item_id", "position"])
    return leave_one_out(read_tables(items=items, interactions=interactions, name="killed"))


def train(folder: Path, begun: Path, *, what: str = "", count: int = 0) -> None:
    """Take up the run and write down its first step; die the count-th time it does what."""
    torch.set_num_threads(1)
    watch.SAVE_SECONDS = 0.0  # a checkpoint at every step
    arm(what, count)

    def on_progress(progress):
        if not begun.exists():
            begun.write_text(str(progress.step))
        if what == "step" and progress.step == count:
            die()

    fine_tune(world(), config=CONFIG, folder=folder, on_progress=on_progress)


def die() -> None:
    """As hard as it gets."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(what: str, count: int) -> None:
    """Replace the function that does what by one that kills at the count-th call."""
    places = {
        "write a file of the Trainer's": (torch, "save", lambda _, path: Path(path).write_bytes(b"PK half a file")),
        "delete": (shutil, "rmtree", lambda path, **_: next(p for p in Path(path).iterdir() if p.is_file()).unlink()),
        "rename": (os, "replace", lambda *_: None),
        "swap": (os, "replace", lambda *_: None),
    }
    if what in places:
        place, name, half = places[what]
        _strike(place, name, half, count, only=".new" if what == "swap" else "")


def _strike(place: ModuleType, name: str, half, count: int, *, only: str) -> None:  # noqa: ANN001
    real, calls = getattr(place, name), []

    def function(*args, **settings):
        if str(args[0]).endswith(only):
            calls.append(args)
        if len(calls) == count and calls[-1] is args:
            half(*args, **settings)
            die()
        return real(*args, **settings)

    setattr(place, name, function)


def main() -> None:
    """One process after the other, forked so that torch is imported once."""
    folder, strikes = Path(sys.argv[1]), json.loads(sys.argv[2])
    for number, (what, count) in enumerate([*strikes, ["", 0]]):
        begun = folder.with_name(f"begun-{number}")
        child = os.fork()
        if child == 0:
            train(folder, begun, what=what, count=count)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(-os.waitstatus_to_exitcode(status), begun.read_text() if begun.exists() else "0")


if __name__ == "__main__":
    main()
