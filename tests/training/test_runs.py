"""Saved runs are found again by what decided them; progress is readable anywhere."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from workbench.models.gpt2 import GPT2Recommender
from workbench.training import saved_run
from workbench.training.keys import run_key
from workbench.training.precision import best_device, choose_precision
from workbench.training.progress import Progress, ProgressDisplay
from workbench.training.runs import runs_folder

module = importlib.import_module("workbench.training.runs")


@pytest.fixture
def counted(monkeypatch):
    calls, real = [], module.fine_tune
    monkeypatch.setattr(module, "fine_tune", lambda *a, **k: calls.append(k) or real(*a, **k))
    return calls


def test_a_run_is_trained_once_and_read_ever_after(cycles, tiny_config, tmp_path, counted):
    config = replace(tiny_config, epochs=1)
    first = saved_run(cycles, config=config, folder=tmp_path)
    again = saved_run(cycles, config=config, folder=tmp_path)
    assert len(counted) == 1
    histories = cycles.histories()
    pd.testing.assert_frame_equal(first.rank(histories), again.rank(histories), check_exact=True)
    pd.testing.assert_frame_equal(first.log, again.log, check_exact=True)
    assert again.record == first.record
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("circle-small-")
    folder.rename(folder.with_name(f".{folder.name}.old"))  # killed between the renames of a later save
    assert saved_run(cycles, config=config, folder=tmp_path).record == first.record
    assert len(counted) == 1


def test_a_damaged_run_is_not_silently_trained_again(cycles, tiny_config, tmp_path, counted):
    config = replace(tiny_config, epochs=1)
    saved_run(cycles, config=config, folder=tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / "model.safetensors").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"model\.safetensors is altered"):
        saved_run(cycles, config=config, folder=tmp_path)
    assert len(counted) == 1


def test_the_key_changes_with_whatever_decides_the_weights(cycles, tiny_config):
    def key(split=cycles, config=tiny_config, base="small", spelling="atomic"):
        return run_key(split, base=base, spelling=spelling, config=config)

    catalog, train, validation = cycles.dataset.catalog, cycles.train, cycles.validation
    swapped = train["item_id"].tolist()
    swapped[0], swapped[1] = swapped[1], swapped[0]
    others = [
        key(config=replace(tiny_config, seed=1)),
        key(config=replace(tiny_config, learning_rate=2e-3)),
        key(base="gpt2"),
        key(spelling="title"),
        key(replace(cycles, train=train.iloc[:-1])),
        key(replace(cycles, train=train.assign(item_id=swapped))),
        key(replace(cycles, validation=validation.assign(item_id="f0"))),
        key(replace(cycles, dataset=replace(cycles.dataset, catalog=catalog.assign(title="x")))),
        key(replace(cycles, dataset=replace(cycles.dataset, catalog=catalog.rename(columns={"genres": "kinds"})))),
    ]
    assert len({key(), *others}) == 1 + len(others)
    assert key() == key() == key(replace(cycles, test=cycles.test.assign(item_id="f0")))


def test_a_name_that_climbs_stays_in_the_folder(cycles, tiny_config, tmp_path, monkeypatch):
    odd = replace(cycles, dataset=replace(cycles.dataset, name="../../etc/x y"))
    monkeypatch.setattr(module, "fine_tune", lambda *_, folder, **__: folder)
    folder = saved_run(odd, config=tiny_config, folder=tmp_path)
    assert folder.parent == tmp_path and " " not in folder.name


def test_runs_are_kept_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    assert runs_folder() == tmp_path
    monkeypatch.delenv("WORKBENCH_RUNS")
    assert runs_folder() == Path(module.__file__).parents[2] / "runs"


def test_precision_is_measured_and_never_bf16_on_mps():
    assert choose_precision("cpu") in ("bf16", "fp32")
    assert choose_precision("mps") == "fp32"
    assert best_device() in ("cuda", "mps", "cpu")


@pytest.mark.parametrize(("fast", "chosen"), [(0.5, "bf16"), (0.9, "fp32"), (2.0, "fp32")])
def test_bf16_is_taken_only_when_it_is_clearly_faster(monkeypatch, fast, chosen):
    import torch

    precision = importlib.import_module("workbench.training.precision")
    monkeypatch.setattr(precision, "_seconds", lambda dtype: fast if dtype == torch.bfloat16 else 1.0)
    assert precision.choose_precision.__wrapped__("cpu") == chosen


def moment(**changes: object) -> Progress:
    log = pd.DataFrame(
        [(10, 1.0, 2.5, 0.3, 1.0), (20, 2.0, 2.0, 0.2, 2.0)],
        columns=["step", "epoch", "train_loss", "validation_ndcg@10", "seconds"],
    )
    whole = {"step": 20, "steps": 80, "epoch": 2.0, "epochs": 8, "seconds": 2.0, "tokens_per_second": 5000.0}
    return Progress(**{**whole, "device": "cpu fp32", "log": log, **changes})


def test_progress_says_where_the_run_stands():
    assert moment().sentence() == (
        "epoch 2.0 of 8, 2 s, at most 6 s left · 5k words/s · cpu fp32 · loss 2.000 nats/item"
        " · validation NDCG@10 0.2000, best 0.3000"
    )
    assert "left" not in moment(note="finished").sentence()
    assert "loss" not in moment(log=moment().log.iloc[:0], step=0).sentence()


def test_progress_as_html_is_escaped_and_needs_no_script():
    page = moment(device="<script>alert(1)</script>").to_html()
    assert "<script" not in page and "&lt;script&gt;" in page
    assert 'aria-valuenow="25"' in page


def test_nothing_is_shown_without_a_notebook_or_a_terminal(capfd):
    ProgressDisplay()(moment(note="finished"))
    assert capfd.readouterr() == ("", "")


def test_a_terminal_gets_one_line_that_ends_with_the_run(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show = ProgressDisplay()
    for note in ("", "", "finished"):  # the second comes too soon after the first
        show(moment(note=note))
    written = capsys.readouterr().err
    assert written.count("\r") == 2 and written.count("\n") == 1 and written.endswith("\n")


def test_a_notebook_gets_one_display_that_is_updated(monkeypatch):
    shown = []

    class Handle:
        def update(self, page):
            shown.append(("update", page.data))

    def display(page, *, display_id):
        shown.append(("new", page.data))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    show = ProgressDisplay()
    show._notebook = True
    show(moment())
    show(moment(note="finished"))
    assert [kind for kind, _ in shown] == ["new", "update"]
    assert "finished" in shown[1][1] and "progressbar" in shown[1][1]


def test_the_saved_run_knows_its_key(cycles, tiny_config, tmp_path):
    config = replace(tiny_config, epochs=1)
    run = saved_run(cycles, config=config, folder=tmp_path)
    assert run.record["key"] == run_key(cycles, base="small", spelling="atomic", config=config)
    assert isinstance(run, GPT2Recommender)
