"""What every peer's script shares: the tables that come in, the search for settings, and the answer that goes out.

Only pandas and NumPy, because the peers' environments hold nothing else of ours. A script is called with two folders:
the split (``train``, ``validation`` and ``users`` as Parquet; the test items are not there) and the row's own, with
``question.json`` in it, where ``validation.parquet``, ``test.parquet`` and ``answer.json`` are left.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

K = 10  # of the NDCG that chooses
Lists = Callable[[str], pd.DataFrame]  # "validation" or "test" -> user_id, item_id, rank, score
Steps = Iterator[tuple[float, float, Callable[[], Lists]]]  # epoch, NDCG@10, and what keeps the weights of this moment


class Question(NamedTuple):
    """What a script is asked."""

    peer: str
    seed: int
    grid: list[dict[str, Any]]
    seconds: float  # for the whole search
    places: int  # length of the lists
    threads: int
    train: pd.DataFrame
    validation: pd.DataFrame
    users: list[str]  # with a test item

    def known(self, on: str) -> pd.DataFrame:
        """All events before the held-out ones, each user's oldest first."""
        parts = [self.train] if on == "validation" else [self.train, self.validation]
        return pd.concat(parts, ignore_index=True)

    def asked(self, on: str) -> list[str]:
        """The users with a held-out item."""
        return self.validation["user_id"].tolist() if on == "validation" else self.users


@dataclass
class Course:
    """The training of one configuration, which may be stopped and taken up again."""

    title: str
    settings: dict[str, Any]
    steps: Steps
    curve: list[dict[str, float]] = field(default_factory=list)
    best: float = -1.0
    best_at: int = -1
    lists: Lists | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    ended: str = ""

    def summary(self) -> dict[str, Any]:
        """What is told of every configuration that was tried."""
        row = {"settings": self.settings, "validation_ndcg@10": self.best, "ended": self.ended or "out of time"}
        return row | {"epochs": self.curve[-1]["epoch"] if self.curve else 0, "seconds": round(self.seconds, 2)}


def read() -> Question:
    """The question, from the two folders of the command line."""
    split = Path(sys.argv[1])
    tables = {name: pd.read_parquet(split / f"{name}.parquet") for name in ("train", "validation")}
    users = pd.read_parquet(split / "users.parquet")["user_id"].tolist()
    return Question(**json.loads((Path(sys.argv[2]) / "question.json").read_text("utf-8")), **tables, users=users)


def search(question: Question, start: Callable[[dict[str, Any]], Steps], *, patience: int) -> list[Course]:
    """Train every configuration for an equal share of half the time, then the best ones with what is left.

    Args:
        question: Its ``grid`` and ``seconds``.
        start: Begins the training of one configuration.
        patience: Validations without a better NDCG@10 after which a configuration is done.

    Returns:
        The configurations, the best on validation first.
    """
    begun = time.monotonic()
    titles = [f"configuration {number} of {len(question.grid)}" for number in range(1, len(question.grid) + 1)]
    courses = [Course(title, settings, start(settings)) for title, settings in zip(titles, question.grid, strict=True)]
    for number, course in enumerate(courses):
        left = question.seconds / 2 - (time.monotonic() - begun)
        advance(course, seconds=left / (len(courses) - number), patience=patience)
        forget_losers(courses)
    while open_courses := [course for course in ranked(courses) if not course.ended]:
        left = question.seconds - (time.monotonic() - begun)
        if left <= 0:
            break
        advance(open_courses[0], seconds=left, patience=patience)
        forget_losers(courses)
    return ranked(courses)


def advance(course: Course, *, seconds: float, patience: int) -> None:
    """Go on with a course for some seconds, one step at least, or until it is done; the best moment is kept."""
    until = time.monotonic() + seconds
    while not course.ended:
        wall, processor = time.monotonic(), time.process_time()
        step = next(course.steps, None)
        if step is None:
            course.ended = "all epochs"
            return
        course.seconds += time.monotonic() - wall
        course.cpu_seconds += time.process_time() - processor
        epoch, quality, keep = step
        point = {"epoch": epoch, "seconds": round(course.seconds, 2), "cpu_seconds": round(course.cpu_seconds, 2)}
        course.curve.append(point | {"ndcg@10": quality})
        print(f"{course.title}, epoch {epoch:g}: NDCG@10 {quality:.4f}, {course.seconds:.0f} s", flush=True)
        if quality > course.best:
            course.best, course.best_at, course.lists = quality, len(course.curve), keep()
        elif len(course.curve) - course.best_at >= patience:
            course.ended = f"no better for {patience} validations"
        if time.monotonic() >= until:
            return


def forget_losers(courses: list[Course]) -> None:
    """Let go of the models that are done and not the best; their figures stay."""
    for course in ranked(courses)[1:]:
        if course.ended:
            course.steps, course.lists = iter(()), None


def ranked(courses: list[Course]) -> list[Course]:
    """The best on validation first; ties keep the earlier."""
    return sorted(courses, key=lambda course: -course.best)


def own_measures(lists: pd.DataFrame, targets: pd.DataFrame) -> dict[str, float]:
    """NDCG@10 and hit rate@10 with one held-out item per user."""
    hits = lists.merge(targets[["user_id", "item_id"]])["rank"]
    hits = hits[hits <= K]
    return {"ndcg@10": float((1 / np.log2(hits + 1)).sum() / len(targets)), "hit_rate@10": len(hits) / len(targets)}


def peak_mb() -> int:
    """The most memory this process has held, in MB.

    Linux says it as VmHWM; its ``ru_maxrss`` would also count what the parent held when it began this process.
    """
    status = Path("/proc/self/status")
    lines = status.read_text("utf-8").splitlines() if status.is_file() else []
    peak = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)
    return round((peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024)


def answer(
    question: Question, courses: list[Course], *, measures: Callable[..., dict[str, float]], **facts: Any
) -> None:
    """Write the lists and the figures of the best configuration; the figures last, as they say that all is there.

    Args:
        question: What was asked.
        courses: What ``search`` returned.
        measures: The library's own NDCG@10 and hit rate@10 of lists and targets.
        facts: Whatever else is to be told of this peer.
    """
    folder, best = Path(sys.argv[2]), courses[0]
    validation = best.lists("validation")
    begun = time.monotonic()
    test = best.lists("test")
    seconds = time.monotonic() - begun
    for name, table in (("validation", validation), ("test", test)):
        table = table.assign(user_id=table["user_id"].astype(str), item_id=table["item_id"].astype(str))
        table[["user_id", "item_id", "rank", "score"]].to_parquet(folder / f"{name}.parquet", index=False)
    figures = facts | {
        "settings": best.settings,
        "epoch": best.curve[best.best_at - 1]["epoch"],
        "ended": best.ended or "out of time",
        "curve": best.curve,
        "seconds": round(best.seconds, 2),
        "cpu_seconds": round(best.cpu_seconds, 2),
        "search": [course.summary() for course in courses],
        "search_seconds": round(sum(course.seconds for course in courses), 2),
        "ranking_seconds": round(seconds, 4),
        "users_per_second": round(len(question.users) / seconds, 1),
        "peak_mb": peak_mb(),  # of the whole search
        "threads": question.threads,
        "load": round(os.getloadavg()[0], 1),
        "theirs": measures(validation, question.validation),
    }
    (folder / "answer.json").write_text(json.dumps(figures), "utf-8")
