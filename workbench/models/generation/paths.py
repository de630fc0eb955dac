"""Paths through the trie, from fork to fork: the best by a beam, or some by chance.

The prompt is read once for all paths. They lie in one row behind it, one word behind the other, and the attention mask
lets a word see the prompt and what its own path wrote before, so no cache is copied or put into another order. Words
that are certain cost no step: a path goes on to where the next choice is, or the item's end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import torch
from transformers import DynamicCache, GPT2LMHeadModel

from workbench.models.generation.chance import draw_places
from workbench.models.generation.constraint import TrieTable, blocked_edges, edges_in, trie_table
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.repeats import NEVER
from workbench.models.scoring import choose_among, read_with_mask

PROMPTS = 32  # read at once, of similar length
NUMBERS = 50_000_000  # held at once (200 MB): fewer prompts are read at once where paths are many
Found = list[tuple[int, float]]  # catalog row (-1: off the catalog) and log-probability, in no order


@dataclass(frozen=True, eq=False)
class Paths:
    """Beginnings of items behind each prompt of a batch.

    Attributes:
        nodes: Where each stands: at a fork, or at an item's end; (n_prompts, n_paths).
        scores: Log-probability of each, -inf for none; (n_prompts, n_paths).
        hidden: Hidden state at the forks, (n_prompts, n_paths, d_model).
        sees: Which of the words behind the prompt each has written, (n_prompts, n_paths, n_words) of bool.
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


@dataclass(frozen=True, eq=False)
class Ways:
    """All ways on from paths that stand at a fork, way by way.

    Attributes:
        prompt: Whose prompt, (n_ways,).
        path: Which of its paths, (n_ways,).
        fork: Which of all the forks that paths stand at, in order, (n_ways,).
        edges: Where it leads, (n_ways,).
        chances: Log-probability among the ways of its fork, (n_ways,).
        blocked: Whether it must not be taken, (n_ways,).
    """

    prompt: torch.Tensor
    path: torch.Tensor
    fork: torch.Tensor
    edges: torch.Tensor
    chances: torch.Tensor
    blocked: torch.Tensor


