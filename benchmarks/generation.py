"""Lists the model writes: whether ten thousand of them keep every promise, what the trie costs, what a beam misses.

    python benchmarks/generation.py [lists] [trie] [recall]

``lists``: 10,000 lists of ten in each spelling, by random weights behind cut histories of the bundled films; none may
hold an item off the catalog, one that was seen, or one twice. ``trie``: the same call of transformers' ``generate``
with and without the processor that keeps it on the trie, in turn, over 10,000 made-up items with 20 beams. ``recall``:
the share of the exact top ten that a beam of 50 does not find, by runs trained on films. Everything runs in one thread,
as two only wait for each other where somebody else wants a core. Rows are kept as soon as they are measured, in
``benchmarks/results/generation.json``; calling again goes on with what is missing.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from records import RESULTS, Page, Row, fingerprint, machine, say
from transformers import GenerationConfig

from workbench.catalogs import Split, leave_one_out, load_dataset
from workbench.language import spell
from workbench.models import GPT2Recommender, embed_catalog, start_recommender
from workbench.models.generation import Decoding
from workbench.models.generation.constraint import TrieProcessor, blocked_edges
from workbench.models.generation.decode import pad_left, read_once, search_beams
from workbench.training import saved_run

SPELLINGS = ("atomic", "semantic", "title")
LISTS, K, WIDTHS = 10_000, 10, (10, None)  # None: the width that ``generate`` takes unless told
ITEMS, BEAMS, REPEATS = 10_000, 20, 30
USERS, WIDE = 500, (10, 20, 50)
LIMITS = {"off_catalog": 0, "seen": 0, "twice": 0, "short": 0, "seconds": 60.0, "trie_share": 0.2, "missed_at_50": 0.01}
KEPT = ["off_catalog", "seen", "twice", "short", "seconds"]
LIMITED = {  # which figures of a row have a limit
    **{f"lists, {how}, {width}": KEPT for how in SPELLINGS for width in ("width 10", "default width")},
    **{f"trie, {how}": ["trie_share"] for how in SPELLINGS},
    **{f"recall, {how}": ["missed_at_50"] for how in SPELLINGS[1:]},
}


def in_spelling(catalog: pd.DataFrame, how: str, **shape: int) -> GPT2Recommender:
    """Random weights, items in the words of a spelling."""
    spelling = spell(catalog, how=how, embeddings=embed_catalog(catalog)) if how == "semantic" else how
    return start_recommender(catalog, spelling=spelling, **shape)


def cut_histories(split: Split, *, n: int) -> dict[str, list[str]]:
    """N beginnings of the users' histories, each ended at a random place, from nothing to all of it."""
    rng, histories = np.random.default_rng(0), list(split.histories(on="test").values())
    chosen = [histories[number % len(histories)] for number in range(n)]
    return {f"u{number}": own[: rng.integers(0, len(own) + 1)] for number, own in enumerate(chosen)}


def write_lists(recommender: GPT2Recommender, histories: Mapping[str, Sequence[str]], *, width: int | None) -> Row:
    """One list of ten for everybody, and what is wrong with them."""
    recommender.generate({"nobody": []}, k=K, width=width)  # what is made once is there
    begun, used = time.perf_counter(), time.process_time()
    table = recommender.generate(histories, k=K, width=width)
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    words = float(np.mean([len(prompt) for prompt in recommender.prompts(histories, {})]))
    flaws = find_flaws(table, histories, items=recommender.vocabulary.spelling.items)
    times = {"seconds": round(seconds, 1), "processor_seconds": round(used, 1)}
    return flaws | times | {"lists": len(histories), "prompt_words": round(words, 1), "machine": machine()}


def find_flaws(table: pd.DataFrame, histories: Mapping[str, Sequence[str]], *, items: Sequence[str]) -> Row:
    """Places that hold no item, one that was seen, or one a second time; and places that are missing."""
    seen = {(user, item) for user, own in histories.items() for item in own}
    pairs = list(zip(table["user_id"], table["item_id"], strict=True))
    room = sum(min(K, len(items) - len(set(own))) for own in histories.values())
    return {
        "off_catalog": int((~table["item_id"].isin(items)).sum()),
        "seen": sum(pair in seen for pair in pairs),
        "twice": int(table.duplicated(["user_id", "item_id"]).sum()),
        "short": room - len(table),
    }


def made_up_catalog(n: int) -> pd.DataFrame:
    """Items with titles of one to four made-up words, of which many begin alike."""
    rng, letters = np.random.default_rng(0), np.array(list("abcdefghijklmnoprstuvwz"))
    words = ["".join(rng.choice(letters, rng.integers(3, 9))) for _ in range(800)]
    titles = [" ".join(rng.choice(words, rng.integers(1, 5))).title() for _ in range(n)]
    return pd.DataFrame({"item_id": [f"i{row:05d}" for row in range(n)], "title": titles})


