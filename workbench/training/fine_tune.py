"""Sentences become weights.

What a step reads is decided in ``batches.py``, what it costs in ``loss.py``, who drives it in ``steps.py``, and what
happens after it in ``watch.py``.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Event

from workbench.catalogs import Split
from workbench.language import Spelling, spell
from workbench.models.catalog_vectors import embed_catalog
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.saved_run import check_replaceable
from workbench.models.start import start_recommender
from workbench.training.checkpoints import Checkpoints
from workbench.training.config import TrainingConfig
from workbench.training.keys import run_key
from workbench.training.loss import SentenceModel
from workbench.training.marks import find_marks
from workbench.training.progress import Progress, ProgressDisplay
from workbench.training.sizing import few_repeats, sized
from workbench.training.steps import take_steps
from workbench.training.text_start import read_texts
from workbench.training.watch import Watch


def fine_tune(
    split: Split,
    *,
    base: str = "small",
    spelling: str | Spelling = "atomic",
    config: TrainingConfig | None = None,
    folder: str | Path | None = None,
    stop: Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_validation: Callable[[GPT2Recommender, int], None] | None = None,
) -> GPT2Recommender:
    """Train a recommender on the split's training interactions; the weights of the best validation NDCG@10 are kept.

    Args:
        split: From ``leave_one_out`` or ``temporal_split``; only ``train`` is learned, ``validation`` chooses.
        base: ``"small"`` (random weights), ``"text"`` (the same, after ``read_texts``), a hub id such as ``"gpt2"``,
            or a folder; see ``start_recommender``.
        spelling: How items are written: ``"atomic"``, ``"semantic"`` (codes from the catalog's texts and the training
            interactions, see ``embed_catalog``), ``"title"``, or what ``workbench.language.spell`` made.
        config: Settings; the defaults when None.
        folder: Where the finished run is saved. While it trains, ``folder.partial`` holds what is needed to go on after
            a kill; calling again with the same arguments resumes. Without a folder nothing is left on disk.
        stop: Set this event (from a button, say) to end after the current step and keep the best so far.
        on_progress: Called at every step; a bar in the notebook or terminal when None.
        on_validation: Called after each validation, in the thread that trains, with the recommender as it is then and
            the step; it may rank with it, and must not change it.

    Raises:
        ValueError: If the split has nothing to learn from.
        FileExistsError: If ``folder`` holds something else than a saved run.

    Example:
        >>> import pandas as pd
        >>> from workbench.catalogs import read_tables, leave_one_out
        >>> items = pd.DataFrame({"item_id": list("abcd"), "title": ["Alien", "Brazil", "Cube", "Dune"]})
        >>> events = pd.DataFrame([(u, i, t) for u in "xyz" for t, i in enumerate("abcd")],
        ...                       columns=["user_id", "item_id", "position"])
        >>> split = leave_one_out(read_tables(items=items, interactions=events))
        >>> tiny = TrainingConfig(epochs=2, layers=1, width=16, precision="fp32")
        >>> fine_tune(split, config=tiny).rank({"new": ["a"]}, k=3)["rank"].tolist()
        [1, 2, 3]
    """
    config = sized(config or TrainingConfig(), split)
    if folder:
        folder = Path(folder).resolve()
        check_replaceable(folder)
    recommender = untrained(split, base=base, spelling=spelling, config=config)
    key = run_key(split, base=base, spelling=spelling, config=config)
    private = Path(f"{folder}.partial") if folder else Path(tempfile.mkdtemp(prefix="workbench-"))
    checkpoints = Checkpoints(private, key=key)
    watch = Watch(recommender, split, config, checkpoints, stop or Event(), on_progress or ProgressDisplay())
    watch.on_validation = on_validation
    try:
        _train(recommender, watch, config)
        recommender.record |= {
            "dataset": split.dataset.name,
            "base": base,
            "key": key,
            "config": config.as_json(),
        }
        if folder and watch.finished:
            recommender.save(folder)
            checkpoints.delete()
    finally:
        if not folder:
            shutil.rmtree(private, ignore_errors=True)
    return recommender


def untrained(split: Split, *, base: str, spelling: str | Spelling, config: TrainingConfig) -> GPT2Recommender:
    """The recommender that a run begins with."""
    catalog, config = split.dataset.catalog, sized(config, split)
    if spelling == "semantic":
        spelling = spell(catalog, how=spelling, embeddings=embed_catalog(catalog, train=split.train))
    recommender = start_recommender(
        catalog,
        base="small" if base == "text" else base,
        spelling=spelling,
        marks=find_marks(split, config),
        layers=config.layers,
        width=config.width,
        heads=config.heads,
        dropout=config.dropout,
        max_history=config.max_history,
        seed=config.seed,
    )
    recommender.model.config.each_item_once = recommender.vocabulary.one_word and few_repeats(split.train)
    return read_texts(recommender, config=config) if base == "text" else recommender


def _train(recommender: GPT2Recommender, watch: Watch, config: TrainingConfig) -> None:
    watch.module = SentenceModel(recommender.model.transformer, recommender.vocabulary)
    newest = watch.checkpoints.newest()
    if newest:
        watch.resume(newest[1])
    try:
        if not watch.finished:
            take_steps(
                recommender,
                watch.module,
                watch.sentences,
                config=config,
                precision=watch.precision,
                callback=watch,
                folder=watch.checkpoints.folder,
                resume_from=newest[0] if newest else None,
            )
    except KeyboardInterrupt:
        watch.note = "interrupted; the best so far is kept"
        watch.report_now()
    watch.keep_best()
    recommender.model.eval()
