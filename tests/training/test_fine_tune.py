"""Fine-tuning: it learns, stops when told, keeps the best, repeats itself, and leaves only what it promises."""

import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import TrainingArguments

from workbench.models.gpt2 import GPT2Recommender
from workbench.models.start import start_recommender
from workbench.training import TrainingConfig, fine_tune, read_texts, watch
from workbench.training.loss import sentence_loss
from workbench.training.steps import training_arguments
from workbench.training.text_sentences import item_texts, text_group

QUICK = {"epochs": 30, "learning_rate": 1e-2, "wishes": 0, "wishes_after_history": 0, "descriptions": 0, "dropout": 0.0}


def weights(recommender: GPT2Recommender) -> torch.Tensor:
    return torch.cat([value.flatten() for value in recommender.model.transformer.state_dict().values()])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def learned(cycles, tiny_config):
    return fine_tune(cycles, config=replace(tiny_config, **QUICK, validate_every=10))


@pytest.fixture(scope="module")
def plain(cycles, tiny_config):
    torch.manual_seed(1)
    return fine_tune(cycles, config=tiny_config)


@pytest.fixture
def scripted(monkeypatch):
    """Validation scores of our choosing, one per validation."""

    def script(*scores: float) -> None:
        given = iter(scores)
        monkeypatch.setattr(watch.Watch, "_validation_ndcg", lambda _: next(given))

    return script


def test_it_learns_what_certainly_comes_next(learned, cycles):
    ranking = learned.rank(cycles.histories(), k=1)
    truth = cycles.test.set_index("user_id")["item_id"]
    assert (ranking.set_index("user_id")["item_id"] == truth).mean() > 0.9
    # all but the first item of a history is certain, and histories have four to eight items
    assert learned.log["train_loss"].iloc[-1] < 0.4 * math.log(12)
    new = learned.rank({"new": ["f3", "f4", "f5"]}, k=1)
    assert new["item_id"].tolist() == ["f6"]


def test_a_run_keeps_that_nobody_meets_an_item_twice(learned, tmp_path):
    loaded = GPT2Recommender.load(learned.save(tmp_path / "run"))
    for run in (learned, loaded):
        everything = run.rank({"new": ["f3", "f4"]}, k=12, exclude_seen=False)
        assert set(everything["item_id"].tail(2)) == {"f3", "f4"}
        assert np.exp(everything["score"].astype(float)).tolist()[-2:] == [0, 0]
        assert np.exp(everything["score"].astype(float)).sum() == pytest.approx(1, abs=1e-5)


def test_it_learns_what_a_request_means(cycles, tiny_config):
    config = replace(tiny_config, epochs=60, learning_rate=1e-2, wishes=24, dropout=0.0, validate_every=60)
    recommender = fine_tune(cycles, config=config)
    drama = set(cycles.dataset.catalog.query("genres.str.contains('Drama')")["item_id"])
    for request in ("drama", "剧情片"):
        assert set(recommender.rank({"u": []}, k=4, request=request)["item_id"]) <= drama


def test_the_log_has_the_columns_of_its_contract(learned):
    assert list(learned.log.columns) == ["step", "epoch", "train_loss", "validation_ndcg@10", "seconds"]
    assert learned.log["epoch"].tolist() == [10.0, 20.0, 30.0]
    assert learned.log["step"].tolist() == [40, 80, 120]  # 30 viewers in steps of 8
    assert learned.log["seconds"].is_monotonic_increasing


def test_the_record_tells_how_the_run_went(learned, cycles):
    assert learned.record["ended"] == "finished"
    assert learned.record["dataset"] == "circle"
    best = learned.log["validation_ndcg@10"].max()
    assert learned.record["best"]["validation_ndcg@10"] == pytest.approx(best, abs=1e-3)
    assert learned.record["device"].endswith("fp32")
    assert not learned.model.training
    assert "trained on circle" in repr(learned)


def test_the_logged_validation_is_what_ranking_gives(learned, cycles):
    ranking = learned.rank(cycles.histories(on="validation"), k=10)
    held_out = ranking["user_id"].map(cycles.validation.set_index("user_id")["item_id"])
    gains = (1 / np.log2(1 + ranking["rank"]))[ranking["item_id"] == held_out]
    assert learned.record["best"]["validation_ndcg@10"] == pytest.approx(gains.sum() / len(cycles.validation))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(plain, cycles, tiny_config):
    torch.manual_seed(2)
    again, other = (fine_tune(cycles, config=replace(tiny_config, seed=seed)) for seed in (0, 1))
    assert torch.equal(weights(plain), weights(again))
    pd.testing.assert_frame_equal(plain.log.drop(columns="seconds"), again.log.drop(columns="seconds"))
    assert not torch.allclose(weights(plain), weights(other), atol=1e-3)


def test_bf16_trains_weights_that_stay_float32(plain, cycles, tiny_config):
    recommender = fine_tune(cycles, config=replace(tiny_config, precision="bf16"))
    assert {value.dtype for value in recommender.model.state_dict().values()} == {torch.float32}
    assert recommender.record["device"].endswith("bf16")
    assert recommender.log["train_loss"].tolist() == pytest.approx(plain.log["train_loss"].tolist(), rel=0.05)
    assert not torch.equal(weights(recommender), weights(plain))


