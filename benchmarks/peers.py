"""Peers on the same split and machine: SASRec, BERT4Rec and EASE of RecTools, ALS and BPR of implicit, and GPT-2.

    python benchmarks/peers.py ml-100k [--seeds 0 1 2] [--peers gpt2 sasrec bert4rec ease als bpr] [--cap-minutes 40]

Each library lives in an environment of its own under ``build/peers``, made from the exact versions beside its script in
``benchmarks/peer_scripts``. A peer gets the split as Parquet without the test items, chooses its settings on the
validation items, and hands back lists; those are scored here by ``evaluate``, like every ranker of ours. The first seed
searches, the others train what it chose. GPT-2 is trained beside them, by its defaults. Rows stand in
``benchmarks/results/peers-<dataset>.json`` as soon as they are measured; calling again goes on with what is missing.
The table is part of ``standings.md``.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import peers_gpt2
from quality import described, joined_cards
from records import RESULTS, Page, Row, fingerprint, machine, say, write_json
from standings_table import side_by_side, write_table

from workbench.catalogs import Split, leave_one_out, load_dataset
from workbench.environment import quiet_variables
from workbench.evaluation import HeldOutRanks, compare, evaluate
from workbench.training.keys import run_key

HERE = Path(__file__).resolve().parent
SCRIPTS, BUILD = HERE / "peer_scripts", HERE.parent / "build" / "peers"
K = (5, 10, 20)
PLACES = 2 * max(K)  # ranks up to 20 are exact from 40 places, also where scores tie (see evaluation.placement)
LAST_LINES = 8
SHORT_HISTORIES = 30  # mean events per user; below that a transformer of length 50 sees nearly everything


class PeerError(RuntimeError):
    """A peer could not be set up or measured; the message says where and quotes the end of its output."""


class Peer(NamedTuple):
    """A model of another library: its name in the tables, its environment, and whether chance plays a part."""

    title: str
    family: str
    seeded: bool = True


PEERS = {
    "gpt2": Peer("GPT-2", "workbench"),
    "sasrec": Peer("RecTools SASRec", "rectools"),
    "bert4rec": Peer("RecTools BERT4Rec", "rectools"),
    "ease": Peer("RecTools EASE", "rectools", seeded=False),
    "als": Peer("implicit ALS", "implicit"),
    "bpr": Peer("implicit BPR", "implicit"),
}
USUAL = {"n_blocks": 2, "n_heads": 4, "dropout_rate": 0.2, "lr": 0.001}  # RecTools' defaults, written out


def grid_of(peer: str, split: Split) -> list[Row]:
    """The configurations a peer may choose from; none for GPT-2, whose defaults follow the size of the data."""
    if PEERS[peer].family == "workbench":
        return []
    short = len(split.train) / split.train["user_id"].nunique() < SHORT_HISTORIES
    length = 50 if short else 200
    changes = (
        {"n_factors": 128, "session_max_len": length // 2, "batch_size": 32},
        {"n_factors": 256, "session_max_len": length // 2, "batch_size": 128},
        {"n_factors": 128, "session_max_len": length, "batch_size": 32},
        {"n_factors": 64, "session_max_len": length // 2, "batch_size": 32},
    )
    tables = {
        "als": {"factors": (64, 128, 256), "regularization": (3.0, 10.0, 30.0, 100.0), "alpha": (1.0, 3.0)},
        "bpr": {"factors": (16, 64, 128), "learning_rate": (0.01, 0.03), "regularization": (0.01, 0.03, 0.1)},
        "ease": {"regularization": (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)},
    }
    if peer in tables:
        pace = {"als": {"iterations": 30, "every": 3}, "bpr": {"iterations": 300, "every": 10}}.get(peer, {})
        names = tables[peer]
        return [dict(zip(names, values, strict=True)) | pace for values in itertools.product(*names.values())]
    pace = {"epochs": 200, "every": 1} if peer == "sasrec" else {"epochs": 400, "every": 2}
    return [USUAL | change | pace for change in changes]


class Answers:
    """Lists that were made elsewhere, as a ranker: each user's list is looked up.

    Attributes:
        items: The items the lists were chosen from.
        settings: What the protocol card says of them.
        seed: Likewise.
    """

    start = "trained from scratch by its own library"

    def __init__(self, table: pd.DataFrame, *, items: Sequence[str], settings: Any = None, seed: int | None = None):
        self.table, self.items, self.settings, self.seed = table, items, settings, seed

    def rank(
        self,
        histories: Mapping[str, Sequence[str]],
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The first k places of the lists of these users."""
        if not exclude_seen or candidates is not None:
            raise ValueError("these lists were made without seen items, over all items; nothing else can be answered.")
        return self.table[self.table["user_id"].isin(list(histories)) & (self.table["rank"] <= k)]


