"""Where the recommenders stand on five datasets: floors, GPT-2, and GPT-2 blended with counting, in one table.

    make bench-quality     every row; hours; goes on where it was stopped
    make bench-quick       ml-100k and films with one seed, measured anew here

Leave-one-out, every item ranked, seen items removed; settings are chosen on validation items and the test items read
once. Each row is saved as soon as it is measured, with its protocol card, the rank of each user's test item and the
first ten places of each list, in ``benchmarks/results/`` (``make bench-quick``: in ``build/quick/``), and the table is
written anew: ``standings.md`` there.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from prove_data import leak_row, permuted_split, renamed
from quality import FLOORS, HISTORY_ONLY, described, finished_run, mean_row, measure, row_of
from records import LIMIT, PLACES, RESULTS, Page, Row, fingerprint, say
from standings_table import write_table

from workbench.catalogs import Split, leave_one_out, load_dataset
from workbench.evaluation import HeldOutRanks, compare, ndcg
from workbench.models import Blend
from workbench.training import TrainingConfig
from workbench.training.keys import run_key

COLD = 5  # train events up to which an item counts as cold


@dataclass(frozen=True)
class Plan:
    """What is measured on a dataset beside floors and GPT-2.

    Attributes:
        seeds: Of GPT-2's trainings.
        settings: What differs from the defaults of ``TrainingConfig``.
        others: Further rows of GPT-2, and which settings each changes.
        requests: Whether requests in words are measured too.
        cold: Whether the catalog's texts are taken away as well, and users looked at whose test item is cold.
        permuted: Whether ids are permuted as well.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    settings: tuple[tuple[str, object], ...] = ()
    others: Mapping[str, Row] = field(default_factory=dict)
    requests: bool = False
    cold: bool = False
    permuted: bool = False

    @property
    def config(self) -> TrainingConfig:
        """Settings of the first seed."""
        return TrainingConfig(seed=self.seeds[0], **dict(self.settings))


ONLY_HISTORIES = {"GPT-2 history only": HISTORY_ONLY}
PLANS = {
    "films": Plan(others=ONLY_HISTORIES, requests=True),
    "ml-100k": Plan(others=ONLY_HISTORIES, requests=True),
    "ml-latest-small": Plan(),
    "amazon-beauty-2014": Plan(settings=(("max_history", 50),), cold=True, permuted=True),
    "ml-1m-sasrec": Plan(seeds=(0,), others={"GPT-2, 19 epochs": {"epochs": 19}}),  # about a quarter of an hour
}
QUICK = {"films": Plan(seeds=(0,)), "ml-100k": Plan(seeds=(0,))}


def stand(split: Split, plan: Plan, *, results: Path = RESULTS, runs: Path | None = None) -> Row:
    """Measure what is missing on one dataset; the figures as they are saved.

    Args:
        split: Leave-one-out of the dataset.
        plan: What to measure.
        results: Folder of the page.
        runs: Folder of the saved runs; the notebooks' when None.
    """
    options = {"models": {"GPT-2": {}} | dict(plan.others), "requests": plan.requests, "results": results, "runs": runs}
    measure(split, seeds=plan.seeds, config=plan.config, **options)
    page = Page(results / f"{split.dataset.name}.json")
    trained = {
        seed: partial(finished_run, split, config=replace(plan.config, seed=seed), folder=runs) for seed in plan.seeds
    }
    keys = [
        run_key(split, base="small", spelling="atomic", config=replace(plan.config, seed=seed)) for seed in plan.seeds
    ]
    page.once("leaks", key=fingerprint(split, keys[0]), make=lambda: (leak_row(trained[plan.seeds[0]](), split), None))
    add_blends(page, split, list(trained.values()), keys=keys)
    if plan.cold:
        add_run(page, split, "GPT-2 without texts", of=without_texts(split), plan=plan, runs=runs)
    if plan.permuted:
        add_run(page, split, "GPT-2, permuted ids", of=permuted_split(split, seed=0), plan=plan, runs=runs)
    if plan.cold:
        page.figures["cold"] = cold_slice(page, split)
    page.save()
    return page.figures


