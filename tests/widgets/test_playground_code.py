"""The playground as code: what "Copy as Python" hands over makes the very list that is shown, wherever it is run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import workbench
from workbench.language import Prompt, PromptTemplate
from workbench.models.generation import Decoding
from workbench.widgets import PromptPlayground

HISTORY = ("002", "003", "004")
SAID = Prompt(HISTORY, "a 'slow'\\film", {"time_of_day": "day"}, {"region": "north"})
RUN_EACH = """
import json, sys
for code in json.load(sys.stdin):
    space = {}
    exec(code, space)
    table = space["rankings"]
    print(json.dumps([table["item_id"].tolist(), table["score"].tolist()]))
"""


def run_elsewhere(codes: list[str], *, folder: Path) -> list[tuple[list[str], list[float]]]:
    """Items and scores that each code makes, in a second Python process that has seen nothing of this one."""
    own = {"PYTHONPATH": str(Path(workbench.__file__).parents[1]), "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", RUN_EACH],
        input=json.dumps(codes),
        capture_output=True,
        text=True,
        env=os.environ | own,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(60)
def test_the_code_makes_the_identical_list_in_a_second_process(tmp_path, make_marked, make_run) -> None:
    words, titles = make_marked(), make_run(spelling="title")
    words.save(tmp_path / "words")
    titles.save(tmp_path / "titles' own")  # a quote in the name of a folder
    short = words.with_template(PromptTemplate(max_history_with_request=1))
    cases = [
        (words, SAID, Decoding(k=5)),
        (short, SAID, Decoding(how="sample", k=5, temperature=1.5, top_p=0.9, seed=7)),
        (words, SAID, Decoding(how="greedy", k=5)),
        (titles, Prompt(HISTORY, "slow"), Decoding(how="greedy", k=3, diversity=0.5)),
    ]
    views = [
        PromptPlayground({"saved": run}, prompt=prompt, decoding=decoding, live=False)
        for run, prompt, decoding in cases
    ]
    made = run_elsewhere([view.copy.text for view in views], folder=tmp_path)
    assert [items for items, _ in made] == [view.df["item_id"].tolist() for view in views]
    assert all(len(items) == decoding.k for (items, _), (*_, decoding) in zip(made, cases, strict=True))
    for (_, scores), view in zip(made, views, strict=True):
        np.testing.assert_allclose(scores, view.df["score"], rtol=1e-5)


def test_code_of_a_run_in_no_folder_says_to_save_it_first(make_run) -> None:
    unsaved = make_run()
    view = PromptPlayground(unsaved, prompt=Prompt(HISTORY), live=False)
    space = {"recommender": unsaved}
    exec(view.code, space)
    assert "Save it first" in view.code and view.copy.text == view.code
    assert space["rankings"]["item_id"].tolist() == view.df["item_id"].tolist()
