"""The recommender: one GPT-2 whose vocabulary holds the words of a language and the items of a catalog.

Model, tokenizer, vocabulary and prompt give silently wrong answers when they drift apart, so they are kept, saved and
loaded as one object. Recommending is finishing a sentence with words of items only, so nothing outside the catalog can
come out; with one word per item it is one forward pass.
"""

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer
from torch.nn.utils.rnn import pad_sequence
from transformers import GPT2LMHeadModel

from workbench.language import Prompt, PromptTemplate, Vocabulary
from workbench.language.prompts import Kept
from workbench.models.marks import hear_marks
from workbench.models.ranking import Histories, as_histories, as_table, count_users, find_best, item_codes, read_rules
from workbench.models.scoring import EXACT, read_ends, score_items

AT_ONCE = 64  # prompts read at once
Said = Mapping[str, str] | Mapping[str, Mapping[str, str]]  # {column: value} for everybody, or {user_id: that}


class GPT2Recommender:
    """A GPT-2 that answers a history, a request in words, or both, with a ranking of catalog items.

    Attributes:
        model: The ``transformers`` model, text and item words in one embedding table.
        tokenizer: Text to word pieces.
        vocabulary: Which ids are text, control words and items.
        template: How a prompt is laid out.
        catalog: The catalog table the item words stand for.
        start: Where the weights began: ``"random"``, ``"text"`` or ``"hub (...)"``.
        record: What training left behind: dataset, settings, best validation score; empty before training.
        log: Training log table, one row per validation.
        folder: Where the run was last saved or read from; None until then.
        lock: Held while the model works; whoever changes the model holds it too.
    """

    def __init__(
        self,
        model: GPT2LMHeadModel,
        *,
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
        template: PromptTemplate,
        catalog: pd.DataFrame,
        start: str,
        record: dict | None = None,
        log: pd.DataFrame | None = None,
    ) -> None:
        """Put the parts together; ``start_recommender`` and ``load`` make them."""
        hear_marks(model, vocabulary)
        self.model = model
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self.template = template
        self.catalog = catalog.reset_index(drop=True)
        self.start = start
        self.record = record or {}
        self.log = pd.DataFrame() if log is None else log
        self.folder: Path | None = None
        self._items = pd.Index(vocabulary.spelling.items, dtype=object)
        self.lock = threading.RLock()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.transformer.wte.weight.device

    @property
    def source(self) -> str:
        """What the model learned from, its start, seed and device, as captions say it."""
        trained = f"trained on {self.record['dataset']}" if self.record else "not trained"
        seed = f", seed {self.record['config']['seed']}" if "config" in self.record else ""
        return f"{trained}, start {self.start}{seed}, {self.device.type}"

    def __repr__(self) -> str:
        """Shape, catalog and training in one line."""
        config = self.model.config
        trained = f"trained on {self.record['dataset']}" if self.record else "not trained"
        return (
            f"GPT2Recommender({config.n_layer} layers x {config.n_embd}, {self.model.num_parameters():,} parameters, "
            f"{len(self.catalog):,} items, start {self.start}, {trained}, {self.device})"
        )

    def with_template(self, template: PromptTemplate) -> "GPT2Recommender":
        """The same model, lock and all, reading prompts by another template."""
        other = copy.copy(self)
        other.template = template
        return other

    def rank(
        self,
        histories: Histories,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
        request: str | Mapping[str, str] | None = None,
        context: Said | None = None,
        profile: Said | None = None,
    ) -> pd.DataFrame:
        """The k best items for every user, by log-probability under the item words.

        Of a catalog of more than 2,000 items that take several words each, a beam of 50 looks for the best; what it
        does not meet is not listed.

        Args:
            histories: ``{user_id: [item_id, ...]}``, oldest first, or an interactions table. An empty list is allowed.
            k: Places per user; fewer are given when fewer candidates are left.
            exclude_seen: Leave out the items of the history. Listed, they have probability 0 where the run learned from
                data in which nobody meets an item twice (see ``repeats.py``).
            candidates: Item ids to choose from; all items when None.
            request: A wish in words, one for all users or ``{user_id: wish}``.
            context: When, where and on what, ``{column: value}`` for all users or ``{user_id: {column: value}}``.
            profile: Who somebody is, likewise.

        Returns:
            Rankings table ``user_id, item_id, rank, score``; over all items the scores' exponentials sum to one.

        Raises:
            ValueError: If a history or ``candidates`` names an item that is not in the catalog, context or profile say
                what was not learned, or ``k < 1``.
        """
        histories, said = as_histories(histories), {"request": request, "context": context, "profile": profile}
        if not self.scores_all:
            from workbench.models.generation import rank_by_beam

            rules = {"k": k, "exclude_seen": exclude_seen, "candidates": candidates}
            return rank_by_beam(self, histories, said=said, **rules)
        users, rows = list(histories), item_codes(histories, items=self._items)
        k, others = read_rules(k, candidates, items=self._items)
        scores, columns = np.empty((len(users), k), dtype=np.float32), np.empty((len(users), k), dtype=np.int64)
        for block, chances in self._blocks(users, rows, said):
            own, seen = [users[i] for i in block], [rows[i] for i in block] if exclude_seen else None
            scores[block], columns[block] = find_best(chances, users=own, k=k, seen=seen, others=others)
        return as_table(scores, columns, users=users, items=self._items)

    def generate(self, prompt: Prompt | Histories, **settings: Any) -> pd.DataFrame:
        """Lists of items, written word by word; see :func:`workbench.models.generation.generate`."""
        from workbench.models.generation import generate

        return generate(self, prompt, **settings)

    @property
    def scores_all(self) -> bool:
        """Whether ``rank`` scores every item, or a beam looks for the best."""
        return self.vocabulary.one_word or len(self.catalog) <= EXACT

    def log_probabilities(
        self,
        histories: Histories,
        *,
        request: str | Mapping[str, str] | None = None,
        context: Said | None = None,
        profile: Said | None = None,
    ) -> np.ndarray:
        """Log-probability of every item after each prompt, at most 0; shape (n_users, n_items), catalog order."""
        histories, said = as_histories(histories), {"request": request, "context": context, "profile": profile}
        scores = np.empty((len(histories), len(self._items)), dtype=np.float32)
        for block, chances in self._blocks(list(histories), item_codes(histories, items=self._items), said):
            scores[block] = chances.cpu().numpy()
        return scores

    def states(self, histories: Histories, *, request: str | Mapping[str, str] | None = None) -> np.ndarray:
        """Hidden state where the recommendation would stand, one per history; float32, shape (n_users, d_model)."""
        histories = as_histories(histories)
        users, rows = list(histories), item_codes(histories, items=self._items)
        states = np.empty((len(histories), self.model.config.n_embd), dtype=np.float32)
        for block, _, own in self._states(users, rows, {"request": request}, size=AT_ONCE):
            states[block] = own.cpu().numpy()
        return states

    def item_scores(self, prompts: list[list[int]]) -> torch.Tensor:
        """Log-probability of every item after each prompt of ids, (n_prompts, n_items); for a model at rest."""
        return score_items(self.model, self.vocabulary, prompts, states=self.hidden_states(prompts))

    def _blocks(self, users: list[str], rows: list[np.ndarray], said: Mapping[str, Any]) -> Iterator:
        """Float32 log-probabilities of all items, (n_users, n_items), for a few users at a time; before them, whose."""
        size = count_users(len(self._items), at_most=AT_ONCE)
        for block, prompts, states in self._states(users, rows, said, size=size):
            with self.at_rest():
                scores = score_items(self.model, self.vocabulary, prompts, states=states)
            yield block, scores

    def _states(self, users: list[str], rows: list[np.ndarray], said: Mapping[str, Any], *, size: int) -> Iterator:
        """Places of a few users at a time, those of like histories together, their prompts and their hidden states."""
        order = sorted(range(len(users)), key=lambda i: len(rows[i]))
        for first in range(0, len(order), size):
            block = order[first : first + size]
            kept = self._keep([users[i] for i in block], [rows[i] for i in block], said)
            prompts = [self.template.write(self.vocabulary, own) for own in kept]
            with self.at_rest():
                states = self.hidden_states(prompts)
            yield block, prompts, states  # outside the lock: whoever stops reading here must not keep it

    def prompts(self, histories: Mapping[str, Sequence[str]], said: Mapping[str, Any]) -> list[list[int]]:
        """Ids of the words the model reads for each user; ``said``: request, context and profile as in ``rank``."""
        return [self.template.write(self.vocabulary, kept) for kept in self.keep_prompts(histories, said)]

    def keep_prompts(self, histories: Mapping[str, Sequence[str]], said: Mapping[str, Any]) -> list[Kept]:
        """What the template keeps of each user's prompt; ``said`` as in ``prompts``."""
        return self._keep(list(histories), item_codes(histories, items=self._items), said)

    def _keep(self, users: list[str], rows: list[np.ndarray], said: Mapping[str, Any]) -> list[Kept]:
        keep = partial(self.template.keep, self.vocabulary, self.tokenizer)
        return [
            keep(history=own.tolist(), **{part: said_to(user, part, value) for part, value in said.items()})
            for user, own in zip(users, rows, strict=True)
        ]

    def prompt(self, rows: list[int], **said: Any) -> list[int]:
        """Ids of the words the model reads for a history of catalog rows, request, context and profile."""
        return self.template.encode(self.vocabulary, self.tokenizer, history=rows, **said)

    @contextmanager
    def at_rest(self, *, gradients: bool = False) -> Iterator[None]:
        """Nobody else at the model, no dropout, no autocast, no gradients unless asked for: how it is read."""
        with self.lock:
            was_training = self.model.training
            self.model.eval()
            try:
                with torch.autocast(self.device.type, enabled=False), torch.inference_mode(not gradients):
                    yield
            finally:
                self.model.train(was_training)

    def hidden_states(self, prompts: list[list[int]]) -> torch.Tensor:
        """Hidden state at the last word of each prompt, (n_prompts, d_model)."""
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # neighbours of a length share a batch
        states = torch.empty(len(prompts), self.model.config.n_embd, device=self.device)
        for first in range(0, len(order), 64):
            some = order[first : first + 64]
            ends = torch.tensor([len(prompts[i]) - 1 for i in some], device=self.device)
            words = pad_sequence([torch.tensor(prompts[i]) for i in some], batch_first=True)
            # right padding needs no mask: attention is causal and the padding comes after the word that is read
            states[torch.tensor(some, device=self.device)] = read_ends(self.model, words.to(self.device), ends=ends)
        return states

    def item_rows(self) -> torch.Tensor:
        """The embedding table's row of each item, (n_items, d_model): items are read and scored with the same.

        Where an item takes several words, the mean of their rows: a place in the space, but no score.
        """
        words, table = self.vocabulary.item_words, self.model.transformer.wte.weight
        if self.vocabulary.one_word:
            return table[words]
        return torch.stack([table[list(own)].mean(0) for own in self.vocabulary.spelled])

    def save(self, folder: str | Path) -> Path:
        """Write the run as one folder of safetensors and JSON; an existing run there is replaced at the end."""
        from workbench.models.saved_run import write_run

        self.folder = write_run(self, Path(folder))
        return self.folder

    @classmethod
    def load(cls, folder: str | Path, *, catalog: pd.DataFrame | None = None) -> "GPT2Recommender":
        """Read a saved run; with ``catalog``, make sure that it was trained on exactly these items.

        Raises:
            FileNotFoundError: If there is no run in the folder.
            ValueError: If the run is incomplete, altered, holds anything but safetensors and JSON, or its catalog is
                another one.
        """
        from workbench.models.saved_run import read_run

        recommender = read_run(Path(folder), catalog=catalog)
        recommender.folder = Path(folder).resolve()
        return recommender


def said_to(user: str, part: str, value: Any) -> Any:
    """What is said of one user in a part of the prompt: the value itself where it is for everybody.

    Example:
        >>> said_to("ann", "request", {"ann": "comedies"}), said_to("ann", "context", {"season": "winter"})
        ('comedies', {'season': 'winter'})
    """
    by_user = isinstance(value, Mapping) and (
        part == "request" or any(isinstance(own, Mapping) for own in value.values())
    )
    return value.get(user) if by_user else value
