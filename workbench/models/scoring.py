"""The probability of every item after a prompt, whatever the spelling: all paths of the trie, each walked once.

The hidden state at the end of the prompt scores the first word of every item. Where items take several words, the
nodes of the trie that decide between items are read as well, once each: a part of the trie lies in one row, one node
behind the other, and the attention mask lets a node see the prompt and its own ancestors. What is certain is not read.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import Cache, GPT2LMHeadModel

from workbench.language import Vocabulary
from workbench.language.trie import Trie
from workbench.models.repeats import rule_out_repeats

NODES = 192  # nodes of a row, at least one whole branch of the root
EXACT = 2_000  # items up to which all are scored where an item takes several words; beyond, a beam looks for the best


@dataclass(frozen=True, eq=False)
class Branches:
    """The decisive nodes of a trie below the root, laid out in rows that are read at once.

    Attributes:
        words: Id of the word that leads to each node, 0 where a row is filled up; (n_rows, n_columns).
        depths: Words from the prompt to the node, 0 for the first; (n_rows, n_columns).
        sees: Which nodes of its row a node sees: its ancestors and itself; (n_rows, n_columns, n_columns) of bool.
        places: Where in the flat rows each decisive node but the root stands, (n_decisive - 1,).
    """

    words: torch.Tensor
    depths: torch.Tensor
    sees: torch.Tensor
    places: torch.Tensor


def score_items(
    model: GPT2LMHeadModel, vocabulary: Vocabulary, prompts: list[list[int]], *, states: torch.Tensor
) -> torch.Tensor:
    """Log-probability of every item after each prompt, at most 0, float32, (n_prompts, n_items); they sum to one.

    Args:
        model: At rest.
        vocabulary: Which words items are written in.
        prompts: Ids.
        states: Hidden state at the end of each prompt, (n_prompts, d_model).
    """
    trie, rows = vocabulary.trie, model.transformer.wte.weight
    if vocabulary.one_word:
        logits = (states @ rows[vocabulary.item_words].T).float()
        return torch.log_softmax(rule_out_repeats(logits, prompts, model=model, vocabulary=vocabulary), dim=-1)
    if len(trie.decisive) == 1:
        return torch.stack([_walk(trie, state[None], rows) for state in states])
    branches = lay_out_branches(trie, device=rows.device)
    tables = []
    for prompt, state in zip(prompts, states, strict=True):
        hidden = _read_branches(model, prompt, branches)
        tables.append(_walk(trie, torch.cat([state[None], hidden]), rows))
    return torch.stack(tables)


def _read_branches(model: GPT2LMHeadModel, prompt: list[int], branches: Branches) -> torch.Tensor:
    """Hidden state at every decisive node but the root, (n_decisive - 1, d_model)."""
    device, (n_rows, n_columns) = branches.words.device, branches.words.shape
    cache = model.transformer(torch.tensor([prompt], device=device), use_cache=True).past_key_values
    cache.batch_repeat_interleave(n_rows)
    before = torch.ones(n_rows, n_columns, len(prompt), dtype=torch.bool, device=device)
    hidden = read_with_mask(
        model,
        branches.words,
        cache=cache,
        positions=branches.depths + len(prompt),
        sees=torch.cat([before, branches.sees], dim=2),
    )
    return hidden.flatten(0, 1)[branches.places]


def read_ends(model: GPT2LMHeadModel, words: torch.Tensor, *, ends: torch.Tensor) -> torch.Tensor:
    """Hidden state at one word of each row, (n_rows, d_model).

    All blocks but the last read whole rows; the last is asked at these words only, since nothing is read off the others
    and its network is most of its work.

    Args:
        model: At rest.
        words: Ids, (n_rows, n_columns); what stands behind the word that is asked for is not seen.
        ends: Place of that word in each row, (n_rows,).
    """
    transformer, rows = model.transformer, torch.arange(len(words), device=words.device)
    front, last = copy.copy(transformer), transformer.h[-1]
    front._modules = transformer._modules | {"h": transformer.h[:-1], "ln_f": nn.Identity()}
    hidden = front(words, use_cache=False).last_hidden_state  # (n_rows, n_columns, d_model)
    read = last.attn.c_attn(last.ln_1(hidden)).unflatten(-1, (3, last.attn.num_heads, -1))
    queries, keys, values = read.permute(2, 0, 3, 1, 4)  # each (n_rows, n_heads, n_columns, d_head)
    sees = torch.arange(words.shape[1], device=words.device) <= ends[:, None]
    gathered = functional.scaled_dot_product_attention(
        queries[rows, :, ends][:, :, None], keys, values, attn_mask=sees[:, None, None], scale=last.attn.scaling
    )
    state = hidden[rows, ends] + last.attn.c_proj(gathered.flatten(1))
    return transformer.ln_f(state + last.mlp(last.ln_2(state)))


def read_with_mask(
    model: GPT2LMHeadModel, words: torch.Tensor, *, cache: Cache, positions: torch.Tensor, sees: torch.Tensor
) -> torch.Tensor:
    """Hidden states of words that each see only some of what is in the cache and of each other.

    Args:
        model: At rest.
        words: Ids, (n_rows, n_columns).
        cache: Keys and values of what was read before; those of the words are added.
        positions: Place of each word in its sentence, (n_rows, n_columns).
        sees: Which words each may look at, (n_rows, n_columns, n_cached + n_columns) of bool; at least one.
    """
    # numbers to add, which every attention kernel takes; "eager" would add a mask of bool as ones
    mask = torch.zeros(sees.shape, dtype=model.dtype, device=sees.device)
    mask.masked_fill_(~sees, torch.finfo(model.dtype).min)
    reading = {"past_key_values": cache, "position_ids": positions, "attention_mask": mask[:, None]}
    return model.transformer(words, **reading, use_cache=True).last_hidden_state


def choose_among(logits: torch.Tensor, groups: torch.Tensor, *, n_groups: int) -> torch.Tensor:
    """Log-probabilities of choices: those of one group sum to one.

    Args:
        logits: Of every choice, (n_choices,).
        groups: Which group each belongs to, (n_choices,).
        n_groups: How many there are.

    Example:
        >>> choose_among(torch.tensor([0.0, 0.0, 5.0]), torch.tensor([0, 0, 1]), n_groups=2).exp().tolist()
        [0.5, 0.5, 1.0]
    """
    highest = torch.full((n_groups,), -torch.inf, device=logits.device).scatter_reduce(0, groups, logits, "amax")
    sums = torch.zeros_like(highest).scatter_add(0, groups, (logits - highest[groups]).exp())
    return logits - highest[groups] - sums.log()[groups]  # in this order, or large logits lose the last digits


def _walk(trie: Trie, hidden: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Sum of log-probabilities along each item's path, (n_items,); ``hidden`` has a row per decisive node."""
    tensors = _edge_tensors(trie, rows.device)
    nodes = tensors["nodes"]
    logits = (hidden[nodes] * rows[tensors["words"]]).sum(1).float()  # of every edge that is a choice
    chances = torch.zeros(len(trie.words) + 1, device=rows.device)  # 0 for what is certain, and for the filling, -1
    chances[tensors["edges"]] = choose_among(logits, nodes, n_groups=len(hidden))
    return chances[tensors["paths"]].sum(1)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # else whoever asks for gradients later could not use what was kept
