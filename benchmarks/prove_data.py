"""Placebos: changes to the data that must change the figures, or must not. A figure that survives them is no accident.

    make prove-data        (films and ml-100k)
    python benchmarks/prove_data.py films [--seeds 0 1 2] [--epochs 2] [--quick]

- *permuted ids*: users and items get each other's ids, and all tables the order of the new ones. Nothing else changes,
  so NDCG@10 must stay where it was, within the noise of seeds; if not, something is read off ids or row numbers.
- *shuffled histories*: the same events in random order, at test time only, and in training too. NDCG@10 must fall, or
  the model is no better than a bag of items.
- *random next items*: every training history is replaced by as many items drawn evenly from the catalog, which keeps
  nothing but ids, since what items are about is a lawful way to be better than popularity. The model must not come out
  ahead of it; if it does, test items reach it by another way.
- *leaks*: ``check_leaks`` on the split, on the sentences the model is trained on and on its lists finds nothing.

Results go to ``benchmarks/results/placebos-<dataset>.json``; the exit status is 1 when a placebo does not behave.
``--epochs`` is for data on which a whole training takes an hour: all sides are then trained so long. ``--quick`` trains
a tiny model for two epochs, to see that everything runs; its results go to ``build/`` and prove nothing.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from quality import described, finished_run, mean_row
from records import LIMIT, RESULTS, Row, machine, say, write_json

from workbench.catalogs import Split, leave_one_out, load_dataset
from workbench.evaluation import HeldOutRanks, PairedDifference, Ranker, check_leaks, compare, evaluate
from workbench.models import GPT2Recommender, Popularity
from workbench.training import TrainingConfig
from workbench.training.batches import Sentences

DATASETS = ("films", "ml-100k")
QUICK = {"epochs": 2, "layers": 1, "width": 32, "wishes": 8, "wishes_after_history": 4, "max_history": 50}


def prove(
    split: Split,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    config: TrainingConfig | None = None,
    results: Path = RESULTS,
    runs: Path | None = None,
) -> Row:
    """Try every placebo on one split; the rows, as they are saved. ``row["behaves"]`` says whether each does.

    Args:
        split: Leave-one-out of the dataset.
        seeds: Of the trainings on true data and on permuted ids; the other placebos use the first.
        config: Settings of the trainings; the defaults when None.
        results: Folder of the JSON file.
        runs: Folder of the saved runs; the notebooks' when None.
    """
    config = replace(config or TrainingConfig(), seed=seeds[0])
    page: Row = {"dataset": split.dataset.name, "machine": machine(), "seeds": list(seeds), "placebos": {}}
    page["epochs"] = config.epochs or "those of the defaults"

    def model(of: Split, seed: int = config.seed) -> GPT2Recommender:
        return finished_run(of, config=replace(config, seed=seed), folder=runs)

    def keep(name: str, row: Row) -> None:
        page["placebos"][name] = row
        write_json(results / f"placebos-{split.dataset.name}.json", page)
        say(f"{split.dataset.name}: {name}: {'behaves' if row['behaves'] else 'DOES NOT BEHAVE'}. {row['finding']}")

    say(f"{split.dataset.name}: GPT-2 on the data as it is, {len(seeds)} seed(s)")
    recommender = model(split)
    true = [ranks_of(model(split, seed), split) for seed in seeds]
    page["as it is"] = mean_row(true)
    keep("leaks", leak_row(recommender, split))
    keep("permuted ids", permuted_row(split, true=true, model=model, seeds=seeds))
    shuffled = shuffled_split(split, seed=0)
    disordered = shuffled_histories(split, seed=1)
    ranks = ranks_of(recommender, split, histories=disordered)
    keep("histories shuffled at test", falling_row(true[:1], ranks, split))
    ranks = ranks_of(model(shuffled), split, histories=disordered)
    keep("histories shuffled in training and at test", falling_row(true[:1], ranks, split))
    floor = ranks_of(Popularity().tune(split), split)
    keep("random next items", random_row(ranks_of(model(random_split(split, seed=0)), split), floor, split))
    return page


def permuted_row(
    split: Split, *, true: Sequence[HeldOutRanks], model: Callable[[Split, int], GPT2Recommender], seeds: Sequence[int]
) -> Row:
    """NDCG@10 must not move by more than the paired interval or the spread of the seeds allows."""
    permuted, new_ids = permuted_split(split, seed=0)
    placebo = [renamed(ranks_of(model(permuted, seed), permuted), split, new_ids) for seed in seeds]
    figures = [mean_row([ranks])["ndcg@10"] for ranks in true]
    difference = compare(placebo, list(true), split, names=("permuted ids", "ids as they are"))
    return stays(difference, spread=float(np.ptp(figures))) | {"ndcg@10": mean_row(placebo)["ndcg@10"]}


def stays(difference: PairedDifference, *, spread: float) -> Row:
    """It behaves when the interval holds zero, or the difference is no larger than that between seeds."""
    behaves = difference.low <= 0 <= difference.high or abs(difference.mean) <= spread
    return row_of(difference, behaves=behaves) | {"spread": spread}


def falling_row(true: Sequence[HeldOutRanks], placebo: HeldOutRanks, split: Split) -> Row:
    """It behaves when the placebo is behind, by an interval that excludes zero."""
    difference = compare([placebo], list(true), split, names=("shuffled histories", "histories in order"))
    return row_of(difference, behaves=difference.high < 0) | {"ndcg@10": mean_row([placebo])["ndcg@10"]}


def random_row(placebo: HeldOutRanks, floor: HeldOutRanks, split: Split) -> Row:
    """It behaves unless the placebo is ahead of popularity, by an interval that excludes zero."""
    difference = compare([placebo], [floor], split, names=("trained on random items", "popularity"))
    return row_of(difference, behaves=difference.low <= 0) | {"ndcg@10": mean_row([placebo])["ndcg@10"]}


def leak_row(recommender: GPT2Recommender, split: Split) -> Row:
    """It behaves when no check fires that is about the model; what fires about the data is only told."""
    sentences = Sentences(recommender, split, TrainingConfig(**recommender.record["config"]))
    items = np.array(recommender.vocabulary.spelling.items, dtype=object)
    read = [
        {"user_id": user, "item_ids": items[rows].tolist()}
        for user, rows in zip(sentences.users, sentences.histories, strict=True)
    ]
    rankings = recommender.rank(split.histories("test"), k=LIMIT)
    table = check_leaks(split, rankings=rankings, sentences=read)
    fired = table[table["fired"]]
    findings = fired.loc[fired["where"] == "model", "finding"].tolist()
    told = fired.loc[fired["where"] == "data", "finding"].tolist()
    finding = "; ".join(findings) or f"{len(table)} checks, none about the model fired"
    return {"behaves": not findings, "finding": finding, "about the data": told}


def row_of(difference: PairedDifference, *, behaves: bool) -> Row:
    """A paired difference as a row, with what it says about the placebo."""
    row = described(difference)
    return {"behaves": bool(behaves), "finding": row.pop("sentence")} | row


def ranks_of(ranker: Ranker, split: Split, *, histories: dict[str, list[str]] | None = None) -> HeldOutRanks:
    """Ranks of the held-out test items."""
    return evaluate({"it": ranker}, split, k=[10, LIMIT], histories=histories).attrs["ranks"]["it"]


def permuted_split(split: Split, *, seed: int) -> tuple[Split, dict[str, str]]:
    """The same events under permuted ids, in the order of the new ids, split again; and each user's new id."""
    rng, dataset = np.random.default_rng(seed), split.dataset
    events, catalog = dataset.interactions, dataset.catalog
    users, items = pd.unique(events["user_id"]), catalog["item_id"].to_numpy()
    new_users = dict(zip(users, rng.permutation(users), strict=True))
    new_items = dict(zip(items, rng.permutation(items), strict=True))
    catalog = catalog.assign(item_id=catalog["item_id"].map(new_items)).sort_values("item_id", ignore_index=True)
    events = events.assign(user_id=events["user_id"].map(new_users), item_id=events["item_id"].map(new_items))
    events = events.sort_values("user_id", kind="stable", ignore_index=True)  # each user's events keep their order
    name = f"{dataset.name}-permuted"
    permuted = replace(dataset, name=name, catalog=catalog, interactions=events, users=None)
    return leave_one_out(permuted), new_users


