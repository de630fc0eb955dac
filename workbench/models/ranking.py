"""From scores to rankings: the one place where a model's numbers become a table.

Every ranker ends here, so that "seen", "candidate" and "equal scores" mean the same thing for all of them:
scores are compared in float32, the highest first, and equal scores keep the order of the items. Evaluation gives
tied items their mean rank, so that this order can never earn a point.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

Histories = Mapping[str, Sequence[str]] | pd.DataFrame


def as_histories(histories: Histories) -> dict[str, list[str]]:
    """Write histories as ``{user_id: [item_id, ...]}``, oldest item first.

    Args:
        histories: Such a mapping already, or an interactions table; a table is read in time order (``timestamp``,
            else ``position``, else as it stands), equal times in the order of the table.

    Raises:
        TypeError: If it is neither, or if one history is a bare string instead of a list.
        ValueError: If the table lacks ``user_id`` or ``item_id``.

    Example:
        >>> as_histories(pd.DataFrame({"user_id": ["u", "v", "u"], "item_id": ["b", "a", "a"], "position": [2, 1, 1]}))
        {'u': ['a', 'b'], 'v': ['a']}
    """
    if isinstance(histories, pd.DataFrame):
        missing = [name for name in ("user_id", "item_id") if name not in histories]
        if missing:
            raise ValueError(f"histories lacks the columns {missing}; it has {list(histories.columns)}. Rename them.")
        result: dict[str, list[str]] = {user: [] for user in pd.unique(histories["user_id"])}
        ordered = in_time_order(histories)
        for user, item in zip(ordered["user_id"].tolist(), ordered["item_id"].tolist(), strict=True):
            result[user].append(item)
        return result
    if not isinstance(histories, Mapping):
        raise TypeError(
            f"histories is a {type(histories).__name__}; give a mapping {{user_id: [item_id, ...]}} "
            "or an interactions table with the columns user_id and item_id."
        )
    for user, items in histories.items():
        if isinstance(items, str):
            raise TypeError(f"the history of user {user!r} is the string {items!r}; give a list of item ids.")
    return {user: list(items) for user, items in histories.items()}


def in_time_order(interactions: pd.DataFrame) -> pd.DataFrame:
    """Sort interactions by time; equal times keep the order of the table."""
    for name in ("timestamp", "position"):
        if name in interactions:
            return interactions.sort_values(name, kind="stable")
    return interactions


def item_codes(histories: Mapping[str, Sequence[str]], *, items: pd.Index) -> list[np.ndarray]:
    """Replace the item ids of every history by their places in ``items``.

    Raises:
        ValueError: If a history holds an item that ``items`` does not; the message names up to five of them.

    Example:
        >>> item_codes({"u": ["b", "a"], "v": []}, items=pd.Index(["a", "b"]))
        [array([1, 0]), array([], dtype=int64)]
    """
    lengths = [len(history) for history in histories.values()]
    flat = [item for history in histories.values() for item in history]
    codes = items.get_indexer(pd.Index(flat, dtype=object)).astype(np.int64)
    if (codes < 0).any():
        unknown = list(dict.fromkeys(item for item, code in zip(flat, codes, strict=True) if code < 0))
        user = list(histories)[np.searchsorted(np.cumsum(lengths), np.argmin(codes), side="right")]
        raise ValueError(
            f"histories hold {len(unknown)} item(s) this ranker does not know: {unknown[:5]} (first met in the history "
            f"of user {user!r}). Leave them out, or fit with items= naming the whole catalog; ids are strings."
        )
    return np.split(codes, np.cumsum(lengths)[:-1]) if lengths else []


def top_k(
    scores: np.ndarray,
    *,
    users: Sequence[str],
    items: Sequence[str] | pd.Index,
    k: int = 10,
    seen: Sequence[Iterable[str]] | None = None,
    candidates: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Turn scores into the rankings table of the k best items per user.

    Args:
        scores: Higher is better, shape (n_users, n_items); ``-inf`` means "never recommend".
        users: User ids, one per row of ``scores``.
        items: Item ids, one per column of ``scores``.
        k: Longest list to return; a user with fewer candidates gets a shorter one.
        seen: Per user, the items to leave out; None leaves out nothing.
        candidates: The only items that may be shown; None means all.

    Returns:
        Columns ``user_id``, ``item_id``, ``rank`` (1 is best, no gaps) and ``score`` (float32), users in order.

    Raises:
        ValueError: If shapes disagree, k is below 1, a score is NaN, or a candidate is unknown.

    Example:
        >>> top_k(np.array([[0.1, 0.9, 0.5]]), users=["u"], items=["a", "b", "c"], k=2, seen=[["b"]])
          user_id item_id  rank  score
        0       u       c     1    0.5
        1       u       a     2    0.1
    """
    items = pd.Index(items, dtype=object)
    scores = _checked(scores, users=users, items=items, k=k)
    allowed = scores > -np.inf
    if candidates is not None:
        allowed &= np.isin(np.arange(len(items)), candidate_codes(candidates, items=items))
    if seen is not None:
        seen = [list(history) for history in seen]
        columns = items.get_indexer(pd.Index([item for history in seen for item in history], dtype=object))
        rows = np.repeat(np.arange(len(users)), [len(history) for history in seen])
        allowed[rows[columns >= 0], columns[columns >= 0]] = False

    best = _best_columns(scores, allowed=allowed, k=min(k, len(items)))  # (n_users, k), best first
    shown = np.take_along_axis(allowed, best, axis=1)  # forbidden items sort last, so gaps are only at the end
    return pd.DataFrame(
        {
            "user_id": np.repeat(np.asarray(users, dtype=object), shown.sum(axis=1)),
            "item_id": items.to_numpy()[best[shown]],
            "rank": np.broadcast_to(np.arange(1, best.shape[1] + 1), best.shape)[shown],
            "score": np.take_along_axis(scores, best, axis=1)[shown],
        }
    ).astype({"user_id": "str", "item_id": "str"})


