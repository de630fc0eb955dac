"""Does attention explain? Every method held against the simulator's true effects and against the model, on films.

    python benchmarks/explain.py

Over 200 viewers' first recommendations: how far attention, rollout and every attribution agree with what each film of
the history truly does to the recommendation, and with what the model does when films are taken away; the same for
models that have learned nothing. Then the films are simulated again without the steps from a film to the next of its
series or director, a model is trained on that, and what the last film of the history was found to do must be gone: a
last film with a next one in its series must carry no more than any other. Light and heavy films keep their contrast.

Every row is saved as soon as it is measured, in ``benchmarks/results/explain-films.json``; calling again goes on.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from quality import finished_run
from records import RESULTS, Page, Row, fingerprint, machine, say
from transformers import GPT2LMHeadModel

from workbench import insight
from workbench.catalogs import Split, films, leave_one_out, load_dataset
from workbench.evaluation.intervals import bootstrap_means, percentile_interval
from workbench.insight.effects.explanations import (
    ATTENTION,
    EXPLAINERS,
    FLOORS,
    MEASURES,
    KnownCase,
    Simulator,
    average_explanations,
    know_cases,
    read_explanations,
    score_explanations,
)
from workbench.models import GPT2Recommender, start_recommender
from workbench.training import TrainingConfig

CASES, GROUP = 200, 100  # recommendations in part one, and of a group of viewers in part two
LAST = 30  # newest films of a history that everybody reads
REFERENCES = ("random", "attention")  # every row also says how far it lies ahead of these, case by case
QUICK = (*ATTENTION, "occlusion", "masking", "integrated gradients")
METHODS = tuple(method for method in EXPLAINERS if method not in FLOORS)
NO_STEPS = films.Effects(series=0, director=0)
Cases = Callable[[], list[KnownCase]]
LastScores = Callable[[str], tuple[list[KnownCase], pd.DataFrame]]


def measure(
    page: Page, split: Split, simulator: Simulator, models: Mapping[str, GPT2Recommender], *, key: str, n: int = CASES
) -> None:
    """Score every method on every model, over first recommendations of the model called "trained".

    The others explain the same recommendations, so that only what was learned differs.
    """
    histories = sample(split.histories(), n=n)
    cases = functools.cache(lambda: know_cases(models["trained"], simulator, histories, last=LAST))
    for model, recommender in models.items():
        score = functools.cache(functools.partial(scores_of, recommender, cases))
        for method in ("truth", *EXPLAINERS):
            make = functools.partial(method_row, score, method)
            page.once("models", model, method, key=f"{key} {n}", make=make)


def scores_of(recommender: GPT2Recommender, cases: Cases, method: str) -> pd.DataFrame:
    """The scores of one method, one row per case."""
    return score_explanations(recommender, cases(), methods=[method])


def method_row(score: Callable[[str], pd.DataFrame], method: str) -> tuple[Row, None]:
    """Means with intervals, and paired differences to the references."""
    row = average_explanations(score(method)).loc[method].to_dict()
    row["less"] = {other: differences(score(method), score(other)) for other in REFERENCES if other != method}
    if method != "most recent":  # untaught models too read their last word most
        row["top_less_most_recent"] = differences(score(method), score("most recent"))["top"]
    row["removes_as_the_curves_do"] = method == "occlusion"  # ahead by construction: it measures their first step
    return row, None


def differences(scores: pd.DataFrame, others: pd.DataFrame) -> Row:
    """Mean paired difference of every measure, with its interval over cases."""
    gaps = scores[list(MEASURES)].to_numpy(float) - others[list(MEASURES)].to_numpy(float)
    low, high = percentile_interval(bootstrap_means(gaps))
    means = gaps.mean(0)
    return {name: {"mean": means[n], "low": low[n], "high": high[n]} for n, name in enumerate(MEASURES)}


def sample(histories: Mapping[str, Sequence[str]], *, n: int) -> dict[str, Sequence[str]]:
    """At most n users, drawn once and for all, in their order."""
    drawn = np.random.default_rng(0).permutation(len(histories))[:n]
    users = list(histories)
    return {users[place]: histories[users[place]] for place in sorted(drawn)}


@dataclass(frozen=True)
class World:
    """Simulated films, and a model trained on them; perhaps the same world where nothing hangs on the last film."""

    split: Split
    truth: films.Films
    recommender: GPT2Recommender
    still: films.Films | None = None


def measure_last(page: Page, worlds: Mapping[str, World], *, key: str, n: int = GROUP) -> None:
    """Share of all effect that the last film carries, in each world, with and without a next film in its series."""
    for name, world in worlds.items():
        chosen = {group: sample(histories, n=n) for group, histories in groups(world.split).items()}
        score = functools.cache(lambda group, world=world, chosen=chosen: last_scores(world, chosen[group]))
        rows = {group: functools.partial(last_row, world, score, group) for group in chosen}
        rows["difference"] = functools.partial(last_difference, score)
        for group, make in rows.items():
            page.once("last", name, group, key=f"{key} {n}", make=make)


def groups(split: Split) -> dict[str, dict[str, list[str]]]:
    """Histories whose last film has an unseen next one in its series, and those whose last film leads to no step."""
    catalog = split.dataset.catalog
    steps = films.Films(catalog, pd.DataFrame(), films.Effects(popularity=0, drift=0, taste=0, contrast=0, context=0))
    some = steps.transitions.any(axis=1)
    following = next_in_series(catalog)
    rows = {item: row for row, item in enumerate(catalog["item_id"])}
    return {
        "series": {u: h for u, h in split.histories().items() if following.get(h[-1], h[-1]) not in h},
        "no step": {u: h for u, h in split.histories().items() if not some[rows[h[-1]]]},
    }


def next_in_series(catalog: pd.DataFrame) -> dict[str, str]:
    """The next film of a named series, by year and title."""
    named = catalog[catalog["series"].fillna("") != ""].sort_values(["year", "title"])
    return {first: second for _, some in named.groupby("series") for first, second in pairwise(some["item_id"])}


def last_scores(world: World, histories: Mapping[str, Sequence[str]]) -> tuple[list[KnownCase], pd.DataFrame]:
    """Recommendations after some histories, and the truth and quick methods on them."""
    cases = know_cases(world.recommender, world.truth, histories, last=LAST)
    scores = score_explanations(world.recommender, cases, methods=("truth", *QUICK), curves=False)
    if world.still is not None:
        still = know_cases(world.recommender, world.still, histories, last=LAST)
        without = score_explanations(world.recommender, still, methods=["truth"], curves=False)
        scores = pd.concat([scores, without.assign(method="truth without contrast")])
    return cases, scores


def last_row(world: World, score: LastScores, group: str) -> tuple[Row, None]:
    """The last film's share by the truth and by quick methods, and what an even share would be."""
    cases, scores = score(group)
    table = average_explanations(scores)[["last", "last_low", "last_high"]]
    following = next_in_series(world.split.dataset.catalog)
    is_next = [following.get(case.history[-1]) == case.item_id for case in cases]
    row: Row = {"methods": table.to_dict("index"), "cases": len(cases)}
    row["even share"] = float(np.mean([1 / len(case.history) for case in cases]))
    return row | {"recommended the next in the series": float(np.mean(is_next))}, None


