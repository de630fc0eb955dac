"""What the browser is shown of the playground: films, with runs that differ, and its state as a file.

Imported by the notebooks that ``screens.py`` and ``ui.py`` write.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

from workbench.catalogs import leave_one_out, load_dataset
from workbench.language import Prompt
from workbench.models import start_recommender
from workbench.training import TrainingConfig, saved_run
from workbench.widgets.playground.prompt_playground import PromptPlayground

CONTEXT, PROFILE = ("time_of_day", "day_type", "season"), ("age_band", "region")
TINY = {"layers": 1, "width": 16, "heads": 2}


def films_playground(*, trained: bool = True, items: int = 4) -> PromptPlayground:
    """The first items of the first simulated viewer of films; three runs, of which one writes titles."""
    split = leave_one_out(load_dataset("films"))
    history = tuple(next(iter(split.histories(on="test").values()))[:items])
    catalog, said = split.dataset.catalog, {"context": CONTEXT, "profile": PROFILE}
    if trained:
        run = saved_run(split, config=TrainingConfig(**said, reviews=1))  # the run of notebooks 06 and 07
    else:
        tables = {"context": split.dataset.interactions, "profile": split.dataset.users}
        marks = [
            (part, column, str(value))
            for part, columns in said.items()
            for column in columns
            for value in sorted(tables[part][column].dropna().unique())
        ]
        run = start_recommender(catalog, marks=marks, **TINY)
    runs = {
        "films": run,
        "another": start_recommender(catalog, seed=1, **TINY),
        "titles": start_recommender(catalog, spelling="title", **TINY),
    }
    return PromptPlayground(runs, prompt=Prompt(history=history))


def tell(view: PromptPlayground, path: str = "state.json") -> PromptPlayground:
    """Write, after every answer, what the playground holds, so that whoever drives the browser can look it up."""

    def write() -> None:
        lists = [view.df, view.compared]
        held = {
            "number": view.slate.number,
            "items": [table["item_id"].tolist() for table in lists if table is not None],
            "changes": view.df["change"].tolist(),
            "status": view.status.value,
            "prompt": asdict(view.prompt),
            "history": view.controls.history.rows,
            "decoding": asdict(view.decoding),
            "notes": view.slate.notes,
            "why": view.slate.why,
            "partial": view.slate.lists[0]["caption"].endswith("partial"),
            "logged": len(view.history_log),
            "code": view.code,
        }
        draft = Path(path + ".part")
        draft.write_text(json.dumps(held), "utf-8")
        os.replace(draft, path)

    say = view.say
    view.say = lambda sentence: (say(sentence), write())  # a view says something after every answer
    write()
    return view
