"""The contracts of the tables: which columns, which types, which order; checked where data enters.

A catalog has ``item_id`` (unique) and ``title``; interactions have ``user_id``, ``item_id`` and ``timestamp`` (UTC) or
``position``; users, where there are any, have ``user_id``. Ids are strings. Every refusal names the table and the row:
rows count from 1 and a file's header line does not count.
"""

import difflib
import re

import numpy as np
import pandas as pd

MAX_TITLE = 1_000
NO_VALUE = {"", "na", "n/a", "nan", "none", "null", "-"}
OTHER_NAMES = {
    "item_id": "item movieid filmid productid asin parentasin bookid songid trackid businessid articleid isbn iid id",
    "user_id": "user reviewerid customerid viewerid memberid accountid visitorid uid",
    "title": "name movietitle filmtitle productname itemname booktitle headline",
    "timestamp": "time date datetime unixreviewtime createdat ts eventtime when",
    "position": "seqpos order rank index step",
}


def require_columns(table: pd.DataFrame, columns: list[str], *, what: str) -> None:
    """Refuse a table that lacks a column, and suggest which of its own columns was meant.

    Raises:
        ValueError: if a column is missing or the table has no rows.

    Example:
        >>> require_columns(pd.DataFrame({"movieId": [1], "title": ["Alien"]}), ["item_id"], what="items")
        Traceback (most recent call last):
        ValueError: items: no column item_id; did you mean movieId? pass columns={'movieId': 'item_id'}
    """
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise ValueError(f"{what}: two columns are called {twice[0]}; keep one of them")
    for column in columns:
        if column in table.columns:
            continue
        guess = nearest_column(column, list(table.columns))
        if guess is None:
            advice = f"the columns are {', '.join(map(str, table.columns)) or '(none)'}; map one with columns="
        else:
            advice = f"did you mean {guess}? pass columns={{{guess!r}: {column!r}}}"
        if column == "timestamp":
            advice += "; where only the order of events is known, a column position does instead"
        raise ValueError(f"{what}: no column {column}; {advice}")
    if table.empty:
        raise ValueError(f"{what}: the table has no rows; at least one is needed")


def nearest_column(wanted: str, given: list) -> str | None:
    """Return the given column that most likely means `wanted`, or None when nothing comes near."""
    plain = {re.sub(r"[^a-z0-9]", "", str(name).lower()): name for name in reversed(given)}
    for other in [wanted.replace("_", ""), *OTHER_NAMES.get(wanted, "").split()]:
        if other in plain:
            return plain[other]
    near = difflib.get_close_matches(wanted.replace("_", ""), list(plain), n=1, cutoff=0.7)
    return plain[near[0]] if near else None


def tidy_catalog(table: pd.DataFrame, findings: list[str]) -> pd.DataFrame:
    """Bring a catalog to its contract; what had to be mended is added to `findings`.

    A missing title is replaced by the item's id, a title beyond 1,000 characters is cut: both are reported by row.

    Raises:
        ValueError: if a column is missing, an id is missing or an id stands twice.
    """
    require_columns(table, ["item_id", "title"], what="items")
    table = table.reset_index(drop=True)
    table["item_id"] = _ids(table["item_id"], what="items: item_id")
    twice = table["item_id"].duplicated()
    if twice.any():
        raise ValueError(
            f"items: item_id must be unique, but {_rows(twice)} repeat ids already seen "
            f"({_some(table.loc[twice, 'item_id'])}); keep one row per item, e.g. items.drop_duplicates('item_id')"
        )
    titles = table["title"].astype("str").str.strip()
    missing = titles.isna() | titles.str.lower().isin({"", "nan"})
    if missing.any():
        findings.append(f"{int(missing.sum())} items have no title ({_rows(missing)}); their item_id stands in for it")
        titles = titles.mask(missing, table["item_id"])
    long = titles.str.len() > MAX_TITLE
    if long.any():
        findings.append(f"titles longer than {MAX_TITLE:,} characters were cut ({_rows(long)})")
        titles = titles.str.slice(0, MAX_TITLE)
    table["title"] = titles
    if "year" in table.columns:
        table["year"] = _numbers(table["year"], what="items: year").round().astype("Int64")
    return table


