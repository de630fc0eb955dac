"""Publishers' own layouts, read as they are: one function per layout, a folder in, a `Dataset` out.

Ids and interactions are never touched here. Texts are mended (entities, the year and the trailing article of titles),
personal fields are left at the door, and the card says both.
"""

import io
import json
import re
from pathlib import Path

import pandas as pd

from workbench.catalogs.cleaning import front_articles, split_title_years, unescape_columns
from workbench.catalogs.dataset import Dataset, build_dataset
from workbench.catalogs.schema import require_columns
from workbench.catalogs.tables import read_table, read_text

GROUPLENS = "GroupLens: research use, acknowledge; no redistribution or commercial use without permission"
UCSD = "Amazon reviews (McAuley, UCSD): research use; no formal licence"
RATING_COLUMNS = ["user_id", "item_id", "rating", "timestamp"]
AGES = {"1": "under 18", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56 or older"}
VERSIONS = {"ml-100k": "4/1998", "ml-1m": "2/2003", "ml-1m-sasrec": "SASRec's file", "ml-latest-small": "9/2018"}
TAG = re.compile(r"<[^<>]*>")


def read_films(folder: Path) -> Dataset:
    """Read the bundled films: catalog.csv, interactions.csv.gz, users.csv; the viewers are simulated."""
    return build_dataset(
        name="films",
        catalog=read_table(folder / "catalog.csv"),
        interactions=read_table(folder / "interactions.csv.gz"),
        users=read_table(folder / "users.csv"),
        card={
            "source": "this repository: real films (facts), synopses in our own words, simulated viewers",
            "licence": "MIT",
            "findings": ["the viewers and all their interactions and reviews are simulated"],
        },
    )


def read_ml_100k(folder: Path) -> Dataset:
    """Read MovieLens-100K: u.data, u.item (latin-1), u.genre, u.user; summaries from movie_wiki.csv when present."""
    genres = _lines(folder / "u.genre", "|")[0].tolist()
    items = _lines(folder / "u.item", "|", encoding="latin-1", fields=5 + len(genres))
    catalog = pd.DataFrame({"item_id": items[0], "title": items[1]})
    flags = items.iloc[:, 5 : 5 + len(genres)].eq("1").to_numpy()
    catalog["genres"] = ["|".join(g for g, on in zip(genres, row, strict=True) if on) for row in flags]
    findings = []
    if (folder / "movie_wiki.csv").is_file():
        summaries = read_table(folder / "movie_wiki.csv").drop_duplicates("movie_title").set_index("movie_title")
        catalog["description"] = catalog["title"].map(summaries["wiki_summary"])
        findings.append(
            f"{int(catalog['description'].notna().sum()):,} descriptions are Wikipedia sentences (CC BY-SA) matched by "
            f"title: a few are wrong, {int((catalog['description'].str.len() < 30).sum())} shorter than 30 characters"
        )
    users = None
    if (folder / "u.user").is_file():
        users = _lines(folder / "u.user", "|", names=["user_id", "age", "gender", "occupation", "zip"])
        users["age"] = users["age"].astype("Int64")
    return _movielens("ml-100k", catalog, _ratings(folder / "u.data", "\t"), users=users, findings=findings)


def read_ml_1m(folder: Path) -> Dataset:
    """Read MovieLens-1M: movies.dat, users.dat (latin-1) and the ratings.

    The ratings come from the publisher's ratings.dat if it is there, else from ratings.parquet or
    ratings_rebuilt.dat.gz, in which 455,777 times are estimates; the card says which.
    """
    catalog = _lines(folder / "movies.dat", "::", encoding="latin-1", names=["item_id", "title", "genres"])
    user_fields = ["user_id", "gender", "age", "occupation", "zip"]
    users = _lines(folder / "users.dat", "::", encoding="latin-1", names=user_fields)
    users["age"] = users["age"].map(AGES)
    findings = _add_abstracts(catalog, catalog["item_id"], folder)
    if (folder / "ratings.dat").is_file():
        ratings = _ratings(folder / "ratings.dat", "::")
    else:
        rebuilt = "ratings.parquet" if (folder / "ratings.parquet").is_file() else "ratings_rebuilt.dat.gz"
        findings.append(
            f"the ratings are a reconstruction ({rebuilt}): 455,777 of 1,000,209 times are estimates, all before "
            "2000-12-02 14:52 UTC; a user's own order and a global cut at or after that moment are exact"
        )
        if rebuilt.endswith(".gz"):
            ratings = _ratings(folder / rebuilt, "::")
        else:
            table = pd.read_parquet(folder / rebuilt).sort_values("file_row", kind="stable")
            table = table.rename(columns={"movie_id": "item_id", "ts_exact": "time_is_exact"})
            ratings = table[[*RATING_COLUMNS, "time_is_exact"]]
    return _movielens("ml-1m", catalog, ratings, users=users, findings=findings)


def read_ml_1m_sasrec(folder: Path) -> Dataset:
    """Read SASRec's version of MovieLens-1M: "user item" lines in time order, without times; titles added."""
    events = _lines(folder / "ml-1m_sasrec.txt.gz", " ", names=["user_id", "item_id"])
    events["position"] = events.groupby("user_id").cumcount()
    catalog = read_table(folder / "sasrec_items.csv").rename(columns={"sasrec_item": "item_id"})
    findings = _add_abstracts(catalog, catalog["movie_id"], folder)
    findings.append("only the order of a user's events is known; SASRec's authors kept items with five or more ratings")
    return _movielens("ml-1m-sasrec", catalog, events, findings=findings)


def read_ml_latest_small(folder: Path) -> Dataset:
    """Read MovieLens ml-latest-small: movies.csv, ratings.csv; overviews and Chinese titles when present.

    Larger MovieLens sets share the layout, so the dataset is called what its folder is called.
    """
    catalog = read_table(folder / "movies.csv")
    require_columns(catalog, ["movieId", "title", "genres"], what="movies.csv")
    findings = []
    if (folder / "movies_with_overview.csv").is_file():
        overviews = read_table(folder / "movies_with_overview.csv").set_index("movieId")["overview"]
        catalog["description"] = catalog["movieId"].map(overviews)
        findings.append(f"{int(catalog['description'].notna().sum()):,} descriptions come from TMDB (non-commercial)")
    if (folder / "titles_zh.csv").is_file():
        chinese = read_table(folder / "titles_zh.csv").set_index("movieId")
        catalog["title_zh"] = catalog["movieId"].map(chinese["title_zh"])
        catalog["director"] = catalog["movieId"].map(chinese["director"])
        findings.append(f"{int(catalog['title_zh'].notna().sum()):,} Chinese titles, in traditional characters (TMDB)")
    catalog["genres"] = catalog["genres"].mask(catalog["genres"] == "(no genres listed)")
    names = {"movieId": "item_id", "userId": "user_id"}
    ratings = read_table(folder / "ratings.csv").rename(columns=names)
    return _movielens(folder.resolve().name, catalog.rename(columns=names), ratings, findings=findings)


def read_amazon_beauty_2014(folder: Path) -> Dataset:
    """Read the Amazon Beauty 2014 5-core of S3-Rec and TIGER: order only, no times."""
    items = read_table(folder / "items.parquet")
    catalog = pd.DataFrame({"item_id": items["item_id"], "title": items["title"], "asin": items["asin"]})
    catalog["genres"] = items["attributes"].map("|".join)
    steps = ["the publisher's reviewer codes left out: the numbered users are kept"]
    catalog = unescape_columns(catalog, steps)
    events = read_table(folder / "interactions.parquet")[["user_id", "item_id", "seq_pos"]]
    findings = ["genres holds brand (sometimes 'Unknown') and categories", "only the order of a user's events is known"]
    return build_dataset(
        name="amazon-beauty-2014",
        catalog=catalog,
        interactions=events.rename(columns={"seq_pos": "position"}),
        card={"source": "Amazon reviews, S3-Rec's ids", "version": "2014, 5-core", "licence": UCSD}
        | {"cleaning": steps, "findings": findings},
    )


def read_amazon_giftcards_2018(folder: Path) -> Dataset:
    """Read Amazon Gift Cards 2018: reviews of the 5-core and metadata, both JSON lines; reviewer names never enter."""
    kept = {"reviewerID": "user_id", "asin": "item_id", "overall": "rating", "unixReviewTime": "timestamp"}
    kept |= {"reviewText": "review", "summary": "summary"}
    events = read_table(folder / "Gift_Cards_5.json.gz", keep=kept).rename(columns=kept)
    meta = read_table(folder / "meta_Gift_Cards.json.gz", keep=["asin", "title", "brand", "category", "description"])
    catalog = pd.DataFrame({"item_id": meta["asin"], "title": meta["title"]})
    catalog["genres"] = meta["category"].map(lambda names: "|".join(dict.fromkeys(names)) or None)
    catalog["brand"] = meta["brand"].mask(meta["brand"] == "")
    catalog["description"] = meta["description"].map(lambda parts: " ".join(parts).strip() or None)
    steps = ["reviewer names left at the door"]
    catalog = unescape_columns(catalog, steps)
    for column in ("genres", "description"):
        catalog[column] = (
            catalog[column].str.replace(TAG, " ", regex=True).str.split().str.join(" ").replace("", None).astype("str")
        )
    steps.append("HTML tags taken out of genres and descriptions")
    return build_dataset(
        name="amazon-giftcards-2018",
        catalog=catalog,
        interactions=unescape_columns(events, steps, columns=["review", "summary"]),
        card={"source": "Amazon reviews, Gift Cards", "version": "2018, 5-core", "licence": UCSD, "cleaning": steps},
    )


def _movielens(
    name: str, catalog: pd.DataFrame, ratings: pd.DataFrame, *, findings: list[str], users: pd.DataFrame | None = None
) -> Dataset:
    """Mend the titles, leave postal codes out and put a MovieLens dataset together."""
    steps: list[str] = []
    catalog = front_articles(split_title_years(unescape_columns(catalog, steps), steps), steps)
    if users is not None:
        users = users.drop(columns="zip")
        steps.append("postal codes of users left at the door")
    card = {"source": "GroupLens, University of Minnesota", "version": VERSIONS.get(name, ""), "licence": GROUPLENS}
    card |= {"cleaning": steps, "findings": findings}
    return build_dataset(name=name, catalog=catalog, interactions=ratings, users=users, card=card)


def _add_abstracts(catalog: pd.DataFrame, movie_ids: pd.Series, folder: Path) -> list[str]:
    """Add DBpedia abstracts as descriptions, where the file is there, and return what to say about them."""
    if not (folder / "dbpedia_abstracts.json.gz").is_file():
        return []
    catalog["description"] = movie_ids.map(json.loads(read_text(folder / "dbpedia_abstracts.json.gz")))
    return [f"{int(catalog['description'].notna().sum()):,} descriptions are DBpedia abstracts (CC BY-SA)"]


def _ratings(path: Path, separator: str) -> pd.DataFrame:
    return _lines(path, separator, names=RATING_COLUMNS)


def _lines(
    path: Path, separator: str, *, encoding: str = "utf-8", names: list[str] | None = None, fields: int = 0
) -> pd.DataFrame:
    """Read a file without header or quotes whose fields stand between `separator`; every column is text."""
    text = read_text(path, encoding=encoding)
    if not text.strip():
        raise ValueError(f"{path.name}: the file is empty; fetch it again")
    if len(separator) > 1:
        text, separator = text.replace(separator, "\t"), "\t"
    # quoting=3: a quotation mark in a title is a quotation mark.
    table = pd.read_csv(
        io.StringIO(text), sep=separator, header=None, dtype="str", quoting=3, keep_default_na=False, na_values=[""]
    )
    fields = len(names or ()) or fields
    if fields and table.shape[1] != fields:
        raise ValueError(f"{path.name}: {table.shape[1]} fields in a line where {fields} are expected; fetch it again")
    return table if names is None else table.set_axis(names, axis=1)
