"""One's own tables: CSV, TSV, JSON lines or Parquet files, or DataFrames, with a mapping of column names."""

import codecs
import gzip
import io
import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from workbench.catalogs.dataset import Dataset, build_dataset
from workbench.catalogs.schema import nearest_column, require_columns

MAX_BYTES = 4 << 30
MAX_RATIO = 100
ALWAYS_FINE = 1 << 20
SUFFIXES = {".csv": ",", ".tsv": "\t", ".jsonl": None, ".json": None, ".ndjson": None, ".parquet": None}

KEPT_AS_TEXT = ["item_id", "user_id", "title", "title_zh", "description", "description_zh", "genres", "review"]

Table = pd.DataFrame | str | os.PathLike


def read_tables(
    *,
    items: Table,
    interactions: Table,
    users: Table | None = None,
    columns: Mapping[str, str] | None = None,
    name: str = "my dataset",
    encoding: str = "utf-8",
) -> Dataset:
    """Read one's own catalog and interactions, from files or DataFrames, into a `Dataset`.

    Files may be .csv, .tsv, .jsonl (or .json with one object per line or one list) and .parquet; the text ones also
    as .gz. Ids are read as text, so "007" stays "007". Missing titles are replaced by the item id and titles beyond
    1,000 characters are cut; both are reported on the card. Nothing else is changed: see the cleaning functions.

    Args:
        items: needs `item_id`, `title`; genres separated by ",", ";" or "|" (or lists) come out separated by "|".
        interactions: needs `user_id`, `item_id` and `timestamp` (Unix time or ISO) or `position`.
        users: optional, needs `user_id`.
        columns: your column names -> ours, for whichever tables have them, e.g. {"movieId": "item_id"}.
        name: the name shown in tables and plots.
        encoding: the encoding of text files.

    Raises:
        ValueError: for a missing or misnamed column, a repeated item id, an unknown item, an unreadable time, a wrong
            encoding, an empty file: each names the table and the row, byte or column, and the fix.
        FileNotFoundError: if a file is not there.

    Example:
        >>> items = pd.DataFrame({"movieId": [1], "title": ["Alien"]})
        >>> events = pd.DataFrame({"user_id": ["u"], "movieId": [1], "timestamp": ["1979-05-25"]})
        >>> read_tables(items=items, interactions=events, columns={"movieId": "item_id"}, name="one film")
        Dataset('one film': 1 items, 1 users, 1 interactions)
    """
    columns = dict(columns or {})
    given = {"items": items, "interactions": interactions, "users": users}
    tables = {what: _open(table, encoding=encoding) for what, table in given.items() if table is not None}
    _check_mapping(columns, tables)
    tables = {what: _read_numbers(table.rename(columns=columns)) for what, table in tables.items()}
    require_columns(tables["items"], ["item_id", "title"], what="items")
    cleaning = []
    if "genres" in tables["items"].columns:
        genres = tables["items"]["genres"].map(_join_genres)
        if not genres.equals(tables["items"]["genres"]):
            cleaning.append("genres are separated by '|'")
        tables["items"]["genres"] = genres
    sources = [Path(table).name for table in given.values() if isinstance(table, str | os.PathLike)]
    return build_dataset(
        name=name,
        catalog=tables["items"],
        interactions=tables["interactions"],
        users=tables.get("users"),
        card={"source": ", ".join(sources) or "tables in memory", "cleaning": cleaning},
    )


def read_table(
    path: str | os.PathLike, *, encoding: str = "utf-8", keep: Collection[str] | None = None
) -> pd.DataFrame:
    """Read one CSV, TSV, JSON lines or Parquet file, by its suffix; text and ids stay text.

    Args:
        path: the file; text files may be packed as .gz.
        encoding: the encoding of a text file.
        keep: of a JSON file, the only fields that may enter; None lets all in.

    Raises:
        ValueError: if the file is empty, not in `encoding`, of an unknown kind, or cannot be parsed.
        FileNotFoundError: if there is no such file.
    """
    path = Path(path)
    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if kind not in SUFFIXES:
        given = kind or "a file without a suffix"
        raise ValueError(f"{path.name}: cannot read {given}; accepted: {', '.join(SUFFIXES)}")
    if kind == ".parquet":
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError) as problem:
            _require_file(path)
            raise ValueError(f"{path.name}: not a readable Parquet file ({problem})") from problem
    text = read_text(path, encoding=encoding)
    if not text.strip():
        raise ValueError(f"{path.name}: the file is empty; a header line and at least one row are needed")
    return _parse_csv(text, SUFFIXES[kind], path.name) if SUFFIXES[kind] else _parse_json(text, path.name, keep)


