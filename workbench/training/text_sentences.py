"""Sentences whose answer is text: what an item is about, and what people wrote of it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from workbench.language.tokenizer import encode
from workbench.models.gpt2 import GPT2Recommender
from workbench.training.windows import NO_TARGET, padded


def text_group(
    recommender: GPT2Recommender, texts: Sequence[tuple[int, str]], *, kind: str = "description"
) -> dict[str, torch.Tensor]:
    """Sentences "item -> its text", one for each (catalog row, text); ``kind`` "description" or "review"."""
    vocabulary, rows, targets = recommender.vocabulary, [], []
    asked = vocabulary.control("describe") if kind == "description" else vocabulary.task("review")
    for row, text in texts:
        pieces, item = encode(recommender.tokenizer, text)[:80], vocabulary.spelled[row]
        rows.append([*item, asked, *pieces])
        targets.append([*[NO_TARGET] * len(item), *pieces, vocabulary.control("end")])
    at_most = recommender.model.config.n_positions
    return {"words": padded(rows, 0, at_most=at_most), "targets": padded(targets, NO_TARGET, at_most=at_most)}


def review_texts(train: pd.DataFrame, recommender: GPT2Recommender) -> list[tuple[int, str]]:
    """(catalog row, text) of every review among the training events.

    Raises:
        ValueError: If there is none.
    """
    column = train["review"] if "review" in train else pd.Series("", index=train.index)
    written = train[column.fillna("").astype(str).str.strip() != ""]
    if not len(written):
        raise ValueError("reviews is above 0, but no training event has a text in a column 'review'. Set reviews=0.")
    rows = pd.Index(recommender.vocabulary.spelling.items, dtype=object).get_indexer(written["item_id"])
    return [(int(row), str(text)[:600]) for row, text in zip(rows, written["review"], strict=True)]


def item_texts(catalog: pd.DataFrame) -> list[tuple[int, str]]:
    """(catalog row, text) of every description in the catalog; the title alone where there is none."""
    texts = []
    for row, item in enumerate(catalog.to_dict("records")):
        own = [item.get(name) for name in ("description", "description_zh")]
        own = [text for text in own if isinstance(text, str) and text]
        texts += [(row, text[:600]) for text in own or [str(item["title"])]]
    return texts


def some_words(text: str, rng: np.random.Generator, *, at_most: int = 8) -> str:
    """A few neighbouring words of a text (characters of a Chinese one), as a person might remember it."""
    parts, glue = (text.split(), " ") if " " in text else (list(text), "")
    size = int(rng.integers(min(3, at_most - 2), at_most + 1))
    start = int(rng.integers(0, max(1, len(parts) - size + 1)))
    return glue.join(parts[start : start + size])
