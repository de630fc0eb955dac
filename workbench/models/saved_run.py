"""A saved run: one folder of safetensors and JSON, checked file by file when it is read. Nothing in it is executed."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from workbench.language import PromptTemplate, Spelling, Vocabulary
from workbench.language.tokenizer import plain_text_only
from workbench.models.gpt2 import GPT2Recommender

FORMAT = 1
ALLOWED = {".json", ".safetensors"}


def write_run(recommender: GPT2Recommender, folder: Path) -> Path:
    """Write to a neighbouring scratch folder, then rename: a run is there whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with recommender.lock:
            recommender.model.save_pretrained(scratch)
        recommender.tokenizer.save(str(scratch / "tokenizer.json"))
        recommender.catalog.to_json(scratch / "catalog.json", orient="table", index=False, force_ascii=False)
        recommender.log.to_json(scratch / "log.json", orient="records", double_precision=15)
        spelling = recommender.vocabulary.spelling
        description = {
            "format": FORMAT,
            "n_text": recommender.vocabulary.n_text,
            "spelling": {"how": spelling.how, "codes": spelling.codes, "n_words": spelling.n_words},
            "template": vars(recommender.template),
            "start": recommender.start,
            "record": recommender.record,
            "sha256": {path.name: _digest(path) for path in sorted(scratch.iterdir())},
        }
        (scratch / "recommender.json").write_text(json.dumps(description, indent=1, ensure_ascii=False), "utf-8")
        _swap(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _swap(scratch: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(scratch, folder)
    shutil.rmtree(old, ignore_errors=True)


def read_run(folder: Path, *, catalog: pd.DataFrame | None = None) -> GPT2Recommender:
    """The recommender saved in ``folder``; see :meth:`GPT2Recommender.load`."""
    description = _checked_description(folder)
    own = pd.read_json(folder / "catalog.json", orient="table", dtype=False, convert_dates=False)
    if catalog is not None:
        check_same_catalog(own, catalog, folder)
    parts = description["spelling"]
    codes = tuple(tuple(code) for code in parts["codes"])
    spelling = Spelling(parts["how"], tuple(own["item_id"]), codes, parts["n_words"])
    model = _model_without_draw(folder)
    tokenizer = plain_text_only(Tokenizer.from_file(str(folder / "tokenizer.json")))
    return GPT2Recommender(
        model.eval(),
        tokenizer=tokenizer,
        vocabulary=Vocabulary(description["n_text"], spelling),
        template=PromptTemplate(**description["template"]),
        catalog=own,
        start=description["start"],
        record=description["record"],
        log=pd.DataFrame(json.loads((folder / "log.json").read_text("utf-8"))),
    )


def _model_without_draw(folder: Path) -> GPT2LMHeadModel:
    try:
        config = GPT2Config.from_pretrained(folder)
        return GPT2LMHeadModel.from_pretrained(folder, config=config, use_safetensors=True)
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(
            f"the weights in {folder} cannot be read ({error}). Delete the folder and train again."
        ) from error


def _checked_description(folder: Path) -> dict:
    path = folder / "recommender.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no saved run: recommender.json is missing. fine_tune makes one.")
    strange = sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix not in ALLOWED)
    if strange:
        raise ValueError(
            f"{folder} holds {strange[:3]}; a run is safetensors and JSON, nothing else (a pickle could run any code). "
            "Remove those files if you put them there; otherwise do not trust this run."
        )
    try:
        description = json.loads(path.read_text("utf-8"))
        digests = description["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}). Delete {folder} and train again.") from error
    if description.get("format") != FORMAT:
        raise ValueError(
            f"{folder} has run format {description.get('format')}; this version reads {FORMAT}. Train again."
        )
    for name, digest in digests.items():
        file = folder / Path(name).name
        if not file.is_file() or _digest(file) != digest:
            raise ValueError(
                f"{file} is {'altered' if file.is_file() else 'missing'}. Delete {folder} and train again."
            )
    return description


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