def last_difference(score: LastScores) -> tuple[Row, None]:
    """How much more the last film carries with a next one in its series than when it leads to no step."""
    row: Row = {"methods": {}}
    series, no_step = ({m: some["last"] for m, some in score(g)[1].groupby("method")} for g in ("series", "no step"))
    for method, mine in series.items():  # other viewers are in either group, so each is resampled by itself
        samples = [bootstrap_means(one.to_numpy()[:, None], seed=n) for n, one in enumerate((mine, no_step[method]))]
        low, high = percentile_interval(samples[0][:, 0] - samples[1][:, 0])
        gap = mine.mean() - no_step[method].mean()
        row["methods"][method] = {"last": gap, "last_low": low, "last_high": high}  # under the names of the other rows
    return row, None


def untaught(trained: GPT2Recommender) -> dict[str, GPT2Recommender]:
    """Two models of the same shape that saw no history: the usual start, whose rows know genres, and plain chance."""
    shape = trained.model.config
    size = {"layers": shape.n_layer, "width": shape.n_embd, "heads": shape.n_head}
    start, chance = (
        start_recommender(trained.catalog, max_history=trained.template.max_history, **size) for _ in range(2)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        chance.model.load_state_dict(GPT2LMHeadModel(shape).state_dict())
    return {"usual start": start, "plain chance": chance}


def without_steps(split: Split) -> tuple[Split, films.Films]:
    """The same viewers and films, simulated with no step from a film to the next of its series or director."""
    simulation = films.simulate(effects=NO_STEPS)
    dataset = replace(split.dataset, name="films-without-steps", interactions=simulation.interactions)
    return leave_one_out(dataset), films.Films(films.read_catalog(), simulation.taste_groups, NO_STEPS)


def source() -> list[str]:
    """What decides a row besides model and data: the simulator, the methods, and the functions above."""
    room = Path(insight.__file__).parent
    files = [*Path(films.__file__).parent.glob("*.py"), *room.glob("*.py")]
    files += [*(room / "attention").glob("*.py"), *(room / "effects").glob("*.py")]
    above = (scores_of, method_row, differences, sample, groups, last_scores, last_row, last_difference, untaught)
    return [path.read_text("utf-8") for path in sorted(files)] + [inspect.getsource(one) for one in above]


def main() -> int:
    """Measure what is missing and print the tables."""
    page = Page(RESULTS / "explain-films.json")
    split, truth = leave_one_out(load_dataset("films")), films.films_truth()
    trained = finished_run(split, config=TrainingConfig())
    key = fingerprint(split, trained.record["key"], source(), LAST, list(MEASURES))
    page.figures |= {"dataset": "films", "machine": machine(), "history": LAST, "measures": MEASURES}
    measure(page, split, truth, {"trained": trained} | untaught(trained), key=key)
    other, other_truth = without_steps(split)
    worlds = {
        "as bundled": World(split, truth, trained),
        "without steps": World(
            other,
            other_truth,
            finished_run(other, config=TrainingConfig()),
            still=replace(other_truth, effects=replace(NO_STEPS, contrast=0)),
        ),
    }
    measure_last(page, worlds, key=key)
    page.figures["findings"] = findings(page.figures)
    page.save()
    show(page)
    return 0


def findings(figures: Row) -> list[str]:
    """What came out, in sentences that follow from the figures."""
    trained = figures["models"]["trained"]
    best = max(METHODS, key=lambda method: trained[method]["signed"])
    sentences = [
        f"Plausible: {best} agrees most with the true effects, {interval(trained[best], 'signed')}; "
        f"attention {interval(trained['attention'], 'signed')}, by size {interval(trained['attention'], 'size')}; "
        f"random {interval(trained['random'], 'signed')}.",
        f"Faithful: deleting in its order lowers the log-odds by {along(trained, 'deletion')}.",
        f"The other way round: inserting in its order raises the log-odds by {along(trained, 'insertion')}.",
    ]
    sentences += [untaught_sentence(model, figures["models"][model]) for model in ("usual start", "plain chance")]
    for world, found in figures["last"].items():
        shares = {group: row["methods"] for group, row in found.items()}
        told = (
            f"{interval(shares['series'][name], 'last')} against {interval(shares['no step'][name], 'last')}, "
            f"difference {interval(shares['difference'][name], 'last')} by {name}"
            for name in ("truth", "occlusion", "attention", "rollout")
        )
        when = "share of the last film with a next one in its series against one that leads to no step"
        sentences.append(f"Films {world}: {when}: {'; '.join(told)}.")
    return sentences


def along(rows: Row, curve: str) -> str:
    """A curve's mean for the floors, attention, the best method and occlusion, best first."""
    mean = {method: rows[method][curve] for method in EXPLAINERS}
    names = sorted({*FLOORS, "attention", "occlusion", max(METHODS, key=mean.get)}, key=mean.get, reverse=True)
    told = "; ".join(f"{interval(rows[name], curve)} for {name}" for name in names)
    return f"{told} (occlusion is favoured by construction: it measures the first step of deletion)"


def untaught_sentence(model: str, rows: Row) -> str:
    """Which methods agree with the true effects although the model has learned nothing, and which do not."""
    gaps = {
        "signed less random": {method: rows[method]["less"]["random"]["signed"] for method in METHODS},
        "earlier less random": {method: rows[method]["less"]["random"]["earlier"] for method in METHODS},
        "top less most recent": {method: rows[method]["top_less_most_recent"] for method in METHODS},
    }
    told = []
    for name, found in gaps.items():
        apart = [f"{method} {gap['mean']:+.2f}" for method, gap in found.items() if gap["low"] * gap["high"] > 0]
        told.append(f"{name}, {len(apart)} of {len(found)} methods: {', '.join(apart) or 'none'}")
    off = "agreement with the true effects off its floor by a 95 % interval (one in twenty is by chance)"
    return f"Untaught, {model}: {off}: {'; '.join(told)}."


def show(page: Page) -> None:
    """Print both tables."""
    for model, some in read_explanations(page.path).groupby(level="model", sort=False):
        text = {name: [interval(row, name) for _, row in some.iterrows()] for name in MEASURES}
        say(f"{model}\n{pd.DataFrame(text, index=some.index.get_level_values('method')).to_string()}")
    rows = {
        (world, group): {name: interval(one, "last") for name, one in row["methods"].items()}
        | ({"even share": f"{row['even share']:.2f}"} if "even share" in row else {})
        for world, found in page.figures["last"].items()
        for group, row in found.items()
    }
    say(f"share of the last film\n{pd.DataFrame.from_dict(rows, orient='index').to_string()}")
    for sentence in page.figures["findings"]:
        say(sentence)


def interval(row: Mapping[str, float], name: str) -> str:
    """A mean and its interval."""
    return f"{row[name]:.2f} ({row[f'{name}_low']:.2f} to {row[f'{name}_high']:.2f})"


if __name__ == "__main__":
    sys.exit(main())