def renamed(ranks: HeldOutRanks, split: Split, new_ids: dict[str, str]) -> HeldOutRanks:
    """Ranks of permuted users as ranks of the users they are, in the order of the split."""
    users = split.test["user_id"].to_numpy(dtype=object)
    rows = pd.Index(ranks.user_ids).get_indexer([new_ids[user] for user in users])
    return replace(ranks, user_ids=users, ranks=ranks.ranks[rows], shown=ranks.shown[rows])


def shuffled_split(split: Split, *, seed: int) -> Split:
    """The split with each user's training items in random order; the times stay where they are."""
    rng, users = np.random.default_rng(seed), pd.factorize(split.train["user_id"])[0]
    mixed = np.lexsort((rng.random(len(users)), users))
    items = split.train["item_id"].to_numpy(dtype=object).copy()
    items[np.argsort(users, kind="stable")] = items[mixed]
    return replace(split, train=split.train.assign(item_id=pd.array(items, dtype=split.train["item_id"].dtype)))


def shuffled_histories(split: Split, *, seed: int) -> dict[str, list[str]]:
    """What is known of each user before the test event, in random order."""
    rng = np.random.default_rng(seed)
    return {user: rng.permutation(np.array(items, object)).tolist() for user, items in split.histories("test").items()}


def random_split(split: Split, *, seed: int) -> Split:
    """The split with each user's training items replaced by as many others, drawn evenly from a catalog of bare ids."""
    rng, ids = np.random.default_rng(seed), split.dataset.catalog["item_id"]
    train, items = split.train.copy(), ids.to_numpy(dtype=object)
    for rows in train.groupby("user_id", sort=False).indices.values():
        drawn = rng.choice(items, size=len(rows), replace=len(rows) > len(items))
        train.iloc[rows, train.columns.get_loc("item_id")] = drawn
    bare = pd.DataFrame({"item_id": ids, "title": ids})
    return replace(split, train=train, dataset=replace(split.dataset, catalog=bare))


def main(words: Sequence[str]) -> int:
    """Try the placebos; 1 when one does not behave."""
    parser = argparse.ArgumentParser(prog="prove_data.py", description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=DATASETS, help="names or folders (default: films ml-100k)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="seeds of GPT-2 (default: 0 1 2)")
    parser.add_argument("--epochs", type=int, help="of every training (default: by the size of the data)")
    parser.add_argument("--quick", action="store_true", help="two epochs of a tiny model, results to build/")
    arguments = parser.parse_args(words)
    build = RESULTS.parents[1] / "build"
    settings: Row = {"config": TrainingConfig(epochs=arguments.epochs)}
    if arguments.quick:
        settings = {"config": TrainingConfig(**QUICK), "results": build, "runs": build / "runs"}
    failed = []
    for name in arguments.datasets:
        page = prove(leave_one_out(load_dataset(name)), seeds=arguments.seeds, **settings)
        failed += [f"{name}: {placebo}" for placebo, row in page["placebos"].items() if not row["behaves"]]
    print("Every placebo behaves." if not failed else "These placebos do not behave: " + "; ".join(failed))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
