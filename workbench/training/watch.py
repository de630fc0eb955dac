"""What happens after each step: validation, the best weights, the end, the report, the checkpoints."""

import time
from collections.abc import Callable
from math import ceil
from threading import Event

import numpy as np
import pandas as pd
from transformers import TrainerCallback

from workbench.catalogs import Split
from workbench.evaluation.metrics import ndcg
from workbench.models.gpt2 import GPT2Recommender
from workbench.training.batches import Sentences
from workbench.training.checkpoints import Checkpoints
from workbench.training.config import TrainingConfig
from workbench.training.loss import SentenceModel
from workbench.training.precision import best_device, choose_precision
from workbench.training.progress import Progress

LOG_COLUMNS = ["step", "epoch", "train_loss", "validation_ndcg@10", "seconds"]
WATCHED = 500  # users that validate, about, where items take several words
SAVE_SECONDS = 20.0  # at most this much work, and one step, is lost when the process is killed


class Watch(TrainerCallback):
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
        """Make the sentences, choose the precision and start the clock."""
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
        self.on_validation: Callable[[GPT2Recommender, int], None] | None = None
        self._histories = _watched(split, recommender)
        self._held_out = dict(zip(split.validation["user_id"], split.validation["item_id"], strict=True))

    @property
    def seconds(self) -> float:
        """Time spent on this run, before a kill and since."""
        return self.earlier_seconds + time.monotonic() - self.begun

    @property
    def best(self) -> dict | None:
        """The row of the log whose weights are kept; None before the first validation.

        Of rows that differ by less than a thousandth the newest: that is far inside the noise, and wishes, which
        validation does not look at, go on improving.
        """
        if not self._histories:  # nothing to choose by: the newest
            return self.rows[-1] if self.rows else None
        return max(self.rows, key=lambda row: (round(row["validation_ndcg@10"], 3), row["step"]), default=None)

    def resume(self, state: dict) -> None:
        """Take up the log where the checkpoint left it; a run that was killed after its last step is finished."""
        self.rows, self.earlier_seconds, self.step = state["rows"], state["seconds"], state["step"]
        self.module.history_loss, self.module.steps = state["history_loss"], state["steps"]
        self._decide()

    def on_step_end(self, args, state, control, **_) -> None:  # noqa: ANN001 (the Trainer's signature)
        """Validate when it is time, then decide whether to go on and whether to save."""
        self.step = state.global_step
        epochs = self.config.validate_every or ceil(self.sentences.epochs / 8)
        every = epochs * self.sentences.steps_per_epoch
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
        """The Trainer has written its files: add ours and declare the checkpoint whole."""
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
        if self.on_validation:
            self.on_validation(self.recommender, step)
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
            epochs=self.sentences.epochs,
            seconds=self.seconds,
            tokens_per_second=self.module.words / max(time.monotonic() - self.begun, 1e-9),
            device=self.device,
            log=pd.DataFrame(self.rows, columns=LOG_COLUMNS),
            note=self.note,
        )


def _watched(split: Split, recommender: GPT2Recommender) -> dict[str, list[str]]:
    """Histories that validate; where items take several words, which takes longer, those of a part of the users."""
    histories = split.histories(on="validation") if len(split.validation) else {}
    every = 1 if recommender.vocabulary.one_word else max(1, len(histories) // WATCHED)
    return dict(list(histories.items())[::every])