def tidy_interactions(table: pd.DataFrame, findings: list[str]) -> pd.DataFrame:
    """Bring interactions to their contract: string ids, UTC times, stable order by user, time and original row.

    Users keep the order of their first appearance.

    Raises:
        ValueError: if a column is missing, or an id, a time, a position or a rating cannot be read (names the row).
    """
    require_columns(table, ["user_id", "item_id"], what="interactions")
    if "position" not in table.columns:
        require_columns(table, ["timestamp"], what="interactions")
    table = table.reset_index(drop=True)
    for column in ("user_id", "item_id"):
        table[column] = _ids(table[column], what=f"interactions: {column}")
    if "rating" in table.columns:
        table["rating"] = _numbers(table["rating"], what="interactions: rating")
    if "timestamp" in table.columns:
        table["timestamp"] = _times(table["timestamp"], findings)
    if "position" in table.columns:
        position = _numbers(table["position"], what="interactions: position", required=True)
        if not (position == position.round()).all():
            raise ValueError(f"interactions: position must be whole numbers, but {_rows(position != position.round())}")
        table["position"] = position.astype("int64")
    users = pd.factorize(table["user_id"])[0]
    order = np.lexsort((np.arange(len(table)), time_values(table), users))
    return table.iloc[order].reset_index(drop=True)


def tidy_users(table: pd.DataFrame) -> pd.DataFrame:
    """Bring a users table to its contract.

    Raises:
        ValueError: if `user_id` is missing or stands twice.
    """
    require_columns(table, ["user_id"], what="users")
    table = table.reset_index(drop=True)
    table["user_id"] = _ids(table["user_id"], what="users: user_id")
    twice = table["user_id"].duplicated()
    if twice.any():
        raise ValueError(f"users: user_id must be unique, but {_rows(twice)} repeat ids already seen")
    return table


def check_known_items(interactions: pd.DataFrame, catalog: pd.DataFrame) -> None:
    """Refuse interactions whose items are not in the catalog.

    Raises:
        ValueError: naming the first such items and rows.
    """
    unknown = ~interactions["item_id"].isin(catalog["item_id"])
    if unknown.any():
        names = interactions.loc[unknown, "item_id"].drop_duplicates()
        raise ValueError(
            f"interactions: {int(unknown.sum())} rows name {len(names)} items that the catalog lacks ({_some(names)}); "
            "add them to the items, or keep only interactions[interactions['item_id'].isin(items['item_id'])]"
        )


def check_ids(table: pd.DataFrame, columns: list[str], *, what: str, unique: bool = False) -> None:
    """Refuse id columns that are not text, have gaps or, with `unique`, repeat themselves.

    Raises:
        ValueError: naming the column and the way to put it right.
    """
    for column in columns:
        ids = table[column]
        if not pd.api.types.is_string_dtype(ids) or ids.isna().any() or (unique and not ids.is_unique):
            wanted = "unique text without gaps" if unique else "text without gaps"
            raise ValueError(f"{what}: {column} must be {wanted}; build the dataset with read_tables, which sees to it")


def check_order(interactions: pd.DataFrame) -> None:
    """Refuse interactions that are not grouped by user and, within a user, oldest first.

    Raises:
        ValueError: naming the first row out of place.
    """
    users = pd.factorize(interactions["user_id"])[0]
    times = time_values(interactions)
    backwards = (np.diff(users) < 0) | ((np.diff(users) == 0) & (times[1:] < times[:-1]))
    if backwards.any():
        row = int(np.argmax(backwards)) + 2
        raise ValueError(
            f"interactions: row {row} is out of order; a Dataset keeps each user's rows together, oldest first: "
            "build it with read_tables(items=..., interactions=...), which orders them"
        )


