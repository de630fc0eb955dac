"""How fast the recommender trains and ranks on this machine, and what share of the machine that is.

    python benchmarks/speed.py [--device cuda] [--only machine training ranking quality]

writes ``benchmarks/results/speed.json`` row by row; what is there is not measured again. Compare the ratios: both sides
of each were measured in turn, in one process. The figures themselves belong to one machine at one time. ``--device``,
or the variable ``DEVICE``, is ``cpu``, ``cuda`` or ``mps``; the best there is when neither is given. On a processor
that others use as well, ``OMP_NUM_THREADS=1`` gives the steadier figures.
"""

import argparse
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from plain_loop import wait_for
from records import RESULTS, Page, Row, curve_of, machine, quantiles, seconds_to_reach
from speed_steps import ROUNDS, STEPS, measure_training, rate_matmul, spread, step_shapes, watch_memory

from workbench.catalogs import leave_one_out, load_dataset
from workbench.models import GPT2Recommender, start_recommender
from workbench.training import TrainingConfig
from workbench.training.precision import best_device, choose_precision
from workbench.training.runs import runs_folder

PARTS = ("machine", "training", "ranking", "quality")
HISTORIES = {"layers": 2, "width": 128, "heads": 2, "wishes": 0, "wishes_after_history": 0, "descriptions": 0}
TRAININGS = {
    "ml-1m-sasrec, 32 windows": ("ml-1m-sasrec", TrainingConfig(**HISTORIES, batch_users=32)),
    "ml-1m-sasrec, 64 windows": ("ml-1m-sasrec", TrainingConfig(**HISTORIES, batch_users=64)),
    "ml-100k, default settings": ("ml-100k", TrainingConfig()),
}
WORDS = 32 * 200  # of a step whose products are timed
CATALOGS = (3_416, 100_000)
USERS, PLACES = 256, 100  # of a timed ranking
MANY_USERS = (2_000, 8_000)
CALLS = 200  # of one user each
SHARES = (0.9, 0.99)  # of a run's best validation NDCG@10: when was it reached?


def measure_machine(device: torch.device) -> Row:
    """Rates of matrix products at the shapes of a step; in bf16 of one small one where that is not what would train."""
    shapes, chosen = step_shapes(WORDS, width=128, n_items=CATALOGS[0]), choose_precision(device.type)
    low = shapes if chosen == "bf16" else [(256, 128, 512)]
    return {
        "fp32_gflops": round(rate_matmul(shapes, dtype=torch.float32, device=device), 2),
        "bf16_gflops": round(rate_matmul(low, dtype=torch.bfloat16, device=device), 2),
        "bf16_shapes": [list(shape) for shape in low],
        "chosen": chosen,
    }


def random_users(n_users: int, *, n_items: int, seed: int) -> dict[str, list[str]]:
    """Histories of 60 to 140 items."""
    rng = np.random.default_rng(seed)
    return {f"u{user}": [f"i{i}" for i in rng.integers(n_items, size=rng.integers(60, 141))] for user in range(n_users)}