# which path each comes from, the edge it takes (-1 at an end), and its log-probability, -inf for none
Taken = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def follow(
    recommender: GPT2Recommender,
    prompts: Sequence[list[int]],
    take: Callable[[Paths, Ways], Taken],
    *,
    out: Sequence[Sequence[int]],
    n_paths: int,
    stop: Event | None = None,
) -> list[Found]:
    """The items at the ends of paths, per prompt.

    Args:
        recommender: Who writes.
        prompts: Ids.
        take: Chooses ways on: ``take_best`` or ``take_by_chance``.
        out: Catalog rows that must not be written, per prompt.
        n_paths: How many paths there are per prompt, at most.
        stop: Ends at the next word; what is finished by then is kept.
    """
    model, trie = recommender.model, recommender.vocabulary.trie
    table = trie_table(trie, recommender.device)
    n_items = len(recommender.catalog)
    able = [i for i, rows in enumerate(out) if len(rows) < n_items or len(set(rows)) < n_items]  # something is left
    order = sorted(able, key=lambda i: len(prompts[i]))
    size = max(1, min(PROMPTS, NUMBERS // (n_paths * len(table.words))))
    found: list[Found] = [[] for _ in prompts]
    for first in range(0, len(order), size):
        if stop is not None and stop.is_set():
            break
        some = order[first : first + size]
        with recommender.at_rest():
            blocked = blocked_edges(trie, [out[i] for i in some], device=recommender.device)
            own = [prompts[i] for i in some]
            rules = {"blocked": blocked, "gone": edges_in(recommender, own), "stop": stop}
            paths = _follow(model, table, own, take, **rules)
            rows = torch.where(paths.scores > -torch.inf, table.rows[paths.nodes], -1).cpu().numpy()
            scores = paths.scores.cpu().numpy()
        for i, own, chances in zip(some, rows, scores, strict=True):
            found[i] = [(int(row), float(chance)) for row, chance in zip(own, chances, strict=True) if row >= 0]
    return found


def _follow(
    model: GPT2LMHeadModel,
    table: TrieTable,
    prompts: Sequence[list[int]],
    take: Callable[[Paths, Ways], Taken],
    *,
    blocked: torch.Tensor,
    gone: torch.Tensor | None,
    stop: Event | None,
) -> Paths:
    """From the root to the items' ends."""
    reading, states = _read_prompts(model, prompts)
    roots = torch.zeros(len(prompts), 1, dtype=torch.long, device=states.device)
    nothing = torch.zeros(len(prompts), 1, 0, dtype=torch.bool, device=states.device)
    paths = Paths(roots, torch.zeros_like(roots, dtype=torch.float32), states[:, None], nothing)
    if not table.is_fork(roots[:1]).any():  # all items begin alike
        paths = _go_on(model, table, paths, reading, taken=(roots, roots, paths.scores))
    while _undecided(table, paths).any() and not (stop is not None and stop.is_set()):
        ways = _ways_on(table, paths, model.transformer.wte.weight, blocked=blocked, gone=gone)
        paths = _go_on(model, table, paths, reading, taken=take(paths, ways))
    return paths


def _undecided(table: TrieTable, paths: Paths) -> torch.Tensor:
    """Which beams stand at a fork, (n_prompts, n_paths)."""
    return table.is_fork(paths.nodes) & (paths.scores > -torch.inf)


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


def _ways_on(
    table: TrieTable, paths: Paths, rows: torch.Tensor, *, blocked: torch.Tensor, gone: torch.Tensor | None
) -> Ways:
    """The ways on and their chances; those of a fork sum to one, whatever is blocked, over all that is not gone."""
    undecided = _undecided(table, paths)
    prompt, path = undecided.nonzero(as_tuple=True)
    fork, edges = table.leaving(paths.nodes[undecided])
    words, place = table.words[edges].unique(return_inverse=True)
    logits = (paths.hidden[undecided] @ rows[words].T).float()[fork, place]
    if gone is not None:
        logits = logits.masked_fill(gone[prompt[fork], edges], NEVER)
    chances = choose_among(logits, fork, n_groups=len(prompt))
    return Ways(prompt[fork], path[fork], fork, edges, chances, blocked[prompt[fork], edges])


def _places(groups: torch.Tensor, *, n_groups: int) -> tuple[torch.Tensor, int]:
    """Place of each in its group, from 0, groups one after the other; and the size of the largest."""
    counts = torch.bincount(groups, minlength=n_groups)
    ahead = torch.arange(len(groups), device=groups.device) - (counts.cumsum(0) - counts)[groups]
    return ahead, int(counts.max())


def take_best(paths: Paths, ways: Ways, *, width: int) -> Taken:
    """The best of all ways on and of the paths that are at an end, as many as the beam is wide."""
    (n, n_paths), device = paths.nodes.shape, paths.nodes.device
    place, most = _places(ways.prompt, n_groups=n)
    at = (ways.prompt, n_paths + place)  # a line per prompt: its paths, then its ways on
    scores = torch.full((n, n_paths + most), -torch.inf, device=device)
    scores[:, :n_paths] = paths.scores
    scores[ways.prompt, ways.path] = -torch.inf  # they go on
    scores[at] = (paths.scores[ways.prompt, ways.path] + ways.chances).masked_fill(ways.blocked, -torch.inf)
    best, chosen = scores.topk(min(width, n_paths + most), dim=1)
    parents = torch.arange(n_paths + most, device=device).clamp(max=n_paths - 1).repeat(n, 1)
    parents[at] = ways.path
    edges = torch.full_like(parents, -1)
    edges[at] = ways.edges
    return parents.gather(1, chosen), edges.gather(1, chosen), best


def take_by_chance(paths: Paths, ways: Ways, *, draws: int, **chance: Any) -> Taken:
    """One way on from every fork, and as many as draws where all paths are still one.

    Args:
        paths: That go on.
        ways: At every fork at least one must not be blocked.
        draws: Paths to draw.
        chance: Temperature, top-p and dice as in ``draw_places``; scores are those at temperature 1.
    """
    (n, n_paths), device = paths.nodes.shape, paths.nodes.device
    first = torch.cat([ways.fork.new_ones(1, dtype=torch.bool), ways.fork[1:] != ways.fork[:-1]])
    prompt, path = ways.prompt[first], ways.path[first]
    place, most = _places(ways.fork, n_groups=len(prompt))
    at = (ways.fork, place)
    chances = torch.full((len(prompt), most), -torch.inf, device=device)  # a line per fork
    chances[at] = ways.chances.masked_fill(ways.blocked, -torch.inf)
    times = draws if n_paths == 1 else 1
    chosen = draw_places(chances, times=times, **chance)  # (n_forks, times)
    number = torch.zeros(chances.shape, dtype=torch.long, device=device)
    number[at] = torch.arange(len(ways.edges), device=device)
    way = number.gather(1, chosen)
    parents = torch.arange(n_paths, device=device).repeat(n, times)
    edges, scores = torch.full_like(parents, -1), paths.scores.repeat(1, times)
    where = (prompt[:, None], path[:, None] + torch.arange(times, device=device))
    edges[where], scores[where] = ways.edges[way], scores[where] + ways.chances[way]
    return parents, edges, scores


def _go_on(
    model: GPT2LMHeadModel,
    table: TrieTable,
    paths: Paths,
    reading: Reading,
    *,
    taken: Taken,
) -> Paths:
    """Take these edges and what is certain behind them; read the words that lead to the next forks."""
    parents, edges, scores = taken
    device, lines = edges.device, torch.arange(len(edges), device=edges.device)[:, None]
    nodes = torch.where(edges >= 0, table.stops[edges + 1], paths.nodes[lines, parents])
    sees, hidden = paths.sees[lines, parents], paths.hidden[lines, parents]
    prompt, path = ((edges >= 0) & table.is_fork(nodes) & (scores > -torch.inf)).nonzero(as_tuple=True)
    if not len(prompt):
        return Paths(nodes, scores, hidden, sees)
    words, depths, which = table.between(edges[prompt, path] + 1, nodes[prompt, path])
    column, n_columns = _places(prompt[which], n_groups=len(nodes))
    place = (prompt[which], column)

    def in_rows(values: torch.Tensor, fill: int) -> torch.Tensor:
        out = torch.full((len(nodes), n_columns), fill, device=device)
        out[place] = values
        return out

    own = in_rows(path[which], -1)  # whose words these are
    written = own[:, None] == torch.arange(nodes.shape[1], device=device)[:, None]  # (n_prompts, n_paths, n_columns)
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
    hidden[prompt, path] = read[place[0][last], place[1][last]]
    return Paths(nodes, scores, hidden, torch.cat([sees, written], dim=2))
