"""A saved run: one folder of safetensors and JSON, checked file by file when it is read. Nothing in it is executed."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pandas as pd
import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel
from transformers.utils import logging

from workbench.language import PromptTemplate, Spelling, Vocabulary
from workbench.language.tokenizer import plain_text_only
from workbench.models.gpt2 import GPT2Recommender

FORMAT = 1
ALLOWED = {".json", ".safetensors"}
DESCRIPTION = "recommender.json"


def write_run(recommender: GPT2Recommender, folder: Path) -> Path:
    """Write to a neighbouring scratch folder, then rename: a run is there whole or not at all.

    Raises:
        FileExistsError: If the folder holds something that is no saved run; it is left as it is.
    """
    folder = folder.resolve()
    check_replaceable(folder)
    scratch = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)  # a save that was killed
    scratch.mkdir(parents=True)
    try:
        with recommender.lock, without_bars():
            recommender.model.save_pretrained(scratch)
        recommender.tokenizer.save(str(scratch / "tokenizer.json"))
        recommender.catalog.to_json(scratch / "catalog.json", orient="table", index=False, force_ascii=False)
        (scratch / "log.json").write_text(json.dumps(recommender.log.to_dict("records"), indent=1), "utf-8")
        spelling = recommender.vocabulary.spelling
        description = {
            "format": FORMAT,
            "n_text": recommender.vocabulary.n_text,
            "spelling": {"how": spelling.how, "codes": spelling.codes, "n_words": spelling.n_words}
            | ({"report": spelling.report} if spelling.report else {}),
            "marks": recommender.vocabulary.marks,
            "template": vars(recommender.template),
            "start": recommender.start,
            "record": recommender.record,
            "sha256": {path.name: _digest(path) for path in sorted(scratch.iterdir())},
        }
        description["seal"] = _seal(description)
        (scratch / DESCRIPTION).write_text(json.dumps(description, indent=1, ensure_ascii=False), "utf-8")
        _swap(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def check_replaceable(folder: Path) -> None:
    """Raise unless the folder is missing, empty or a saved run: saving replaces all that is in it."""
    empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not empty and not (folder / DESCRIPTION).is_file():
        raise FileExistsError(
            f"{folder} exists and holds no saved run; saving would delete it. Name a folder that is not there yet."
        )


def _swap(scratch: Path, folder: Path) -> None:
    _restore(folder)
    if folder.exists():
        os.replace(folder, _old(folder))
    os.replace(scratch, folder)
    shutil.rmtree(_old(folder), ignore_errors=True)


def _restore(folder: Path) -> None:
    """Put things right after a kill inside ``_swap``: the older run comes back unless the newer one is in its place."""
    if folder.exists():
        shutil.rmtree(_old(folder), ignore_errors=True)
    elif _old(folder).exists():
        os.replace(_old(folder), folder)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def read_run(folder: Path, *, catalog: pd.DataFrame | None = None) -> GPT2Recommender:
    """The recommender saved in ``folder``; see :meth:`GPT2Recommender.load`."""
    folder = folder.resolve()
    _restore(folder)
    description = _checked_description(folder)
    own = pd.read_json(folder / "catalog.json", orient="table", dtype=False)
    if catalog is not None:
        check_same_catalog(own, catalog, folder)
    parts = description["spelling"]
    codes = tuple(tuple(code) for code in parts["codes"])
    spelling = Spelling(parts["how"], tuple(own["item_id"]), codes, parts["n_words"], parts.get("report", {}))
    marks = tuple(tuple(mark) for mark in description.get("marks", ()))  # runs of before have none
    try:
        model = read_weights(folder)
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(
            f"the weights in {folder} cannot be read ({error}). Delete the folder and train again."
        ) from error
    tokenizer = plain_text_only(Tokenizer.from_file(str(folder / "tokenizer.json")))
    return GPT2Recommender(
        model.eval(),
        tokenizer=tokenizer,
        vocabulary=Vocabulary(description["n_text"], spelling, marks),
        template=PromptTemplate(**description["template"]),
        catalog=own,
        start=description["start"],
        record=description["record"],
        log=pd.DataFrame(json.loads((folder / "log.json").read_text("utf-8"))),
    )


def read_weights(source: str | Path) -> GPT2LMHeadModel:
    """The GPT-2 of a folder or hub id in float32; never from a pickle, and its own code is never run."""
    with without_bars() if Path(source).is_dir() else nullcontext():  # a download may show how far it is
        return GPT2LMHeadModel.from_pretrained(
            source, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        )


@contextmanager
def without_bars() -> Iterator[None]:
    """Keep the progress bars of ``transformers`` off the screen: reading and writing a run takes no noticeable time."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _checked_description(folder: Path) -> dict:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no saved run: {DESCRIPTION} is missing. fine_tune makes one.")
    try:
        description = json.loads(path.read_text("utf-8"))
        version, seal = description["format"], description["seal"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}). Delete {folder} and train again.") from error
    if version != FORMAT:
        raise ValueError(f"{folder} has run format {version}; this version reads {FORMAT}. Train again.")
    if seal != _seal(description):
        raise ValueError(f"{path} is altered. Delete {folder} and train again.")
    known = {DESCRIPTION, *description["sha256"]}
    files = {path.relative_to(folder).as_posix(): path.suffix for path in folder.rglob("*") if path.is_file()}
    strange = sorted(name for name, suffix in files.items() if name not in known or suffix not in ALLOWED)
    if strange:
        raise ValueError(
            f"{folder} holds {strange[:3]}; a run is the safetensors and JSON that were saved, nothing else (a "
            "pickle could run any code). Remove those files if you put them there; otherwise do not trust this run."
        )
    for name, digest in description["sha256"].items():
        file = folder / Path(name).name
        if not file.is_file() or _digest(file) != digest:
            raise ValueError(
                f"{file} is {'altered' if file.is_file() else 'missing'}. Delete {folder} and train again."
            )
    return description


def _seal(description: dict) -> str:
    """Digest of everything in the description but the seal itself."""
    own = {name: value for name, value in description.items() if name != "seal"}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def check_same_catalog(saved: pd.DataFrame, given: pd.DataFrame, where: Path | str) -> None:
    """Raise unless both catalogs hold the same items in the same order, under the same titles."""
    ours, theirs = (table[["item_id", "title"]].astype(str).reset_index(drop=True) for table in (saved, given))
    if ours.equals(theirs):
        return
    if len(ours) != len(theirs):
        difference = f"{len(ours)} items against {len(theirs)}"
    else:
        row = int((ours != theirs).any(axis=1).to_numpy().argmax())
        difference = f"row {row} is {tuple(ours.loc[row])} against {tuple(theirs.loc[row])}"
    raise ValueError(f"the run in {where} was trained on another catalog: {difference}. Train again on this one.")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
