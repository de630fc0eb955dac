"""Training sentences as a person can read them."""

import pandas as pd

from workbench.catalogs import Split
from workbench.language.vocabulary import CONTROLS
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.start import start_recommender
from workbench.training.batches import Sentences
from workbench.training.config import TrainingConfig


def show_sentences(split: Split, *, config: TrainingConfig | None = None, step: int = 0) -> pd.DataFrame:
    """One sentence of each kind from a step of training: what is read, and what must be predicted.

    Args:
        split: As for ``fine_tune``.
        config: As for ``fine_tune``.
        step: Which step to look at.

    Returns:
        Index ``sentence`` (its kind), columns ``reads`` and ``predicts``.

    Raises:
        IndexError: If the run has no such step.
    """
    config = config or TrainingConfig()
    recommender = start_recommender(split.dataset.catalog, layers=1, width=config.heads, heads=config.heads)
    sentences = Sentences(recommender, split, config)
    if not 0 <= step < len(sentences):
        raise IndexError(f"step {step} is not in 0 .. {len(sentences) - 1}, the steps of this run.")
    rows = {}
    for kind, group in sentences[step].items():
        words = group["words"][0].tolist()
        if "ends" in group:
            words = words[: int(group["ends"][0]) + 1]
        if "chances" in group:
            likely = group["chances"][0].nonzero().flatten().tolist()
            answer = _titles(recommender, likely[:3]) + (f" ... {len(likely)} items" if len(likely) > 3 else "")
        elif kind == "description":
            answer = recommender.tokenizer.decode([word for word in group["targets"][0].tolist() if word >= 0])
            words = words[:2]
        else:
            targets = group["targets"][0].flatten().tolist()
            known = [target for target in targets if target >= 0]
            words = words[: len(known)] if len(known) > 1 else words
            answer, words = _titles(recommender, known[-6:]), words[-6:] if len(known) > 1 else words
        rows[kind.replace("_", " ")] = (read_words(recommender, words), answer)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["reads", "predicts"]).rename_axis("sentence")


def read_words(recommender: GPT2Recommender, words: list[int]) -> str:
    """Words of the vocabulary as text: ``<control>``, ``[Title]``, and word pieces as they read."""
    vocabulary, parts, pieces = recommender.vocabulary, [], []
    for word in [*words, -1]:
        if 0 <= word < vocabulary.n_text:
            pieces.append(word)
            continue
        if pieces:
            parts.append(recommender.tokenizer.decode(pieces).strip())
            pieces = []
        if word >= vocabulary.first_item:
            parts.append(_titles(recommender, [word - vocabulary.first_item]))
        elif word >= 0:
            parts.append(f"<{CONTROLS[word - vocabulary.n_text]}>")
    return " ".join(parts)


def _titles(recommender: GPT2Recommender, rows: list[int]) -> str:
    return " ".join(f"[{title}]" for title in recommender.catalog["title"].iloc[rows])