def export_split(split: Split, folder: Path) -> Path:
    """Write what a peer may know as Parquet: train, validation items, and who has a test item, but not which."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("train", split.train), ("validation", split.validation)):
        table[["user_id", "item_id"]].astype(object).to_parquet(folder / f"{name}.parquet", index=False)
    split.test[["user_id"]].astype(object).to_parquet(folder / "users.parquet", index=False)
    return folder


def environment(family: str) -> Path:
    """The Python of a library's environment, made anew if its requirements have changed."""
    wanted, home = SCRIPTS / f"{family}.txt", BUILD / family
    python, stamp = home / "bin" / "python", home / "complete.txt"
    if not stamp.is_file() or stamp.read_text("utf-8") != wanted.read_text("utf-8"):
        shutil.rmtree(home, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(home)], doing=f"making the environment of {family}")
        run([str(python), "-m", "pip", "install", "-qq", "-r", str(wanted)], doing=f"installing {wanted.name}")
        shutil.copy(wanted, stamp)
    return python


def threads() -> int:
    """How many threads a peer may use: OMP_NUM_THREADS, or all processors."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def run(command: Sequence[str], *, doing: str) -> None:
    """Run a command and show what it writes; if it fails, raise a PeerError with the last lines."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    variables = quiet_variables() | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads()))
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, **pipes, env=variables, text=True, errors="replace") as process:
        try:
            for line in process.stdout:
                last.append(line.rstrip())
                print(f"          {line.rstrip()}", flush=True)
        except BaseException:  # Ctrl-C: a peer must not go on training alone
            process.kill()
            raise
    if process.returncode:
        quoted = "\n".join(f"    {line}" for line in last)
        raise PeerError(f"{doing} ended with code {process.returncode}; the last lines were:\n{quoted}")


def ask(
    split: Split, peer: str, *, grid: Sequence[Row], seed: int, seconds: float
) -> tuple[Row, dict[str, pd.DataFrame]]:
    """Let a peer train and rank in its own environment: its figures, and its lists for validation and test."""
    work = BUILD / "work" / split.dataset.name
    row = work / f"{peer}-{seed}"
    if PEERS[peer].family == "workbench":
        config = peers_gpt2.settings(seed, seconds=seconds)
        return peers_gpt2.ask(split, config=config, places=PLACES, threads=threads(), folder=row)
    python, folder = environment(PEERS[peer].family), export_split(split, work)
    shutil.rmtree(row, ignore_errors=True)
    question = {"peer": peer, "seed": seed, "grid": grid, "seconds": seconds}
    write_json(row / "question.json", question | {"places": PLACES, "threads": threads()})
    script = SCRIPTS / f"{PEERS[peer].family}_models.py"
    run([str(python), str(script), str(folder), str(row)], doing=f"{PEERS[peer].title}, seed {seed},")
    lists = {on: pd.read_parquet(row / f"{on}.parquet") for on in ("validation", "test")}
    return json.loads((row / "answer.json").read_text("utf-8")), lists


