"""How true texts are that the recommender writes of items, beside the text of the most similar other item.

    python benchmarks/texts.py [--items 200]

The saved default run on films describes items, always the most probable word (greedy) or by chance (sample). Each text
is scored against its item's attributes beside the floor and beside the item's own text, both in the language that the
model chose. Results go to ``benchmarks/results/texts-films.json``; a second call measures only what is missing.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from records import RESULTS, Page, Row, fingerprint, machine, say

from workbench.catalogs import Split, leave_one_out, load_dataset
from workbench.evaluation.intervals import REPEATS
from workbench.evaluation.texts import score_texts, summarize_texts
from workbench.insight.text_floor import PLOT, attribute_words, copy_in_language, is_chinese
from workbench.models import GPT2Recommender
from workbench.models.generation.texts import write_text
from workbench.training import saved_run
from workbench.training.text_sentences import item_texts

ITEMS, LENGTH, SHOWN = 200, 80, 12  # training reads 80 pieces of a text
HOW = {"greedy": {"how": "greedy"}, "sample": {"how": "sample", "temperature": 1.0, "top_p": 0.9}}
FLOOR, OWN = "nearest copy", "own text"


def measure(split: Split, *, recommender: GPT2Recommender, n_items: int = ITEMS, results: Path = RESULTS) -> Row:
    """Describe items both ways and score the texts, or what is missing of it; returns the figures as they are saved."""
    page = Page(results / f"texts-{split.dataset.name}.json")
    catalog = split.dataset.catalog
    rows = np.random.default_rng(0).permutation(len(catalog))[:n_items]
    items = catalog["item_id"].iloc[np.sort(rows)].tolist()
    page.figures |= {"machine": machine(), "protocol": protocol(split, recommender, n_items=len(items))}
    for name, settings in HOW.items():
        key = fingerprint(split, recommender.record.get("key"), name, settings, items, LENGTH, attribute_words())

        def make(name: str = name, settings: Row = settings) -> tuple[Row, None]:
            begun = time.monotonic()
            written = [
                write_text(recommender, "describe", item=item, length=LENGTH, seed=seed, **settings)
                for seed, item in enumerate(items)
            ]
            seconds = time.monotonic() - begun
            texts = pd.DataFrame({"item_id": items, "text": [one.text for one in written]})
            ended = float(np.mean([one.ended for one in written]))
            return scored(texts, catalog, name=name) | {"seconds": round(seconds, 1), "ended_by_itself": ended}, None

        say(page.once("writers", name, key=key, make=make)["verdict"])
    page.save()
    return page.figures


def scored(texts: pd.DataFrame, catalog: pd.DataFrame, *, name: str) -> Row:
    """The texts of one writer beside the floor and the items' own, and some of them to read."""
    learned = pd.DataFrame(item_texts(catalog), columns=["row", "text"])
    known = pd.DataFrame({"item_id": catalog["item_id"].to_numpy()[learned["row"]], "text": learned["text"]})
    beside = {
        FLOOR: copy_in_language(texts, catalog, known),
        OWN: copy_in_language(texts, catalog, known, own=True),
    }
    scores = {
        writer: score_texts(own, catalog, known["text"], words=attribute_words())
        for writer, own in {name: texts, **beside}.items()
    }
    summary = summarize_texts(scores, floor=FLOOR)
    own_copied = [
        score_texts(texts.iloc[[row]], catalog, known.loc[known["item_id"] == item, "text"])["copied"].iloc[0]
        for row, item in enumerate(texts["item_id"])
    ]
    return {
        "rows": summary.astype(object).where(summary.notna(), None).to_dict("index"),  # JSON knows no NaN
        "verdict": summary.attrs["verdicts"][name],
        "copied_from_the_items_own_text": float(np.nanmean(own_copied)) if not np.all(np.isnan(own_copied)) else None,
        "chinese": float(texts["text"].map(is_chinese).mean()),
        "examples": examples(scores, catalog, name=name),
    }


def examples(scores: dict[str, pd.DataFrame], catalog: pd.DataFrame, *, name: str) -> list[Row]:
    """Some texts to read, with what they name and the floor's text beside."""
    titles = catalog.set_index("item_id")["title"]
    shown = zip(scores[name].head(SHOWN).to_dict("records"), scores[FLOOR]["text"], strict=False)
    return [
        {
            "title": titles[row["item_id"]],
            "text": row["text"],
            "named": {value: bool(true) for value, true in row["attributes"]},
            "copied": None if np.isnan(row["copied"]) else row["copied"],
            FLOOR: floor,
        }
        for row, floor in shown
    ]


def protocol(split: Split, recommender: GPT2Recommender, *, n_items: int) -> Row:
    """What must be known about the figures."""
    return {
        "dataset": split.dataset.name,
        "version": split.dataset.card.get("version") or "not stated",
        "run": recommender.source,
        "items": f"{n_items} of {len(split.dataset.catalog)}, drawn with seed 0",
        "texts": f"one per item and way of writing, at most {LENGTH} word pieces; seed = place of the item",
        "settings": HOW,
        "training texts": "every item's own descriptions were trained on, those of the described items too",
        "precision": "true ones among the attributes named (genres, country, director, decade, year), word by word",
        "words left out": sorted(PLOT),  # chosen on the items' own texts, before any text was written
        "floor": f"{FLOOR}: text of the most similar other item (TF-IDF over the catalog's words), same language",
        "ceiling": f"{OWN}: the item's own description, same language; what word-by-word reading makes of true texts",
        "interval": f"95 % percentile bootstrap over texts, {REPEATS:,} resamples, differences paired",
    }


def main(words: Sequence[str]) -> int:
    """Measure the saved default run on films."""
    parser = argparse.ArgumentParser(prog="texts.py", description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=ITEMS, help=f"items to describe (default: {ITEMS})")
    parser.add_argument("--threads", type=int, default=None, help="threads of torch (default: torch's own choice)")
    arguments = parser.parse_args(words)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    split = leave_one_out(load_dataset("films"))
    measure(split, recommender=saved_run(split), n_items=arguments.items)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
