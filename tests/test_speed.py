"""The page of speed: its arithmetic, its plain loop, its rows that are not measured twice."""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import speed  # noqa: E402
import speed_steps  # noqa: E402
from plain_loop import PlainLoop, Work, count_flops  # noqa: E402
from records import Page  # noqa: E402

from workbench.catalogs import leave_one_out, read_tables  # noqa: E402
from workbench.training import TrainingConfig  # noqa: E402
from workbench.training.batches import Sentences  # noqa: E402

CPU = torch.device("cpu")
LENGTHS = (5, 9, 4, 7)  # of the histories, of which two items each are held out
TINY = TrainingConfig(
    epochs=50, layers=1, width=16, heads=2, batch_users=4, wishes=0, wishes_after_history=0, descriptions=0,
    max_history=8, dropout=0.0, precision="fp32",
)  # fmt: skip


@pytest.fixture(scope="module")
def dataset():
    items = pd.DataFrame({"item_id": [f"i{row}" for row in range(20)], "title": [f"Film {row}" for row in range(20)]})
    events = [(f"u{user}", f"i{place}", place) for user, n in enumerate(LENGTHS) for place in range(n)]
    return read_tables(items=items, interactions=pd.DataFrame(events, columns=["user_id", "item_id", "position"]))


@pytest.fixture
def small(dataset, monkeypatch):
    """Everything small enough for a test."""
    for module, name, value in [
        (speed, "load_dataset", lambda _: dataset),
        (speed, "choose_precision", lambda _: "fp32"),
        (speed_steps, "choose_precision", lambda _: "fp32"),
        (speed, "TRAININGS", {"tiny": ("tiny", TINY)}),
        (speed, "apart", lambda work: work()),  # another process would know nothing of all this
        (speed, "WORDS", 8),
        (speed, "CATALOGS", (20,)),
        (speed, "USERS", 3),
        (speed, "PLACES", 5),
        (speed, "MANY_USERS", (2, 4)),
        (speed, "CALLS", 2),
        (speed, "ROUNDS", 1),
        (speed_steps, "ROUNDS", 1),
        (speed_steps, "STEPS", 2),
    ]:
        monkeypatch.setattr(module, name, value)


def make_plain(histories, **given) -> PlainLoop:
    shape = {"n_items": 20, "layers": 1, "width": 16, "heads": 2, "rows": 3, "length": 6, **given}
    return PlainLoop(histories, **shape, device=CPU, precision="fp32")


def test_operations_are_six_for_each_weight_that_a_word_meets_and_attention_of_what_may_be_seen():
    shape = {"rows": 32, "length": 200, "asked": 6_000, "choices": 3_416, "layers": 2, "width": 128}
    words = 32 * 200
    block = 128 * 3 * 128 + 128 * 128 + 128 * 4 * 128 + 4 * 128 * 128  # attention in and out, network in and out
    attention = 3 * 2 * (2 * 128) * (200 * 200 / 2) * 32  # with backward; two products; half is ahead and not seen
    assert count_flops(**shape) == 6 * (2 * block * words + 3_416 * 128 * 6_000) + 2 * attention


def test_the_blocks_have_as_many_weights_as_the_arithmetic_says():
    model = make_plain([np.arange(6)], layers=3).model
    matrices = sum(weight.numel() for name, weight in model.transformer.h.named_parameters() if weight.dim() == 2)
    at_a_word = count_flops(rows=1, length=1, asked=0, choices=0, layers=3, width=16) - 12 * 3 * 16 / 2  # attention
    assert at_a_word == 6 * matrices


def test_shares_are_of_the_matmul_rate_and_of_the_time():
    works = [Work(1.0, 60, 30, 1e9, 0.1), Work(3.0, 140, 50, 5e9, 0.5)]
    told = speed_steps.describe(works, rate=6.0)
    assert told["words_per_second"] == (60 + 140) / (1 + 3) and told["real_words_per_second"] == (30 + 50) / (1 + 3)
    assert told["gflops"] == (1 + 5) / (1 + 3)
    assert told["share_of_matmul"] == (1 + 5) / (1 + 3) / 6.0
    assert told["share_preparing"] == (0.1 + 0.5) / (1 + 3)