def measure(
    split: Split,
    *,
    peers: Sequence[str] = tuple(PEERS),
    seeds: Sequence[int] = (0,),
    cap_minutes: float = 40,
    results: Path = RESULTS,
) -> Row:
    """Measure the peers on one split, or what is missing of them; returns the figures as they are saved.

    Args:
        split: Leave-one-out of the dataset.
        peers: Keys of ``PEERS``.
        seeds: Of those peers where chance plays a part; the others have one row. The first one searches.
        cap_minutes: For the whole search of one row.
        results: Folder of the page.
    """
    page = Page(results / f"peers-{split.dataset.name}.json")
    page.figures |= {"dataset": split.dataset.name}
    for peer in peers:
        grid = grid_of(peer, split)
        for seed in seeds if PEERS[peer].seeded else seeds[:1]:
            row = measure_row(page, split, peer, grid=grid, seed=seed, minutes=cap_minutes)
            grid = [row["settings"]]
    page.figures["differences"] = differences(page, split)
    page.save()
    return page.figures


def differences(page: Page, split: Split) -> Row:
    """How far GPT-2 is from each peer, user by user, over all seeds that are on the page."""
    runs = {
        peer.title: [name for name in page.ranks if name.partition(", seed ")[0] == peer.title]
        for peer in PEERS.values()
    }
    sides = {title: [page.held_out(name) for name in names] for title, names in runs.items() if names}
    ours = sides.pop("GPT-2", [])
    return {
        f"GPT-2 - {title}": described(compare(ours, theirs, split, names=("GPT-2", title)))
        for title, theirs in sides.items()
        if ours
    }


def measure_row(page: Page, split: Split, peer: str, *, grid: Sequence[Row], seed: int, minutes: float) -> Row:
    """One row, unless the page has it: of a peer that chooses from this grid, with this seed."""
    title, family, seeded = PEERS[peer]
    name, seed = (f"{title}, seed {seed}", seed) if seeded else (title, None)
    if family == "workbench":
        config = peers_gpt2.settings(seed, seconds=60 * minutes)
        what = [run_key(split, base="small", spelling="atomic", config=config)]
    else:
        what = [grid, minutes, (SCRIPTS / f"{family}.txt").read_text("utf-8")]

    def make() -> tuple[Row, HeldOutRanks]:
        figures, lists = ask(split, peer, grid=grid, seed=seed or 0, seconds=60 * minutes)
        return scored(page, split, name, figures=figures, lists=lists, seed=seed, minutes=minutes)

    return page.once("peers", name, key=fingerprint(split, peer, seed, *what), make=make)


def scored(
    page: Page,
    split: Split,
    name: str,
    *,
    figures: Row,
    lists: Mapping[str, pd.DataFrame],
    seed: int | None,
    minutes: float,
) -> tuple[Row, HeldOutRanks]:
    """A row: the peer's lists scored like any ranker's, its figures, and how far its own metrics agree with ours."""
    items = sorted(set(split.train["item_id"]))
    rules = {"items": items, "settings": figures["settings"], "seed": seed}
    table = evaluate({name: Answers(lists["test"], **rules)}, split, k=K)
    checked = evaluate({name: Answers(lists["validation"], **rules)}, split, on="validation", k=K)
    theirs = figures.pop("theirs")
    ours = {metric: checked.loc[name, metric] for metric in theirs}
    agreement = {"theirs": theirs, "ours": ours, "most": max(abs(theirs[one] - ours[one]) for one in theirs)}
    page.figures["protocol"] = joined_cards(page.figures.get("protocol", {}), table.attrs["card"])
    row = table.loc[name].to_dict() | figures | {"cap_minutes": minutes, "validation_metrics": agreement}
    return row | {"chosen": "by NDCG@10 on validation", "machine": machine()}, table.attrs["ranks"][name]


def main(words: Sequence[str]) -> int:
    """Measure the peers on the datasets that are named."""
    parser = argparse.ArgumentParser(prog="peers.py", description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="+", help="names or folders of datasets, such as ml-100k")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="default: all")
    parser.add_argument("--cap-minutes", type=float, default=40, help="for the whole search of one row (default: 40)")
    words = parser.parse_args(words)
    for name in words.datasets:
        rules = {"peers": words.peers, "seeds": words.seeds, "cap_minutes": words.cap_minutes}
        try:
            figures = measure(leave_one_out(load_dataset(name)), **rules)
        except PeerError as error:
            say(f"stopped: {error}")
            return 1
        write_table(RESULTS)
        print("\n\n".join(side_by_side(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
