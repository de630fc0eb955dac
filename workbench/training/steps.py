"""Who drives the steps: the Hugging Face Trainer (mixed precision, schedule, resume).

No other file knows its names.
"""

from pathlib import Path

from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from workbench.models.gpt2 import GPT2Recommender
from workbench.training import sizing
from workbench.training.batches import Batch
from workbench.training.config import TrainingConfig
from workbench.training.loss import SentenceModel
from workbench.training.precision import best_device
from workbench.training.quicken import quickened


def take_steps(
    recommender: GPT2Recommender,
    module: SentenceModel,
    sentences: Dataset,
    *,
    config: TrainingConfig,
    precision: str,
    callback: TrainerCallback,
    folder: Path,
    resume_from: Path | None = None,
) -> None:
    """Train the recommender's model on all the sentences, in the order they stand.

    Args:
        recommender: Whose model it is; its lock is held.
        module: The model with its loss.
        sentences: A dataset of batches, one for each step.
        config: Learning rate, weight decay, warm-up and seed.
        precision: ``"bf16"`` or ``"fp32"``.
        callback: What happens after each step.
        folder: Where the Trainer may write.
        resume_from: A checkpoint of its own to go on from.
    """
    arguments = training_arguments(config, folder=folder, steps=len(sentences), precision=precision)
    trainer = _InOrder(
        model=module, args=arguments, train_dataset=sentences, data_collator=_only_row, callbacks=[callback]
    )
    trainer.remove_callback(PrinterCallback)
    with recommender.lock, quickened(recommender.model, precision=precision):
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)


def training_arguments(config: TrainingConfig, *, folder: Path, steps: int, precision: str) -> TrainingArguments:
    """The settings of a run in the Trainer's words."""
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the dataset is the whole run, one batch per row
        per_device_train_batch_size=1,
        learning_rate=sizing.learning_rate(steps) if config.learning_rate is None else config.learning_rate,
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
    arguments._n_gpu = min(arguments.n_gpu, 1)  # a Trainer that sees more takes a row, here a whole batch, for each
    return arguments


class _InOrder(Trainer):
    """A Trainer that reads the rows in the order they stand."""

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler:
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)


def _only_row(rows: list[Batch]) -> Batch:
    return rows[0]
