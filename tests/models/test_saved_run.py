"""A saved run: the same recommender after reading, one clear error for every damage, nothing half-written."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from workbench.models import saved_run
from workbench.models.gpt2 import GPT2Recommender

HISTORIES = {"a": ["001", "007"], "b": []}


@pytest.fixture
def recommender(make_tiny):
    trained = make_tiny()
    trained.record = {"dataset": "toy", "best": {"step": 3, "validation_ndcg@10": 0.1 + 0.2}, "ended": "finished"}
    log = [(3, 1.0, 2 / 3, 0.1 + 0.2, 0.7), (6, 2.0, 1 / 3, 1 / 7, 1.1)]
    trained.log = pd.DataFrame(log, columns=["step", "epoch", "train_loss", "validation_ndcg@10", "seconds"])
    return trained


@pytest.fixture
def run(recommender, tmp_path):
    return recommender.save(tmp_path / "run")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def reseal(folder: Path, **changes: object) -> None:
    """Change the description as somebody would who knows how it is sealed."""
    path = folder / "recommender.json"
    description = {**json.loads(path.read_text("utf-8")), **changes}
    description["seal"] = saved_run._seal(description)
    path.write_text(json.dumps(description), "utf-8")


def test_a_loaded_run_is_the_saved_one(recommender, run):
    loaded = GPT2Recommender.load(run)
    for request in (None, "a western"):
        before, after = (r.rank(HISTORIES, k=10, request=request) for r in (recommender, loaded))
        pd.testing.assert_frame_equal(before, after, check_exact=True)
    pd.testing.assert_frame_equal(loaded.log, recommender.log, check_exact=True)
    pd.testing.assert_frame_equal(
        loaded.catalog[["item_id", "title", "year"]],
        recommender.catalog[["item_id", "title", "year"]],
        check_dtype=False,
    )
    assert loaded.catalog["genres"].isna().tolist() == recommender.catalog["genres"].isna().tolist()
    assert (loaded.record, loaded.start, loaded.template) == (recommender.record, "random", recommender.template)
    assert loaded.vocabulary == recommender.vocabulary
    assert not loaded.model.training
    assert loaded.tokenizer.encode_special_tokens


def test_a_run_that_never_trained_can_be_saved(make_tiny, tmp_path):
    loaded = GPT2Recommender.load(make_tiny().save(tmp_path / "run"))
    assert loaded.record == {} and loaded.log.empty


def test_a_published_start_survives_saving(gpt2_folder, tiny_catalog, tmp_path):
    from workbench.models.start import start_recommender

    started = start_recommender(tiny_catalog, base=str(gpt2_folder), max_history=12)
    loaded = GPT2Recommender.load(started.save(tmp_path / "run"))
    pd.testing.assert_frame_equal(
        started.rank(HISTORIES, request="<|endoftext|>"), loaded.rank(HISTORIES, request="<|endoftext|>")
    )
    assert loaded.start == started.start


def test_a_run_is_safetensors_and_json_and_nothing_is_printed(recommender, tmp_path, capfd):
    folder = recommender.save(tmp_path / "run")
    GPT2Recommender.load(folder)
    assert {Path(name).suffix for name in names(folder)} == {".safetensors", ".json"}
    assert names(tmp_path) == {"run"}
    assert capfd.readouterr() == ("", "")


def test_progress_bars_of_others_are_left_as_they_were(recommender, tmp_path):
    from transformers.utils import logging

    for shown in (True, False):
        (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
        try:
            GPT2Recommender.load(recommender.save(tmp_path / "run"))
            assert logging.is_progress_bar_enabled() == shown
        finally:
            logging.enable_progress_bar()


def test_a_new_run_takes_the_place_of_the_old_one(recommender, run):
    (run / "left_over.json").write_text("{}")
    recommender.record = {"dataset": "newer"}
    recommender.save(run)
    assert GPT2Recommender.load(run).record == {"dataset": "newer"}
    assert names(run.parent) == {"run"} and "left_over.json" not in names(run)


@pytest.mark.parametrize(
    "broken", ["tokenizer.json", "catalog.json", "log.json", "recommender.json", "weights", "swap"]
)
def test_a_save_that_fails_leaves_the_older_run_and_nothing_else(recommender, run, monkeypatch, broken):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    recommender.record = {"dataset": "newer"}

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    if broken == "weights":
        monkeypatch.setattr(recommender.model, "save_pretrained", fail)
    elif broken == "swap":
        real = os.replace
        monkeypatch.setattr(saved_run.os, "replace", lambda a, b: fail() if str(a).endswith(".new") else real(a, b))
    elif broken == "catalog.json":
        monkeypatch.setattr(pd.DataFrame, "to_json", fail)
    elif broken == "tokenizer.json":
        recommender.tokenizer = type("Broken", (), {"save": fail})()
    else:
        real_write = Path.write_text
        monkeypatch.setattr(
            Path, "write_text", lambda p, *a, **k: fail() if p.name == broken else real_write(p, *a, **k)
        )
    with pytest.raises(OSError, match="no space left"):
        recommender.save(run)
    monkeypatch.undo()
    assert GPT2Recommender.load(run).record["dataset"] == "toy"
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert names(run.parent) == {"run"}


def test_a_first_save_that_fails_leaves_nothing(recommender, tmp_path, monkeypatch):
    monkeypatch.setattr(pd.DataFrame, "to_json", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        recommender.save(tmp_path / "run")
    assert names(tmp_path) == set()


def test_a_kill_between_the_two_renames_is_mended(recommender, run):
    run.rename(run.with_name(".run.old"))  # what is on disk after the first rename
    assert GPT2Recommender.load(run).record["dataset"] == "toy"
    assert names(run.parent) == {"run"}
    run.rename(run.with_name(".run.old"))
    recommender.record = {"dataset": "newer"}
    recommender.save(run)
    assert GPT2Recommender.load(run).record["dataset"] == "newer"
    assert names(run.parent) == {"run"}


def test_a_kill_after_the_second_rename_is_mended(run, recommender, tmp_path):
    recommender.record = {"dataset": "older"}
    recommender.save(tmp_path / ".run.old")
    assert GPT2Recommender.load(run).record["dataset"] == "toy"
    assert names(tmp_path) == {"run"}


def test_scratch_of_a_killed_save_is_no_run_and_is_swept_by_the_next(recommender, tmp_path):
    scratch = tmp_path / ".run.new"
    scratch.mkdir()
    (scratch / "model.safetensors").write_bytes(b"half")
    with pytest.raises(FileNotFoundError, match=r"no saved run: recommender\.json is missing"):
        GPT2Recommender.load(tmp_path / "run")
    recommender.save(tmp_path / "run")
    assert names(tmp_path) == {"run"}


def test_a_folder_with_anything_else_in_it_is_never_replaced(recommender, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds no saved run.*is not there yet"):
        recommender.save(tmp_path)
    with pytest.raises(FileExistsError, match="holds no saved run"):
        recommender.save(tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    assert GPT2Recommender.load(recommender.save(tmp_path / "empty")).record["dataset"] == "toy"


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "catalog.json", "log.json", "generation_config.json"]
)
@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_an_altered_or_missing_file_is_named(run, name, damage):
    path = run / name
    if damage == "missing":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} is {damage}\. Delete .* and train again"):
        GPT2Recommender.load(run)


def test_weights_that_are_no_safetensors_are_refused_even_under_a_right_digest(run):
    weights = run / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    digests = json.loads((run / "recommender.json").read_text("utf-8"))["sha256"]
    reseal(run, sha256={**digests, "model.safetensors": saved_run._digest(weights)})
    with pytest.raises(ValueError, match="weights in .* cannot be read.*train again"):
        GPT2Recommender.load(run)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}", '{"format": 1}', "\x00\x01"])
def test_a_damaged_description_is_one_clear_error(run, text):
    (run / "recommender.json").write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"recommender\.json is damaged.*train again"):
        GPT2Recommender.load(run)


@pytest.mark.parametrize(
    "part",
    [{"n_text": 5}, {"template": {}}, {"sha256": {}}, {"sha256": []}, {"spelling": None}, {"record": {"dataset": "a"}}],
)
def test_an_altered_description_is_refused(run, part):
    path = run / "recommender.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **part}), "utf-8")
    with pytest.raises(ValueError, match=r"recommender\.json is altered"):
        GPT2Recommender.load(run)


def test_another_format_is_named(run):
    reseal(run, format=99)
    with pytest.raises(ValueError, match="run format 99; this version reads 1"):
        GPT2Recommender.load(run)


class Bomb:
    """An object whose pickle makes a folder when it is opened."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self):
        return os.mkdir, (str(self.trap),)


