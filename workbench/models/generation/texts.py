"""Free text that the model writes: what an item is, why it might suit, how people talk of it, how a sentence ends."""

import codecs
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import GenerationConfig, LogitsProcessor
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.generation.streamers import BaseStreamer

from workbench.catalogs import item_labels
from workbench.language import Prompt
from workbench.language.tokenizer import encode
from workbench.models.generation.chance import Chance, take_dice
from workbench.models.generation.constraint import stop_when
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.ranking import item_codes

# what each task is asked with
TASKS = {"describe": ("item",), "explain": ("item", "prompt"), "review": ("item",), "finish": ("sentence",)}
BYTES = {letter: byte for byte, letter in bytes_to_unicode().items()}  # byte-level BPE writes every byte as a letter


@dataclass(frozen=True)
class Piece:
    """What was shown at once: a word piece, several where only together they make a letter, or the title of an item.

    Attributes:
        text: Its text; joined, the pieces are the text.
        probability: Of its words among all that could stand there, at temperature 1; 0 to 1.
    """

    text: str
    probability: float


@dataclass(frozen=True)
class Text:
    """What was written; plain text, which whoever makes HTML of it must escape.

    Attributes:
        text: What the model wrote.
        task: One of ``TASKS``.
        item_id: The item it was asked about; empty for "finish".
        pieces: The text in pieces, each with its probability.
        stopped: Whether ``stop`` ended it.
        ended: Whether the model itself ended it; if neither, the length did.
        begun: Of "finish": the sentence as it was read, which the text continues.
        n_cut_items: Oldest items of the history that were not read, for want of room.
        n_cut_pieces: Word pieces that were not read: the last of a request, the first of a sentence.
    """

    text: str
    task: str
    item_id: str
    pieces: tuple[Piece, ...]
    stopped: bool
    ended: bool
    begun: str = ""
    n_cut_items: int = 0
    n_cut_pieces: int = 0


def write_text(
    recommender: GPT2Recommender,
    task: str,
    *,
    item: str | None = None,
    prompt: Prompt | None = None,
    sentence: str = "",
    length: int = 60,
    how: str = "sample",
    temperature: float = 1.0,
    top_p: float = 0.9,
    seed: int = 0,
    items: bool = False,
    stop: Event | None = None,
    on_piece: Callable[[str], None] | None = None,
) -> Text:
    """Let the model write text, piece by piece, until it ends it or the length is reached.

    Training teaches "describe", and "review" where it was given reviews. Nothing teaches "explain" (a description
    behind somebody's prompt: that it speaks to the person would be chance), nor "finish" where the weights began at
    random: texts were only ever read behind an item. ``workbench.evaluation.texts`` measures how true texts are.

    Args:
        recommender: Who writes.
        task: One of ``TASKS``.
        item: Id of the item to write about.
        prompt: Of "explain": whom the item is recommended to.
        sentence: Of "finish": what to continue; of one that is longer than the model reads, the end is read.
        length: Most words to write, each a word piece or a word of an item.
        how: ``"sample"``: words drawn by chance; ``"greedy"``: always the most probable.
        temperature: Of "sample", above 0: below 1 the probable is drawn more often, above 1 less often.
        top_p: Of "sample": words are drawn from the most probable that together have this share, above 0, at most 1.
        seed: Of "sample": the same question and seed give the same text.
        items: Let the text name items by their own words, shown as titles. With the spelling "title", any text may.
        stop: Set it, and writing ends at the next piece.
        on_piece: Called with each piece of text as soon as it is whole.

    Raises:
        ValueError: If the task is unknown, was not learned, lacks something or has no use for it; if the item is
            unknown; if a setting is out of range.

    Example:
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2)
        >>> written = write_text(recommender, "describe", item="a", length=5)
        >>> written.text == "".join(piece.text for piece in written.pieces), len(written.pieces) <= 5
        (True, True)
    """
    _check(task, item=item, prompt=prompt, sentence=sentence.strip())
    _check_settings(how=how, temperature=temperature, top_p=top_p, length=length)
    ids, said = _beginning(recommender, task, item=item, prompt=prompt, sentence=sentence, length=length)
    processor = _TextOnly(recommender, items=items)
    page = _Page(recommender, processor, on_piece, trim=task != "finish")
    dice = take_dice(seed, recommender.device)
    chance = [Chance(temperature=temperature, top_p=top_p, dice=dice)] if how == "sample" else []
    end, device = recommender.vocabulary.control("end"), recommender.device
    config = GenerationConfig(max_new_tokens=length, pad_token_id=end, eos_token_id=end)
    words = torch.tensor([ids], device=device)
    if stop is None or not stop.is_set():
        with recommender.at_rest():
            recommender.model.generate(
                words,
                attention_mask=torch.ones_like(words),
                generation_config=config,
                logits_processor=[processor, *chance],
                stopping_criteria=stop_when(stop),
                streamer=page,
            )
    stopped = stop is not None and stop.is_set() and not page.ended and page.n_words < length
    text = "".join(piece.text for piece in page.pieces)
    return Text(text, task, item or "", tuple(page.pieces), stopped, page.ended, **said)