def time_values(interactions: pd.DataFrame) -> np.ndarray:
    """Return one comparable whole number per row, the timestamp where there is one, else the position: (rows,)."""
    column = "timestamp" if "timestamp" in interactions.columns else "position"
    return interactions[column].to_numpy(dtype="int64" if column == "position" else "datetime64[ns]").view("int64")


def mark_values(values: pd.Series) -> pd.DataFrame:
    """Which row has which of the values that a column joins by "|": one column of 0 and 1 per value, in their order.

    Example:
        >>> mark_values(pd.Series(["Crime|Drama", "Drama", "", None]))
           Crime  Drama
        0      1      1
        1      0      1
        2      0      0
        3      0      0
    """
    marks = values.fillna("").astype("str").str.get_dummies("|")
    return marks.drop(columns="", errors="ignore")  # some versions of pandas count the empty text as a value


def _ids(values: pd.Series, *, what: str) -> pd.Series:
    """Return ids as strings; a float that is a whole number loses its '.0'."""
    missing = values.isna()
    if pd.api.types.is_float_dtype(values) and (values.isna() | (values % 1 == 0)).all() and values.abs().max() < 2**53:
        values = values.astype("Int64")
    text = values.astype("str")
    missing = missing | (text == "")
    if missing.any():
        raise ValueError(f"{what} is missing in {_rows(missing)}; every row needs one")
    return text


def _numbers(values: pd.Series, *, what: str, required: bool = False) -> pd.Series:
    """Return numbers; words like 'NA' mean missing, anything else that is not a number is refused by row."""
    empty = values.isna() | values.astype("str").str.strip().str.lower().isin(NO_VALUE)
    numbers = pd.to_numeric(values.mask(empty), errors="coerce").astype("float64")
    bad = numbers.isna() & (~empty | required) | np.isinf(numbers)
    if bad.any():
        raise ValueError(f"{what} must be a number, but {_rows(bad)} is not ({_some(values[bad])})")
    return numbers


def _times(values: pd.Series, findings: list[str]) -> pd.Series:
    """Return UTC times from datetimes, Unix numbers (the unit from their size) or ISO 8601 texts."""
    if pd.api.types.is_datetime64_any_dtype(values):
        times = pd.to_datetime(values, utc=True)
    else:
        numbers = pd.to_numeric(values, errors="coerce")
        if numbers.notna().mean() > 0.5:
            size = float(numbers.abs().median())
            unit = "s" if size < 1e11 else "ms" if size < 1e14 else "us" if size < 1e17 else "ns"
            if unit != "s":
                findings.append(f"timestamps were read as Unix time in {unit}")
            times = pd.to_datetime(numbers.where(numbers.abs() < 9.2e18), unit=unit, utc=True, errors="coerce")
        else:
            times = pd.to_datetime(values.astype("str"), format="ISO8601", utc=True, errors="coerce")
    bad = times.isna()
    if bad.any():
        raise ValueError(
            f"interactions: timestamp cannot be read in {_rows(bad)} ({_some(values[bad])}); accepted are Unix seconds "
            "or milliseconds and ISO dates such as 2024-05-31 or 2024-05-31T18:30:00Z"
        )
    return times.dt.as_unit("ns")


def _rows(mask: pd.Series, *, limit: int = 5) -> str:
    """Name the rows of a mask, counted from 1: 'row 3', 'rows 3, 8 and 12 more'."""
    rows = [str(row + 1) for row in np.flatnonzero(mask.to_numpy())]
    if len(rows) == 1:
        return f"row {rows[0]}"
    more = f" and {len(rows) - limit:,} more" if len(rows) > limit else ""
    return f"rows {', '.join(rows[:limit])}{more}"


def _some(values: pd.Series, *, limit: int = 3) -> str:
    """Quote the first few values, each cut to a readable length."""
    shown = [repr(str(value)[:40]) for value in values[:limit]]
    return ", ".join(shown) + (", ..." if len(values) > limit else "")
