"""What keeps generation inside the catalog: at every word, only those that still lead to an item that may be shown."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Event

import numpy as np
import torch
from transformers import LogitsProcessor, StoppingCriteria

from workbench.language.trie import Trie
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.repeats import NEVER, each_item_once, rows_in
from workbench.models.scoring import choose_among

BASE = 1 << 32  # above the id of any word


class AnyWord(LogitsProcessor):
    """Turns logits into log-probabilities and adds up those of the words that are chosen; any word may be.

    Attributes:
        chances: What was returned last, (n_rows, n_words).
    """

    def __init__(self, *, start: int, end: int) -> None:
        """Begin with nothing written.

        Args:
            start: Length of the prompts; what comes after is counted.
            end: Id of the word that fills rows that are finished.
        """
        self._start, self._end = start, end
        self._chosen: list[torch.Tensor] = []
        self.chances: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the next word, (n_rows, n_words)."""
        if self.chances is not None:
            self._chosen.append(self._last(input_ids))
        self.chances = self._among(input_ids[:, self._start :], scores)
        return self.chances

    def finish(self, sequences: torch.Tensor) -> torch.Tensor:
        """Log-probability of what was written in each row, (n_rows,), where rows have kept their places.

        On Apple's GPUs transformers asks for one more word before it ends; that one does not count.
        """
        chosen = [*self._chosen, self._last(sequences)]
        return torch.stack(chosen[: sequences.shape[1] - self._start]).sum(0)

    def _last(self, sequences: torch.Tensor) -> torch.Tensor:
        return self.chances.gather(1, sequences[:, -1:]).squeeze(1)

    def _among(self, written: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        chances = scores.float().log_softmax(1)
        ended = (written == self._end).any(1)
        chances[ended] = -torch.inf
        chances[ended, self._end] = 0.0
        return chances


class TrieProcessor(AnyWord):
    """Turns logits into log-probabilities under the trie; words that lead to nothing become -inf.

    Each row of a batch is at some node. The chances of the words that go on from there sum to one whatever is blocked,
    so that sums along a path are an item's log-probability among all items; what is blocked is only never chosen. What
    is gone has no chance at all.
    """

    def __init__(
        self,
        trie: Trie,
        *,
        start: int,
        blocked: torch.Tensor,
        gone: torch.Tensor | None,
        rows_per_prompt: int,
        end: int,
    ) -> None:
        """Stand at the root.

        Args:
            trie: All items as paths of word ids.
            start: Length of the prompts; what comes after is walked.
            blocked: Edges that must not be taken, (n_prompts, n_edges) of bool.
            gone: Edges to items that cannot come again, likewise, where every item is one word: see ``edges_in``.
            rows_per_prompt: Neighbouring rows that belong to one prompt.
            end: Id of the word that fills rows that are finished.
        """
        super().__init__(start=start, end=end)
        self._table = trie_table(trie, blocked.device)
        self._blocked, self._gone, self._per = blocked, gone, rows_per_prompt

    def _among(self, written: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        nodes = self._table.walk(written)
        if not written.shape[1]:  # the rows of a prompt are still one and the same
            edges = self._table.leaving(nodes[:1])[1]
            first, words = scores[:: self._per], self._table.words[edges]
            out = torch.full_like(first, -torch.inf, dtype=torch.float32)
            logits = first[:, words].float()
            if self._gone is not None:
                logits = logits.masked_fill(self._gone[:, edges], NEVER)
            chances = logits.log_softmax(1)
            out[:, words] = chances.masked_fill(self._blocked[:, edges], -torch.inf)
            return out.repeat_interleave(self._per, dim=0)
        rows, edges = self._table.leaving(nodes)
        where = (rows, self._table.words[edges])
        chances = choose_among(scores[where].float(), rows, n_groups=len(nodes))
        out = torch.full_like(scores, -torch.inf, dtype=torch.float32)
        out[where] = chances.masked_fill(self._blocked[rows // self._per, edges], -torch.inf)
        out[self._table.is_end(nodes), self._end] = 0.0
        return out


class TrieTable:
    """A trie as tensors: from any number of nodes at once to their edges, and from words to nodes.

    Attributes:
        words: Id of the word of each edge, (n_edges,).
        parents: Node that each edge leaves, (n_edges,).
        rows: Catalog row of the item that ends at each node, -1 for none.
        stops: Where the next choice or an item's end is, from each node on, (n_nodes,).
    """

    def __init__(self, trie: Trie, device: torch.device) -> None:
        """Copy the trie's arrays to the device."""

        def on_device(array: np.ndarray) -> torch.Tensor:
            return torch.as_tensor(np.ascontiguousarray(array), device=device)

        n_nodes = len(trie.words) + 1  # and behind the last of them "nowhere", where no way leads on
        self.words, self.parents = on_device(trie.words), on_device(trie.parents)
        self._first = on_device(np.append(trie.first_edges, trie.first_edges[-1]))
        # edges are sorted by node, then by word, so these keys ascend and a word's edge is found by bisection
        self._keys = on_device(np.append(trie.parents * BASE + trie.words, np.iinfo(np.int64).max))
        rows, elsewhere = np.full(n_nodes + 1, -1), np.full(n_nodes + 1, n_nodes)
        rows[trie.leaves], elsewhere[trie.leaves] = np.arange(len(trie.leaves)), trie.leaves
        self.rows, self._elsewhere = on_device(rows), on_device(elsewhere)
        self.stops = on_device(trie.stops)
        depths, items = trie.places
        self._depths, self._items = on_device(depths), on_device(items)
        self._spelled = on_device(np.where(trie.paths >= 0, trie.words[trie.paths], -1))

    def walk(self, words: torch.Tensor) -> torch.Tensor:
        """Node after these words from the root, (n_rows,); "nowhere" once a word leads off the trie.

        Behind an item's end its node stays, whatever comes.
        """
        nodes = torch.zeros(len(words), dtype=torch.long, device=words.device)
        for word in words.T:
            keys = nodes * BASE + word
            edges = torch.searchsorted(self._keys, keys)
            nodes = torch.where(self._keys[edges] == keys, edges + 1, self._elsewhere[nodes])
        return nodes

    def leaving(self, nodes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and edges of every way on: row r stands at ``nodes[r]``; both (n_ways,)."""
        first = self._first[nodes]
        counts = self._first[nodes + 1] - first
        rows = torch.repeat_interleave(torch.arange(len(nodes), device=nodes.device), counts)
        return rows, (first - counts.cumsum(0) + counts)[rows] + torch.arange(len(rows), device=nodes.device)

    def is_fork(self, nodes: torch.Tensor) -> torch.Tensor:
        """Whether there is a choice at each node."""
        return self._first[nodes + 1] - self._first[nodes] > 1

    def between(self, nodes: torch.Tensor, lower: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The words that lead to each node and on to one below it, pair by pair, in order.

        Returns:
            Id of each word, its number within its item, from 1, and which pair it belongs to; all (n_words,).
        """
        lengths = self._depths[lower] - self._depths[nodes] + 1
        which = torch.repeat_interleave(torch.arange(len(nodes), device=nodes.device), lengths)
        ahead = torch.arange(len(which), device=nodes.device) - (lengths.cumsum(0) - lengths)[which]
        depths = self._depths[nodes][which] + ahead
        return self._spelled[self._items[lower][which], depths - 1], depths, which

    def is_end(self, nodes: torch.Tensor) -> torch.Tensor:
        """Whether an item ends at each node."""
        return self.rows[nodes] >= 0

    def items(self, words: torch.Tensor) -> torch.Tensor:
        """Catalog row of the item that each row of words spells from its beginning, -1 for none; (n_rows,)."""
        return self.rows[self.walk(words)]


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # else training could not use what generation left here
def trie_table(trie: Trie, device: torch.device) -> TrieTable:
    """The tensors of a trie, made once."""
    return TrieTable(trie, device)


def blocked_edges(trie: Trie, out: Sequence[Sequence[int]], *, device: torch.device) -> torch.Tensor:
    """Edges that must not be taken if these catalog rows are not to be written, (n_prompts, n_edges) of bool."""
    edges = np.array([trie.blocked(rows) for rows in out], dtype=bool).reshape(len(out), len(trie.words))
    return torch.as_tensor(edges, device=device)


def edges_in(recommender: GPT2Recommender, prompts: Sequence[Sequence[int]]) -> torch.Tensor | None:
    """Edges to the items of each prompt, (n_prompts, n_edges) of bool, if no item comes a second time; else None."""
    if not each_item_once(recommender.model):
        return None
    rows = [rows_in(prompt, recommender.vocabulary) for prompt in prompts]
    return blocked_edges(recommender.vocabulary.trie, rows, device=recommender.device)


class StopWhen(StoppingCriteria):
    """Ends all rows at the next word once a question is answered with yes: an event of a Stop button, say."""

    def __init__(self, asked: Callable[[], bool], *, whole: Callable[[torch.Tensor], bool] | None = None) -> None:
        """Ask this after every word.

        Args:
            asked: The question.
            whole: Whether rows of ids need no more words; then nothing is asked, as nothing is left to end.
        """
        self._asked, self._whole = asked, whole

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        """All rows or none."""
        whole = self._whole is not None and self._whole(input_ids)
        return torch.full((len(input_ids),), not whole and self._asked(), dtype=torch.bool, device=input_ids.device)


def stop_when(event: Event | None, *, whole: Callable[[torch.Tensor], bool] | None = None) -> list[StoppingCriteria]:
    """What ends generation when the event is set; nothing without an event."""
    return [] if event is None else [StopWhen(event.is_set, whole=whole)]