def _check(task: str, **given: Any) -> None:
    """Refuse what lacks something, and what would silently have no effect."""
    if task not in TASKS:
        raise ValueError(f"task is {task!r}; choose one of {list(TASKS)}.")
    wanted, got = TASKS[task], tuple(name for name, value in given.items() if value not in (None, ""))
    if got != wanted:
        raise ValueError(f"{task!r} is asked with {' and '.join(wanted)}; given: {' and '.join(got) or 'nothing'}.")


def _check_settings(*, how: str, temperature: float, top_p: float, length: int) -> None:
    if how not in ("sample", "greedy"):
        raise ValueError(f"how is {how!r}; choose 'sample' or 'greedy'.")
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature:g}; it must be above 0. For the most probable: how='greedy'.")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p:g}; it must be above 0 and at most 1.")
    if length < 1:
        raise ValueError(f"length is {length}; let at least 1 word be written.")


def _beginning(
    recommender: GPT2Recommender, task: str, *, item: str | None, prompt: Prompt | None, sentence: str, length: int
) -> tuple[list[int], dict[str, Any]]:
    """The ids that the text is written behind, and what of the question they hold: fields of ``Text``."""
    vocabulary, positions, before, own, said = recommender.vocabulary, recommender.model.config.n_positions, [], [], {}
    if item:
        known = vocabulary.spelling.items
        if item not in known:
            raise ValueError(f"item {item!r} is not one of the {len(known):,} in the catalog; find_items finds titles.")
        asked = vocabulary.task("review") if task == "review" else vocabulary.control("describe")
        own = [*vocabulary.items([known.index(item)]), asked]
    room = max(1, positions - len(own) - length)
    if prompt is not None:
        before, said = _prompt_words(recommender, prompt, room=room)
    elif task == "finish":
        # 16 characters a piece is generous; encoding 10 MB only to cut them would take seconds
        pieces = encode(recommender.tokenizer, sentence.strip()[-16 * positions :])
        before = pieces[-room:]
        begun = b"".join(_bytes(recommender, word) for word in before).decode("utf-8", "ignore").strip()
        said = {"begun": begun, "n_cut_pieces": len(pieces) - len(before)}
    ids = [*before, *own]
    if len(ids) + length > positions:
        most = max(0, positions - len(ids))
        raise ValueError(f"length is {length}; the model reads {positions} words: behind this ask for at most {most}.")
    return ids, said


def _prompt_words(recommender: GPT2Recommender, prompt: Prompt, *, room: int) -> tuple[list[int], dict[str, int]]:
    """Ids of a prompt, its history and request cut so that they fit, and how much was cut."""
    vocabulary, tokenizer, template = recommender.vocabulary, recommender.tokenizer, recommender.template
    rows = item_codes({"somebody": prompt.history}, items=pd.Index(vocabulary.spelling.items, dtype=object))[0]
    said = {"request": prompt.request, "context": prompt.context, "profile": prompt.profile, "history": rows.tolist()}
    whole = template.keep(vocabulary, tokenizer, **said)
    n_pieces = len(whole.pieces)
    spare = max(0, room - len(whole.profile) - len(whole.context) - (3 if n_pieces else 1))  # less the control words
    kept = replace(
        template,
        max_history=min(template.max_history, spare),
        max_history_with_request=min(template.max_history_with_request, max(0, spare - n_pieces)),
        max_request=min(template.max_request, spare),
    ).keep(vocabulary, tokenizer, **said)
    return template.write(vocabulary, kept), {"n_cut_items": kept.n_cut_items, "n_cut_pieces": kept.n_cut_pieces}


