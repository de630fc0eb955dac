"""ALS and BPR of implicit, on the CPU: python implicit_models.py SPLIT ROW, in the environment of implicit.txt.

ALS finds a user's factors from the history it is given, by the library's ``recalculate_user``, on validation and test
alike; so at test the validation item counts, while the item factors have seen train only. BPR has no such step: its
user factors are those of train, and at test the validation item is only left out of the lists.
"""

import warnings
from typing import Any

import implicit
import numpy as np
import pandas as pd
from exchange import Lists, Question, Steps, answer, own_measures, read, search
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from scipy import sparse

MODELS = {"als": AlternatingLeastSquares, "bpr": BayesianPersonalizedRanking}
NEVER = -1e30  # implicit fills a list that is too short with the smallest float
AT_TEST = {
    "als": "item factors from train; user factors recalculated from train and validation item (recalculate_user)",
    "bpr": "all factors from train; the validation item is only left out of the lists (implicit cannot fold it in)",
}


class Matrices:
    """Users by items, 1 where they met, for train and for what is known at test."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.users = pd.Index(pd.unique(pd.concat([question.train["user_id"], question.validation["user_id"]])))
        self.items = pd.Index(sorted(set(question.train["item_id"])))
        self.known = {on: self.matrix(question.known(on)) for on in ("validation", "test")}

    def matrix(self, events: pd.DataFrame) -> sparse.csr_matrix:
        """1 where a user met an item of train."""
        rows, columns = self.users.get_indexer(events["user_id"]), self.items.get_indexer(events["item_id"])
        met = columns >= 0
        shape = (len(self.users), len(self.items))
        table = sparse.csr_matrix((np.ones(met.sum(), np.float32), (rows[met], columns[met])), shape=shape)
        table.data[:] = 1
        return table

    def lists(self, model: Any, on: str, *, fold_in: bool) -> pd.DataFrame:
        """The rankings table of a model, items met before left out."""
        rows = self.users.get_indexer(self.question.asked(on))
        places = min(self.question.places, len(self.items))
        codes, scores = model.recommend(rows, self.known[on][rows], N=places, recalculate_user=fold_in)
        table = pd.DataFrame(
            {
                "user_id": np.repeat(self.users[rows].to_numpy(), codes.shape[1]),
                "item_id": self.items.to_numpy()[codes.ravel()],
                "rank": np.tile(np.arange(1, codes.shape[1] + 1), len(rows)),
                "score": scores.ravel(),
            }
        )
        return table[table["score"] > NEVER]


def start(settings: dict[str, Any], *, matrices: Matrices) -> Steps:
    """Train one configuration, a few iterations between validations."""
    question = matrices.question
    settings = dict(settings)
    epochs, every = settings.pop("iterations"), settings.pop("every")
    model = MODELS[question.peer](
        **settings,
        iterations=every,
        num_threads=question.threads,
        random_state=np.random.default_rng(question.seed),  # goes on between calls of fit, as the factors do
        use_gpu=False,
    )
    fold_in = question.peer == "als"

    def keep() -> Lists:
        factors = model.user_factors.copy(), model.item_factors.copy()

        def lists(on: str) -> pd.DataFrame:
            model.user_factors, model.item_factors = factors
            model._YtY = None  # made from the item factors
            return matrices.lists(model, on, fold_in=fold_in)

        return lists

    for epoch in range(every, epochs + 1, every):
        model.fit(matrices.known["validation"], show_progress=False)
        lists = matrices.lists(model, "validation", fold_in=fold_in)
        yield epoch, own_measures(lists, question.validation)["ndcg@10"], keep


def main() -> None:
    """Answer the question."""
    warnings.filterwarnings("ignore")
    question = read()
    matrices = Matrices(question)
    courses = search(question, lambda settings: start(settings, matrices=matrices), patience=10)
    facts = {"library": f"implicit {implicit.__version__}", "device": "CPU", "at_test": AT_TEST[question.peer]}
    answer(question, courses, measures=own_measures, **facts)


if __name__ == "__main__":
    main()
