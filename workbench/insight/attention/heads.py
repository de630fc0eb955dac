"""Heads of attention: what each looks at, by simple measured rules."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch.nn.utils.rnn import pad_sequence

from workbench.catalogs.schema import mark_values
from workbench.evaluation.intervals import bootstrap_means, percentile_interval
from workbench.insight.attention.weights import attention_weights, eager_attention, group
from workbench.models import GPT2Recommender
from workbench.models.ranking import Histories, as_histories, item_codes

NUMBERS = 16_000_000  # attention weights held at once: 64 MB
NAMED, EVEN = 0.2, 0.1  # the thresholds of name_heads
NAMES = {
    "last": "looks at the last item",
    "before": "looks at the item before the last",
    "first": "looks at the first item",
    "start": "looks at the start of the prompt",
    "genre": "looks at earlier items of the last one's genre",
    "director": "looks at earlier items of the last one's director",
    "series": "looks at earlier items of the last one's series",
}
ATTRIBUTES = {"genre": "genres", "director": "director", "series": "series"}  # target: column of the catalog


def name_heads(recommender: GPT2Recommender, histories: Histories, *, seed: int = 0) -> pd.DataFrame:
    """What each head looks at, measured over many histories, the most informative head first.

    The rule, in this order: a head whose ``informative`` is below 0.1 "looks evenly"; a head is named after the target
    of its largest excess (see :func:`measure_heads`) if that is 0.2 or more; any other head is "mixed".

    Args:
        recommender: Whose heads; its model is switched to eager attention meanwhile.
        histories: ``{user_id: [item_id, ...]}`` or an interactions table; those of fewer than two items say nothing.
        seed: Of the bootstrap behind ``low`` and ``high``.

    Returns:
        One row per head: ``layer``, ``head``, ``name``, the further columns of ``measure_heads`` for the target of its
        largest excess, and per target its share and ``<target>_even``, what even attention would give.

    Raises:
        ValueError: If no history has two items, or one holds an item that is not in the catalog.
    """
    measured = measure_heads(recommender, histories, seed=seed)
    best = measured.loc[measured.groupby(["layer", "head"])["excess"].idxmax()]
    names = best["target"].map(NAMES).where(best["excess"] >= NAMED, "mixed")
    best.insert(2, "name", names.where(best["informative"] >= EVEN, "looks evenly"))
    wide = measured.pivot(index=["layer", "head"], columns="target", values=["share", "even"])
    wide.columns = [target if what == "share" else f"{target}_even" for what, target in wide.columns]
    table = best.merge(wide.reset_index(), on=["layer", "head"])
    return table.sort_values("informative", ascending=False, kind="stable", ignore_index=True)


def measure_heads(recommender: GPT2Recommender, histories: Histories, *, seed: int = 0) -> pd.DataFrame:
    """How much of its attention each head gives to a few simple targets.

    Attention looks back only, so every item of a history that has an earlier one is read as if the history ended there,
    as its *last item*. The targets are that last item itself, the item before it, the first item, the start of the
    prompt (``<history>``) and, where the catalog has the columns, all earlier items that share a genre, a director or
    the series with the last one. Shares are means within a history, then over the histories that meet the target.

    Args:
        recommender: Whose heads; its model is switched to eager attention meanwhile.
        histories: ``{user_id: [item_id, ...]}`` or an interactions table; those of fewer than two items say nothing.
        seed: Of the bootstrap over histories.

    Returns:
        One row per head and target: ``layer``, ``head``, ``informative`` (0 even, 1 all on one word), ``target``,
        ``share`` (0 to 1), ``even`` (what even attention would give), ``excess`` ((share - even) / (1 - even): 0 as
        even, 1 everything there) with its 95 % interval ``low`` and ``high`` (missing for a single history), and ``n``,
        the histories behind them.

    Raises:
        ValueError: If no history has two items, or one holds an item that is not in the catalog.
    """
    items = pd.Index(recommender.vocabulary.spelling.items, dtype=object)
    codes = [rows[-recommender.template.max_history :] for rows in item_codes(as_histories(histories), items=items)]
    codes = [rows for rows in codes if len(rows) > 1]
    if not codes:
        raise ValueError("no history has two items that fit into the prompt, so nothing can be said about heads.")
    alike = _attributes(recommender.catalog)
    measured = [
        (*_shares(weights, _targets(rows, alike=alike)), informative_heads(weights).ravel())
        for block in _blocks(codes, recommender=recommender)
        for rows, weights in _read(recommender, block)
    ]
    shares, even, informative = (np.stack(parts) for parts in zip(*measured, strict=True))
    layers, heads = recommender.model.config.n_layer, recommender.model.config.n_head
    one = {"layer": np.repeat(range(layers), heads), "head": np.tile(range(heads), layers)}
    one["informative"] = informative.mean(axis=0)
    tables = []
    for place, target in enumerate(["last", "before", "first", "start", *alike]):
        met = ~np.isnan(even[:, place])
        if met.any():
            share, base = shares[met, place], even[met, place, None]  # (n_histories, layers * heads), (n_histories, 1)
            excess = (share - base) / (1 - base)
            means = {"share": share.mean(axis=0), "even": base.mean(), "excess": excess.mean(axis=0)}
            low, high = percentile_interval(bootstrap_means(excess, seed=seed)) if len(excess) > 1 else (np.nan, np.nan)
            tables.append(pd.DataFrame(one | {"target": target} | means | {"low": low, "high": high, "n": met.sum()}))
    return pd.concat(tables, ignore_index=True)


def informative_heads(weights: np.ndarray) -> np.ndarray:
    """How far each head is from looking evenly, 0 to 1, shape (..., n_heads).

    1 - entropy / entropy of even attention, averaged over the words that have something to choose from, that is over
    all but the first; a single word has nothing to choose from, which counts as even.

    Args:
        weights: Shape (..., n_heads, n_words, n_words).

    Example:
        >>> informative_heads(np.array([[[1, 0], [0.5, 0.5]], [[1, 0], [0, 1]]])).round(3)
        array([0., 1.])
    """
    if weights.shape[-1] < 2:
        return np.zeros(weights.shape[:-2])
    weights = weights[..., 1:, :]
    entropy = -(weights * np.log(np.where(weights > 0, weights, 1))).sum(-1)
    return (1 - entropy / np.log(np.arange(2, weights.shape[-1] + 1))).mean(-1)


def _attributes(catalog: pd.DataFrame) -> dict[str, np.ndarray]:
    """Which item carries which value, shape (n_items, n_values), for each attribute that the catalog has."""
    columns = {name: column for name, column in ATTRIBUTES.items() if column in catalog}
    return {name: mark_values(catalog[column]).to_numpy(dtype=np.float32) for name, column in columns.items()}


def _targets(rows: np.ndarray, *, alike: dict[str, np.ndarray]) -> np.ndarray:
    """Where each target lies, 1 or 0, shape (n_targets, n_readers, n_units); the items from the second one read."""
    reader, unit = np.arange(2, len(rows) + 1)[:, None], np.arange(len(rows) + 1)  # unit 0 is <history>
    everyone = reader > 0
    targets = [unit == reader, unit == reader - 1, everyone & (unit == 1), everyone & (unit == 0)]
    for carried in alike.values():
        shared = carried[rows[1:]] @ carried[rows].T > 0
        targets.append(np.pad(shared, ((0, 0), (1, 0))) & (unit < reader))
    return np.stack(targets).astype(np.float32)


def _shares(weights: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One history's shares (n_targets, layers * heads) and even ones (n_targets,); NaN for a target that is not met."""
    n_readers, n_units = targets.shape[1:]
    met = targets.any(-1)
    part = np.where(met.any(-1, keepdims=True), met / np.maximum(met.sum(-1, keepdims=True), 1), np.nan)
    heads = weights[:, :, -n_readers:].reshape(-1, n_readers, n_units)
    even = targets.sum(-1) / np.arange(n_units - n_readers + 1, n_units + 1)
    return np.einsum("hru,tru,tr->th", heads, targets, part, optimize=True), (even * part).sum(-1)


