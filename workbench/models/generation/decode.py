"""From prompts to items: along the paths of the trie, or word by word through transformers' own ``generate``.

Beams and draws that stay inside the catalog follow paths. ``generate`` writes what somebody watches word by word, kept
on the trie by a logits processor, and what may leave the catalog.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any

import numpy as np
import torch
from transformers import Cache, GenerationConfig, LogitsProcessor
from transformers.generation.streamers import BaseStreamer

from workbench.models.generation.chance import Chance
from workbench.models.generation.constraint import (
    AnyWord,
    TrieProcessor,
    blocked_edges,
    edges_in,
    stop_when,
    trie_table,
)
from workbench.models.generation.paths import Found, follow, take_best, take_by_chance
from workbench.models.gpt2 import GPT2Recommender

NUMBERS = 100_000_000  # held at once (400 MB): bounds memory, whatever the number of prompts
NEVER = -1e8  # transformers' beams that were never alive have scores below


@dataclass(frozen=True, eq=False)
class Written:
    """Everything that was written behind one batch of prompts.

    Attributes:
        words: What was written, filled up with ``<end>``; (n_rows, at most the longest item).
        rows: Catalog row of the item it spells, -1 for none; (n_rows,).
        scores: Its log-probability, (n_rows,).
    """

    words: torch.Tensor
    rows: np.ndarray
    scores: np.ndarray


def search_beams(
    recommender: GPT2Recommender,
    prompts: Sequence[list[int]],
    *,
    out: Sequence[Sequence[int]] | None,
    width: int,
    stop: Event | None = None,
) -> list[Found]:
    """The items that a beam of this width finds, per prompt.

    Args:
        recommender: Who writes.
        prompts: Ids.
        out: Catalog rows that must not be written, per prompt; None: write any word.
        width: Beams.
        stop: Ends at the next word; what is finished by then is kept.
    """
    if out is not None:
        return follow(recommender, prompts, partial(take_best, width=width), out=out, n_paths=width, stop=stop)
    settings = {"num_beams": width, "num_return_sequences": width, "length_penalty": 0.0, "early_stopping": False}
    settings["output_scores"] = True  # else transformers keeps the beams' scores to itself
    return _write_all(recommender, prompts, per_prompt=width, stop=stop, **settings)


def draw_items(
    recommender: GPT2Recommender,
    prompts: Sequence[list[int]],
    *,
    out: Sequence[Sequence[int]] | None,
    draws: int,
    chance: Mapping[str, Any],
    stop: Event | None = None,
) -> list[Found]:
    """Items drawn word by word, per prompt as many as ``draws``; the same item may be drawn more than once.

    Scores are log-probabilities at temperature 1.

    Args:
        recommender: Who writes.
        prompts: Ids.
        out: Catalog rows that must not be written, per prompt, at least one is left; None: write any word.
        draws: Per prompt.
        chance: Temperature, top-p and dice as in ``draw_places``.
        stop: Ends at the next word; what is finished by then is kept.
    """
    if out is not None:
        take = partial(take_by_chance, draws=draws, **chance)
        return follow(recommender, prompts, take, out=out, n_paths=draws, stop=stop)
    return _write_all(recommender, prompts, per_prompt=draws, stop=stop, chance=Chance(**chance))


def _write_all(
    recommender: GPT2Recommender,
    prompts: Sequence[list[int]],
    *,
    per_prompt: int,
    stop: Event | None,
    **settings: object,
) -> list[Found]:
    """Write any words behind some prompts at a time, and collect what was written behind each."""
    size = _prompts_at_once(recommender, prompts, rows_each=per_prompt)
    found: list[Found] = []
    for first in range(0, len(prompts), size):
        if stop is not None and stop.is_set():
            return found + [[]] * (len(prompts) - len(found))
        some = prompts[first : first + size]
        written = write(recommender, some, out=None, per_prompt=per_prompt, stop=stop, **settings)
        found += collect(written, n_prompts=len(some))
    return found


def write(
    recommender: GPT2Recommender,
    prompts: Sequence[list[int]],
    *,
    out: Sequence[Sequence[int]] | None,
    per_prompt: int,
    stop: Event | None = None,
    told: Callable[[int, torch.Tensor], None] | None = None,
    chance: Chance | None = None,
    **settings: object,
) -> Written:
    """Write one item behind each prompt, ``per_prompt`` times.

    Args:
        recommender: Who writes.
        prompts: Ids.
        out: Catalog rows that must not be written, per prompt; None: write any word.
        per_prompt: Rows per prompt.
        stop: Ends at the next word; asked only while an item is not whole.
        told: Called after each word with its id and the log-probabilities it was chosen by, (n_words,); one row only.
        chance: Draws the words; the most probable ones when None.
        settings: Of transformers' ``GenerationConfig``.
    """
    vocabulary, device = recommender.vocabulary, recommender.device
    end, longest = vocabulary.control("end"), vocabulary.trie.longest
    ids, mask = pad_left(prompts, fill=end, device=device)
    if out is None:
        processor = AnyWord(start=ids.shape[1], end=end)
    else:
        blocked = blocked_edges(vocabulary.trie, out, device=device)
        rules = {"blocked": blocked, "gone": edges_in(recommender, prompts), "rows_per_prompt": per_prompt, "end": end}
        processor = TrieProcessor(vocabulary.trie, start=ids.shape[1], **rules)
    telling = _Telling(told) if told else None
    config = GenerationConfig(
        max_new_tokens=longest, pad_token_id=end, eos_token_id=end, return_dict_in_generate=True, **settings
    )
    table = trie_table(vocabulary.trie, device)

    def whole(sequences: torch.Tensor) -> bool:
        written = sequences[:, ids.shape[1] :]
        return written.shape[1] == longest or bool(((table.items(written) >= 0) | (written == end).any(1)).all())

    with recommender.at_rest():
        read = read_once(recommender, ids, mask, times=per_prompt)
        if chance:  # for beams transformers itself makes rows of a prompt
            ids, mask = ids.repeat_interleave(per_prompt, dim=0), mask.repeat_interleave(per_prompt, dim=0)
        answer = recommender.model.generate(
            ids,
            attention_mask=mask,
            past_key_values=read,
            generation_config=config,
            logits_processor=[one for one in (processor, telling, chance) if one],
            stopping_criteria=stop_when(stop, whole=whole),
            streamer=telling,
        )
        words = answer.sequences[:, ids.shape[1] :]
        rows = table.items(words).cpu().numpy()
        scores = answer.sequences_scores if "num_beams" in settings else processor.finish(answer.sequences)
    return Written(words, rows, scores.float().cpu().numpy())


class _Telling(LogitsProcessor, BaseStreamer):
    """Tells each word as soon as it is chosen, with the chances it was chosen by; what comes first is the prompt.

    Chances wait in line: on Apple's GPUs transformers tells a word only after the chances of the next are there.
    """

    def __init__(self, told: Callable[[int, torch.Tensor], None]) -> None:
        self._told, self._begun, self._chances = told, False, deque[torch.Tensor]()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Keep the log-probabilities of the next word, and leave them as they are."""
        self._chances.append(scores[0])
        return scores

    def put(self, value: torch.Tensor) -> None:
        """Take the next word."""
        if self._begun:
            self._told(int(value[0]), self._chances.popleft())
        self._begun = True

    def end(self) -> None:
        """Nothing is left to tell."""


