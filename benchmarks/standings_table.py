"""The standings as one Markdown table per dataset, the best first, written from the result files and nothing else.

python benchmarks/standings_table.py       writes benchmarks/results/standings.md anew
"""

import json
from collections.abc import Mapping
from pathlib import Path

from records import OUT_OF_TIME, RESULTS, Row, seconds_to_reach

DATASETS = ("films", "ml-100k", "ml-latest-small", "ml-1m-sasrec", "amazon-beauty-2014")
CARD = ("version", "split", "measured on", "ties in time", "ties in score", "seen items", "candidates", "interval")
HEAD = "| ranker | NDCG@10 | 95 % | HR@10 | seconds | measured with |\n|---|---|---|---|---|---|"


def write_table(results: Path) -> None:
    """Write ``standings.md`` into the folder of the results."""
    (results / "standings.md").write_text(standings(results), "utf-8")


def standings(results: Path) -> str:
    """Every dataset that was measured in this folder, under the card that says how."""
    published = read(RESULTS / "published.json")
    parts = [
        "# Standings",
        "Written by `benchmarks/standings_table.py` from the files beside it. Intervals are over users; seconds are "
        "of the training or the tuning, on the machine that the row of the file names. What is *published* comes "
        "without interval, from `published.json`.",
    ]
    for name in DATASETS:
        page, peers = read(results / f"{name}.json"), read(results / f"peers-{name}.json")
        if page:
            parts += section(name, page, peers, published.get(name, {}))
    return "\n\n".join(parts) + "\n"


def section(name: str, page: Row, peers: Row, published: Row) -> list[str]:
    """Heading, card, table and differences of one dataset."""
    card, parts = page["protocol"], [f"## {name}"]
    parts.append("; ".join(f"{key}: {card[key]}" for key in CARD if key in card) + ".")
    if "leaks" in page:
        parts.append(f"Leaks, of GPT-2's first seed: {page['leaks']['finding']}.")
    rows = [(ranker, row) for ranker, row in page["rankers"].items()]
    others = {ranker: row for ranker, row in peers.get("peers", {}).items() if row["library"] != "workbench"}
    rows += [(f"{ranker} (peer)", row) for ranker, row in others.items()]
    lines = [line(ranker, row) for ranker, row in sorted(rows, key=lambda pair: -pair[1]["ndcg@10"])]
    lines += [
        f"| *{who}: {row['what']}* | *{row['ndcg@10']:.4f}* | | {shown(row, 'hit_rate@10')} | | *{row['source']}* |"
        for who, row in published.items()
    ]
    parts.append("\n".join([HEAD, *lines]))
    if page.get("differences"):
        parts.append("\n".join(f"- {row['sentence']}" for row in page["differences"].values()))
    return [*parts, *cold_table(page.get("cold")), *side_by_side(peers)]


def line(ranker: str, row: Row) -> str:
    """One ranker."""
    seconds = f"{row['seconds']:,.0f}" if "seconds" in row else ""
    chosen = row.get("settings")
    told = ", ".join(f"{key} {value}" for key, value in chosen.items()) if isinstance(chosen, dict) else ""
    if "search" in row:  # of a peer
        told += f"; {len(row['search'])} settings tried, {n_out_of_time(row)} of them out of time"
    return f"| {ranker} | {row['ndcg@10']:.4f} | {interval(row)} | {shown(row, 'hit_rate@10')} | {seconds} | {told} |"


def side_by_side(peers: Row) -> list[str]:
    """What was measured by ``peers.py``: how good, after how long, how fast, with how much memory."""
    if not peers.get("peers"):
        return []
    head = ("ranker", "NDCG@10", "95 %", "HR@10", "training s", "s to the weaker's best", "users/s", "peak MB")
    head += ("threads", "search")
    lines = []
    for name, row in sorted(peers["peers"].items(), key=lambda pair: -pair[1]["ndcg@10"]):
        goal = weaker_best(peers["peers"], seed=name.partition(", ")[2])
        short = n_out_of_time(row)
        tried = f"{len(row['search'])} setting{'s' * (len(row['search']) > 1)}" + f", {short} out of time" * (short > 0)
        cells = [name, f"{row['ndcg@10']:.4f}", interval(row), shown(row, "hit_rate@10"), f"{row['seconds']:,.0f}"]
        cells += [time_to(goal, row) if goal else "", f"{row['users_per_second']:,.0f}"]
        lines.append([*cells, f"{row['peak_mb']:,}", str(row["threads"]), f"{tried} in {row['search_seconds']:,.0f} s"])
    told = (
        "Side by side (`benchmarks/peers.py`), each in a process of its own. *The weaker's best*: the best NDCG@10 on "
        "validation that both GPT-2 and SASRec reached with that seed."
    )
    rows = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines)]
    sentences = [f"- {row['sentence']}" for row in peers.get("differences", {}).values()]
    return [told, "\n".join(rows), *(["\n".join(sentences)] if sentences else [])]


def time_to(goal: float, row: Row) -> str:
    """Seconds of training to an NDCG@10 on validation, or that it was never reached."""
    reached = seconds_to_reach(row["curve"], goal)
    return "never" if reached is None else f"{reached:,.0f}"


def n_out_of_time(row: Row) -> int:
    """How many settings of a peer's search the cap ended."""
    return sum(one["ended"] == OUT_OF_TIME for one in row["search"])


def weaker_best(rows: Mapping[str, Row], *, seed: str) -> float | None:
    """The lower of the best validation NDCG@10 of GPT-2 and SASRec with one seed ("seed 0"); None without both."""
    both = [rows.get(f"{name}, {seed}") for name in ("GPT-2", "RecTools SASRec")]
    return min(max(point["ndcg@10"] for point in row["curve"]) for row in both) if all(both) else None


def cold_table(cold: Row | None) -> list[str]:
    """NDCG@10 where the item that comes next is hardly known."""
    if not cold:
        return []
    rows = {name: row for name, row in cold.items() if isinstance(row, dict)}
    lines = [
        f"| {name} | {row['ndcg@10']:.4f} | {interval(row)} |"
        for name, row in sorted(rows.items(), key=lambda pair: -pair[1]["ndcg@10"])
    ]
    told = (
        f"Cold: the {cold['users']:,} users whose test item has at most {cold['train_events_at_most']} training events."
    )
    return [told, "\n".join(["| ranker | NDCG@10 | 95 % |\n|---|---|---|", *lines])]


def interval(row: Mapping) -> str:
    """Where NDCG@10 lies, 95 % over users."""
    return f"{row['ndcg@10_low']:.4f} to {row['ndcg@10_high']:.4f}"


def shown(row: Mapping, name: str) -> str:
    """A figure, if the row has it."""
    return f"{row[name]:.4f}" if name in row else ""


def read(path: Path) -> Row:
    """A result file; empty if it is not there."""
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


if __name__ == "__main__":
    write_table(RESULTS)
