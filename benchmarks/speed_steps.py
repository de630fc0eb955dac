"""How fast the recommender trains: its own steps, the plain loop's and bare matrix products, in turn."""

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import torch
from plain_loop import PlainLoop, Work, count_flops, wait_for
from records import Row
from torch.utils.data import Dataset, Subset
from transformers import TrainerCallback

from workbench.catalogs import Split
from workbench.models import GPT2Recommender
from workbench.training import TrainingConfig
from workbench.training.batches import Sentences
from workbench.training.fine_tune import untrained
from workbench.training.loss import SentenceModel
from workbench.training.precision import choose_precision
from workbench.training.steps import take_steps

ROUNDS, STEPS = 6, 4  # each loop takes so many steps in turn, so often


def rate_matmul(shapes: Sequence[tuple[int, int, int]], *, dtype: torch.dtype, device: torch.device) -> float:
    """GFLOP/s of matrix products (n, m) x (m, k), all together; of each the median of five, after one to warm up.

    Args:
        shapes: (n, m, k) of each product.
        dtype: Of its numbers.
        device: Where it is.
    """
    operations, seconds = 0, 0.0
    for n, m, k in shapes:
        left, right = torch.ones(n, m, dtype=dtype, device=device), torch.ones(m, k, dtype=dtype, device=device)
        times = []
        for _ in range(6):
            begun = time.perf_counter()
            left @ right
            wait_for(device)
            times.append(time.perf_counter() - begun)
        operations, seconds = operations + 2 * n * m * k, seconds + float(np.median(times[1:]))
    return operations / seconds / 1e9


def step_shapes(words: int, *, width: int, n_items: int) -> list[tuple[int, int, int]]:
    """The products of a step: queries, keys and values, projection, both halves of the block's network, the items."""
    return [(words, width, 3 * width), (words, width, width), (words, width, 4 * width), (words, 4 * width, width)] + [
        (words, width, n_items)
    ]


class Counted(Dataset):
    """Sentences that remember how long they took to make and what they held.

    Attributes:
        preparing: Seconds in which they were made.
        words: Words, filling included.
        real_words: The same without filling.
        flops: Operations that a step needs with them.
    """

    def __init__(self, sentences: Sentences) -> None:
        """Begin at zero."""
        self.sentences, config = sentences, sentences.recommender.model.config
        self.shape = {"layers": config.n_layer, "width": config.n_embd}
        self.preparing, self.words, self.real_words, self.flops = 0.0, 0, 0, 0.0

    def __getitem__(self, step: int) -> dict:
        """One batch, counted."""
        begun = time.perf_counter()
        batch = self.sentences[step]
        self.preparing += time.perf_counter() - begun
        vocabulary = self.sentences.recommender.vocabulary
        for kind, group in batch.items():
            rows, length = group["words"].shape
            self.words += rows * length
            if "ends" in group:
                asked, real = rows, int((group["ends"] + 1).sum())
            else:
                known = group["targets"] >= 0
                asked, real = int(known.sum()), int((known * torch.arange(1, length + 1)).amax(1).sum())
            n_items = vocabulary.spelling.n_words
            choices = (
                vocabulary.first_item if kind in ("description", "review") else len(group.get("drawn", n_items * "."))
            )
            self.real_words += real
            self.flops += count_flops(rows=rows, length=length, asked=asked, choices=choices, **self.shape)
        return batch

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.sentences)


class Clock(TrainerCallback):
    """Takes the time of the steps alone, without what is set up before."""

    def __init__(self, device: torch.device) -> None:
        """Remember where the steps happen."""
        self.device, self.seconds = device, 0.0

    def on_train_begin(self, args, state, control, **_) -> None:  # noqa: ANN001 (the Trainer's signature)
        """Begin."""
        self.begun = time.perf_counter()

    def on_train_end(self, args, state, control, **_) -> None:  # noqa: ANN001
        """End, when the device has done all."""
        wait_for(self.device)
        self.seconds = time.perf_counter() - self.begun


