"""The most probable items by a beam: at every fork of the trie, the best ways on of all that were followed so far.

The prompt is read once for all beams. They lie in one row behind it, one word behind the other, and the attention mask
lets a word see the prompt and what its own beam wrote before, so no cache is copied or put into another order. Words
that are certain cost no step: a beam goes on to where the next choice is, or the item's end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

import torch
from transformers import DynamicCache, GPT2LMHeadModel

from workbench.models.generation.constraint import TrieTable, blocked_edges, trie_table
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.scoring import choose_among, read_with_mask

PROMPTS = 32  # read at once, of similar length
NUMBERS = 50_000_000  # logits that are held at once (200 MB): fewer prompts are read at once where beams are many
Found = list[tuple[int, float]]  # catalog row (-1: off the catalog) and log-probability, in no order


@dataclass(frozen=True, eq=False)
class Beams:
    """Beginnings of items behind each prompt of a batch.

    Attributes:
        nodes: Where each stands: at a fork, or at an item's end; (n_prompts, n_beams).
        scores: Log-probability of each, -inf for none; (n_prompts, n_beams).
        hidden: Hidden state at the forks, (n_prompts, n_beams, d_model).
        sees: Which of the words behind the prompt each has written, (n_prompts, n_beams, n_words) of bool.
    """

    nodes: torch.Tensor
    scores: torch.Tensor
    hidden: torch.Tensor
    sees: torch.Tensor


@dataclass(frozen=True, eq=False)
class Reading:
    """What the model has read so far of a batch: prompts, filled up on the right, and the words of beams behind them.

    Attributes:
        cache: Keys and values of all of it; grows.
        lengths: Words of each prompt, (n_prompts,).
        before: Which of the cache's first places are prompt, (n_prompts, longest).
    """

    cache: DynamicCache
    lengths: torch.Tensor
    before: torch.Tensor


def follow_beams(
    recommender: GPT2Recommender,
    prompts: Sequence[list[int]],
    *,
    out: Sequence[Sequence[int]],
    width: int,
    stop: Event | None = None,
) -> list[Found]:
    """The items that a beam of this width finds, per prompt: ``width`` of them wherever so many may be shown.

    Args:
        recommender: Who writes.
        prompts: Ids.
        out: Catalog rows that must not be written, per prompt.
        width: Beams.
        stop: Ends at the next word; what is finished by then is kept.
    """
    model, trie = recommender.model, recommender.vocabulary.trie
    table = trie_table(trie, recommender.device)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    size = max(1, min(PROMPTS, NUMBERS // (width * len(table.words))))
    found: list[Found] = [[] for _ in prompts]
    for first in range(0, len(order), size):
        if stop is not None and stop.is_set():
            break
        some = order[first : first + size]
        with recommender.at_rest():
            blocked = blocked_edges(trie, [out[i] for i in some], device=recommender.device)
            beams = _follow(model, table, [prompts[i] for i in some], blocked=blocked, width=width, stop=stop)
            rows = torch.where(beams.scores > -torch.inf, table.rows[beams.nodes], -1).cpu().numpy()
            scores = beams.scores.cpu().numpy()
        for i, own, chances in zip(some, rows, scores, strict=True):
            found[i] = [(int(row), float(own_score)) for row, own_score in zip(own, chances, strict=True) if row >= 0]
    return found


def _follow(
    model: GPT2LMHeadModel,
    table: TrieTable,
    prompts: Sequence[list[int]],
    *,
    blocked: torch.Tensor,
    width: int,
    stop: Event | None,
) -> Beams:
    """From the root to the items' ends."""
    reading, states = _read_prompts(model, prompts)
    roots = torch.zeros(len(prompts), 1, dtype=torch.long, device=states.device)
    nothing = torch.zeros(len(prompts), 1, 0, dtype=torch.bool, device=states.device)
    beams = Beams(roots, torch.zeros_like(roots, dtype=torch.float32), states[:, None], nothing)
    if not table.is_fork(roots[:1]).any():  # all items begin alike
        beams = _go_on(model, table, beams, reading, parents=roots, edges=roots, scores=beams.scores)
    while (_undecided(table, beams)).any() and not (stop is not None and stop.is_set()):
        parents, edges, scores = _choose(table, beams, model.transformer.wte.weight, blocked=blocked, width=width)
        beams = _go_on(model, table, beams, reading, parents=parents, edges=edges, scores=scores)
    return beams


def _undecided(table: TrieTable, beams: Beams) -> torch.Tensor:
    """Which beams stand at a fork, (n_prompts, n_beams)."""
    return table.is_fork(beams.nodes) & (beams.scores > -torch.inf)


