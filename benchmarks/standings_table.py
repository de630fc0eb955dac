"""The standings as Markdown: one long table beside the results, a short one in the README, both from the same files."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from records import Row

README = Path(__file__).resolve().parents[1] / "README.md"
DATASETS = ("films", "ml-100k", "ml-latest-small", "ml-1m-sasrec", "amazon-beauty-2014")
BLOCK = re.compile(r"(<!-- standings: [^>]* -->\n).*?(<!-- end of standings -->)", re.DOTALL)
PUBLISHED = {  # NDCG@10 with this protocol, stated without interval; who says so
    "ml-1m-sasrec": (
        ("GPTRec (GPT-2 from scratch)", 0.146, "Petrov and Macdonald 2023"),
        ("SASRec, RecTools, softmax", 0.178, "RecTools, README"),
        ("SASRec+, full cross-entropy", 0.182, "Klenitskiy and Vasilev 2023"),
        ("HSTU-large", 0.189, "Meta, generative-recommenders"),
    ),
    "amazon-beauty-2014": (
        ("TIGER", 0.038, "Rajput et al. 2023"),
        ("SASRec, full cross-entropy", 0.0503, "a third party's reproduction of TIGER, three seeds, +-0.0006"),
        ("SASRec, sampled softmax of 256", 0.0531, "blondered/transformer_benchmark"),
    ),
}
SHORT = {  # rows of the README's table, and under which names a page may have them
    "popularity": ("popularity",),
    "co-occurrence, tuned": ("co-occurrence",),
    "EASE, tuned": ("EASE",),
    "GPT-2": ("GPT-2",),
    "GPT-2s of all seeds, mean probability": ("GPT-2, 3 seeds",),
    "GPT-2s and co-occurrence": ("GPT-2, 3 seeds, and co-occurrence", "GPT-2, seed 0, and co-occurrence"),
}


def write_table(results: Path) -> None:
    """Write ``standings.md`` into the folder of the results."""
    (results / "standings.md").write_text(long_table(read_pages(results)), "utf-8")


def read_pages(results: Path) -> dict[str, Row]:
    """The pages that are there, by dataset, with the rows of peers among the rankers."""
    pages = {}
    for name in DATASETS:
        if (results / f"{name}.json").is_file():
            pages[name] = json.loads((results / f"{name}.json").read_text("utf-8"))
    return pages


def long_table(pages: Mapping[str, Row]) -> str:
    """Every row of every dataset, the best first, under the card that says how it was measured."""
    parts = ["# Standings", "Written by `benchmarks/standings.py`; 95 % intervals are over users."]
    for name, page in pages.items():
        card = page["protocol"]
        parts.append(f"## {name}")
        parts.append(
            "; ".join(f"{key}: {card[key]}" for key in ("split", "measured on", "seen items", "candidates")) + "."
        )
        if "leaks" in page:
            parts.append(f"Leaks: {page['leaks']['finding']}.")
        rows = sorted(page["rankers"].items(), key=lambda item: -item[1]["ndcg@10"])
        lines = ["| ranker | NDCG@10 | 95 % | HR@10 | seconds | settings |", "|---|---|---|---|---|---|"]
        for ranker, row in rows:
            lines.append(
                f"| {ranker} | {row['ndcg@10']:.4f} | {interval(row)} | {row['hit_rate@10']:.4f} | "
                f"{row.get('seconds', 0):,.0f} | {settings(row)} |"
            )
        lines += [f"| *{who}, published* | *{value}* | none stated | | | {by} |" for who, value, by in published(name)]
        parts.append("\n".join(lines))
        parts += [f"- {row['sentence']}" for row in page.get("differences", {}).values()]
    return "\n\n".join(parts).replace("\n\n- ", "\n- ") + "\n"


def short_table(pages: Mapping[str, Row]) -> str:
    """NDCG@10 of the main rankers on every dataset that was measured."""
    lines = [f"| NDCG@10 | {' | '.join(pages)} |", "|---" * (len(pages) + 1) + "|"]
    for title, names in SHORT.items():
        cells = [cell(page["rankers"], names) for page in pages.values()]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    best = [max(published(name), key=lambda one: one[1], default=None) for name in pages]
    cells = [f"{one[1]} ({one[0]})" if one else "" for one in best]
    return "\n".join([*lines, f"| *best published here, without interval* | {' | '.join(cells)} |"])


def cell(rankers: Mapping[str, Row], names: tuple[str, ...]) -> str:
    """The first of the names that was measured, with its interval."""
    found = next((rankers[name] for name in names if name in rankers), None)
    return f"{found['ndcg@10']:.3f} ({interval(found)})" if found else ""


def interval(row: Row) -> str:
    """The 95 % interval of NDCG@10."""
    return f"{row['ndcg@10_low']:.3f} to {row['ndcg@10_high']:.3f}"


def settings(row: Row) -> str:
    """What was chosen, in a few words."""
    chosen = row.get("settings")
    return ", ".join(f"{name} {value}" for name, value in chosen.items()) if isinstance(chosen, dict) else ""


def published(name: str) -> Iterator[tuple[str, float, str]]:
    """Published figures for a dataset."""
    yield from PUBLISHED.get(name, ())


def write_readme(results: Path) -> None:
    """Put the short table where the README has its place for it."""
    table = short_table(read_pages(results))
    README.write_text(BLOCK.sub(lambda found: f"{found[1]}{table}\n{found[2]}", README.read_text("utf-8")), "utf-8")