def test_filling_counts_as_words_but_not_as_real_words(dataset):
    split = leave_one_out(dataset)
    recommender = speed_steps.untrained(split, base="small", spelling="atomic", config=TINY)
    counted = speed_steps.Counted(Sentences(recommender, split, TINY))
    rows, length = counted[0]["history"]["words"].shape
    known = [n - 2 for n in LENGTHS]  # each is predicted off the word before it, the first off <history>
    assert rows == 4 and counted.words == 4 * length > counted.real_words == sum(known)
    shape = {"layers": 1, "width": 16, "choices": 20}
    assert counted.flops == count_flops(rows=4, length=length, asked=sum(known), **shape)
    assert counted.preparing > 0


def test_the_plain_loop_reads_pieces_of_histories_and_learns():
    histories = [np.arange(4), np.arange(5, 20)]
    loop = make_plain(histories)
    words, labels = loop.batch()
    assert words.shape == labels.shape == (3, 6)
    for row, label in zip(words, labels, strict=True):
        piece = row[label >= 0].numpy()
        assert (np.diff(piece) == 1).all() and len(piece) in (4, 6)
        assert (row[label < 0] == 20).all()
    work = loop.take_steps(2)
    assert work.words == 2 * 3 * 6 >= work.real_words > 0
    assert work.flops == 2 * count_flops(rows=3, length=6, asked=3 * 6, choices=21, layers=1, width=16)
    before = loop.model(words, labels=labels).loss.item()
    loop.take_steps(20)
    assert loop.model(words, labels=labels).loss.item() < before


def test_the_bare_arithmetic_is_that_of_ranking(dataset):
    recommender = speed.start_recommender(dataset.catalog, layers=1, width=16, heads=2)
    histories = {"long": ["i3", "i4", "i5"], "short": ["i7"]}
    [(words, ends)] = speed.lay_out(recommender, histories)
    scores = speed.score_bare(recommender, words, ends).log_softmax(1)[[1, 0]]  # the shortest comes first
    np.testing.assert_allclose(scores, recommender.log_probabilities(histories), atol=1e-5)


def test_rows_that_are_there_are_not_measured_again(small, tmp_path, monkeypatch):
    path, runs = tmp_path / "speed.json", tmp_path / "runs"
    figures = speed.measure(Page(path), device=CPU, runs=runs)["cpu"]
    assert figures["machine"]["fp32_gflops"] > 0 and figures["machine"]["machine"]["torch"] == torch.__version__
    row = figures["training"]["tiny"]
    assert row["rows"] == 4 and row["length"] == 8 and row["real_words_ours_to_plain"]["median"] > 0
    row = figures["ranking"]["20 items"]
    assert row["calls"] == 2 and row["memory of 4 users"]["table_mb"] >= 0 and row["share_of_bare"]["median"] > 0
    monkeypatch.setattr(speed, "apart", None)
    assert speed.measure(Page(path), device=CPU, runs=runs) == {"cpu": figures}
    monkeypatch.setattr(speed, "PLACES", 6)
    with pytest.raises(TypeError):  # another setting is another measurement
        speed.measure(Page(path), device=CPU, parts=["ranking"])


def test_the_time_to_quality_is_that_of_the_first_validation_that_reached_it(dataset, tmp_path):
    recommender = speed.start_recommender(dataset.catalog, layers=1, width=16, heads=2)
    log = pd.DataFrame({"validation_ndcg@10": [0.1, 0.19, 0.2, 0.15], "seconds": [3.0, 6.0, 9.0, 12.0]})
    curve = speed.curve_of(log)
    assert speed.seconds_to_reach(curve, 0.15) == 6.0 and speed.seconds_to_reach(curve, 0.21) is None
    recommender.log = log
    recommender.save(tmp_path / "run")
    row = speed.measure_quality(tmp_path)["run"]
    assert row["best"] == 0.2 and row["seconds to 90% of it"] == 6.0 and row["seconds to 99% of it"] == 9.0


def test_each_measurement_has_a_process_of_its_own():
    assert speed.apart(os.getpid) != os.getpid()


@pytest.mark.parametrize(("words", "named", "used"), [([], "cuda", "cuda"), (["--device", "cpu"], "cuda", "cpu")])
def test_the_device_is_that_of_the_command_line_or_of_the_variable(words, named, used, monkeypatch):
    asked = []
    monkeypatch.setenv("DEVICE", named)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")  # main changes it; put back afterwards
    monkeypatch.setattr(speed, "measure", lambda page, *, device, parts: asked.append(device) or {device.type: {}})
    speed.main(words)
    assert asked == [torch.device(used)]


def test_a_ratio_is_told_with_its_spread():
    assert speed.spread([3.0, 1.0, 1.5]) == {"median": 1.5, "low": 1.0, "high": 3.0}