def test_the_bomb_of_these_tests_works(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "exploded")))
    assert (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["training_args.bin", "weights.pt", "inner/optimizer.pkl"])
def test_a_pickle_in_the_folder_is_refused_and_not_opened(run, name):
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_bytes(pickle.dumps(Bomb(run.parent / "exploded")))
    with pytest.raises(ValueError, match=f"{Path(name).name}.*safetensors and JSON that were saved, nothing else"):
        GPT2Recommender.load(run)
    assert not (run.parent / "exploded").exists()


def test_a_pickle_under_the_name_of_the_weights_is_not_opened(run):
    torch.save({"transformer.wte.weight": Bomb(run.parent / "exploded")}, run / "model.safetensors")
    digests = json.loads((run / "recommender.json").read_text("utf-8"))["sha256"]
    reseal(run, sha256={**digests, "model.safetensors": saved_run._digest(run / "model.safetensors")})
    with pytest.raises(ValueError, match="cannot be read"):
        GPT2Recommender.load(run)
    assert not (run.parent / "exploded").exists()


def test_files_that_saving_did_not_write_are_refused(run):
    save_file({"x": torch.zeros(1)}, run / "adapter_model.safetensors")
    (run / "adapter_config.json").write_text('{"base_model_name_or_path": "elsewhere"}')
    with pytest.raises(ValueError, match="adapter_config.json"):
        GPT2Recommender.load(run)