def test_the_best_weights_are_kept_not_the_last(cycles, tiny_config, scripted, monkeypatch):
    kept, real = {}, watch.Watch._validate

    def validate(watcher, step):
        kept[step] = weights(watcher.recommender).clone()
        return real(watcher, step)

    monkeypatch.setattr(watch.Watch, "_validate", validate)
    scripted(0.1, 0.3004, 0.2999, 0.2)
    recommender = fine_tune(cycles, config=replace(tiny_config, validate_every=1))
    assert torch.equal(weights(recommender), kept[12]) and not torch.equal(kept[12], kept[16])
    assert recommender.record["best"]["step"] == 12  # of two that differ by less than a thousandth the newer


def test_training_stops_when_validation_no_longer_improves(cycles, tiny_config, scripted):
    scripted(0.1, 0.3, *[0.2] * 50)
    recommender = fine_tune(cycles, config=replace(tiny_config, epochs=50, validate_every=1, patience=3))
    assert len(recommender.log) == 5
    assert recommender.record["ended"] == "no better for 3 validations"


def test_stop_ends_within_one_step_and_keeps_the_best_so_far(cycles, tiny_config):
    stop, steps = Event(), []

    def listen(progress):
        steps.append(progress.step)
        if progress.step == 11:
            stop.set()

    recommender = fine_tune(cycles, config=tiny_config, stop=stop, on_progress=listen)
    assert steps == list(range(1, 13))
    assert recommender.record["ended"] == "stopped; the best so far is kept"
    assert recommender.log["step"].tolist() == [8] and recommender.record["best"]["step"] == 8


def test_a_stop_before_the_first_validation_still_gives_a_recommender_and_a_log(cycles, tiny_config):
    stop = Event()
    stop.set()
    recommender = fine_tune(cycles, config=tiny_config, stop=stop)
    assert list(recommender.log.columns) == list(watch.LOG_COLUMNS) and recommender.log.empty
    assert len(recommender.rank({"u": []}, k=3)) == 3


def test_an_interrupt_keeps_the_best_so_far_and_is_told(plain, cycles, tiny_config, tmp_path):
    told = []

    def interrupt(progress):
        told.append(progress.note)
        if progress.step == 11 and not progress.note:
            raise KeyboardInterrupt

    recommender = fine_tune(cycles, config=tiny_config, on_progress=interrupt, folder=tmp_path / "run")
    assert recommender.record["ended"] == told[-1] == "interrupted; the best so far is kept"
    assert recommender.log["step"].tolist() == [8]
    assert not (tmp_path / "run").exists()
    again = fine_tune(cycles, config=tiny_config, folder=tmp_path / "run")
    assert again.record["ended"] == "finished"
    assert torch.equal(weights(again), weights(plain))


def test_a_time_limit_is_kept(cycles, tiny_config):
    begin = time.monotonic()
    recommender = fine_tune(cycles, config=replace(tiny_config, epochs=10_000, patience=10_000, max_seconds=1.0))
    assert 1.0 <= recommender.record["seconds"] < 15 and time.monotonic() - begin < 25
    assert recommender.record["ended"] == "time limit of 1 s"


def test_without_a_validation_table_the_last_weights_are_kept(cycles, tiny_config):
    bare = replace(cycles, validation=cycles.validation.iloc[:0])
    recommender = fine_tune(bare, config=replace(tiny_config, epochs=8, validate_every=1, patience=2))
    assert recommender.record["best"]["step"] == 32 and recommender.record["ended"] == "finished"
    assert recommender.log["validation_ndcg@10"].isna().all()


def test_test_events_change_nothing(plain, cycles, tiny_config):
    swapped = replace(cycles, test=cycles.test.assign(item_id="f0"))
    assert torch.equal(weights(plain), weights(fine_tune(swapped, config=tiny_config)))


def test_nothing_is_printed_and_nothing_left_behind(cycles, tiny_config, tmp_path, monkeypatch, capfd):
    made = []
    real = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **k: made.append(real(dir=tmp_path, **k)) or made[-1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(watch, "SAVE_SECONDS", 0.0)
    fine_tune(cycles, config=tiny_config)
    assert len(made) == 1 and names(tmp_path) == set()
    fine_tune(cycles, config=tiny_config, folder="run")
    assert names(tmp_path) == {"run"}
    assert {path.suffix for path in (tmp_path / "run").iterdir()} == {".safetensors", ".json"}
    assert capfd.readouterr() == ("", "")


def test_an_error_without_a_folder_leaves_nothing(cycles, tiny_config, tmp_path, monkeypatch):
    real = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **k: real(dir=tmp_path, **k))

    def fail(progress):
        raise RuntimeError("the callback broke")

    with pytest.raises(RuntimeError, match="the callback broke"):
        fine_tune(cycles, config=tiny_config, on_progress=fail)
    assert names(tmp_path) == set()


