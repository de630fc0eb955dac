"""The start ``"text"``: a small GPT-2 that has read the catalog's texts, and no interaction."""

import tempfile
from math import ceil
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset
from transformers import TrainerCallback

from workbench.models.gpt2 import GPT2Recommender
from workbench.training.batches import Batch
from workbench.training.config import TrainingConfig
from workbench.training.loss import SentenceModel
from workbench.training.precision import best_device, choose_precision
from workbench.training.progress import Notice, ProgressDisplay
from workbench.training.steps import take_steps
from workbench.training.text_sentences import item_texts, text_group

READINGS, ROWS = 3, 32  # of every text; sentences in a step
LEAST_STEPS = 60  # a small catalog is read more often


def read_texts(recommender: GPT2Recommender, *, config: TrainingConfig | None = None) -> GPT2Recommender:
    """Let a new recommender learn to say the text of each item of its catalog; it sees nobody's history.

    Afterwards item rows lie together where descriptions are alike. ``fine_tune(base="text")`` goes on from here.

    Args:
        recommender: From ``start_recommender``; its weights change. Descriptions are read, titles where there is none.
        config: Seed, precision and learning rate; the defaults when None.

    Returns:
        The same recommender, whose ``start`` is now "text".

    Raises:
        ValueError: If the recommender has learned something before.

    Example:
        >>> import pandas as pd
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> reader = read_texts(start_recommender(catalog, layers=1, width=16), config=TrainingConfig(precision="fp32"))
        >>> reader.start
        'text'
    """
    if recommender.start != "random" or recommender.record:
        raise ValueError(
            f"this recommender is {recommender.source}; only one that has learned nothing can start from text. "
            "Make one: start_recommender(catalog)."
        )
    config = config or TrainingConfig()
    module = SentenceModel(recommender.model.transformer, recommender.vocabulary)
    precision = choose_precision(best_device()) if config.precision == "auto" else config.precision
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        take_steps(
            recommender,
            module,
            _Descriptions(recommender, seed=config.seed),
            config=config,
            precision=precision,
            callback=_Told(),
            folder=Path(folder),
        )
    recommender.model.eval()
    recommender.start = "text"
    return recommender


class _Descriptions(Dataset):
    """Every text of the catalog, several times over, each time in another order; ``[step]`` is one batch."""

    def __init__(self, recommender: GPT2Recommender, *, seed: int) -> None:
        self.recommender, self.texts = recommender, item_texts(recommender.catalog)
        rng, steps = np.random.default_rng((seed, 4)), ceil(len(self.texts) / ROWS)  # steps of one reading
        orders = [rng.permutation(len(self.texts)) for _ in range(max(READINGS, ceil(LEAST_STEPS / steps)))]
        self.steps = [order[first : first + ROWS] for order in orders for first in range(0, len(order), ROWS)]

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, step: int) -> Batch:
        return {"description": text_group(self.recommender, [self.texts[i] for i in self.steps[step]])}


class _Told(TrainerCallback):
    """Says how far the reading is."""

    def __init__(self) -> None:
        self.show = ProgressDisplay()

    def on_step_end(self, args, state, control, **_) -> None:  # noqa: ANN001 (the Trainer's signature)
        self.show(Notice(f"Reading the catalog's texts: step {state.global_step:,} of {state.max_steps:,}."))

    def on_train_end(self, args, state, control, **_) -> None:  # noqa: ANN001
        self.show(Notice("", note=f"The catalog's texts are read in {state.global_step:,} steps."))
