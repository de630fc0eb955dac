"""Sentences become weights.

What a step reads is decided in ``batches.py``, what it costs in ``loss.py``, who drives it in ``steps.py``, and what
happens after it in ``watch.py``.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from threading import Event

import pandas as pd

from workbench.catalogs import Split
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.saved_run import check_replaceable
from workbench.models.start import start_recommender
from workbench.training.checkpoints import Checkpoints
from workbench.training.config import TrainingConfig
from workbench.training.keys import run_key
from workbench.training.loss import SentenceModel
from workbench.training.progress import Progress, ProgressDisplay
from workbench.training.steps import take_steps
from workbench.training.text_start import read_texts
from workbench.training.watch import Watch


def fine_tune(
    split: Split,
    *,
    base: str = "small",
    spelling: str = "atomic",
    config: TrainingConfig | None = None,
    folder: str | Path | None = None,
    stop: Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> GPT2Recommender:
    """Train a recommender on the split's training interactions; the weights of the best validation NDCG@10 are kept.

    Args:
        split: From ``leave_one_out`` or ``temporal_split``; only ``train`` is learned, ``validation`` chooses.
        base: ``"small"`` (random weights), ``"text"`` (the same, after ``read_texts``), a hub id such as ``"gpt2"``,
            or a folder; see ``start_recommender``.
        spelling: How items are written.
        config: Settings; the defaults when None.
        folder: Where the finished run is saved. While it trains, ``folder.partial`` holds what is needed to go on after
            a kill; calling again with the same arguments resumes. Without a folder nothing is left on disk.
        stop: Set this event (from a button, say) to end after the current step and keep the best so far.
        on_progress: Called at every step; a bar in the notebook or terminal when None.

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
    config = config or TrainingConfig()
    if folder:
        folder = Path(folder).resolve()
        check_replaceable(folder)
    recommender = _untrained(split.dataset.catalog, base=base, spelling=spelling, config=config)
    key = run_key(split, base=base, spelling=spelling, config=config)
    private = Path(f"{folder}.partial") if folder else Path(tempfile.mkdtemp(prefix="workbench-"))
    checkpoints = Checkpoints(private, key=key)
    watch = Watch(recommender, split, config, checkpoints, stop or Event(), on_progress or ProgressDisplay())
    try:
        _train(recommender, watch, config)
        recommender.record |= {"dataset": split.dataset.name, "base": base, "key": key, "config": asdict(config)}
        if folder and watch.finished:
            recommender.save(folder)
            checkpoints.delete()
    finally:
        if not folder:
            shutil.rmtree(private, ignore_errors=True)
    return recommender


def _untrained(catalog: pd.DataFrame, *, base: str, spelling: str, config: TrainingConfig) -> GPT2Recommender:
    recommender = start_recommender(
        catalog,
        base="small" if base == "text" else base,
        spelling=spelling,
        layers=config.layers,
        width=config.width,
        heads=config.heads,
        dropout=config.dropout,
        max_history=config.max_history,
        seed=config.seed,
    )
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
