"""Training sentences as a person can read them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from workbench.catalogs import Split, item_labels
from workbench.language import Spelling
from workbench.language.trie import Trie
from workbench.language.vocabulary import CONTROLS
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.ranking import item_codes
from workbench.training.batches import Sentences
from workbench.training.config import TrainingConfig
from workbench.training.fine_tune import untrained


def show_sentences(
    split: Split, *, spelling: str | Spelling = "atomic", config: TrainingConfig | None = None, step: int = 0
) -> pd.DataFrame:
    """One sentence of each kind from a step of training: what is read, and what must be predicted.

    Args:
        split: As for ``fine_tune``.
        spelling: As for ``fine_tune``.
        config: As for ``fine_tune``.
        step: Which step to look at.

    Returns:
        Index ``sentence`` (its kind), columns ``reads`` and ``predicts``.

    Raises:
        IndexError: If the run has no such step.
    """
    config = config or TrainingConfig()
    tiny = replace(config, layers=1, width=config.heads)
    recommender = untrained(split, base="small", spelling=spelling, config=tiny)
    sentences = Sentences(recommender, split, config)
    if not 0 <= step < len(sentences):
        raise IndexError(f"step {step} is not in 0 .. {len(sentences) - 1}, the steps of this run.")
    rows = {}
    for kind, group in sentences[step].items():
        words, targets = group["words"][0].tolist(), group.get("targets")
        if targets is None:
            words = words[: int(group["ends"][0]) + 1]
            likely = group["chances"][0].nonzero().flatten().tolist()
            answer = _titles(recommender, likely[:3]) + (f" ... {len(likely)} items" if len(likely) > 3 else "")
        else:
            answer, words = _answer(recommender, words, targets[0].tolist(), kind=kind)
        rows[kind.replace("_", " ")] = (read_words(recommender, words), answer)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["reads", "predicts"]).rename_axis("sentence")


def _answer(recommender: GPT2Recommender, words: list[int], targets: list[int], *, kind: str) -> tuple[str, list[int]]:
    """What a sentence predicts, as text, and the words that are read before it; of a long history its end."""
    known = [place for place, target in enumerate(targets) if target >= 0]
    answer = [targets[place] for place in known]
    if kind in ("description", "review"):
        return read_words(recommender, answer), words[: known[0] + 1]
    items = _items(recommender.vocabulary.trie, answer)
    if len(items) == 1:
        return _titles(recommender, items), words[: known[0] + 1]
    shown = 6 * round(recommender.vocabulary.mean_length)  # words of six items, about
    return _titles(recommender, items[-6:]), words[: known[-1] + 1][-shown:]


def _items(trie: Trie, edges: list[int]) -> list[int]:
    """Catalog rows that a walk of the trie names, each from the root on; one that breaks off names none."""
    first = trie.first_edges[1]
    lasts = [edge for edge, following in zip(edges, [*edges[1:], 0], strict=True) if following < first]
    return [int(trie.places[1][edge + 1]) for edge in lasts if trie.below[edge] == 1]


def read_words(recommender: GPT2Recommender, words: list[int]) -> str:
    """Words of the vocabulary as text: ``<control>``, ``<evening>``, ``[Title]``, and word pieces as they read.

    An item that takes several words of its own is read as a title where they stand together, else as codes.
    """
    vocabulary, parts, pieces, code = recommender.vocabulary, [], [], []
    rows = {} if vocabulary.spelling.in_text else {own: row for row, own in enumerate(vocabulary.spelled)}
    for word in [*words, -1]:
        if not vocabulary.first_item <= word < vocabulary.first_mark and code:
            parts, code = [*parts, *(f"code {one - vocabulary.first_item}" for one in code)], []
        if not 0 <= word < vocabulary.n_text and pieces:
            parts, pieces = [*parts, recommender.tokenizer.decode(pieces).strip()], []
        if 0 <= word < vocabulary.n_text:
            pieces.append(word)
        elif word >= vocabulary.first_mark:
            parts.append(f"<{vocabulary.marks[word - vocabulary.first_mark][2]}>")
        elif word >= vocabulary.first_item:
            code.append(word)
            begins = [first for first in range(len(code)) if tuple(code[first:]) in rows]  # a cut item may stand before
            if begins:
                parts += [f"code {one - vocabulary.first_item}" for one in code[: begins[0]]]
                parts, code = [*parts, _titles(recommender, [rows[tuple(code[begins[0] :])]])], []
        elif word >= 0:
            parts.append(f"<{CONTROLS[word - vocabulary.n_text]}>")
    return " ".join(parts)


def _titles(recommender: GPT2Recommender, rows: list[int]) -> str:
    return " ".join(f"[{title}]" for title in recommender.catalog["title"].iloc[rows])


def show_spellings(recommenders: Mapping[str, GPT2Recommender], *, items: Sequence[str]) -> pd.DataFrame:
    """How items are written: index ``item`` (title), a column per recommender, words parted by a dot.

    Raises:
        ValueError: If an item is not in the catalog.
    """
    columns = {}
    for name, recommender in recommenders.items():
        vocabulary = recommender.vocabulary
        rows = item_codes({"": items}, items=pd.Index(vocabulary.spelling.items, dtype=object))[0]
        columns[name] = ["·".join(_word(recommender, word) for word in vocabulary.spelled[row]) for row in rows]
    labels = item_labels(recommender.catalog)
    return pd.DataFrame(columns, index=pd.Index([labels[row] for row in rows], name="item"))


def _word(recommender: GPT2Recommender, word: int) -> str:
    """One word of an item's spelling, as it reads."""
    vocabulary = recommender.vocabulary
    if word >= vocabulary.first_item:
        return f"{'item' if vocabulary.spelling.how == 'atomic' else 'code'} {word - vocabulary.first_item}"
    return "<end>" if word >= vocabulary.n_text else recommender.tokenizer.decode([word]).strip() or "(space)"