class _TextOnly(LogitsProcessor):
    """Leaves pieces of text and ``<end>``, and whole items where they are allowed; all else becomes -inf.

    Attributes:
        chances: Log-probabilities of the words nobody has asked about yet, each (n_words,): on Apple's GPUs
            transformers tells a word only after the chances of the next one are computed.
    """

    def __init__(self, recommender: GPT2Recommender, *, items: bool) -> None:
        vocabulary, tokenizer = recommender.vocabulary, recommender.tokenizer
        special = tokenizer.get_added_tokens_decoder()  # <|endoftext|> of a published GPT-2 is no text
        self._vocabulary, self._device, self._node = vocabulary, recommender.device, 0
        self._trie = vocabulary.trie if items and not vocabulary.spelling.in_text else None
        begin = self._trie.words[: self._trie.first_edges[1]].tolist() if self._trie else []
        text = [word for word in tokenizer.get_vocab().values() if word not in special]
        self._anywhere = self._mask([*text, vocabulary.control("end"), *begin])
        self.chances: deque[torch.Tensor] = deque()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        allowed = self._anywhere if self._trie is None else self._after(int(input_ids[0, -1]))
        chances = scores.float().masked_fill(~allowed, -torch.inf).log_softmax(1)  # (1, n_words)
        self.chances.append(chances[0])
        return chances

    def _after(self, word: int) -> torch.Tensor:
        """What may follow a word, (n_words,) of bool: inside an item, only what leads on to an item."""
        trie, ways = self._trie, self._trie.first_edges
        if self._vocabulary.first_item <= word < self._vocabulary.first_mark:
            first, last = ways[self._node : self._node + 2]
            self._node = int(first + np.searchsorted(trie.words[first:last], word)) + 1
            first, last = ways[self._node : self._node + 2]
            if first < last:
                return self._mask(trie.words[first:last].tolist())
            self._node = 0
        return self._anywhere

    def _mask(self, words: list[int]) -> torch.Tensor:
        mask = torch.zeros(self._vocabulary.size, dtype=torch.bool)
        mask[words] = True
        return mask.to(self._device)


class _Page(BaseStreamer):
    """Collects what is written; a letter of which only some bytes are there is held back, a broken one left out."""

    def __init__(self, recommender: GPT2Recommender, processor: _TextOnly, on_piece: Callable | None, *, trim: bool):
        self._recommender, self._processor, self._on_piece, self._trim = recommender, processor, on_piece, trim
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._labels = dict(zip(recommender.vocabulary.spelled, item_labels(recommender.catalog), strict=True))
        self._begun, self._item, self._chance = False, (), 1.0
        self.pieces: list[Piece] = []
        self.ended, self.n_words = False, 0

    def put(self, value: torch.Tensor) -> None:
        """Take the next word; what comes first is the beginning, which is known."""
        if not self._begun:
            self._begun = True
            return
        word, vocabulary, self.n_words = int(value[0]), self._recommender.vocabulary, self.n_words + 1
        self._chance *= float(self._processor.chances.popleft()[word].exp())
        self.ended = word == vocabulary.control("end")
        if word < vocabulary.n_text:
            self._show(self._decoder.decode(_bytes(self._recommender, word)))
        elif not self.ended:
            self._item = (*self._item, word)
            if self._item in self._labels:
                self._decoder.reset()
                self._show(f" {self._labels[self._item]}")
                self._item = ()

    def end(self) -> None:
        """Nothing is left to show: half a letter is none."""

    def _show(self, text: str) -> None:
        text = text.lstrip() if self._trim and not self.pieces else text  # every text that was learned begins so
        if text:
            self.pieces.append(Piece(text, self._chance))
            self._chance = 1.0
            if self._on_piece is not None:
                self._on_piece(text)


def _bytes(recommender: GPT2Recommender, word: int) -> bytes:
    """The bytes that a word piece stands for: parts of a letter have no text of their own."""
    return bytes(BYTES[letter] for letter in recommender.tokenizer.id_to_token(word))
