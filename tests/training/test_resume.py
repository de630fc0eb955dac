"""A run that is killed goes on as if nothing had happened, wherever it was killed."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event

import pandas as pd
import pytest
import torch

from workbench.models.gpt2 import GPT2Recommender
from workbench.training import fine_tune, watch
from workbench.training.checkpoints import Checkpoints

HERE = Path(__file__).parent
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="SIGKILL and fork are not there on Windows")

WRITE = "write a file of the Trainer's"
KILLS = {
    "while training and tidying up": [
        ["step", 3],
        ["step", 4],
        ["delete", 4],
        ["rename", 1],
        ["step", 17],
        ["delete", 7],
    ],
    "while writing": [[WRITE, 6], [WRITE, 15], ["rename", 9], ["step", 24], ["swap", 1], ["swap", 1]],
}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def killed():
    spec = importlib.util.spec_from_file_location("killed", HERE / "killed.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


@pytest.fixture(scope="module")
def uninterrupted(killed, tmp_path_factory) -> GPT2Recommender:
    folder = tmp_path_factory.mktemp("whole") / "run"
    fine_tune(killed.world(), config=killed.CONFIG, folder=folder)
    return GPT2Recommender.load(folder)


@needs_fork
@pytest.mark.parametrize("when", KILLS)
def test_a_killed_run_ends_with_the_weights_of_the_uninterrupted_one(when, killed, uninterrupted, tmp_path):
    folder, strikes = tmp_path / "run", KILLS[when]
    command = [sys.executable, str(HERE / "killed.py"), str(folder), json.dumps(strikes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    lives = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert [status for status, _ in lives] == [signal.SIGKILL] * len(strikes) + [0], done.stderr
    for (what, count), (_, begun) in zip(strikes, lives[1:], strict=False):
        if what == "step":
            assert begun in (count, 0)  # every step was saved: the one that died is the only one done again

    resumed = GPT2Recommender.load(folder)
    ours, theirs = resumed.model.state_dict(), uninterrupted.model.state_dict()
    assert max((ours[name] - theirs[name]).abs().max().item() for name in theirs) <= 1e-5
    pd.testing.assert_frame_equal(resumed.log.drop(columns="seconds"), uninterrupted.log.drop(columns="seconds"))
    assert resumed.log["seconds"].is_monotonic_increasing
    assert {name for name in names(tmp_path) if not name.startswith("begun")} == {"run"}
    assert {path.suffix for path in folder.iterdir()} == {".safetensors", ".json"}


def stop_after(split, config, folder, *, step):
    stop = Event()
    return fine_tune(
        split, config=config, folder=folder, stop=stop, on_progress=lambda p: p.step == step and stop.set()
    )


def first_step(split, config, folder):
    steps = []
    fine_tune(split, config=config, folder=folder, on_progress=lambda progress: steps.append(progress.step))
    return steps[0]


def test_a_stopped_run_goes_on_where_it_stopped(cycles, tiny_config, tmp_path):
    stopped = stop_after(cycles, tiny_config, tmp_path / "run", step=9)
    assert stopped.record["ended"].startswith("stopped")
    assert names(tmp_path) == {"run.partial"}
    assert first_step(cycles, tiny_config, tmp_path / "run") == 11
    assert names(tmp_path) == {"run"}


def test_other_settings_or_data_begin_anew(cycles, tiny_config, tmp_path):
    stop_after(cycles, tiny_config, tmp_path / "run", step=9)
    assert first_step(cycles, replace(tiny_config, learning_rate=2e-3), tmp_path / "run") == 1
    stop_after(cycles, tiny_config, tmp_path / "other", step=9)
    fewer = replace(cycles, train=cycles.train.iloc[:-1])
    assert first_step(fewer, tiny_config, tmp_path / "other") == 1


def test_resume_files_are_read_as_weights_only(cycles, tiny_config, tmp_path, monkeypatch):
    stop_after(cycles, tiny_config, tmp_path / "run", step=9)
    real, calls = torch.load, []

    def load(*args, **settings):
        calls.append(settings.get("weights_only"))
        return real(*args, **settings)

    monkeypatch.setattr(torch, "load", load)
    assert first_step(cycles, tiny_config, tmp_path / "run") == 11
    assert len(calls) >= 3 and set(calls) == {True}  # optimizer, schedule, random numbers


def test_a_checkpoint_without_its_last_file_is_ignored(cycles, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(Checkpoints, "delete", lambda _: None)
    stop_after(cycles, tiny_config, tmp_path / "run", step=9)
    private = tmp_path / "run.partial"
    assert {name for name in names(private) if name.startswith("checkpoint")} == {"checkpoint-10"}
    half = private / "checkpoint-12"
    half.mkdir()
    (half / "optimizer.pt").write_bytes(b"half")
    assert first_step(cycles, tiny_config, tmp_path / "run") == 11
    assert {name for name in names(private) if name.startswith("checkpoint")} == {"checkpoint-16"}


def test_best_weights_live_as_long_as_a_checkpoint_needs_them(tmp_path):
    checkpoints = Checkpoints(tmp_path / "private", key="a")
    assert checkpoints.newest() is None

    def save(step, best):
        (checkpoints.folder / f"checkpoint-{step}").mkdir()
        checkpoints.complete(step, {"best_step": best})

    save(2, None)
    assert checkpoints.newest()[1] == {"best_step": None}
    checkpoints.keep_best(4, {"w": torch.ones(2)})
    save(4, 4)
    checkpoints.keep_best(6, {"w": torch.zeros(2)})  # a kill here must find the weights of step 4
    assert checkpoints.newest()[0].name == "checkpoint-4"
    assert torch.equal(checkpoints.best(4)["w"], torch.ones(2))
    save(6, 6)
    assert {"best-6.safetensors", "checkpoint-6"} <= names(checkpoints.folder)
    assert not {"best-4.safetensors", "checkpoint-4", "checkpoint-2"} & names(checkpoints.folder)
    assert Checkpoints(tmp_path / "private", key="a").newest() is not None
    assert Checkpoints(tmp_path / "private", key="b").newest() is None
    checkpoints.delete()
    assert names(tmp_path) == set()
