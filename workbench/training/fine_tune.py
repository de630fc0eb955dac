"""Sentences become weights.

The Hugging Face Trainer drives the steps (mixed precision, schedule, resume, several processes); ``training_arguments``
is the only place that knows its names. What a step reads is decided in ``batches.py``, what it costs in ``loss.py``,
what happens after it in ``watch.py``.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from threading import Event

from torch.utils.data import Sampler, SequentialSampler
from transformers import PrinterCallback, Trainer, TrainingArguments

from workbench.catalogs import Split
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.saved_run import check_replaceable
from workbench.models.start import start_recommender
from workbench.training.batches import Batch, Sentences
from workbench.training.checkpoints import Checkpoints
from workbench.training.config import TrainingConfig
from workbench.training.keys import run_key
from workbench.training.loss import SentenceModel
from workbench.training.precision import best_device
from workbench.training.progress import Progress, ProgressDisplay
from workbench.training.quicken import quickened
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
        base: ``"small"`` (random weights), a hub id such as ``"gpt2"``, or a folder; see ``start_recommender``.
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
    recommender = _untrained(split, base=base, spelling=spelling, config=config)
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


def training_arguments(config: TrainingConfig, *, folder: Path, steps: int, precision: str) -> TrainingArguments:
    """Every name of the Trainer's that we rely on, in one place."""
    rate = config.learning_rate
    if rate is None:
        rate = 0.002 if steps < 1_000 else 0.0015  # a short run must hurry, a long one need not; see LOG.md
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the dataset is the whole run, one batch per row
        per_device_train_batch_size=1,
        learning_rate=rate,
        weight_decay=config.weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, round(config.warmup * steps)),
        max_grad_norm=1.0,
        bf16=precision == "bf16",
        use_cpu=best_device() == "cpu",
        seed=config.seed,
        save_strategy="no",  # the callback asks for checkpoints by the clock
        save_total_limit=None,  # ours go when the next one is complete, not when it is begun
        eval_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )


def _untrained(split: Split, *, base: str, spelling: str, config: TrainingConfig) -> GPT2Recommender:
    return start_recommender(
        split.dataset.catalog,
        base=base,
        spelling=spelling,
        layers=config.layers,
        width=config.width,
        heads=config.heads,
        dropout=config.dropout,
        max_history=config.max_history,
        seed=config.seed,
    )


def _train(recommender: GPT2Recommender, watch: Watch, config: TrainingConfig) -> None:
    sentences = watch.sentences
    module = SentenceModel(recommender.model.transformer, recommender.vocabulary)
    watch.module = module
    arguments = training_arguments(
        config, folder=watch.checkpoints.folder, steps=len(sentences), precision=watch.precision
    )
    trainer = _InOrder(
        model=module, args=arguments, train_dataset=sentences, data_collator=_only_row, callbacks=[watch]
    )
    trainer.remove_callback(PrinterCallback)
    newest = watch.checkpoints.newest()
    if newest:
        watch.resume(newest[1])
    try:
        if not watch.finished:
            with recommender.lock, quickened(recommender.model, precision=watch.precision):
                trainer.train(resume_from_checkpoint=str(newest[0]) if newest else None)
    except KeyboardInterrupt:
        watch.note = "interrupted; the best so far is kept"
        watch.report_now()
    watch.keep_best()
    recommender.model.eval()


class _InOrder(Trainer):
    """A Trainer that reads the rows in the order they stand."""

    def _get_train_sampler(self, train_dataset: Sentences | None = None) -> Sampler:
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)


def _only_row(rows: list[Batch]) -> Batch:
    return rows[0]
