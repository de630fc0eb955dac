"""Users and items on one map: is it one, does it keep the ranking, do its groups mean something, and what does it cost?

    python benchmarks/maps.py [films] [ml-100k] [scale]

Per dataset and seed: how much users and items mix, as the model leaves its vectors and after aligning them; what of
the model's own ranking the nearest items keep, as a share and as a paired difference; how far the picture can be
believed. On films, groups of viewers are held against the planted ones. ``scale`` fits 10,000 items and 10,000 users,
made by scattering the vectors of ml-100k, after a smaller fit has compiled everything; past 60 seconds, it fails.

Every row is saved as soon as it is measured, in ``benchmarks/results/maps.json``; calling again goes on.
"""

import argparse
import inspect
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from quality import described, finished_run
from records import RESULTS, Page, Row, fingerprint, machine, say

from workbench.catalogs import Split, films, leave_one_out, load_dataset
from workbench.evaluation import compare, evaluate
from workbench.insight import NearestItems, agree_with, align_kinds, count_groups, find_groups, fit_map, maps, mixing
from workbench.models import GPT2Recommender, embed_items, embed_profiles, embed_users
from workbench.training import TrainingConfig

SEEDS = (0, 1, 2)
MANY, WARM = 10_000, 2_500  # of either kind; UMAP searches neighbours as it does for many from 4,096 points on
LIMIT = 60  # seconds to align and fit them


def measure_seed(recommender: GPT2Recommender, split: Split) -> tuple[Row, None]:
    """One trained model: its two maps, and its ranking beside the nearest items."""
    vectors = pd.concat([embed_items(recommender), embed_users(recommender, split.histories())])
    aligned = align_kinds(vectors)
    kinds = vectors.index.get_level_values("kind")
    row: Row = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, table in (("as left", vectors), ("aligned", aligned)):
            found = fit_map(table, folder=folder)
            among = mixing(table.to_numpy(), kinds, metric="cosine")
            row[name] = {**found.quality, "mixing of vectors": among, "seconds": found.seconds}
    table = evaluate({"model": recommender, "nearest": NearestItems(recommender)}, split, k=[10, 50])
    row["ranking"] = table[["hit_rate@10", "hit_rate@50", "ndcg@10"]].T.to_dict()
    share = table.loc["nearest"] / table.loc["model"]
    row["kept"] = share[["hit_rate@10", "hit_rate@50", "ndcg@10"]].to_dict()
    ranks = table.attrs["ranks"]
    row["difference"] = described(compare(ranks["nearest"], ranks["model"], split, metric="hit_rate"))
    return row, None


def measure_groups(recommender: GPT2Recommender, split: Split) -> tuple[Row, None]:
    """Groups of viewers against the planted taste groups, beside the floor, and what nobody can exceed."""
    histories, truth = split.histories(), films.films_truth()
    aligned = align_kinds(pd.concat([embed_items(recommender), embed_users(recommender, histories)]))
    profiles = embed_profiles(aligned.loc[["item"]], histories)
    users = profiles.index.get_level_values("id")
    people = truth.taste_groups.set_index("user_id").loc[users]
    floor = count_groups({user: histories[user] for user in users}, count=people["taste_group"].nunique())
    found = {"ceiling": pd.Series([truth.infer_group(histories[user]) for user in users], index=users)}
    with tempfile.TemporaryDirectory() as folder:
        for name, vectors in {"profiles": profiles, "what comes next": aligned.loc[profiles.index]}.items():
            found[name] = find_groups(vectors, folder=folder)["group"]
    row: Row = {}
    single = (people["weight"] == 1).to_numpy()
    for name, groups in found.items():
        row[name] = agree_with(groups, people["taste_group"], floor=floor).T.to_dict()
        alone = agree_with(groups[single], people["taste_group"][single], floor=floor[single])
        row[name]["one taste"] = alone.T.to_dict()
        row[name]["groups"] = int(groups[groups != -1].nunique())
        row[name]["none"] = float((groups == -1).mean())
    return row, None


