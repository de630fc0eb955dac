"""Three ways to write an item, on one dataset: how good, how fast, how large, and what goes wrong without the trie.

    python benchmarks/spellings.py [--dataset films] [--seeds 0 1 2]

For each spelling and seed: NDCG@10 and hit rate@10 over the full catalog (every item scored, no beam), the share of
lists' places that leave the catalog when nothing constrains them (beam and draws), milliseconds for one list,
parameters, seconds of training. Rows are kept as soon as they are measured, in
``benchmarks/results/spellings-<dataset>.json``.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from quality import described, finished_run, mean_row, row_of
from records import RESULTS, Page, Row, fingerprint, machine, say

from workbench.catalogs import Split, leave_one_out, load_dataset
from workbench.evaluation import HeldOutRanks, compare
from workbench.language import Prompt
from workbench.models import GPT2Recommender
from workbench.training import TrainingConfig
from workbench.training.keys import run_key

SPELLINGS = ("atomic", "semantic", "title")
USERS, TIMED = 200, 30  # whose lists are written without constraint; lists that are timed


def measure_run(split: Split, recommender: GPT2Recommender) -> Row:
    """How large one run is, and how often it leaves the catalog when it may."""
    histories = dict(list(split.histories("test").items())[:USERS])
    free = {
        f"off_catalog_{how}": recommender.generate(histories, k=10, how=how, constrain=False, **more)["item_id"]
        for how, more in (("beam", {"width": 10}), ("sample", {}))
    }
    spelling = recommender.vocabulary.spelling
    return {name: float(items.isna().mean()) for name, items in free.items()} | {
        "parameters": recommender.model.num_parameters(),
        "item_words": spelling.n_words,
        "words_per_item": recommender.vocabulary.mean_length,
        "codes": spelling.report,
    }


def measure_times(split: Split, recommender: GPT2Recommender) -> Row:
    """Median milliseconds of one list of ten: by beam, by chance, as a slate, and ranked over all items."""
    prompts = [Prompt(history=tuple(items)) for items in list(split.histories("test").values())[:TIMED]]
    row = {
        f"{how}_ms": median_ms(lambda prompt, how=how: recommender.generate(prompt, k=10, how=how), prompts)
        for how in ("beam", "sample", "greedy")
    }
    return row | {"rank_ms": median_ms(lambda prompt: recommender.rank({"u": prompt.history}, k=10), prompts)}


def median_ms(act, prompts: Sequence[Prompt]) -> float:
    """Median milliseconds of doing something for each prompt, after doing it once."""
    act(prompts[0])
    times = []
    for prompt in prompts:
        begun = time.perf_counter()
        act(prompt)
        times.append(1000 * (time.perf_counter() - begun))
    return round(float(np.median(times)), 1)


def measure(split: Split, *, seeds: Sequence[int]) -> Row:
    """Every spelling with every seed, then means over seeds and paired differences to one word per item."""
    page = Page(RESULTS / f"spellings-{split.dataset.name}.json")
    page.figures |= {"dataset": split.dataset.name, "machine": machine(), "seeds": list(seeds)}
    for seed in seeds:
        for how in SPELLINGS:
            config = replace(TrainingConfig(), seed=seed)
            name, found = f"{how}, seed {seed}", []

            def make(how: str = how, config: TrainingConfig = config, found: list = found) -> GPT2Recommender:
                found.append(finished_run(split, config=config, spelling=how))
                return found[0]

            def measured(name: str = name, make=make, found: list = found) -> tuple[Row, HeldOutRanks]:
                row, ranks = row_of(page, split, name, make)()
                return row | measure_run(split, found[0]), ranks

            page.once("runs", name, key=fingerprint(split, run_key(split, base="small", spelling=how, config=config)),
                      make=measured)  # fmt: skip
    for how in SPELLINGS:
        run = finished_run(split, config=TrainingConfig(seed=seeds[0]), spelling=how)
        page.once("times", how, key=run.record["key"],
                  make=lambda run=run: (measure_times(split, run) | {"machine": machine()}, None))  # fmt: skip
    summarize(page, split, seeds=seeds)
    page.save()
    return page.figures


def summarize(page: Page, split: Split, *, seeds: Sequence[int]) -> None:
    """Means over seeds, and differences to ``atomic``, all from what is kept."""
    ranks = {how: [page.held_out(f"{how}, seed {seed}") for seed in seeds] for how in SPELLINGS}
    table = page.figures["spellings"] = {}
    for how in SPELLINGS:
        rows = [page.figures["runs"][f"{how}, seed {seed}"] for seed in seeds]
        numbers = [name for name, value in rows[0].items() if isinstance(value, int | float) and name != "ranks"]
        table[how] = {name: float(np.mean([row[name] for row in rows])) for name in numbers} | mean_row(ranks[how])
        table[how] |= {name: value for name, value in page.figures["times"][how].items() if name.endswith("_ms")}
    page.figures["differences"] = {
        f"{how} - atomic": described(compare(ranks[how], ranks["atomic"], split, names=(how, "atomic")))
        for how in SPELLINGS[1:]
    }
    for difference in page.figures["differences"].values():
        say(difference["sentence"])


def main(words: Sequence[str]) -> int:
    """Measure one dataset."""
    parser = argparse.ArgumentParser(prog="spellings.py", description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="films", help="a dataset's name or folder (default: films)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="seeds (default: 0 1 2)")
    wanted = parser.parse_args(words)
    measure(leave_one_out(load_dataset(wanted.dataset)), seeds=wanted.seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
