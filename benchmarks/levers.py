"""One training run with changed settings, for the tables of LOG.md: what it learned, without a look at test scores.

    python benchmarks/levers.py ml-100k seed=1 dropout=0.2 weight.wish_after_history=0.2 trick.average=0.995

Settings are those of ``TrainingConfig``; ``weight.<kind>`` is the weight of a kind of sentence in the loss, and
``trick.<name>`` one of ``lever_tricks.py``: ``cosine`` (its temperature), ``average`` (share kept at each step),
``forget`` (share of items read as nothing), and ``untied``, ``one_window``, ``shift``, ``gaps`` and ``repeats``, of
whatever number.
Prints one line of JSON: validation NDCG@10 as it went, the last training loss, seconds, and the precision of 1,600
wishes. Nothing is kept. Seeds differ by more than most settings do; runs beside each other want ``OMP_NUM_THREADS=1``.
"""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from unittest.mock import patch

from lever_tricks import TRICKS
from records import Row

from workbench.catalogs import Split, leave_one_out, load_dataset
from workbench.evaluation import evaluate_requests
from workbench.language import request_table
from workbench.training import TrainingConfig, fine_tune
from workbench.training.loss import WEIGHTS

WISHES = 1_600


def pull(split: Split, settings: Sequence[str]) -> Row:
    """Train once with the settings changed; what came of it.

    Args:
        split: Whose training part is learned, and whose validation items are ranked.
        settings: Words like ``"dropout=0.2"`` or ``"weight.wish=0.1"``; values are JSON, but a precision is a word.

    Raises:
        KeyError: If there is no such kind of sentence, or no such trick.
        TypeError: If there is no such setting.
    """
    changed = dict(word.split("=", 1) for word in settings)
    values = {name: value if name == "precision" else json.loads(value) for name, value in changed.items()}
    weights = _taken(values, "weight.", known=WEIGHTS)
    tricks = _taken(values, "trick.", known=TRICKS)
    with ExitStack() as stack:
        stack.enter_context(patch.dict(WEIGHTS, weights))
        for name, value in tricks.items():
            stack.enter_context(TRICKS[name](value, split))
        recommender = fine_tune(split, config=TrainingConfig(**values))
    log, requests = recommender.log, request_table(split.dataset.catalog)
    some = requests.sample(min(WISHES, len(requests)), random_state=0).reset_index(drop=True)
    wishes = evaluate_requests({"GPT-2": recommender}, some)["precision"] if len(some) else {}
    return {
        "validation_ndcg@10": log["validation_ndcg@10"].round(4).tolist(),
        "train_loss": round(float(log["train_loss"].iloc[-1]), 3),
        "seconds": recommender.record["seconds"],
        "wishes": {f"{row[1]}, {row[2]}": round(float(precision), 3) for row, precision in wishes.items()},
    }


def _taken(values: Row, prefix: str, *, known: Sequence[str]) -> Row:
    """Take what has the prefix out of the values."""
    taken = {name.removeprefix(prefix): values.pop(name) for name in list(values) if name.startswith(prefix)}
    unknown = sorted(taken.keys() - set(known))
    if unknown:
        raise KeyError(f"there is no {prefix}{unknown[0]}; after {prefix!r} comes one of {sorted(known)}.")
    return taken


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    result = pull(leave_one_out(load_dataset(sys.argv[1])), sys.argv[2:])
    print(json.dumps({"dataset": sys.argv[1], "settings": sys.argv[2:]} | result))