def price_trie(recommender: GPT2Recommender, *, beams: int = BEAMS, repeats: int = REPEATS) -> Row:
    """What the trie adds to a call of ``generate``, as a share: on it and off it in turn, the median of pairs.

    Both read the same prompt once, follow as many beams and write as many words. Beside it, in milliseconds, the way
    that lists themselves take: from fork to fork.
    """
    trie, end = recommender.vocabulary.trie, recommender.vocabulary.control("end")
    items = recommender.vocabulary.spelling.items
    prompts = recommender.prompts({"u": items[:: max(1, len(items) // 20)][:20]}, {})
    ids, mask = pad_left(prompts, fill=end, device=recommender.device)

    def call(n_words: int, *, on_trie: bool) -> int:
        processors = []
        if on_trie:
            blocked = blocked_edges(trie, [[]], device=recommender.device)
            processors = [
                TrieProcessor(trie, start=ids.shape[1], blocked=blocked, gone=None, rows_per_prompt=beams, end=end)
            ]
        config = GenerationConfig(
            max_new_tokens=n_words,
            num_beams=beams,
            num_return_sequences=beams,
            length_penalty=0.0,
            pad_token_id=end,
            eos_token_id=end if on_trie else None,
        )
        with recommender.at_rest():
            cache = read_once(recommender, ids, mask, times=beams)
            answer = recommender.model.generate(
                ids, attention_mask=mask, past_key_values=cache, generation_config=config, logits_processor=processors
            )
        return answer.shape[1] - ids.shape[1]

    n_words = call(trie.longest, on_trie=True)
    assert call(n_words, on_trie=False) == n_words
    on, off, forks = [], [], []
    for number in range(repeats):
        turns = [(on, partial(call, n_words, on_trie=True)), (off, partial(call, n_words, on_trie=False))]
        for times, act in turns[:: 1 if number % 2 else -1]:  # neither always finds the memory as the other left it
            times.append(milliseconds(act))
    for _ in range(repeats):
        forks.append(milliseconds(lambda: search_beams(recommender, prompts, out=[[]], width=beams)))
    times = {"with_ms": on, "without_ms": off, "forks_ms": forks}
    about = {"words": n_words, "edges": len(trie.words), "vocabulary": recommender.vocabulary.size}
    share = float(np.median(np.array(on) / np.array(off))) - 1
    return (
        {"trie_share": round(share, 3)} | {name: round(float(np.median(own)), 1) for name, own in times.items()} | about
    )


def milliseconds(act: Callable[[], object]) -> float:
    """How long something takes."""
    begun = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - begun)


def miss_best(recommender: GPT2Recommender, histories: Mapping[str, Sequence[str]]) -> Row:
    """The share of everybody's exact top ten that beams of some widths do not find."""
    exact = recommender.rank(histories, k=K)
    row: Row = {"users": len(histories)}
    for width in WIDE:
        found = recommender.generate(histories, k=K, width=width)
        both = exact.merge(found, on=["user_id", "item_id"])
        row[f"missed_at_{width}"] = round(1 - len(both) / len(exact), 5)
    return row


def measure(kinds: Sequence[str], *, results: Path = RESULTS) -> Row:
    """What is asked for of the three, or what is missing of it."""
    page, split = Page(results / "generation.json"), leave_one_out(load_dataset("films"))
    page.figures |= {"limits": LIMITS}
    films = fingerprint(split)

    def once(name: str, make: Callable[[], Row], *key: object) -> None:
        row = page.once(name, key=" ".join(map(str, (films, *key))), make=lambda: (make(), None))
        say(f"{name}: { ({figure: row[figure] for figure in LIMITED[name]}) }")

    for how in SPELLINGS:
        if "lists" in kinds:
            small = in_spelling(split.dataset.catalog, how, layers=2, width=32, heads=2)
            histories = cut_histories(split, n=LISTS)
            written = fingerprint(split, small.vocabulary.spelled)
            for width in WIDTHS:
                name = f"lists, {how}, {f'width {width}' if width else 'default width'}"
                about_list = (LISTS, K, written, Decoding(k=K, width=width).beams)
                once(name, lambda model=small, n=width, own=histories: write_lists(model, own, width=n), *about_list)
        if "trie" in kinds:
            made_up = made_up_catalog(ITEMS)
            once(f"trie, {how}", lambda how=how, own=made_up: price(own, how), ITEMS, BEAMS, REPEATS)
        if "recall" in kinds and how != "atomic":
            run = saved_run(split, spelling=how)
            some = dict(list(split.histories(on="test").items())[:USERS])
            once(f"recall, {how}", lambda run=run, own=some: miss_best(run, own) | about(run), run.record["key"], USERS)
    page.save()
    return page.figures


def price(catalog: pd.DataFrame, how: str) -> Row:
    """What the trie costs a recommender of the usual shape."""
    return price_trie(in_spelling(catalog, how)) | {"items": len(catalog), "beams": BEAMS, "machine": machine()}


def about(run: GPT2Recommender) -> Row:
    """What a row of a trained run says of it."""
    return {"source": run.source, "machine": machine()}


def over_limit(page: Row) -> list[str]:
    """The figures that are over their limit or missing.

    Example:
        >>> over_limit({"trie, atomic": {"trie_share": 0.3}})[-5:-3]
        ['trie, atomic: trie_share is 0.3', 'trie, semantic: trie_share is None']
    """
    figures = [(row, name, page.get(row, {}).get(name)) for row, names in LIMITED.items() for name in names]
    return [f"{row}: {name} is {value}" for row, name, value in figures if value is None or not value <= LIMITS[name]]


def main(words: Sequence[str]) -> int:
    """Measure; 1 if a limit is not kept."""
    kinds = ("lists", "trie", "recall")
    if unknown := [word for word in words if word not in kinds]:
        raise SystemExit(f"{unknown[0]!r} is not measured here; choose of {', '.join(kinds)}.")
    torch.set_num_threads(1)
    page = measure(words or kinds)
    over = [line for line in over_limit(page) if not words or line.split(",")[0] in words]
    say(f"over the limit: {', '.join(over)}" if over else "every limit is kept")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