def _edge_tensors(trie: Trie, device: torch.device) -> dict[str, torch.Tensor]:
    """``paths``, and of the ``edges`` that leave a fork ``words`` and ``nodes`` (places among decisive ones)."""
    edges = np.flatnonzero(np.isin(trie.parents, trie.forks))
    arrays = {
        "edges": edges,
        "words": trie.words[edges],
        "nodes": np.searchsorted(trie.decisive, trie.parents[edges]),
        "paths": trie.paths,
    }
    return {name: torch.as_tensor(array, device=device) for name, array in arrays.items()}


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def lay_out_branches(trie: Trie, *, device: torch.device) -> Branches:
    """The trie's decisive nodes in rows: whole branches of the root, each with all that is below it.

    Example:
        >>> from workbench.language.trie import build_trie
        >>> branches = lay_out_branches(build_trie([(7, 1, 2), (7, 1, 3), (8, 4)]), device=torch.device("cpu"))
        >>> branches.words.tolist(), branches.depths.tolist()
        ([[7, 1]], [[0, 1]])
    """
    rows = list(_fill_rows(trie))
    n_columns = max(map(len, rows))
    words, depths = np.zeros((2, len(rows), n_columns), dtype=np.int64)
    sees = np.zeros((len(rows), n_columns, n_columns), dtype=bool)
    sees[:, np.arange(n_columns), np.arange(n_columns)] = True  # the filling sees itself, or its softmax is empty
    places = np.zeros(len(trie.decisive), dtype=np.int64)
    for number, row in enumerate(rows):
        columns = {node: column for column, node in enumerate(row)}
        for node, column in columns.items():
            line = trie.ancestors(node)
            words[number, column], depths[number, column] = trie.words[node - 1], len(line) - 1
            sees[number, column, [columns[one] for one in line]] = True
            places[np.searchsorted(trie.decisive, node)] = number * n_columns + column
    arrays = (words, depths, sees, places[1:])
    return Branches(*(torch.as_tensor(array, device=device) for array in arrays))


def _fill_rows(trie: Trie) -> Iterator[list[int]]:
    """Decisive nodes, some whole branches of the root at a time."""
    branches: dict[int, list[int]] = {}
    for node in trie.decisive[1:].tolist():
        branches.setdefault(trie.ancestors(node)[0], []).append(node)
    row: list[int] = []
    for branch in branches.values():
        if row and len(row) + len(branch) > NODES:
            yield row
            row = []
        row += branch
    yield row