def _blocks(codes: list[np.ndarray], *, recommender: GPT2Recommender) -> Iterator[list[np.ndarray]]:
    """Histories of similar length, as many at once as memory allows."""
    heads = recommender.model.config.n_layer * recommender.model.config.n_head
    block: list[np.ndarray] = []
    for rows in sorted(codes, key=len):
        if block and (len(block) + 1) * heads * (len(rows) + 1) ** 2 > NUMBERS:
            yield block
            block = []
        block.append(rows)
    yield block


def _read(recommender: GPT2Recommender, block: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each history of a block with its weights between units, shape (n_layers, n_heads, n_units, n_units)."""
    prompts = [recommender.prompt(rows.tolist()) for rows in block]
    # padding comes after the words, where nobody looks
    words = pad_sequence([torch.tensor(prompt) for prompt in prompts], batch_first=True)
    with eager_attention(recommender):
        read = recommender.model.transformer(words.to(recommender.device), use_cache=False, output_attentions=True)
        weights = attention_weights(read.attentions, recommender=recommender, shape=tuple(words.shape))
    for rows, prompt, own in zip(block, prompts, weights, strict=True):
        sizes = [1, *(len(recommender.vocabulary.spelled[row]) for row in rows)]
        yield rows, group(own[:, :, : len(prompt), : len(prompt)], units=np.repeat(range(len(sizes)), sizes))
