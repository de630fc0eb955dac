"""From prompts to items through transformers' own ``generate``: beams, draws, and one item word by word."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

import numpy as np
import torch
from transformers import GenerationConfig
from transformers.generation.streamers import BaseStreamer

from workbench.models.generation.beams import Found, follow_beams
from workbench.models.generation.constraint import TrieProcessor, stop_when, trie_table
from workbench.models.gpt2 import GPT2Recommender

NUMBERS = 100_000_000  # scores that are held at once (400 MB): bounds memory, whatever the number of prompts
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
    blocked: np.ndarray | None,
    width: int,
    stop: Event | None = None,
) -> list[Found]:
    """The items that a beam of this width finds, per prompt.

    Args:
        recommender: Who writes.
        prompts: Ids.
        blocked: Edges of the trie that must not be taken, (n_prompts, n_edges); None: write any word.
        width: Beams.
        stop: Ends at the next word; what is finished by then is kept.
    """
    if blocked is not None:
        return follow_beams(recommender, prompts, blocked=blocked, width=width, stop=stop)
    found: list[Found] = []
    size = _prompts_at_once(recommender, rows_each=width)
    for first in range(0, len(prompts), size):
        if stop is not None and stop.is_set():
            return found + [[]] * (len(prompts) - len(found))
        some = slice(first, first + size)
        settings = {"num_beams": width, "num_return_sequences": width, "length_penalty": 0.0, "early_stopping": False}
        settings["output_scores"] = True  # else transformers keeps the beams' scores to itself
        own = None if blocked is None else blocked[some]
        written = write(recommender, prompts[some], blocked=own, per_prompt=width, stop=stop, **settings)
        found += collect(written, n_prompts=len(prompts[some]))
    return found


def draw_items(
    recommender: GPT2Recommender,
    prompts: Sequence[list[int]],
    *,
    blocked: np.ndarray | None,
    draws: int,
    temperature: float,
    top_p: float,
    stop: Event | None = None,
) -> list[Found]:
    """Items drawn word by word, per prompt as many as ``draws``; the same item may be drawn more than once.

    Scores are log-probabilities at temperature 1. Chance comes from torch's generator as it stands.
    """
    found: list[Found] = []
    size = _prompts_at_once(recommender, rows_each=draws)
    for first in range(0, len(prompts), size):
        if stop is not None and stop.is_set():
            return found + [[]] * (len(prompts) - len(found))
        some = slice(first, first + size)
        settings = {"do_sample": True, "num_return_sequences": draws, "temperature": temperature, "top_p": top_p}
        own = None if blocked is None else blocked[some]
        written = write(recommender, prompts[some], blocked=own, per_prompt=draws, stop=stop, top_k=0, **settings)
        found += collect(written, n_prompts=len(prompts[some]))
    return found


def write(
    recommender: GPT2Recommender,
    prompts: Sequence[list[int]],
    *,
    blocked: np.ndarray | None,
    per_prompt: int,
    stop: Event | None = None,
    told: Callable[[int, torch.Tensor], None] | None = None,
    **settings: object,
) -> Written:
    """Write one item behind each prompt, ``per_prompt`` times.

    Args:
        recommender: Who writes.
        prompts: Ids.
        blocked: Edges of the trie that must not be taken, (n_prompts, n_edges); None: write any word.
        per_prompt: Rows per prompt.
        stop: Ends at the next word.
        told: Called after each word with its id and the log-probabilities it was chosen by, (n_words,); one row only.
        settings: Of transformers' ``GenerationConfig``.
    """
    vocabulary, device = recommender.vocabulary, recommender.device
    end, longest = vocabulary.control("end"), vocabulary.trie.longest
    ids, mask = pad_left(prompts, fill=end, device=device)
    processor = None
    if blocked is not None:
        ways = torch.as_tensor(blocked, device=device)
        processor = TrieProcessor(
            vocabulary.trie, start=ids.shape[1], blocked=ways, rows_per_prompt=per_prompt, end=end
        )
    config = GenerationConfig(
        max_new_tokens=longest, pad_token_id=end, eos_token_id=end, return_dict_in_generate=True, **settings
    )
    with recommender.at_rest():
        answer = recommender.model.generate(
            ids,
            attention_mask=mask,
            generation_config=config,
            logits_processor=[processor] if processor else [],
            stopping_criteria=stop_when(stop),
            streamer=_Telling(told, processor) if told else None,
        )
        words = answer.sequences[:, ids.shape[1] :]
        rows = trie_table(vocabulary.trie, device).items(words).cpu().numpy()
        if "num_beams" in settings:
            scores = answer.sequences_scores
        else:
            scores = processor.finish(answer.sequences) if processor else torch.zeros(len(words))
    return Written(words, rows, scores.float().cpu().numpy())


class _Telling(BaseStreamer):
    """Tells each word as soon as it is chosen; what comes first is the prompt."""

    def __init__(self, told: Callable[[int, torch.Tensor], None], processor: TrieProcessor | None) -> None:
        self._told, self._processor, self._begun = told, processor, False

    def put(self, value: torch.Tensor) -> None:
        if self._begun and self._processor is not None:
            self._told(int(value[0]), self._processor.chances[0])
        self._begun = True

    def end(self) -> None:
        """Nothing is left to tell."""


def _prompts_at_once(recommender: GPT2Recommender, *, rows_each: int) -> int:
    """How many prompts are written behind at once."""
    vocabulary = recommender.vocabulary
    return max(1, NUMBERS // (rows_each * vocabulary.size * vocabulary.trie.longest))


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
