"""The recommender: one GPT-2 whose vocabulary holds the words of a language and the items of a catalog.

Model, tokenizer, vocabulary and prompt give silently wrong answers when they drift apart, so they are kept, saved and
loaded as one object. Recommending is one forward pass: the hidden state at the end of the prompt, scored against the
item rows only, so nothing outside the catalog can come out.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from workbench.language import PromptTemplate, Vocabulary
from workbench.models.ranking import Histories, as_histories, item_codes, top_k

BLOCK = 256  # users scored at once: bounds memory at block x items, whatever the number of users


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
        self.model = model
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self.template = template
        self.catalog = catalog.reset_index(drop=True)
        self.start = start
        self.record = record or {}
        self.log = pd.DataFrame() if log is None else log
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

    def rank(
        self,
        histories: Histories,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
        request: str | Mapping[str, str] | None = None,
    ) -> pd.DataFrame:
        """The k best items for every user, by log-probability under the item words.

        Args:
            histories: ``{user_id: [item_id, ...]}``, oldest first, or an interactions table. An empty list is allowed.
            k: Places per user; fewer are given when fewer candidates are left.
            exclude_seen: Leave out the items of the history.
            candidates: Item ids to choose from; all items when None.
            request: A wish in words, one for all users or ``{user_id: wish}``.

        Returns:
            Rankings table ``user_id, item_id, rank, score``; over all items the scores' exponentials sum to one.

        Raises:
            ValueError: If a history or ``candidates`` names an item that is not in the catalog, or ``k < 1``.
        """
        histories = as_histories(histories)
        users, seen = list(histories), list(histories.values())
        tables = [
            top_k(
                scores,
                users=[users[i] for i in block],
                items=self.vocabulary.spelling.items,
                seen=[seen[i] for i in block] if exclude_seen else None,
                k=k,
                candidates=candidates,
            )
            for block, scores in self._blocks(histories, request)
        ]
        return pd.concat(tables, ignore_index=True)

    def log_probabilities(self, histories: Histories, *, request: str | Mapping[str, str] | None = None) -> np.ndarray:
        """Log-probability of every item after each prompt, at most 0; shape (n_users, n_items), catalog order."""
        return np.concatenate([scores for _, scores in self._blocks(as_histories(histories), request)])

    def states(self, histories: Histories, *, request: str | Mapping[str, str] | None = None) -> np.ndarray:
        """Hidden state where the recommendation would stand, one per history; float32, shape (n_users, d_model)."""
        blocks = [states.cpu().numpy() for _, states in self._states(as_histories(histories), request)]
        return np.concatenate(blocks)

    def _blocks(
        self, histories: Mapping[str, Sequence[str]], request: str | Mapping[str, str] | None
    ) -> Iterator[tuple[range, np.ndarray]]:
        """Float32 log-probabilities of all items for one block of users at a time, each (n_users, n_items)."""
        for block, states in self._states(histories, request):
            with self.at_rest():
                logits = states @ self.item_rows().T
                scores = torch.log_softmax(logits.float(), dim=-1).cpu().numpy()
            yield block, scores

    def _states(
        self, histories: Mapping[str, Sequence[str]], request: str | Mapping[str, str] | None
    ) -> Iterator[tuple[range, torch.Tensor]]:
        """Hidden states of one block of users at a time; no users at all are one empty block."""
        rows = item_codes(histories, items=pd.Index(self.vocabulary.spelling.items, dtype=object))
        wishes = [request.get(user) if isinstance(request, Mapping) else request for user in histories]
        for first in range(0, max(len(rows), 1), BLOCK):
            block = range(first, min(first + BLOCK, len(rows)))
            prompts = [self.prompt(rows[i].tolist(), request=wishes[i]) for i in block]
            with self.at_rest():
                states = self.hidden_states(prompts)
            yield block, states  # outside the lock: whoever stops reading here must not keep it

    def prompt(self, rows: list[int], *, request: str | None = None) -> list[int]:
        """Ids of the words the model reads for a history of catalog rows and a request."""
        return self.template.encode(self.vocabulary, self.tokenizer, history=rows, request=request)

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
            words = torch.zeros(len(some), len(prompts[some[-1]]), dtype=torch.long)
            for place, i in enumerate(some):
                words[place, : len(prompts[i])] = torch.tensor(prompts[i])
            # right padding needs no mask: attention is causal and the padding comes after the word that is read
            hidden = self.model.transformer(words.to(self.device), use_cache=False).last_hidden_state
            states[torch.tensor(some, device=self.device)] = hidden[torch.arange(len(some), device=self.device), ends]
        return states

    def item_rows(self) -> torch.Tensor:
        """The item words' rows of the embedding table, (n_items, d_model): they are read and scored with the same."""
        return self.model.transformer.wte.weight[self.vocabulary.first_item :]

    def save(self, folder: str | Path) -> Path:
        """Write the run as one folder of safetensors and JSON; an existing run there is replaced at the end."""
        from workbench.models.saved_run import write_run

        return write_run(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, *, catalog: pd.DataFrame | None = None) -> "GPT2Recommender":
        """Read a saved run; with ``catalog``, make sure that it was trained on exactly these items.

        Raises:
            FileNotFoundError: If there is no run in the folder.
            ValueError: If the run is incomplete, altered, holds anything but safetensors and JSON, or its catalog is
                another one.
        """
        from workbench.models.saved_run import read_run

        return read_run(Path(folder), catalog=catalog)
