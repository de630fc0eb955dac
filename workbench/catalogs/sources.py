"""Where datasets are found: the bundled folder, folders of one's own, the cache, the publisher, in this order."""

import difflib
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from workbench.catalogs import publishers
from workbench.catalogs.dataset import Dataset
from workbench.catalogs.downloads import cache_folder, download_archive, unpack
from workbench.catalogs.tables import SUFFIXES, read_tables

BUNDLED = Path(__file__).resolve().parents[2] / "data"
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Layout:
    """How one published dataset lies on disk and where it comes from.

    Attributes:
        files: the files it needs; "a|b" means either.
        read: folder -> Dataset.
        where: the publisher's page, named when the dataset is missing.
        folder: the folder's name, where it is not the dataset's.
        archive: the publisher's zip, where it may be downloaded.
        sha256: the checksum of the zip.
        by_name: its file names are what people call their own tables: recognised only in a folder of its name.
    """

    files: tuple[str, ...]
    read: Callable[[Path], Dataset]
    where: str
    folder: str = ""
    archive: str = ""
    sha256: str = ""
    by_name: bool = False


MOVIELENS = "https://files.grouplens.org/datasets/movielens/"
AMAZON = "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/"
MAX_ARCHIVE = 20 << 20

LAYOUTS = {
    "films": Layout(
        files=("catalog.csv", "interactions.csv.gz", "users.csv"),
        read=publishers.read_films,
        where="this repository (git checkout -- data/films)",
        by_name=True,
    ),
    "ml-100k": Layout(
        files=("u.data", "u.item", "u.genre"),
        read=publishers.read_ml_100k,
        where="https://grouplens.org/datasets/movielens/100k/",
        archive=MOVIELENS + "ml-100k.zip",
        sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    ),
    "ml-1m": Layout(
        files=("movies.dat", "users.dat", "ratings.dat|ratings.parquet|ratings_rebuilt.dat.gz"),
        read=publishers.read_ml_1m,
        where="https://grouplens.org/datasets/movielens/1m/",
        archive=MOVIELENS + "ml-1m.zip",
        sha256="a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    ),
    "ml-1m-sasrec": Layout(
        files=("ml-1m_sasrec.txt.gz", "sasrec_items.csv"),
        read=publishers.read_ml_1m_sasrec,
        where="https://github.com/kang205/SASRec (data/ml-1m.txt, gzipped, with a table of its item numbers)",
        folder="ml-1m",
    ),
    "ml-latest-small": Layout(
        files=("movies.csv", "ratings.csv"),
        read=publishers.read_ml_latest_small,
        where="https://grouplens.org/datasets/movielens/latest/",
        archive=MOVIELENS + "ml-latest-small.zip",
        sha256="696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
    ),
    "amazon-beauty-2014": Layout(
        files=("items.parquet", "interactions.parquet"),
        read=publishers.read_amazon_beauty_2014,
        where="https://github.com/RUCAIBox/CIKM2020-S3Rec (data/Beauty.txt, as Parquet with titles)",
        by_name=True,
    ),
    "amazon-giftcards-2018": Layout(
        files=("Gift_Cards_5.json.gz", "meta_Gift_Cards.json.gz"),
        read=publishers.read_amazon_giftcards_2018,
        where=AMAZON,
    ),
}


def load_dataset(name_or_path: str | os.PathLike) -> Dataset:
    """Load a dataset by name, or from a folder or a publisher's zip.

    A name is looked for in the bundled `data/`, in the folders that the environment variable WORKBENCH_DATASETS lists,
    and in the user's cache; MovieLens is then downloaded from its publisher, checksum verified and licence shown. A
    folder may hold a publisher's layout, or items.* and interactions.* (users.*) as `read_tables` reads them.

    Args:
        name_or_path: "films", "ml-100k", "ml-1m", "ml-1m-sasrec", "ml-latest-small", "amazon-beauty-2014",
            "amazon-giftcards-2018", the name of a folder in WORKBENCH_DATASETS, or a path.

    Raises:
        FileNotFoundError: if it is nowhere; says which files are wanted, from where, and which names work right now.
        ValueError: if what was found or downloaded is damaged or breaks the contract of the tables.
    """
    name = os.fspath(name_or_path)
    if not isinstance(name_or_path, os.PathLike) and PLAIN_NAME.fullmatch(name):
        for folder in _candidate_folders(name):
            if name in LAYOUTS and _has_files(folder, LAYOUTS[name]):
                return _read(LAYOUTS[name], folder)
            if name not in LAYOUTS and folder.is_dir():
                return _read_folder(folder)
        if name in LAYOUTS:
            return _download(name)
    path = Path(name)
    if path.is_dir():
        return _read_folder(path)
    if path.is_file():
        return _read_file(path)
    near = difflib.get_close_matches(name, LAYOUTS, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    raise FileNotFoundError(
        f"{name!r} is neither a dataset's name nor a folder or file here; {guess}{_names_that_work()}"
    )


def available_datasets() -> list[str]:
    """Return the names that load right now without a download."""
    return [
        name
        for name, layout in LAYOUTS.items()
        if any(_has_files(folder, layout) for folder in _candidate_folders(name))
    ]


def _candidate_folders(name: str) -> list[Path]:
    """Return the folders where a dataset of that name may lie, in the order in which they count."""
    folder = LAYOUTS[name].folder or name if name in LAYOUTS else name
    own = [Path(base) for base in os.environ.get("WORKBENCH_DATASETS", "").split(os.pathsep) if base]
    return [base / folder for base in (BUNDLED, *own, cache_folder())]


def _has_files(folder: Path, layout: Layout) -> bool:
    return all(any((folder / name).is_file() for name in either.split("|")) for either in layout.files)


def _read(layout: Layout, folder: Path) -> Dataset:
    """Read a folder as a layout; a failure names the folder."""
    try:
        return layout.read(folder)
    except ValueError as problem:
        raise ValueError(f"{folder}: {problem}") from problem


def _read_folder(folder: Path) -> Dataset:
    """Read a folder by whichever layout its files match, else as tables of one's own."""
    for name, layout in LAYOUTS.items():
        if _has_files(folder, layout) and (not layout.by_name or folder.resolve().name == name):
            return _read(layout, folder)
    endings = [f"{suffix}{packed}" for suffix in SUFFIXES for packed in ("", ".gz")]
    found = {
        what: next((folder / f"{what}{end}" for end in endings if (folder / f"{what}{end}").is_file()), None)
        for what in ("items", "catalog", "interactions", "users")
    }
    catalog = found.pop("catalog")
    found["items"] = found["items"] or catalog
    if found["items"] is None or found["interactions"] is None:
        raise FileNotFoundError(
            f"{folder}: no known layout: neither a publisher's files nor items.csv and interactions.csv (or .tsv, "
            f".jsonl, .parquet); read other names with read_tables(items=..., interactions=...); {_names_that_work()}"
        )
    return read_tables(**found, name=folder.resolve().name)


def _read_file(path: Path) -> Dataset:
    """Read a publisher's zip, or the folder that one of a layout's files lies in."""
    if path.suffix == ".zip":
        with tempfile.TemporaryDirectory() as work:
            return _read_folder(unpack(path, Path(work) / path.stem))
    if any(path.name in either.split("|") for layout in LAYOUTS.values() for either in layout.files):
        return _read_folder(path.parent)
    raise ValueError(f"{path}: one file is not a dataset; use read_tables(items=..., interactions=...)")


def _download(name: str) -> Dataset:
    """Download a dataset to the cache and read it there."""
    layout = LAYOUTS[name]
    reason = "its publisher offers no download that could be checked"
    if layout.archive:
        try:
            folder = download_archive(
                layout.archive,
                cache_folder() / name,
                sha256=layout.sha256,
                max_bytes=MAX_ARCHIVE,
                licence=publishers.GROUPLENS,
            )
        except (OSError, HTTPException) as problem:
            reason = f"the download failed ({problem})"
        else:
            return _read(layout, folder)
    own_folder = layout.folder or name
    files = ", ".join(either.replace("|", " or ") for either in layout.files)
    raise FileNotFoundError(
        f"{name!r} is not on this machine and {reason}. It needs {files} from {layout.archive or layout.where}. "
        f"Put them into {cache_folder() / own_folder}, or into {own_folder} inside a folder that WORKBENCH_DATASETS "
        f"names. {_names_that_work()}"
    )


def _names_that_work() -> str:
    names = available_datasets()
    return f"names that work right now: {', '.join(names)}" if names else "no name works right now without a download"
