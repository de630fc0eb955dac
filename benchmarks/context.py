"""Is it worth saying when? A run that has learned context, told it at test time and not told it.

    python benchmarks/context.py [--datasets films ml-100k] [--seeds 0 1 2]

On films context is planted, so saying it must help; on ml-100k more than half of the users typed all their ratings
within an hour, so its times are those of a keyboard. For each seed the same run ranks twice: told the context of the
held-out event, and not told; the difference is paired, user by user. Two rows keep it honest: told the context of
somebody else, since a run that mostly read told sentences may do better with any marks at all, and a run that never
learned context. Rows are kept in ``benchmarks/results/context-<dataset>.json``.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from quality import described, finished_run, mean_row, row_of
from records import RESULTS, Page, Row, fingerprint, machine, say

from workbench.catalogs import Split, add_context, leave_one_out, load_dataset, sitting_share
from workbench.evaluation import compare
from workbench.models import GPT2Recommender, Situated, contexts_of
from workbench.training import TrainingConfig
from workbench.training.keys import run_key

COLUMNS = ("time_of_day", "day_type", "season")
LEARNED = {"films": {"context": COLUMNS, "profile": ("age_band", "region"), "reviews": 1}}  # as in the notebooks
WAYS = ("told", "told of others", "not told", "never learned")


def learned(name: str) -> dict[str, object]:
    """What a run on this dataset learns beside histories, wishes and descriptions."""
    return LEARNED.get(name, {"context": COLUMNS})


def rankers(split: Split, seed: int) -> dict[str, GPT2Recommender | Situated]:
    """The same run told and not told, and the run of before."""
    situated = finished_run(split, config=replace(TrainingConfig(), seed=seed, **learned(split.dataset.name)))
    contexts = contexts_of(split.test, COLUMNS)
    others = np.random.default_rng(seed).permutation(list(contexts))
    of_others = {user: contexts[other] for user, other in zip(contexts, others, strict=True)}
    return {
        "told": Situated(situated, context=contexts),
        "told of others": Situated(situated, context=of_others),
        "not told": situated,
        "never learned": finished_run(split, config=TrainingConfig(seed=seed)),
    }


def measure(name: str, *, seeds: Sequence[int]) -> Row:
    """One dataset: every seed and way, then means and paired differences."""
    dataset = add_context(load_dataset(name))
    split = leave_one_out(dataset)
    page = Page(RESULTS / f"context-{dataset.name}.json")
    page.figures |= {"dataset": dataset.name, "machine": machine(), "seeds": list(seeds)}
    page.figures["sitting_share"] = sitting_share(dataset.interactions)
    page.save()
    for seed in seeds:
        config = replace(TrainingConfig(), seed=seed, **learned(dataset.name))
        key = fingerprint(split, run_key(split, base="small", spelling="atomic", config=config))
        for way in WAYS:
            make = row_of(page, split, f"{way}, seed {seed}", lambda way=way, seed=seed: rankers(split, seed)[way])
            page.once("runs", f"{way}, seed {seed}", key=key, make=make)
    if not seeds:
        return page.figures
    ranks = {way: [page.held_out(f"{way}, seed {seed}") for seed in seeds] for way in WAYS}
    page.figures["ways"] = {way: mean_row(ranks[way]) for way in WAYS}
    page.figures["differences"] = {
        f"told - {other}": described(compare(ranks["told"], ranks[other], split, names=("context told", other)))
        for other in WAYS[1:]
    }
    page.save()
    for difference in page.figures["differences"].values():
        say(difference["sentence"])
    return page.figures


def main(words: Sequence[str]) -> int:
    """Measure films, and ml-100k where it is at hand."""
    parser = argparse.ArgumentParser(prog="context.py", description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=["films", "ml-100k"], help="default: films ml-100k")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2], help="default: 0 1 2; none: only sittings")
    wanted = parser.parse_args(words)
    for name in wanted.datasets:
        measure(name, seeds=wanted.seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