def read_once(recommender: GPT2Recommender, ids: torch.Tensor, mask: torch.Tensor, *, times: int) -> Cache | None:
    """Keys and values of all but the last word of each prompt, repeated: else every row would read its prompt again.

    None where that would part a word from the marks before it, which are read together.
    """
    if times == 1 or ids.shape[1] == 1 or (ids >= recommender.vocabulary.first_mark).any():
        return None
    ids, mask = ids[:, :-1], mask[:, :-1]
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    read = recommender.model.transformer(ids, attention_mask=mask, position_ids=positions, use_cache=True)
    read.past_key_values.batch_repeat_interleave(times)
    return read.past_key_values


def _prompts_at_once(recommender: GPT2Recommender, prompts: Sequence[list[int]], *, rows_each: int) -> int:
    """How many prompts are written behind at once."""
    vocabulary, config = recommender.vocabulary, recommender.model.config
    longest = max(map(len, prompts), default=0) + vocabulary.trie.longest
    keys_and_values = 2 * longest * config.n_embd * config.n_layer
    return max(1, NUMBERS // (rows_each * (keys_and_values + vocabulary.size * vocabulary.trie.longest)))


def collect(written: Written, *, n_prompts: int) -> list[Found]:
    """What was written behind each prompt; beams that were never alive are left out."""
    rows, scores = written.rows.reshape(n_prompts, -1), written.scores.reshape(n_prompts, -1)
    return [
        [(int(row), float(score)) for row, score in zip(*own, strict=True) if score > NEVER]
        for own in zip(rows, scores, strict=True)
    ]


def pad_left(prompts: Sequence[list[int]], *, fill: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts of different length as one tensor that ends where they end, and which of it is prompt.

    Example:
        >>> ids, mask = pad_left([[5], [6, 7]], fill=0, device=torch.device("cpu"))
        >>> ids.tolist(), mask.tolist()
        ([[0, 5], [6, 7]], [[0, 1], [1, 1]])
    """
    longest = max(map(len, prompts))
    ids = torch.tensor([[fill] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    return ids, mask