def lay_out(recommender: GPT2Recommender, histories: dict[str, list[str]]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Prompts of like length together, 64 at a time: their words, filled up on the right, and where each ends."""
    prompts, batches = sorted(recommender.prompts(histories, {}), key=len), []
    for first in range(0, len(prompts), 64):
        some = [torch.tensor(prompt) for prompt in prompts[first : first + 64]]
        words = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
        ends = torch.tensor([len(prompt) - 1 for prompt in some])
        batches.append((words.to(recommender.device), ends.to(recommender.device)))
    return batches


@torch.inference_mode()
def score_bare(recommender: GPT2Recommender, words: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """The least that ranking takes: the blocks, and one product with the rows of all items; (n_users, n_items)."""
    states = recommender.model.transformer(words, use_cache=False).last_hidden_state
    return states[torch.arange(len(words), device=words.device), ends] @ recommender.item_rows().T


def measure_dataset(name: str, config: TrainingConfig, *, device: torch.device) -> Row:
    """``measure_training`` on a dataset of this name."""
    return measure_training(leave_one_out(load_dataset(name)), config, device=device)


def measure_ranking(n_items: int, *, device: torch.device) -> Row:
    """Users a second against the bare arithmetic, memory of few and many users, and how long one user waits."""
    catalog = pd.DataFrame(
        {"item_id": [f"i{i}" for i in range(n_items)], "title": [f"Item {i}" for i in range(n_items)]}
    )
    recommender = start_recommender(catalog, layers=2, width=128, heads=2)
    recommender.model.to(device)
    histories = random_users(USERS, n_items=n_items, seed=0)
    batches = lay_out(recommender, histories)
    bare, ours = [], []
    for _ in range(ROUNDS + 1):
        bare.append(seconds_of(lambda: [wait_for(score_bare(recommender, *batch).device) for batch in batches]))
        ours.append(seconds_of(lambda: recommender.rank(histories, k=PLACES)))
    row = {
        "device": str(recommender.device),
        "users_per_second": round(USERS / float(np.median(ours[1:])), 1),
        "bare_users_per_second": round(USERS / float(np.median(bare[1:])), 1),
        "share_of_bare": spread([b / a for a, b in zip(ours, bare, strict=True)][1:]),
    }
    for n_users in MANY_USERS:
        many = random_users(n_users, n_items=n_items, seed=1)
        with watch_memory() as memory:
            table = recommender.rank(many, k=PLACES)
        row[f"memory of {n_users:,} users"] = memory | {"table_mb": round(table.memory_usage(deep=True).sum() / 1e6, 1)}
    waits = []
    for call in range(10 + CALLS):  # the first ten warm up
        user = f"u{call % USERS}"
        waits.append(1000 * seconds_of(lambda u=user: recommender.rank({u: histories[u]}, k=10)))
    return row | quantiles("call", waits[10:])


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure_quality(runs: Path) -> Row:
    """Of every saved run, seconds until its validation NDCG@10 reached shares of its best."""
    row: Row = {}
    for folder in sorted(path for path in runs.glob("*") if (path / "log.json").is_file()):
        recommender = GPT2Recommender.load(folder)
        best, curve = recommender.log["validation_ndcg@10"].max(), curve_of(recommender.log)
        seconds = {f"seconds to {share:.0%} of it": seconds_to_reach(curve, share * best) for share in SHARES}
        row[folder.name] = {"best": round(best, 4), **seconds, "device": recommender.record.get("device")}
    return row


def apart(work: Callable[[], Row]) -> Row:
    """Do it in a process of its own: what one measurement leaves in memory would be counted with the next."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work).result()


def key_of(*settings: object) -> str:
    """Twelve digits of what a row was measured with."""
    return hashlib.sha256(repr((torch.__version__, *settings)).encode()).hexdigest()[:12]


def measure(page: Page, *, device: torch.device, parts: Sequence[str] = PARTS, runs: Path | None = None) -> Row:
    """All figures of a device, those that are not there yet."""

    def once(*names: str, key: str, work: Callable[[], Row]) -> None:
        page.once(device.type, *names, key=key, make=lambda: ({"machine": machine()} | apart(work), None))

    if "machine" in parts:
        once("machine", key=key_of("machine"), work=partial(measure_machine, device))
    for name, (dataset, config) in TRAININGS.items() if "training" in parts else ():
        key, work = key_of(dataset, config, ROUNDS, STEPS), partial(measure_dataset, dataset, config, device=device)
        once("training", name, key=key, work=work)
    for n_items in CATALOGS if "ranking" in parts else ():
        key = key_of(n_items, ROUNDS, USERS, PLACES, MANY_USERS, CALLS)
        once("ranking", f"{n_items:,} items", key=key, work=partial(measure_ranking, n_items, device=device))
    if "quality" in parts:
        runs = runs or runs_folder()
        names = sorted(path.parent.name for path in runs.glob("*/log.json"))
        once("quality", key=key_of(names, SHARES), work=partial(measure_quality, runs))
    return page.figures


def tell(figures: Row, name: str = "") -> Iterator[str]:
    """The figures of a device, a line each.

    Example:
        >>> list(tell({"ranking": {"users_per_second": 9.5, "key": "abc", "machine": {"cpus": 2}}}))
        ['ranking, users_per_second: 9.5']
    """
    for part, value in figures.items():
        if isinstance(value, dict) and not (name and part == "machine"):
            yield from tell(value, f"{name}, {part}".removeprefix(", "))
        elif not isinstance(value, dict) and part not in ("key", "measured", "ranks"):
            yield f"{name}, {part}: {value}"


def main(words: Sequence[str] | None = None) -> None:
    """Measure what is asked for; ``words``: those of the command line when None."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default=os.environ.get("DEVICE"), help="cpu, cuda or mps")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    asked = parser.parse_args(words)
    if asked.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before anybody looks: the Trainer takes what it finds
    device = torch.device(asked.device or best_device())
    print("\n".join(tell(measure(Page(RESULTS / "speed.json"), device=device, parts=asked.only)[device.type])))


if __name__ == "__main__":
    main()
