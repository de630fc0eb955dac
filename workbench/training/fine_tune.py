"""Sentences become weights.

The Hugging Face Trainer drives the steps (mixed precision, schedule, resume, several processes); ``training_arguments``
is the only place that knows its names. What a step reads is decided in ``batches.py``, what it costs in ``loss.py``.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from threading import Event

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from workbench.catalogs import Split
from workbench.evaluation.metrics import ndcg
from workbench.language import Vocabulary
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.saved_run import check_replaceable
from workbench.models.start import start_recommender
from workbench.training.batches import Batch, Sentences
from workbench.training.checkpoints import Checkpoints
from workbench.training.config import TrainingConfig
from workbench.training.keys import run_key
from workbench.training.loss import sentence_loss
from workbench.training.precision import best_device, choose_precision
from workbench.training.progress import Progress, ProgressDisplay

LOG_COLUMNS = ["step", "epoch", "train_loss", "validation_ndcg@10", "seconds"]
SAVE_SECONDS = 20.0  # at most this much work, and one step, is lost when the process is killed


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
    recommender = start_recommender(
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
    key = run_key(split, base=base, spelling=spelling, config=config)
    private = Path(f"{folder}.partial") if folder else Path(tempfile.mkdtemp(prefix="workbench-"))
    checkpoints = Checkpoints(private, key=key)
    watch = _Watch(recommender, split, config, checkpoints, stop or Event(), on_progress or ProgressDisplay())
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
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the dataset is the whole run, one batch per row
        per_device_train_batch_size=1,
        learning_rate=config.learning_rate,
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


def _train(recommender: GPT2Recommender, watch: "_Watch", config: TrainingConfig) -> None:
    sentences = watch.sentences
    module = SentenceModel(recommender.model.transformer, recommender.vocabulary)
    watch.module = module
    arguments = training_arguments(
        config, folder=watch.checkpoints.folder, steps=len(sentences), precision=watch.precision
    )
    trainer = _InOrder(
        model=module, args=arguments, train_dataset=sentences, data_collator=_only_row, callbacks=[watch]
    )
    trainer.remove_callback(_printer())
    newest = watch.checkpoints.newest()
    if newest:
        watch.resume(newest[1])
    try:
        if not watch.finished:
            with recommender.lock:
                trainer.train(resume_from_checkpoint=str(newest[0]) if newest else None)
    except KeyboardInterrupt:
        watch.note = "interrupted; the best so far is kept"
        watch.report_now()
    watch.keep_best()
    recommender.model.eval()


class SentenceModel(nn.Module):
    """The GPT-2 with its loss: what the Trainer calls, and all that it needs to know."""

    def __init__(self, transformer: nn.Module, vocabulary: Vocabulary) -> None:
        """Share the recommender's transformer."""
        super().__init__()
        self.transformer, self.vocabulary = transformer, vocabulary
        self.history_loss, self.steps, self.words = 0.0, 0, 0

    def forward(self, **batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Loss of one batch."""
        losses = sentence_loss(self.transformer, batch, vocabulary=self.vocabulary)
        self.history_loss = self.history_loss + losses["history"].detach()
        self.steps += 1
        self.words += sum(group["words"].numel() for group in batch.values())
        return {"loss": losses["total"]}


class _InOrder(Trainer):
    """A Trainer that reads the rows in the order they stand."""

    def _get_train_sampler(self, train_dataset: Sentences | None = None) -> Sampler:
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)


class _Watch(TrainerCallback):
    """Validates, keeps the best weights, stops, reports, and asks for checkpoints."""

    def __init__(
        self,
        recommender: GPT2Recommender,
        split: Split,
        config: TrainingConfig,
        checkpoints: Checkpoints,
        stop: Event,
        report: Callable[[Progress], None],
    ) -> None:
        self.recommender, self.split, self.config = recommender, split, config
        self.checkpoints, self.stop, self.report = checkpoints, stop, report
        self.sentences = Sentences(recommender, split, config)
        device = best_device()
        self.precision = choose_precision(device) if config.precision == "auto" else config.precision
        self.device = f"{device} {self.precision}"
        self.rows: list[dict] = []
        self.step, self.earlier_seconds, self.note, self.finished = 0, 0.0, "", False
        self.begun = self.saved = time.monotonic()
        self.module: SentenceModel | None = None
        self._histories = split.histories(on="validation") if len(split.validation) else {}
        self._held_out = dict(zip(split.validation["user_id"], split.validation["item_id"], strict=True))

    @property
    def seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.begun

    @property
    def best(self) -> dict | None:
        if not self._histories:  # nothing to choose by: the newest
            return self.rows[-1] if self.rows else None
        return max(self.rows, key=lambda row: row["validation_ndcg@10"], default=None)

    def resume(self, state: dict) -> None:
        """Take up the log where the checkpoint left it; a run that was killed after its last step is finished."""
        self.rows, self.earlier_seconds, self.step = state["rows"], state["seconds"], state["step"]
        self.module.history_loss, self.module.steps = state["history_loss"], state["steps"]
        self._decide()

    def on_step_end(self, args, state, control, **_) -> None:  # noqa: ANN001 (the Trainer's signature)
        self.step = state.global_step
        every = self.config.validate_every * self.sentences.steps_per_epoch
        if self.step % every == 0 or self.step >= len(self.sentences):
            control.should_save = self._validate(self.step)
        self._decide()
        if self.stop.is_set() and not self.finished:
            self.note = "stopped; the best so far is kept"
        control.should_training_stop = bool(self.note)
        if time.monotonic() - self.saved > SAVE_SECONDS or (self.note and not self.finished):
            control.should_save = True
        self.report_now()

    def _decide(self) -> None:
        """Whether the run has come to its end, and why."""
        since = len(self.rows) - 1 - self.rows.index(self.best) if self.rows else 0
        limit = self.config.max_seconds
        if self.step >= len(self.sentences):
            self.note = "finished"
        elif since >= self.config.patience:
            self.note = f"no better for {since} validations"
        elif limit and self.seconds >= limit:
            self.note = f"time limit of {limit:.0f} s"
        self.finished = bool(self.note)

    def on_save(self, args, state, control, **_) -> None:  # noqa: ANN001
        self.saved = time.monotonic()
        best = self.best
        self.checkpoints.complete(
            state.global_step,
            {
                "step": self.step,
                "rows": self.rows,
                "seconds": self.seconds,
                "history_loss": float(self.module.history_loss),
                "steps": self.module.steps,
                "best_step": best["step"] if best else None,
            },
        )

    def _validate(self, step: int) -> bool:
        """One row of the log; True when it is the best so far."""
        row = {
            "step": step,
            "epoch": step / self.sentences.steps_per_epoch,
            "train_loss": float(self.module.history_loss) / max(self.module.steps, 1),
            "validation_ndcg@10": self._validation_ndcg(),
            "seconds": round(self.seconds, 2),
        }
        self.rows.append(row)
        self.module.history_loss, self.module.steps = 0.0, 0
        better = self.best is row
        if better:
            self.checkpoints.keep_best(step, self.module.transformer.state_dict())
        return better

    def _validation_ndcg(self) -> float:
        if not self._histories:
            return float("nan")
        ranking = self.recommender.rank(self._histories, k=10)
        hits = ranking[ranking["item_id"] == ranking["user_id"].map(self._held_out)]
        ranks = hits.set_index("user_id")["rank"].reindex(list(self._histories)).fillna(np.inf)
        return ndcg(ranks.to_numpy(), k=10)

    def keep_best(self) -> None:
        """Put the best weights into the model and the story of the run into its record."""
        best = self.best
        if best:
            self.recommender.model.transformer.load_state_dict(self.checkpoints.best(best["step"]))
        self.recommender.log = pd.DataFrame(self.rows, columns=LOG_COLUMNS)
        self.recommender.record = {
            "best": best or {},
            "ended": self.note,
            "seconds": round(self.seconds, 1),
            "device": self.device,
        }

    def report_now(self) -> None:
        """Tell whoever watches where the run stands."""
        self.report(self._progress())

    def _progress(self) -> Progress:
        return Progress(
            step=self.step,
            steps=len(self.sentences),
            epoch=self.step / self.sentences.steps_per_epoch,
            epochs=self.config.epochs,
            seconds=self.seconds,
            tokens_per_second=self.module.words / max(time.monotonic() - self.begun, 1e-9),
            device=self.device,
            log=pd.DataFrame(self.rows, columns=LOG_COLUMNS),
            note=self.note,
        )


def _only_row(rows: list[Batch]) -> Batch:
    return rows[0]


def _printer() -> type[TrainerCallback]:
    from transformers import PrinterCallback

    return PrinterCallback
