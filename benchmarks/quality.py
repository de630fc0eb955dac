"""How good the recommenders are: floors, GPT-2 over several seeds, requests, and the oracle where there is one.

    python benchmarks/quality.py ml-100k films [--seeds 0 1 2]

Every row is saved as soon as it is measured, in ``benchmarks/results/<dataset>.json``, and GPT-2's runs where the
notebooks keep theirs; calling again goes on with what is missing. Training takes minutes per seed on two cores.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
from records import RESULTS, Page, Row, curve_of, fingerprint, machine, say
from wishes import compare_ways

from workbench.catalogs import Split, films, leave_one_out, load_dataset
from workbench.evaluation import HeldOutRanks, PairedDifference, Ranker, compare, evaluate, evaluate_requests
from workbench.evaluation.comparison import METRICS
from workbench.evaluation.intervals import bootstrap_means, percentile_interval
from workbench.language import request_table
from workbench.models import BM25, EASE, CoOccurrence, GPT2Recommender, Popularity, Transitions
from workbench.models.floor import CountingRanker
from workbench.training import TrainingConfig, saved_run
from workbench.training.keys import run_key

K = (5, 10, 20)
FLOORS = {"popularity": Popularity, "transitions": Transitions, "co-occurrence": CoOccurrence, "EASE": EASE}
MOST_FOR_EASE = 10_000  # items
HISTORY_ONLY = {"wishes": 0, "wishes_after_history": 0, "descriptions": 0}
MODELS = {"GPT-2": {}, "GPT-2 history only": HISTORY_ONLY}


def measure(
    split: Split,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    config: TrainingConfig | None = None,
    models: Mapping[str, Row] = MODELS,
    requests: bool = True,
    results: Path = RESULTS,
    runs: Path | None = None,
) -> Row:
    """Measure everything on one split, or what is missing of it; returns the figures as they are saved.

    Args:
        split: Leave-one-out of the dataset.
        seeds: Of GPT-2's trainings.
        config: Its settings; the defaults when None.
        models: Which settings each row of GPT-2 changes.
        requests: Whether requests are measured too.
        results: Folder of the page.
        runs: Folder of the saved runs; the notebooks' when None.
    """
    page = Page(results / f"{split.dataset.name}.json")
    page.figures |= {"dataset": split.dataset.name, "seeds": list(seeds)}
    page.figures.setdefault("machine", machine())  # of the first row; each row names its own
    for name, floor in floors_of(split).items():
        make = row_of(page, split, name, lambda floor=floor: floor().tune(split))
        page.once("rankers", name, key=fingerprint(split, name, floor.grid), make=make)
    if split.dataset.name == "films":
        make = row_of(page, split, "oracle", lambda: films.OracleRanker(films.films_truth()))
        truth = [path.read_text("utf-8") for path in sorted(Path(films.__file__).parent.glob("*.py"))]
        page.once("rankers", "oracle", key=fingerprint(split, "oracle", truth), make=make)
    config = config or TrainingConfig()
    train(page, split, seeds=seeds, config=config, models=models, runs=runs)
    summarize(page, split, seeds=seeds, models=models)
    if requests:
        answer_requests(page, split, [replace(config, seed=seed) for seed in seeds], runs=runs)
    page.save()
    return page.figures


def floors_of(split: Split) -> dict[str, type[CountingRanker]]:
    """The floors; without EASE where items are so many that inverting its matrix for each setting takes too long."""
    large = len(split.dataset.catalog) > MOST_FOR_EASE
    return {name: floor for name, floor in FLOORS.items() if not (large and name == "EASE")}


def row_of(page: Page, split: Split, name: str, make: Callable[[], Ranker]) -> Callable[[], tuple[Row, HeldOutRanks]]:
    """A function that makes a ranker and measures it: its row of figures, and its ranks."""

    def measured() -> tuple[Row, HeldOutRanks]:
        begun = time.monotonic()
        ranker = make()
        seconds = time.monotonic() - begun
        table = evaluate({name: ranker}, split, k=K)
        page.figures["protocol"] = joined_cards(page.figures.get("protocol", {}), table.attrs["card"])
        row = table.loc[name].to_dict()
        if isinstance(ranker, GPT2Recommender):
            seconds = ranker.record["seconds"]  # of the training, also when the run was opened from disk
            row |= {"best_epoch": ranker.record["best"].get("epoch"), "device": ranker.record["device"]}
            row["curve"] = curve_of(ranker.log)  # as peers.py has it: how soon is it how good?
        row |= {"seconds": round(seconds, 1), "settings": getattr(ranker, "settings", None), "machine": machine()}
        if getattr(ranker, "tuning", None) is not None:
            row["settings_tried"] = len(ranker.tuning)
        return row, table.attrs["ranks"][name]

    return measured


def joined_cards(known: Row, card: Row) -> Row:
    """One protocol card for rankers that were measured one after the other: what is said per ranker is collected."""
    joined = dict(known)
    for name, value in card.items():
        old = known.get(name)
        if isinstance(value, dict):
            joined[name] = (old if isinstance(old, dict) else {}) | value
        elif isinstance(value, list):
            old = old if isinstance(old, list) else []
            joined[name] = old + [one for one in value if one not in old]
        elif not isinstance(old, dict | list):  # "nothing", "no floor": said of a single ranker
            joined[name] = value
    return joined


def train(
    page: Page,
    split: Split,
    *,
    seeds: Sequence[int],
    config: TrainingConfig,
    models: Mapping[str, Row],
    runs: Path | None,
) -> None:
    """Every row of GPT-2, one run per seed, each measured and saved."""
    for seed in seeds:
        for name, changes in models.items():
            own = replace(config, seed=seed, **changes)
            key = fingerprint(split, run_key(split, base="small", spelling="atomic", config=own))
            make = row_of(page, split, f"{name}, seed {seed}", partial(finished_run, split, config=own, folder=runs))
            page.once("runs", f"{name}, seed {seed}", key=key, make=make, lists=seed == seeds[0])


def finished_run(
    split: Split, *, config: TrainingConfig, folder: Path | None = None, spelling: str = "atomic"
) -> GPT2Recommender:
    """The saved run of these settings, trained to its end if it is missing; Ctrl-C in training ends the benchmark."""
    recommender = saved_run(split, config=config, folder=folder, spelling=spelling)
    if recommender.record["ended"].startswith("interrupted"):
        raise KeyboardInterrupt
    return recommender


def summarize(page: Page, split: Split, *, seeds: Sequence[int], models: Mapping[str, Row] = MODELS) -> None:
    """Means over seeds, paired differences, and the share of the way to the oracle: all from the kept ranks."""
    runs = {name: [page.held_out(f"{name}, seed {seed}") for seed in seeds] for name in models}
    for name in models:
        rows = [page.figures["runs"][f"{name}, seed {seed}"] for seed in seeds]
        page.figures["rankers"][name] = mean_row(runs[name]) | {
            "coverage@10": float(np.mean([row["coverage@10"] for row in rows])),
            "seconds": float(np.mean([row["seconds"] for row in rows])),
            "most_seconds": max(row["seconds"] for row in rows),
            "spread": float(np.ptp([row["ndcg@10"] for row in rows])),  # of NDCG@10 between seeds
        }
    pairs = {f"GPT-2 - {name.removeprefix('GPT-2 ')}": ("GPT-2", name) for name in models if name != "GPT-2"}
    pairs |= {f"GPT-2 - {floor}": ("GPT-2", floor) for floor in floors_of(split)}
    sides = runs | {floor: [page.held_out(floor)] for floor in floors_of(split)}
    page.figures["differences"] = {
        title: described(compare(sides[a], sides[b], split, names=(a, b))) for title, (a, b) in pairs.items()
    }
    for difference in page.figures["differences"].values():
        say(difference["sentence"])
    if "oracle" in page.ranks:
        page.figures["closed"] = share_of_the_way(page, runs["GPT-2"])
    page.save()


def mean_row(ranks: Sequence[HeldOutRanks]) -> Row:
    """Hit rate, NDCG and MRR at 10 of several runs, averaged per user, each with its interval over users."""
    columns = {
        f"{metric}@10": np.mean([value(one.ranks, k=10) for one in ranks], axis=0) for metric, value in METRICS.items()
    }
    low, high = percentile_interval(bootstrap_means(np.stack(list(columns.values()), axis=1)))
    row = {}
    for place, (name, values) in enumerate(columns.items()):
        row |= {name: float(values.mean()), f"{name}_low": float(low[place]), f"{name}_high": float(high[place])}
    return row


def described(difference: PairedDifference) -> Row:
    """A paired difference as a row."""
    return asdict(difference) | {"verdict": difference.verdict, "sentence": str(difference)}


def share_of_the_way(page: Page, runs: Sequence[HeldOutRanks]) -> Row:
    """(GPT-2 - popularity) / (oracle - popularity) in NDCG@10, with its interval over users; likewise co-occurrence."""
    ndcg = METRICS["ndcg"]
    sides = [[page.held_out("popularity")], [page.held_out("oracle")], runs, [page.held_out("co-occurrence")]]
    values = np.stack([np.mean([ndcg(one.ranks, k=10) for one in side], axis=0) for side in sides], axis=1)

    def share(means: np.ndarray) -> np.ndarray:  # (..., 4) -> (..., 2)
        floor, ceiling = means[..., :1], means[..., 1:2]
        return (means[..., 2:] - floor) / (ceiling - floor)

    low, high = percentile_interval(share(bootstrap_means(values)))
    whole = share(values.mean(axis=0))
    return {
        name: {"share": float(whole[place]), "low": float(low[place]), "high": float(high[place])}
        for place, name in enumerate(("GPT-2", "co-occurrence"))
    }


def answer_requests(page: Page, split: Split, configs: Sequence[TrainingConfig], *, runs: Path | None) -> None:
    """Requests alone beside BM25 (first seed), and requests with a history (all seeds)."""
    catalog = split.dataset.catalog
    key = fingerprint(split, [run_key(split, base="small", spelling="atomic", config=config) for config in configs])

    def trained() -> list[GPT2Recommender]:
        return [finished_run(split, config=config, folder=runs) for config in configs]

    def precision() -> tuple[Row, None]:
        rankers = {"GPT-2": trained()[0], "BM25": BM25().fit(catalog)}
        table = evaluate_requests(rankers, request_table(catalog, seed=0))
        rows: Row = {"exact filter": "1 by definition: it is told the combination itself"}
        for (ranker, combination, phrasing), row in table.iterrows():
            cell = f"{combination} combination, {phrasing} phrasing"
            rows.setdefault(ranker, {})[cell] = row.to_dict()
        return rows, None

    page.once("requests", key=key, make=precision)
    wishes = page.once("wishes", key=key, make=lambda: (compare_ways(trained(), split), None))
    say(f"{page.path.stem}: {wishes['finding']}")


def main(words: Sequence[str]) -> int:
    """Measure the datasets that are named."""
    parser = argparse.ArgumentParser(prog="quality.py", description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="+", help="names or folders of datasets, such as ml-100k films")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="seeds of GPT-2 (default: 0 1 2)")
    arguments = parser.parse_args(words)
    for name in arguments.datasets:
        measure(leave_one_out(load_dataset(name)), seeds=arguments.seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