def test_a_name_that_climbs_out_is_looked_for_inside(run, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    digest = saved_run._digest(tmp_path / "secret.json")
    reseal(run, sha256={"../secret.json": digest})
    with pytest.raises(ValueError, match="holds"):
        GPT2Recommender.load(run)


def test_another_catalog_is_told_apart(run, tiny_catalog):
    assert GPT2Recommender.load(run, catalog=tiny_catalog).record["dataset"] == "toy"
    renamed = tiny_catalog.assign(title=["Aliens", *tiny_catalog["title"][1:]])
    with pytest.raises(ValueError, match="another catalog: row 0 is .*Alien.* against .*Aliens"):
        GPT2Recommender.load(run, catalog=renamed)
    with pytest.raises(ValueError, match="10 items against 9"):
        GPT2Recommender.load(run, catalog=tiny_catalog.iloc[:9])
    with pytest.raises(ValueError, match="another catalog: row 0"):
        GPT2Recommender.load(run, catalog=tiny_catalog.iloc[::-1])


def test_a_missing_folder_says_what_makes_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="fine_tune makes one"):
        GPT2Recommender.load(tmp_path / "nothing")


def test_ids_and_titles_keep_their_spelling(make_tiny, tmp_path):
    odd = pd.DataFrame(
        {"item_id": ["1", "01", "1.0", "nan", "1e5"], "title": ["null", "2001-01-01", "</script>", '\u2028 \\ "', "🎬"]}
    )
    loaded = GPT2Recommender.load(make_tiny(odd).save(tmp_path / "run"), catalog=odd)
    assert loaded.catalog["item_id"].tolist() == odd["item_id"].tolist()
    assert loaded.catalog["title"].tolist() == odd["title"].tolist()
    np.testing.assert_array_equal(loaded.vocabulary.spelling.items, odd["item_id"])