def test_a_slash_at_the_end_of_the_folder_changes_nothing(cycles, tiny_config, tmp_path):
    fine_tune(cycles, config=replace(tiny_config, epochs=1), folder=f"{tmp_path}/run/")
    assert names(tmp_path) == {"run"}


def test_a_folder_that_holds_something_else_is_refused_before_training(cycles, tiny_config, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    steps = []
    with pytest.raises(FileExistsError, match="holds no saved run"):
        fine_tune(cycles, config=tiny_config, folder=tmp_path, on_progress=steps.append)
    assert steps == [] and names(tmp_path) == {"thesis.txt"}


def test_progress_counts_every_step(cycles, tiny_config):
    seen = []
    fine_tune(cycles, config=tiny_config, on_progress=seen.append)
    assert [p.step for p in seen] == list(range(1, 17)) and {p.steps for p in seen} == {16}
    assert seen[-1].epoch == 4.0 and seen[-1].note == "finished"
    assert [p.note for p in seen[:-1]] == [""] * 15
    assert len(seen[7].log) == 1 and len(seen[-1].log) == 2
    assert all(p.tokens_per_second > 0 for p in seen)


def test_a_published_base_is_fine_tuned(cycles, tiny_config, tmp_path):
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

    from workbench.language import train_tokenizer

    pieces = train_tokenizer(["film number"], vocab_size=300)
    GPT2TokenizerFast(tokenizer_object=pieces).save_pretrained(tmp_path)
    rows = len(AutoTokenizer.from_pretrained(tmp_path))
    GPT2LMHeadModel(GPT2Config(vocab_size=rows, n_embd=16, n_layer=1, n_head=2, n_positions=128)).save_pretrained(
        tmp_path
    )
    recommender = fine_tune(cycles, base=str(tmp_path), config=replace(tiny_config, **QUICK, validate_every=10))
    assert recommender.log["train_loss"].iloc[-1] < recommender.log["train_loss"].iloc[0]
    assert recommender.start.startswith("hub")


@pytest.mark.parametrize(
    ("given", "steps", "rate"), [(None, 999, 0.002), (None, 1_000, 0.0015), (0.0, 10, 0.0), (3e-4, 5_000, 3e-4)]
)
def test_a_rate_that_is_not_given_depends_on_the_length_of_the_run(tmp_path, given, steps, rate):
    config = TrainingConfig(learning_rate=given)
    assert training_arguments(config, folder=tmp_path, steps=steps, precision="fp32").learning_rate == rate


def test_of_several_gpus_one_trains_so_that_no_batch_is_lost(tmp_path, monkeypatch):
    def see_two(arguments):
        arguments._n_gpu = 2  # what the Trainer finds in a machine with two; it would take two batches and read one
        return torch.device("cpu")

    monkeypatch.setattr(TrainingArguments, "_setup_devices", property(see_two))
    assert training_arguments(TrainingConfig(), folder=tmp_path, steps=10, precision="fp32").n_gpu == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"patience": 0}, "patience is 0"),
        ({"wishes": -1}, "wishes is -1; it must be at least 0"),
        ({"learning_rate": -1e-3}, "learning_rate is -0.001"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"dropout": 1.0}, "at least 0 and at most 0.99"),
        ({"warmup": 2}, "warmup is 2"),
        ({"max_seconds": 0}, "max_seconds is 0.*None"),
        ({"precision": "fp8"}, "'fp8'.*'bf16'"),
        ({"width": 30, "heads": 4}, "width 30 cannot be shared by 4 heads"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**settings)


def test_a_start_from_text_has_read_descriptions_and_no_history(cycles, tiny_config):
    def surprise(recommender):
        groups = {"description": text_group(recommender, item_texts(cycles.dataset.catalog))}
        losses = sentence_loss(recommender.model.transformer, groups, vocabulary=recommender.vocabulary)
        return losses["total"].item()

    blank = start_recommender(cycles.dataset.catalog, layers=1, width=16)
    before = surprise(blank)
    config = replace(tiny_config, learning_rate=0.02)
    reader, again = (
        read_texts(start_recommender(cycles.dataset.catalog, layers=1, width=16), config=config) for _ in range(2)
    )
    assert surprise(reader) < 0.8 * before
    assert reader.start == "text" and not reader.record and not reader.model.training
    assert torch.equal(weights(reader), weights(again))


def test_fine_tuning_goes_on_from_a_start_from_text_and_keeps_its_name(cycles, tiny_config, tmp_path):
    run = fine_tune(cycles, base="text", config=tiny_config, folder=tmp_path / "run")
    assert run.start == "text" and len(run.log)
    assert GPT2Recommender.load(tmp_path / "run", catalog=cycles.dataset.catalog).start == "text"
    other = fine_tune(cycles, config=tiny_config)
    assert other.start == "random" and other.record["key"] != run.record["key"]


def test_only_what_has_learned_nothing_starts_from_text(cycles, tiny_config):
    with pytest.raises(ValueError, match="trained on circle, start random, seed 0, cpu; only one that has learned"):
        read_texts(fine_tune(cycles, config=tiny_config))