def read_text(path: str | os.PathLike, *, encoding: str = "utf-8") -> str:
    """Read a text file, plain or .gz, whole.

    A .gz file that expands beyond 4 GiB or more than a hundredfold is refused.

    Raises:
        ValueError: naming the byte that `encoding` cannot read, or the limit that was passed.
        FileNotFoundError: if there is no such file.
    """
    path = _require_file(Path(path))
    data = _expand(path) if path.suffix == ".gz" else path.read_bytes()
    try:
        return data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except LookupError as problem:
        raise ValueError(f"encoding {encoding!r} is not known; try 'utf-8', 'latin-1' or 'gb18030'") from problem
    except UnicodeDecodeError as problem:
        guess = "utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin-1"
        raise ValueError(
            f"{path.name}: not {encoding}: byte 0x{data[problem.start]:02X} at offset {problem.start:,} (line "
            f"{data.count(10, 0, problem.start) + 1:,}); pass encoding={guess!r} or whichever the file was written in"
        ) from problem


def _expand(path: Path) -> bytes:
    """Return the content of a .gz file, reading no more than the limits allow."""
    limit = min(MAX_BYTES, max(ALWAYS_FINE, MAX_RATIO * path.stat().st_size))
    try:
        with gzip.open(path) as stream:
            data = stream.read(limit + 1)
    except (EOFError, OSError) as problem:
        raise ValueError(f"{path.name}: damaged or cut off ({problem}); fetch the file again") from problem
    if len(data) > limit:
        raise ValueError(f"{path.name}: expands beyond {limit:,} bytes, {MAX_RATIO} times its size; refused as unsafe")
    return data


def _require_file(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file" + (" (it is a folder)" if path.is_dir() else ""))
    return path


def _open(table: Table, *, encoding: str) -> pd.DataFrame:
    """Return a table of its own, whether given as a path or as a DataFrame."""
    if isinstance(table, pd.DataFrame):
        return table.copy()
    if isinstance(table, str | os.PathLike):
        return read_table(table, encoding=encoding)
    raise TypeError(f"a table must be a path or a DataFrame, not {type(table).__name__}")


def _parse_csv(text: str, separator: str, name: str) -> pd.DataFrame:
    """Parse CSV text with every column as text; only an empty field counts as missing ("NA" may be a title)."""
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator, dtype="str", keep_default_na=False, na_values=[""])
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as problem:
        raise ValueError(f"{name}: cannot be parsed as a table ({problem})") from problem
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the fields too many for an index
        raise ValueError(f"{name}: the rows have more fields than the header; put texts with {separator!r} in quotes")
    if table.shape[1] == 1 and (other := re.search(r"[;,|\t]", str(table.columns[0]))):
        mark = other.group()
        raise ValueError(
            f"{name}: the fields are separated by {mark!r}, not by {separator!r}; pass pd.read_csv(path, sep={mark!r}, "
            "dtype=str) instead of the path"
        )
    return table


def _parse_json(text: str, name: str, keep: Collection[str] | None) -> pd.DataFrame:
    """Parse one JSON list, or one JSON object per line; fields outside `keep` never enter the table."""
    whole = text.lstrip().startswith("[")
    rows = []
    for number, line in enumerate([text] if whole else text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            parsed = json.loads(line)
        except json.JSONDecodeError as problem:
            raise ValueError(f"{name}: line {number} is not JSON ({problem})") from problem
        rows.extend(parsed if whole else [parsed])
        if not all(isinstance(row, dict) for row in (rows if whole else rows[-1:])):
            raise ValueError(f"{name}: line {number} is not a JSON object with named fields")
    if keep is not None:
        rows = [{field: row.get(field) for field in keep} for row in rows]
    return pd.DataFrame(rows)


def _check_mapping(columns: dict[str, str], tables: dict[str, pd.DataFrame]) -> None:
    """Refuse a mapping whose own names are nowhere, or that would make two columns of one name."""
    names = {str(column) for table in tables.values() for column in table.columns}
    for theirs, ours in columns.items():
        if theirs not in names:
            if ours in names:
                advice = f"the mapping runs from your names to ours: did you mean {{{ours!r}: {theirs!r}}}?"
            else:
                guess = nearest_column(theirs, sorted(names))
                advice = f"did you mean {guess!r}?" if guess else f"your columns are {', '.join(sorted(names))}"
            raise ValueError(f"columns: no table has a column {theirs!r}; {advice}")


def _read_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Turn text columns that hold nothing but plain numbers into numbers; ids, titles and codes like "007" stay."""
    for column in table.columns.difference([*KEPT_AS_TEXT, "timestamp"]):
        values = table[column]
        if isinstance(values, pd.Series) and pd.api.types.is_string_dtype(values):
            coded = values.str.match(r"\s*[-+]?0\d").any()
            numbers = pd.to_numeric(values, errors="coerce")
            if not coded and values.notna().any() and (numbers.notna() == values.notna()).all():
                table[column] = numbers
    return table


def _join_genres(genres: object) -> object:
    """Return genres separated by '|', given a list or a text with any of the usual separators."""
    if isinstance(genres, str):
        if "|" in genres:
            return genres
        genres = genres.replace(";", ",").split(",")
    if isinstance(genres, list | tuple) or hasattr(genres, "tolist"):
        return "|".join(str(genre).strip() for genre in genres if str(genre).strip())
    return genres