def train_some(recommender: GPT2Recommender, sentences: Sentences, steps: range, *, precision: str) -> Work:
    """Take some of the steps of a run, as ``fine_tune`` does."""
    counted, clock = Counted(sentences), Clock(recommender.device)
    module = SentenceModel(recommender.model.transformer, recommender.vocabulary)
    given = {"config": sentences.config, "precision": precision, "callback": clock}
    recommender.model.train()
    with tempfile.TemporaryDirectory() as scratch:
        take_steps(recommender, module, Subset(counted, steps), folder=Path(scratch), **given)
    return Work(clock.seconds, counted.words, counted.real_words, counted.flops, counted.preparing)


def measure_training(split: Split, config: TrainingConfig, *, device: torch.device) -> Row:
    """Our loop and the plain one in turn, and the rate of matrix products between them."""
    precision = choose_precision(device.type)
    recommender = untrained(split, base="small", spelling="atomic", config=config)
    recommender.model.to(device)
    sentences, own = Sentences(recommender, split, config), recommender.model.config
    rows, length = len(sentences[0]["history"]["words"]), config.max_history
    shape = {"n_items": len(recommender.catalog), "width": own.n_embd}
    size = {"layers": own.n_layer, "heads": own.n_head, "rows": rows, "length": length}
    plain = PlainLoop(sentences.histories, **shape, **size, device=device, precision=precision)
    shapes, dtype = step_shapes(rows * length, **shape), torch.bfloat16 if precision == "bf16" else torch.float32
    works: dict[str, list[Work]] = {"ours": [], "plain": []}
    peaks, grown, rates = dict.fromkeys(works, 0.0), dict.fromkeys(works, 0.0), []
    for turn in range(ROUNDS + 1):  # the first warms up
        steps = range(turn * STEPS, (turn + 1) * STEPS)
        loops = {
            "ours": lambda steps=steps: train_some(recommender, sentences, steps, precision=precision),
            "plain": lambda: plain.take_steps(STEPS),
        }
        for name, loop in loops.items():
            with watch_memory() as memory:
                works[name].append(loop())
            peaks[name] = max(peaks[name], memory["peak_mb"])
            grown[name] = max(grown[name], memory["grown_mb"])
        rates.append(rate_matmul(shapes, dtype=dtype, device=device))
    if recommender.device.type != device.type:
        raise RuntimeError(f"{device} was asked for, but the Trainer took {recommender.device}; ask for that.")
    rate = float(np.median(rates[1:]))
    each = {
        name: describe(own[1:], rate=rate) | {"process_peak_mb": peaks[name], "grown_mb": grown[name]}
        for name, own in works.items()
    }
    faster = [(a.real_words / a.seconds) / (b.real_words / b.seconds) for a, b in zip(*works.values(), strict=True)]
    told = {"precision": precision, "device": str(recommender.device), "matmul_gflops": round(rate, 2)}
    return told | shape | size | each | {"real_words_ours_to_plain": spread(faster[1:])}


def describe(works: Sequence[Work], *, rate: float) -> Row:
    """Speed of some stretches of steps together; ``rate``: of matrix products alone, in GFLOP/s."""
    total = {name: sum(getattr(work, name) for work in works) for name in Work.__dataclass_fields__}
    gflops = total["flops"] / total["seconds"] / 1e9
    return {
        "words_per_second": round(total["words"] / total["seconds"]),
        "real_words_per_second": round(total["real_words"] / total["seconds"]),
        "gflops": round(gflops, 2),
        "share_of_matmul": round(gflops / rate, 3),
        "share_preparing": round(total["preparing"] / total["seconds"], 3),
    }


def spread(ratios: Sequence[float]) -> Row:
    """Median, lowest and highest of some ratios."""
    return {name: round(float(of(ratios)), 3) for name, of in (("median", np.median), ("low", min), ("high", max))}


@contextmanager
def watch_memory() -> Iterator[Row]:
    """Memory of this process before and at most during the block, in MB, and by how much it grew; a GPU's as well."""
    process, row, done = psutil.Process(), {}, threading.Event()
    peak = row["before_mb"] = round(process.memory_info().rss / 1e6, 1)

    def look() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, process.memory_info().rss / 1e6)

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield row
    finally:
        done.set()
        watcher.join()
        row["peak_mb"] = round(max(peak, process.memory_info().rss / 1e6), 1)
        row["grown_mb"] = round(row["peak_mb"] - row["before_mb"], 1)
        if torch.cuda.is_available():
            row["gpu_peak_mb"] = round(torch.cuda.max_memory_allocated() / 1e6, 1)