def measure_scale(recommender: GPT2Recommender, split: Split) -> tuple[Row, None]:
    """Seconds to align and to fit 10,000 items and 10,000 users, in this process, with UMAP compiled before."""
    kinds = [embed_items(recommender), embed_users(recommender, split.histories())]
    warm, many = (pd.concat([scatter(vectors, n=n) for vectors in kinds]) for n in (WARM, MANY))
    with tempfile.TemporaryDirectory() as folder:
        fit_map(align_kinds(warm), folder=folder)
        begun = time.monotonic()
        aligned = align_kinds(many)
        seconds = {"align": time.monotonic() - begun}
        begun = time.monotonic()
        found = fit_map(aligned, folder=folder)
    return {"points": len(many), "seconds": {**seconds, "fit": found.seconds}, "quality": found.quality}, None


def means_of(rows: Sequence[Row]) -> Row:
    """Means over seeds, and the least that any seed kept of the ranking."""
    means: Row = {}
    for which in ("as left", "aligned", "kept"):
        table = pd.DataFrame([row[which] for row in rows])
        means[which] = table.mean().to_dict()
    means["least kept"] = pd.DataFrame([row["kept"] for row in rows]).min().to_dict()
    return means


def means_of_groups(rows: Sequence[Row]) -> Row:
    """Agreement with the planted groups, mean over seeds; ends of intervals are the widest of the seeds."""
    means: Row = {}
    for which in ("profiles", "what comes next", "ceiling"):
        for score in ("rand", "information"):
            table = pd.DataFrame([row[which][score] for row in rows])
            ends = {"difference_low": table["difference_low"].min(), "difference_high": table["difference_high"].max()}
            means.setdefault(which, {})[score] = table.mean().to_dict() | ends
            means[which][score]["one taste"] = float(np.mean([row[which]["one taste"][score]["value"] for row in rows]))
        means[which]["none"] = max(row[which]["none"] for row in rows)
    return means


def scatter(vectors: pd.DataFrame, *, n: int) -> pd.DataFrame:
    """Many vectors like these: drawn with replacement, moved by half their spread."""
    rng = np.random.default_rng(0)
    values = vectors.to_numpy()
    drawn = values[rng.integers(len(values), size=n)]
    drawn = drawn + 0.5 * values.std(axis=0) * rng.standard_normal(drawn.shape, dtype=np.float32)
    kind = vectors.index.get_level_values("kind")[0]
    index = pd.MultiIndex.from_product([[kind], [str(place) for place in range(n)]], names=["kind", "id"])
    return pd.DataFrame(drawn, index=index, columns=vectors.columns)


def source() -> list[str]:
    """What the rows were measured with: another way to embed, align, fit or group makes another key."""
    files = [*sorted(Path(maps.__file__).parent.glob("*.py")), Path(inspect.getfile(embed_items))]
    above = (measure_seed, measure_groups, measure_scale, scatter)
    return [path.read_text("utf-8") for path in files] + [inspect.getsource(one) for one in above]


def main(words: Sequence[str]) -> int:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(prog="maps.py", description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["films", "ml-100k", "scale"])
    wanted = parser.parse_args(words).what
    page = Page(RESULTS / "maps.json")
    page.figures["machine"] = machine()
    for name in [name for name in wanted if name != "scale"]:
        split = leave_one_out(load_dataset(name))
        for seed in SEEDS:
            recommender = finished_run(split, config=TrainingConfig(seed=seed))
            key = fingerprint(split, recommender.record["key"], source())
            page.once(name, f"seed {seed}", key=key, make=lambda: measure_seed(recommender, split))  # noqa: B023
            if name == "films":
                page.once("groups", f"seed {seed}", key=key, make=lambda: measure_groups(recommender, split))  # noqa: B023
        page.figures.setdefault("means", {})[name] = means_of([page.figures[name][f"seed {seed}"] for seed in SEEDS])
        say(f"{name}: {page.figures['means'][name]}")
    if "films" in wanted:
        page.figures["means"]["groups"] = means_of_groups([page.figures["groups"][f"seed {seed}"] for seed in SEEDS])
        say(f"groups: {page.figures['means']['groups']}")
    if "scale" in wanted:
        split = leave_one_out(load_dataset("ml-100k"))
        recommender = finished_run(split, config=TrainingConfig())
        key = fingerprint(split, recommender.record["key"], source())
        row = page.once("scale", key=key, make=lambda: measure_scale(recommender, split))
        seconds = sum(row["seconds"].values())
        say(f"scale: {row['points']:,} points aligned and fitted in {seconds:.0f} s; the limit is {LIMIT} s")
    page.save()
    return int("scale" in wanted and seconds > LIMIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