def rank_in_blocks(
    score: Callable[[list[np.ndarray]], np.ndarray],
    histories: Histories,
    *,
    items: Sequence[str] | pd.Index,
    k: int = 10,
    exclude_seen: bool = True,
    candidates: Sequence[str] | None = None,
    block_size: int = 512,
) -> pd.DataFrame:
    """Rank for all users while holding the scores of one block of users at a time.

    Args:
        score: From a list of histories, written as places in ``items``, to scores of shape (n_users, n_items).
        histories: Mapping or interactions table, see ``as_histories``; a history may be empty.
        items: All items that the ranker knows, in the order of its scores.
        k: Longest list per user.
        exclude_seen: Leave out what stands in the user's own history.
        candidates: The only items that may be shown; None means all.
        block_size: Users per block; a matter of memory, never of results.

    Returns:
        The rankings table of ``top_k``.

    Raises:
        ValueError: If a history or ``candidates`` names an unknown item.

    Example:
        >>> even = lambda block: np.zeros((len(block), 3))
        >>> rank_in_blocks(even, {"u": ["a"]}, items=["a", "b", "c"])["item_id"].tolist()
        ['b', 'c']
    """
    histories = as_histories(histories)
    items = pd.Index(items, dtype=object)
    codes = item_codes(histories, items=items)
    users, lists = list(histories), list(histories.values())
    tables = []
    for start in range(0, max(len(users), 1), block_size):
        rows = slice(start, start + block_size)
        scores = score(codes[rows]) if users else np.empty((0, len(items)))
        seen = lists[rows] if exclude_seen else None
        tables.append(top_k(scores, users=users[rows], items=items, k=k, seen=seen, candidates=candidates))
    return pd.concat(tables, ignore_index=True)


def _checked(scores: np.ndarray, *, users: Sequence[str], items: pd.Index, k: int) -> np.ndarray:
    """The scores as float32, or one clear error."""
    scores = np.asarray(scores, dtype=np.float32) + np.float32(0)  # + 0 makes -0.0 equal to 0.0 bit by bit
    if scores.shape != (len(users), len(items)):
        raise ValueError(f"scores has shape {scores.shape}; {len(users)} users and {len(items)} items were named.")
    if k < 1:
        raise ValueError(f"k is {k}; ask for at least 1 item.")
    bad = np.isnan(scores).any(axis=1)
    if bad.any():
        raise ValueError(f"the scores of user {users[int(bad.argmax())]!r} hold NaN; a score must be a number.")
    return scores


def candidate_codes(candidates: Sequence[str], *, items: pd.Index) -> np.ndarray:
    """Places of the candidates in ``items``.

    Raises:
        TypeError: If it is a bare string instead of a list.
        ValueError: If a candidate is unknown.
    """
    if isinstance(candidates, str):
        raise TypeError(f"candidates is the string {candidates!r}; give a list of item ids.")
    wanted = pd.Index(list(candidates), dtype=object)
    codes = items.get_indexer(wanted)
    if (codes < 0).any():
        unknown = list(wanted[codes < 0][:5])
        raise ValueError(f"candidates names {(codes < 0).sum()} item(s) this ranker does not know: {unknown}.")
    return codes


def _best_columns(scores: np.ndarray, *, allowed: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k best allowed scores per row, best first, equal scores in column order.

    Sorting whole rows costs most of the time of a ranking. Instead score and column are packed into one integer that
    orders like the pair (score, earlier column first); being unique, it can be partitioned without losing stability.
    """
    bits = scores.view(np.int32).astype(np.int64)
    order = np.where(bits >= 0, bits, bits ^ 0x7FFFFFFF)  # a float32's bits, rearranged to grow with its value
    order = np.where(allowed, order, np.int64(np.iinfo(np.int32).min))  # below -inf
    keys = (order << 31) - np.arange(scores.shape[1])
    if k < scores.shape[1]:
        best = np.argpartition(keys, -k, axis=1)[:, -k:] if k else np.empty((len(keys), 0), dtype=np.int64)
        keys = np.take_along_axis(keys, best, axis=1)
    else:
        best = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.take_along_axis(best, np.argsort(-keys, axis=1), axis=1)