def add_blends(page: Page, split: Split, trained: Sequence, *, keys: Sequence[str]) -> None:
    """GPT-2 and tuned co-occurrence as one ranker; where there are several seeds, these alone and with it too."""
    first = f"GPT-2, seed {page.figures['seeds'][0]}"
    blends = {f"{first}, and co-occurrence": (1, True)}
    if len(trained) > 1:
        blends |= {f"GPT-2, {len(trained)} seeds": (len(trained), False)}
        blends |= {f"GPT-2, {len(trained)} seeds, and co-occurrence": (len(trained), True)}

    def blend(n: int, counted: bool) -> Blend:
        floor = FLOORS["co-occurrence"]().tune(split) if counted else None
        return Blend([make() for make in trained[:n]], floor).tune(split)

    for name, (n, counted) in blends.items():
        key = fingerprint(split, name, list(keys[:n]), Blend.grid)
        page.once("rankers", name, key=key, make=row_of(page, split, name, partial(blend, n, counted)), lists=True)
    for name in blends:
        add_difference(page, split, name, "co-occurrence")


def add_difference(page: Page, split: Split, name: str, other: str) -> None:
    """How far one ranker is from another, user by user."""
    difference = compare([page.held_out(name)], [page.held_out(other)], split, names=(name, other))
    page.figures["differences"][f"{name} - {other}"] = described(difference)
    say(str(difference))


def add_run(page: Page, split: Split, name: str, *, of: Split, plan: Plan, runs: Path | None) -> None:
    """GPT-2 trained on changed data, first seed, and how far it is from GPT-2 on the data as they are."""
    changed, new_ids = of if isinstance(of, tuple) else (of, None)
    key = fingerprint(changed, run_key(changed, base="small", spelling="atomic", config=plan.config))

    def measured() -> tuple[Row, HeldOutRanks]:
        train = partial(finished_run, changed, config=plan.config, folder=runs)
        row, ranks = row_of(page, changed, name, train)()
        return row, renamed(ranks, split, new_ids) if new_ids else ranks

    page.once("rankers", name, key=key, make=measured)
    add_difference(page, split, name, f"GPT-2, seed {plan.seeds[0]}")


def without_texts(split: Split) -> Split:
    """The split with a catalog of bare ids: item rows then begin at random, and there is nothing to wish for."""
    ids = split.dataset.catalog["item_id"]
    return replace(split, dataset=replace(split.dataset, catalog=ids.to_frame().assign(title=ids)))


def cold_slice(page: Page, split: Split) -> Row:
    """NDCG@10 and hit rate@10 of every ranker for users whose test item has at most five train events."""
    events = split.test["item_id"].map(split.train["item_id"].value_counts()).fillna(0)
    users = split.test["user_id"][(events <= COLD).to_numpy()].tolist()
    rows: Row = {"users": len(users), "of": len(split.test), "train_events_at_most": COLD}
    places = page.ranks.index.get_indexer(users)
    for name in page.ranks if users else ():
        ranks = page.ranks[name].to_numpy(dtype=float)[places]
        of = HeldOutRanks(np.array(users, dtype=object), ranks, np.empty((len(users), 0)), limit=LIMIT)
        rows[name] = mean_row([of])
    return rows


def recomputed(page: Page, split: Split, name: str) -> float:
    """NDCG@10 of a ranker from the lists that were kept, and nothing else."""
    catalog = split.dataset.catalog["item_id"].to_numpy(dtype=object)
    shown = page.lists[[f"{name} {place}" for place in range(1, PLACES + 1)]].loc[split.test["user_id"]].to_numpy()
    right = np.where(shown >= 0, catalog[shown], None) == split.test["item_id"].to_numpy(dtype=object)[:, None]
    ranks = np.where(right.any(axis=1), 1.0 + right.argmax(axis=1), np.inf)
    return ndcg(ranks, k=10)


def main(words: Sequence[str]) -> int:
    """Measure the datasets that are named, and write the table."""
    parser = argparse.ArgumentParser(prog="standings.py", description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", help=f"some of {list(PLANS)} (default: all)")
    parser.add_argument(
        "--quick", action="store_true", help="ml-100k and films, one seed, measured anew in build/quick/"
    )
    arguments = parser.parse_args(words)
    plans, results, runs = PLANS, RESULTS, None
    if arguments.quick:
        plans, results = QUICK, RESULTS.parents[1] / "build/quick"
        shutil.rmtree(results, ignore_errors=True)
        runs = results / "runs"
    for name in arguments.datasets or plans:
        stand(leave_one_out(load_dataset(name)), plans[name], results=results, runs=runs)
        write_table(results)
    print((results / "standings.md").read_text("utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
