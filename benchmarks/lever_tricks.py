"""Changes to training that no setting makes, for ``levers.py``: each holds while its block runs.

They stand here and not in the package because none has earned a place there; what each was worth is in LOG.md.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

from workbench.catalogs import Split
from workbench.language import Vocabulary
from workbench.models import GPT2Recommender
from workbench.models.repeats import read_before
from workbench.training import batches, loss
from workbench.training.batches import Sentences
from workbench.training.watch import Watch
from workbench.training.windows import padded, read_histories

UNKNOWN, AT_ONCE = 0, 1  # gaps: nothing came before, no time passed; then powers of two of a second
GAPS, SECOND = 32, 10**9  # times are in nanoseconds


class UnitLength(nn.Module):
    """Vectors of length ``scale``, of whatever length they were."""

    def __init__(self, scale: float) -> None:
        """Give the length."""
        super().__init__()
        self.scale = scale

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Same shape, (..., d_model)."""
        return self.scale * functional.normalize(vectors, dim=-1)


class ReadApart(nn.Embedding):
    """Rows that are read are others than the rows that score: ``weight`` stays what scores."""

    def __init__(self, scoring: nn.Embedding) -> None:
        """Both begin as the table that is given."""
        super().__init__(*scoring.weight.shape, _weight=scoring.weight.data)
        self.read = nn.Parameter(scoring.weight.data.clone())

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Vectors of the words, (..., d_model)."""
        return functional.embedding(ids, self.read)


class ReadWithGaps(nn.Embedding):
    """Ids carry a gap: ``word + n_words * gap``; what is read is the word's row plus the gap's."""

    def __init__(self, words: nn.Embedding) -> None:
        """Gaps begin as nothing."""
        super().__init__(*words.weight.shape, _weight=words.weight.data)
        self.gaps = nn.Parameter(torch.zeros(GAPS, words.embedding_dim))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Vectors of the words and gaps, (..., d_model)."""
        size = self.num_embeddings
        return functional.embedding(ids % size, self.weight) + functional.embedding(ids // size, self.gaps)


class Forgetful(nn.Embedding):
    """Items are read as nothing now and then, while training."""

    def __init__(self, words: nn.Embedding, items: slice, share: float) -> None:
        """Give the words of the items, and how often."""
        super().__init__(*words.weight.shape, _weight=words.weight.data)
        self.items, self.share = items, share

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Vectors of the words, (..., d_model)."""
        rows = functional.embedding(ids, self.weight)
        if not self.training:
            return rows
        lost = (ids >= self.items.start) & (ids < self.items.stop) & (torch.rand_like(rows[..., 0]) < self.share)
        return rows.masked_fill(lost.unsqueeze(-1), 0)


class Shifted(nn.Embedding):
    """Places of a sentence, counted from another first place at each step of training."""

    def __init__(self, places: nn.Embedding) -> None:
        """Begin as the table that is given."""
        super().__init__(*places.weight.shape, _weight=places.weight.data)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        """Vectors of the places, (..., d_model)."""
        spare = self.num_embeddings - int(places.max()) if self.training else 1
        return functional.embedding(places + int(torch.randint(spare, ())), self.weight)


def cosine(temperature: float, _: Split) -> AbstractContextManager[None]:
    """Items are scored by the cosine to the state, divided by the temperature."""

    def change(recommender: GPT2Recommender) -> None:
        transformer = recommender.model.transformer
        parametrize.register_parametrization(transformer.wte, "weight", UnitLength(1.0))
        transformer.ln_f = UnitLength(1 / temperature)

    return _begin_with(change)


def untied(_: float, __: Split) -> AbstractContextManager[None]:
    """Items are read with other rows than they are scored with."""

    def change(recommender: GPT2Recommender) -> None:
        recommender.model.transformer.wte = ReadApart(recommender.model.transformer.wte)

    return _begin_with(change)


def forget(share: float, _: Split) -> AbstractContextManager[None]:
    """This share of the items of a history is read as nothing while training; all of them remain targets."""

    def change(recommender: GPT2Recommender) -> None:
        transformer = recommender.model.transformer
        transformer.wte = Forgetful(transformer.wte, recommender.vocabulary.item_words, share)

    return _begin_with(change)


def shift(_: float, __: Split) -> AbstractContextManager[None]:
    """Sentences begin at a random place while training, so that how far apart items stand counts and not where."""

    def change(recommender: GPT2Recommender) -> None:
        recommender.model.transformer.wpe = Shifted(recommender.model.transformer.wpe)

    return _begin_with(change)


def repeats(_: float, __: Split) -> AbstractContextManager[None]:
    """Items that were read take part in the softmax as any, as if people met items again."""

    def change(recommender: GPT2Recommender) -> None:
        recommender.model.config.each_item_once = False

    return _begin_with(change)


@contextmanager
def average(decay: float, _: Split) -> Iterator[None]:
    """What is validated and kept are running means of the weights; a mean forgets ``1 - decay`` at every step."""
    end_step, validate = Watch.on_step_end, Watch._validate  # noqa: SLF001
    means: dict[str, torch.Tensor] = {}

    def average_then_end(self: Watch, args, state, control, **others) -> None:  # noqa: ANN001
        share = min(decay, (1 + state.global_step) / (10 + state.global_step))
        for name, weight in self.module.transformer.named_parameters():
            if name in means:
                means[name].lerp_(weight.detach(), 1 - share)
            else:
                means[name] = weight.detach().clone()
        end_step(self, args, state, control, **others)

    def validate_means(self: Watch, step: int) -> bool:
        weights = dict(self.module.transformer.named_parameters())
        newest = {name: weight.detach().clone() for name, weight in weights.items()}
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(means[name])
            better = validate(self, step)
            for name, weight in weights.items():
                weight.copy_(newest[name])
        return better

    with patch.object(Watch, "on_step_end", average_then_end), patch.object(Watch, "_validate", validate_means):
        yield


@contextmanager
def one_window(_: float, __: Split) -> Iterator[None]:
    """Of a long history one window an epoch, at a random place, instead of as many as cover it."""

    def cut(histories: list[np.ndarray], length: int) -> np.ndarray:
        sizes = [(user, max(len(history) - length, 0), len(history)) for user, history in enumerate(histories)]
        return np.array([(user, 0, spare, min(size, length)) for user, spare, size in sizes])

    with patch.object(batches, "cut_windows", cut):
        yield


@contextmanager
def gaps(_: float, split: Split) -> Iterator[None]:
    """The time since the event before is added to an item's word, in powers of two of a second; nothing of the target.

    Where a prompt is ranked, its gaps are found by its items: only prompts of training histories have them.
    """
    write = Sentences._history_group  # noqa: SLF001

    def write_with_gaps(self: Sentences, chosen: np.ndarray, rng: np.random.Generator, step: int) -> dict:
        same, rows = copy.deepcopy(rng), []
        for user, low, high, length in self.windows[chosen]:
            start = same.integers(low, high + 1)
            same.random(length)  # the order of events of one time, which changes no gap
            rows.append([UNKNOWN, *gaps_of(self.times[user][start : start + length])][:-1])  # the last is not read
        group = write(self, chosen, rng, step)
        size = len(self.recommender.model.transformer.wte.weight)
        n_columns = group["words"].shape[1]
        return group | {"words": group["words"] + size * padded(rows, UNKNOWN, at_most=n_columns)[:, :n_columns]}

    def change(recommender: GPT2Recommender) -> None:
        table = recommender.model.transformer.wte = ReadWithGaps(recommender.model.transformer.wte)
        words, known, read = recommender.vocabulary, {}, recommender.hidden_states
        _, histories, times = read_histories(split.train, items=words.spelling.items)
        for history, own in zip(histories, times, strict=True):
            newest = slice(-recommender.template.max_history, None)
            known[tuple(words.spelled[row][0] for row in history[newest])] = gaps_of(own[newest])

        def read_with_gaps(prompts: list[list[int]]) -> torch.Tensor:
            told = [known.get(tuple(prompt[1:]), [UNKNOWN] * (len(prompt) - 1)) for prompt in prompts]
            size = table.num_embeddings
            return read(
                [
                    [prompt[0], *[word + size * gap for word, gap in zip(prompt[1:], own, strict=True)]]
                    for prompt, own in zip(prompts, told, strict=True)
                ]
            )

        recommender.hidden_states = read_with_gaps

    def read_before_without_gaps(words: torch.Tensor, known: torch.Tensor, *, vocabulary: Vocabulary) -> torch.Tensor:
        return read_before(words % vocabulary.size, known, vocabulary=vocabulary)

    with (
        patch.object(Sentences, "_history_group", write_with_gaps),
        patch.object(loss, "read_before", read_before_without_gaps),
        _begin_with(change),
    ):
        yield


def gaps_of(times: np.ndarray) -> list[int]:
    """A number for the time since the event before, 0 to 31, one for each event.

    Example:
        >>> gaps_of(np.array([100, 100, 101, 107]) * SECOND)  # nothing before; no time; 1 s; 6 s, at least 4
        [0, 1, 2, 4]
    """
    passed = np.diff(times) / SECOND
    powers = np.where(passed < 1, AT_ONCE, AT_ONCE + 1 + np.floor(np.log2(np.maximum(passed, 1))))
    return [UNKNOWN, *np.minimum(powers, GAPS - 1).astype(int).tolist()][: len(times)]


@contextmanager
def _begin_with(change: Callable[[GPT2Recommender], None]) -> Iterator[None]:
    """Runs that begin in the block begin with a model that was changed."""
    module = import_module("workbench.training.fine_tune")  # the package has a function of this name
    make = module.untrained

    def changed(split: Split, **settings: object) -> GPT2Recommender:
        recommender = make(split, **settings)
        change(recommender)
        return recommender

    with patch.object(module, "untrained", changed):
        yield


Trick = Callable[[float, Split], AbstractContextManager[None]]
TRICKS: dict[str, Trick] = {
    "cosine": cosine,
    "untied": untied,
    "average": average,
    "forget": forget,
    "shift": shift,
    "repeats": repeats,
    "one_window": one_window,
    "gaps": gaps,
}
