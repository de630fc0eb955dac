"""Check the bundled films: facts against MovieLens, synopses against copying and against sentence frames.

    python data/check_films.py

Facts (year, genres, Chinese title) are compared with ml-latest-small where it has the film, and disagreements are
listed for a person to judge: the Chinese titles there are Taiwan's, which often differ from the mainland's. The exit
status is 1 when a synopsis shares eight words in a row with any text in the folder WORKBENCH_DATASETS, when a sentence
frame occurs in more than three synopses, or when the item ids do not follow the order that carries no information.

The frame of a sentence is what is left when every content word becomes "_" and neighbouring "_" become one:
"A widow hides a soldier in her barn." and "A young baker keeps a secret in her cellar." share "a _ a _ in her _". The
frames of a synopsis's opening and closing are its first and last six words with content words replaced one by one. A
frame needs at least three function words: two sentences whose first six words are all content words have no words in
common. Besides, no three first words may agree in more than three synopses; in Chinese, where words are not spaced, no
five first characters.
"""

import gzip
import hashlib
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

CATALOG = Path(__file__).resolve().parent / "films" / "catalog.csv"
RUN_LENGTH = 8
MOST_PER_FRAME = 3
WORD = re.compile(r"[a-z]+(?:'[a-z]+)*|[\u4e00-\u9fff]")  # a Chinese character counts as a word; numbers do not
LETTERS = re.compile(rb"[A-Za-z\x80-\xff]{3}")  # a Chinese character is three bytes; lines of numbers are skipped
FUNCTION_WORDS = set(
    """a about above after again against all along although am among an and another any are around as at away back be
    because been before behind being below beneath beside between beyond both but by can cannot could did do does down
    during each either enough even ever every few for from had has have he her hers herself him himself his how i if in
    inside into is it its itself just like many may might more most much must near neither never next no nobody none nor
    not nothing now of off on once one only onto or other others our out outside over own past per same she should since
    so some somebody someone something soon still such than that the their theirs them themselves then there these they
    this those though through till to too toward towards under unless until up upon was we were what whatever when where
    whether which while who whom whose why will with within without would yet you your""".split()
)


def split_words(text: str) -> list[str]:
    """Lower-case words and single Chinese characters of a text."""
    return WORD.findall(text.lower().replace("’", "'"))


def read_runs(words: list[str]) -> set[str]:
    """Every run of eight neighbouring words."""
    return {" ".join(words[i : i + RUN_LENGTH]) for i in range(len(words) - RUN_LENGTH + 1)}


