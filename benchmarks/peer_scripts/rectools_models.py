"""SASRec, BERT4Rec and EASE of RecTools: python rectools_models.py SPLIT ROW, in the environment of rectools.txt.

The transformers are trained a few epochs at a time by ``fit_partial``, and asked for the lists of all validation users
in between. The weights have seen train only; at test the history holds the validation item too.
"""

import copy
import logging
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pandas as pd
import pytorch_lightning
import torch
from exchange import Lists, Question, Steps, answer, read, search
from rectools.dataset import Dataset, IdMap, Interactions
from rectools.metrics import NDCG, HitRate
from rectools.models import BERT4RecModel, EASEModel, SASRecModel

TRANSFORMERS = {"sasrec": SASRecModel, "bert4rec": BERT4RecModel}
AT_TEST = "weights from train; the validation item stands in the history"


def library_measures(lists: pd.DataFrame, targets: pd.DataFrame) -> dict[str, float]:
    """RecTools' own metrics; ``divide_by_achievable`` is the usual NDCG, the default divides by ten hits."""
    rules = {"reco": lists, "interactions": targets[["user_id", "item_id"]]}
    ndcg, hits = NDCG(k=10, divide_by_achievable=True), HitRate(k=10)
    return {"ndcg@10": float(ndcg.calc(**rules)), "hit_rate@10": float(hits.calc(**rules))}


def datasets(question: Question, *, repeats: bool) -> dict[str, Dataset]:
    """What is known on validation and at test, as RecTools' datasets with the items of train."""
    items = IdMap.from_values(sorted(set(question.train["item_id"])))
    found = {}
    for on in ("validation", "test"):
        events = question.known(on)
        events = events[events["item_id"].isin(items.external_ids)]
        if not repeats:
            events = events.drop_duplicates(["user_id", "item_id"])
        order = pd.to_datetime(range(len(events)), unit="s")  # RecTools sorts by time; this is the order of the split
        events = events[["user_id", "item_id"]].assign(weight=1.0, datetime=order)
        users = IdMap.from_values(events["user_id"])
        found[on] = Dataset(users, items, Interactions.from_raw(events, users, items))
    return found


def asking(model: Any, question: Question, known: dict[str, Dataset]) -> Lists:
    """A function that asks the model for its lists, items met before left out."""

    def lists(on: str) -> pd.DataFrame:
        rules = {"k": question.places, "filter_viewed": True, "on_unsupported_targets": "ignore"}
        return model.recommend(question.asked(on), known[on], **rules)

    return lists


def start_transformer(settings: dict[str, Any], *, question: Question, known: dict[str, Dataset]) -> Steps:
    """Train one configuration of SASRec or BERT4Rec, a few epochs between validations."""
    pytorch_lightning.seed_everything(question.seed, verbose=False)
    settings = dict(settings)
    epochs, every = settings.pop("epochs"), settings.pop("every")
    model = TRANSFORMERS[question.peer](**settings, loss="softmax", epochs=every)
    lists = asking(model, question, known)

    def keep() -> Lists:
        weights = copy.deepcopy(model.torch_model.state_dict())

        def best_lists(on: str) -> pd.DataFrame:
            model.torch_model.load_state_dict(weights)
            return lists(on)

        return best_lists

    for epoch in range(every, epochs + 1, every):
        model.fit_partial(known["validation"], min_epochs=every, max_epochs=every)
        yield epoch, library_measures(lists("validation"), question.validation)["ndcg@10"], keep


def start_ease(settings: dict[str, Any], *, question: Question, known: dict[str, Dataset]) -> Steps:
    """Fit EASE once."""
    model = EASEModel(**settings, recommend_n_threads=question.threads, recommend_use_gpu_ranking=False)
    lists = asking(model.fit(known["validation"]), question, known)
    yield 1, library_measures(lists("validation"), question.validation)["ndcg@10"], lambda: lists


def main() -> None:
    """Answer the question."""
    warnings.filterwarnings("ignore")
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    question = read()
    torch.set_num_threads(question.threads)
    transformer = question.peer in TRANSFORMERS
    known = datasets(question, repeats=transformer)
    begin: Callable[..., Steps] = start_transformer if transformer else start_ease
    courses = search(question, lambda settings: begin(settings, question=question, known=known), patience=10)
    device = "CUDA" if transformer and torch.cuda.is_available() else "CPU"
    facts = {"library": f"RecTools {version('rectools')}, torch {torch.__version__}", "device": device}
    answer(question, courses, measures=library_measures, **facts, at_test=AT_TEST)


if __name__ == "__main__":
    main()
