"""What the browser is shown of training: the bundled films in a small model, and the monitor's state as a file."""

import json
import os
import tempfile
from pathlib import Path

import torch

from workbench.catalogs import leave_one_out, load_dataset
from workbench.evaluation import evaluate
from workbench.models import Popularity
from workbench.training import TrainingConfig
from workbench.widgets.training.training_monitor import TrainingMonitor

# About two seconds for an epoch, validation included.
QUICK = {"epochs": 8, "validate_every": 1, "layers": 1, "width": 32, "max_history": 20, "precision": "fp32"}
QUICK |= {"wishes": 0, "wishes_after_history": 0, "descriptions": 0}


def films_training(**settings: int) -> TrainingMonitor:
    """A monitor over the bundled films, in a folder of its own; settings as for ``TrainingConfig``."""
    torch.set_num_threads(1)
    split = leave_one_out(load_dataset("films"))
    floor = evaluate({"popularity": Popularity().fit(split.train)}, split, on="validation", k=[10])
    return TrainingMonitor(
        split,
        config=TrainingConfig(**QUICK | settings),
        folder=Path(tempfile.mkdtemp(prefix="training-")) / "run",
        floors={"popularity": floor.loc["popularity", "ndcg@10"]},
    )


def tell(view: TrainingMonitor, path: str = "state.json") -> TrainingMonitor:
    """Write, whenever the monitor says something, what it holds; see ``scenes.tell``."""

    def write() -> None:
        buttons = vars(view.controls)
        held = {
            "status": view.status.value,
            "code": view.code,
            "standing": view.standing,
            "offered": [name for name, button in buttons.items() if not button.disabled],
            "steps": view.log["step"].tolist(),
            "titles": view.lists.newest()["title"].tolist() if view.lists.lists else [],
            "ended": view.recommender.record["ended"] if view.recommender else "",
            "threads": {"asked": view.worker.number, "state": view.worker.state},
        }
        draft = Path(path + ".part")
        draft.write_text(json.dumps(held), "utf-8")
        os.replace(draft, path)

    say = view.say

    def say_and_write(sentence: str) -> None:
        with view._lock:  # the worker's thread and the page's both say things
            say(sentence)
            write()

    view.say = say_and_write
    write()
    return view