def _read_prompts(model: GPT2LMHeadModel, prompts: Sequence[list[int]]) -> tuple[Reading, torch.Tensor]:
    """What was read, and the hidden state at each prompt's end, (n_prompts, d_model)."""
    device, longest = model.transformer.wte.weight.device, max(map(len, prompts))
    # filled up on the right, which needs no mask: attention is causal
    words = torch.tensor([[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts], device=device)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    cache = DynamicCache()
    hidden = model.transformer(words, past_key_values=cache, use_cache=True).last_hidden_state
    before = torch.arange(longest, device=device) < lengths[:, None]
    return Reading(cache, lengths, before), hidden[torch.arange(len(prompts), device=device), lengths - 1]


def _choose(
    table: TrieTable, beams: Beams, rows: torch.Tensor, *, blocked: torch.Tensor, width: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The best of all ways on and of the beams that are at an end, each (n_prompts, at most width).

    Returns:
        Which beam each comes from, the edge it takes (-1 at an end), and its log-probability, -inf for none.
    """
    (n, n_beams), device = beams.nodes.shape, rows.device
    undecided = _undecided(table, beams)
    prompt, beam = undecided.nonzero(as_tuple=True)
    at, edges = table.leaving(beams.nodes[undecided])
    words, place = table.words[edges].unique(return_inverse=True)
    logits = (beams.hidden[undecided] @ rows[words].T).float()[at, place]
    ways = beams.scores[undecided][at] + choose_among(logits, at, n_groups=len(prompt))
    ways = ways.masked_fill(blocked[prompt[at], edges], -torch.inf)
    # a line per prompt: its beams that are at an end, then its ways on
    counts = torch.bincount(prompt[at], minlength=n)
    column = n_beams + torch.arange(len(at), device=device) - (counts.cumsum(0) - counts)[prompt[at]]
    n_columns = n_beams + int(counts.max())
    scores = torch.full((n, n_columns), -torch.inf, device=device)
    scores[:, :n_beams] = beams.scores.masked_fill(undecided, -torch.inf)
    scores[prompt[at], column] = ways
    best, chosen = scores.topk(min(width, n_columns), dim=1)
    parents = torch.arange(n_columns, device=device).expand(n, -1).clone()
    parents[prompt[at], column] = beam[at]
    taken = torch.full((n, n_columns), -1, device=device)
    taken[prompt[at], column] = edges
    return parents.gather(1, chosen).clamp(max=n_beams - 1), taken.gather(1, chosen), best


def _go_on(
    model: GPT2LMHeadModel,
    table: TrieTable,
    beams: Beams,
    reading: Reading,
    *,
    parents: torch.Tensor,
    edges: torch.Tensor,
    scores: torch.Tensor,
) -> Beams:
    """Take these edges and what is certain behind them; read the words that lead to the next forks."""
    device, lines = edges.device, torch.arange(len(edges), device=edges.device)[:, None]
    nodes = torch.where(edges >= 0, table.stops[edges + 1], beams.nodes[lines, parents])
    sees, hidden = beams.sees[lines, parents], beams.hidden[lines, parents]
    prompt, beam = ((edges >= 0) & table.is_fork(nodes) & (scores > -torch.inf)).nonzero(as_tuple=True)
    if not len(prompt):
        return Beams(nodes, scores, hidden, sees)
    words, depths, which = table.between(edges[prompt, beam] + 1, nodes[prompt, beam])
    counts = torch.bincount(prompt[which], minlength=len(nodes))
    column = torch.arange(len(which), device=device) - (counts.cumsum(0) - counts)[prompt[which]]
    place = (prompt[which], column)

    def in_rows(values: torch.Tensor, fill: int) -> torch.Tensor:
        out = torch.full((len(nodes), int(counts.max())), fill, device=device)
        out[place] = values
        return out

    own = in_rows(beam[which], -1)  # whose words these are
    written = own[:, None] == torch.arange(nodes.shape[1], device=device)[:, None]  # (n_prompts, n_beams, n_columns)
    mask = [
        reading.before[:, None].expand(-1, own.shape[1], -1),
        sees[lines, own.clamp(min=0)] & (own >= 0)[..., None],
        (own[:, :, None] == own[:, None]).tril(),
    ]
    read = read_with_mask(
        model,
        in_rows(words, 0),
        cache=reading.cache,
        positions=reading.lengths[:, None] + in_rows(depths, 1) - 1,
        sees=torch.cat(mask, dim=2),
    )
    last = torch.cat([which[1:] != which[:-1], which.new_ones(1, dtype=torch.bool)])
    hidden[prompt, beam] = read[place[0][last], place[1][last]]
    return Beams(nodes, scores, hidden, torch.cat([sees, written], dim=2))
