"""From scores to rankings: the one place where a model's numbers become a table.

Every ranker ends here, so that "seen", "candidate" and "equal scores" mean the same thing for all of them:
scores are compared in float32, the highest first, and equal scores keep the order of the items. Evaluation gives
tied items their mean rank, so that this order can never earn a point.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch

ROOM = 2**26  # bytes of a table of users x items; two or three of them are there at once
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
    scores = np.array(scores, dtype=np.float32)  # a copy, in which what may not be shown is crossed out
    if scores.shape != (len(users), len(items)):
        raise ValueError(f"scores has shape {scores.shape}; {len(users)} users and {len(items)} items were named.")
    if seen is not None:
        lists = [list(history) for history in seen]
        codes = items.get_indexer(pd.Index([item for history in lists for item in history], dtype=object))
        seen = [own[own >= 0] for own in np.split(codes, np.cumsum([len(history) for history in lists])[:-1])]
    k, others = read_rules(k, candidates, items=items)
    best = find_best(torch.from_numpy(scores), users=users, k=k, seen=seen, others=others)
    return as_table(*best, users=users, items=items)


def read_rules(k: int, candidates: Sequence[str] | None, *, items: pd.Index) -> tuple[int, np.ndarray | None]:
    """Places of a list, at most one for each item, and columns of what is no candidate; None where everything is.

    Raises:
        TypeError: If the candidates are a bare string instead of a list.
        ValueError: If k is below 1 or a candidate is unknown.

    Example:
        >>> read_rules(10, ["c"], items=pd.Index(["a", "b", "c"]))
        (3, array([0, 1]))
    """
    if k < 1:
        raise ValueError(f"k is {k}; ask for at least 1 item.")
    others = None
    if candidates is not None:
        others = np.delete(np.arange(len(items)), candidate_codes(candidates, items=items))
    return min(k, len(items)), others


@torch.inference_mode()
def find_best(
    scores: torch.Tensor,
    *,
    users: Sequence[str],
    k: int,
    seen: Sequence[np.ndarray] | None = None,
    others: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k highest scores of each user, best first, and their columns; both (n_users, k).

    Args:
        scores: Float32, (n_users, n_items), on any device; what may not be shown is overwritten.
        users: User ids, one per row; an error names them.
        k: At most the number of items. A user with fewer to show has ``-inf`` in the last places.
        seen: Per user, columns to leave out.
        others: Columns to leave out for everybody.

    Raises:
        ValueError: If a score is NaN.
    """
    if scores.numel() and (bad := scores.amax(1).isnan()).any():
        raise ValueError(f"the scores of user {users[int(bad.nonzero()[0])]!r} hold NaN; a score must be a number.")
    if seen is not None and len(seen):
        cross_out(scores, seen, value=-torch.inf)
    if others is not None:
        scores[:, torch.from_numpy(others).to(scores.device)] = -torch.inf
    columns = _best_columns(scores, k=k)
    best, order = scores.gather(1, columns).sort(dim=1, descending=True, stable=True)
    return (best + 0.0).cpu().numpy(), columns.gather(1, order).cpu().numpy()  # + 0 makes -0.0 a 0.0


def cross_out(scores: torch.Tensor, columns: Sequence[np.ndarray], *, value: float) -> None:
    """Overwrite some columns of each row, (n_rows, n_columns), with the value."""
    rows = np.repeat(np.arange(len(columns)), [len(own) for own in columns])
    places = torch.from_numpy(np.stack([rows, np.concatenate(columns)])).to(scores.device)
    scores[places[0], places[1]] = value


def _best_columns(scores: torch.Tensor, *, k: int) -> torch.Tensor:
    """Columns of the k highest scores per row, (n_rows, k), in the order of the columns; of equal ones the first.

    ``topk`` takes any of equal scores. That matters where the next place has the score of the last: there, what is
    higher is taken, and as many as are missing of those that are as high.
    """
    values, columns = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    columns = columns[:, :k]
    tied = (values[:, -1] == values[:, k - 1]).nonzero()[:, 0] if 0 < k < scores.shape[1] else []
    if len(tied):
        own, last = scores[tied], values[tied, -1:]
        missing, level = (values[tied, :k] == last).sum(1, keepdim=True), own == last
        taken = (own > last) | level & (level.cumsum(1, dtype=torch.int32) <= missing)
        columns = columns.index_copy(0, tied, taken.nonzero()[:, 1].view(-1, k))
    return columns.sort(dim=1).values


def as_table(scores: np.ndarray, columns: np.ndarray, *, users: Sequence[str], items: pd.Index) -> pd.DataFrame:
    """The rankings table of ``find_best``'s answer; ``-inf`` is not shown.

    Example:
        >>> as_table(np.array([[2.0, -np.inf]]), np.array([[1, 0]]), users=["u"], items=pd.Index(["a", "b"]))
          user_id item_id  rank  score
        0       u       b     1    2.0
    """
    rows, places = np.nonzero(scores > -np.inf)  # only at the end of a list is anything missing
    return pd.DataFrame(
        {
            "user_id": pd.array(users, dtype="str").take(rows),
            "item_id": pd.array(items.take(columns[rows, places]), dtype="str"),
            "rank": places + 1,
            "score": scores[rows, places],
        }
    )


def count_users(n_items: int, *, at_most: int = 64) -> int:
    """Users whose scores are held at once: fewer of a larger catalog, so that it takes longer and not more memory.

    Example:
        >>> count_users(3_416), count_users(1_000_000)
        (64, 16)
    """
    return max(1, min(at_most, ROOM // (4 * max(n_items, 1))))


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
        block_size: Users per block, at most; a matter of memory, never of results.

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
    tables, size = [], count_users(len(items), at_most=block_size)
    for start in range(0, max(len(users), 1), size):
        rows = slice(start, start + size)
        scores = score(codes[rows]) if users else np.empty((0, len(items)))
        seen = lists[rows] if exclude_seen else None
        tables.append(top_k(scores, users=users[rows], items=items, k=k, seen=seen, candidates=candidates))
    return pd.concat(tables, ignore_index=True)


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