def read_texts(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every text below a folder, line by line or cell by cell, with its file; numbers-only files give nothing."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            for name in table.select_dtypes(exclude=["number", "bool", "datetime", "datetimetz"]):
                yield from ((path, cell) for cell in set(map(str, table[name])))
        else:
            opened = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
            with opened as lines:
                yield from ((path, line.decode("utf-8", "replace")) for line in lines if LETTERS.search(line))


def find_shared_runs(catalog: pd.DataFrame, folder: Path) -> list[str]:
    """One line per synopsis and file that share eight words in a row."""
    owners = defaultdict(set)
    for film in catalog.itertuples():
        for text in (film.description, film.description_zh):
            for run in read_runs(split_words(text)):
                owners[run].add(film.title)
    found = set()
    for path, text in read_texts(folder):
        for run in read_runs(split_words(text)) & owners.keys():
            found |= {f"{title}: {run!r} is also in {path.relative_to(folder)}" for title in owners[run]}
    return sorted(found)


def frame_sentence(sentence: str) -> str:
    """A sentence with its content words replaced by one slot per stretch."""
    slots = [word if word in FUNCTION_WORDS else "_" for word in split_words(sentence)]
    return " ".join(slot for i, slot in enumerate(slots) if slot != "_" or i == 0 or slots[i - 1] != "_")


def frame_words(words: list[str]) -> str:
    """A few words with the content words replaced by slots, one by one."""
    return " ".join(word if word in FUNCTION_WORDS else "_" for word in words)


def find_repeated_frames(catalog: pd.DataFrame) -> list[str]:
    """One line per frame or wording that occurs in more than three synopses."""
    users = defaultdict(set)
    for film in catalog.itertuples():
        words = split_words(film.description)
        frames = [("sentence", frame_sentence(text)) for text in re.split(r"(?<=[.!?])\s+", film.description)]
        frames += [("opening", frame_words(words[:6])), ("closing", frame_words(words[-6:]))]
        framed = [(kind, frame) for kind, frame in frames if len(frame.replace("_", " ").split()) >= 3]
        for key in [*framed, ("first words", " ".join(words[:3])), ("Chinese opening", film.description_zh[:5])]:
            users[key].add(film.title)
    repeated = [(kind, frame, names) for (kind, frame), names in users.items() if len(names) > MOST_PER_FRAME]
    return [f"{kind} {frame!r} in {len(names)}: {', '.join(sorted(names))}" for kind, frame, names in sorted(repeated)]


def find_telling_ids(catalog: pd.DataFrame) -> list[str]:
    """One line per item id that is not the place of the film in the order of a hash of title and year."""
    keys = [hashlib.sha256(f"{film.title}|{film.year}".encode()).hexdigest() for film in catalog.itertuples()]
    expected = {key: f"f{place:03d}" for place, key in enumerate(sorted(keys), start=1)}
    return [
        f"{film.title} is {film.item_id}, expected {expected[key]}"
        for film, key in zip(catalog.itertuples(), keys, strict=True)
        if film.item_id != expected[key]
    ]


def simplify(title: str) -> str:
    """A title as a key: lower case, article last or first dropped, letters and digits only."""
    title = re.sub(r"\s*\([^)]*\)", "", title).lower()
    title = re.sub(r"^(the|a|an)\s+|,\s*(the|a|an|le|la|les|il|der|das|die|el)$", "", title.strip())
    return re.sub(r"[^a-z0-9]+", "", title.replace("&", "and"))


def spell_keys(movielens_title: str) -> set[str]:
    """Keys of a MovieLens title and of the alternative titles it carries in brackets."""
    bare = re.sub(r"\s*\((\d{4})\)\s*$", "", movielens_title)
    alternatives = re.findall(r"\((?:a\.k\.a\. )?([^)]*)\)", bare)
    return {simplify(name) for name in [re.sub(r"\s*\([^)]*\)", "", bare), *alternatives]} - {""}


def find_disagreements(catalog: pd.DataFrame, folder: Path) -> tuple[int, list[str]]:
    """How many films ml-latest-small has too, and one line per year, set of genres or Chinese title that differs."""
    from opencc import OpenCC

    to_simplified = OpenCC("t2s").convert
    movies = pd.read_csv(folder / "movies.csv")
    movies["year"] = pd.to_numeric(movies["title"].str.extract(r"\((\d{4})\)\s*$")[0])
    chinese = pd.read_csv(folder / "titles_zh.csv").set_index("movieId")["title_zh"].to_dict()
    known = defaultdict(list)
    for movie in movies.dropna(subset=["year"]).itertuples():
        for key in spell_keys(movie.title):
            known[key].append(movie)
    matched, lines = 0, []
    for film in catalog.itertuples():
        same = min(known[simplify(film.title)], key=lambda movie: abs(movie.year - film.year), default=None)
        if same is None or abs(same.year - film.year) > 3:  # further apart it is another film of the same name
            continue
        matched += 1
        ours, theirs = set(film.genres.split("|")), set(same.genres.split("|")) - {"IMAX"}  # a format, no genre
        if same.year != film.year:
            lines.append(f"{film.title}: year {film.year}, MovieLens {same.year:.0f}")
        if ours != theirs:
            added, missing = "|".join(sorted(ours - theirs)), "|".join(sorted(theirs - ours))
            lines.append(f"{film.title} ({film.year}): genres +{added or 'none'} -{missing or 'none'}")
        title = to_simplified(chinese.get(same.movieId, film.title_zh))
        if title != film.title_zh:
            lines.append(f"{film.title} ({film.year}): Chinese title {film.title_zh}, TMDB for Taiwan {title}")
    return matched, lines


def report(name: str, lines: Iterable[str]) -> int:
    """Print a finding's lines under its name; how many there are."""
    lines = list(lines)
    print(f"\n{name}: {len(lines)}", *lines, sep="\n  ")
    return len(lines)


def main() -> int:
    """Run every check; 1 when a rule is broken, 2 when the real datasets are not there to check against."""
    catalog = pd.read_csv(CATALOG, dtype={"item_id": str}, keep_default_na=False)
    broken = report("ids that tell something", find_telling_ids(catalog))
    broken += report(f"frames in more than {MOST_PER_FRAME} synopses", find_repeated_frames(catalog))
    folder = Path(os.environ.get("WORKBENCH_DATASETS", "").split(os.pathsep)[0] or "missing")
    if not (folder / "ml-latest-small").is_dir():
        print(f"\nno ml-latest-small in WORKBENCH_DATASETS ({folder}): set it to the folder of real datasets.")
        return 1 if broken else 2
    broken += report("eight-word runs shared with a dataset", find_shared_runs(catalog, folder))
    matched, lines = find_disagreements(catalog, folder / "ml-latest-small")
    report(f"disagreements with ml-latest-small ({matched} of {len(catalog)} films are in it)", lines)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
