"""Training sentences, cut into steps.

Step s of a run always holds the same sentences, whoever asks and whenever: everything random in it is drawn from
(seed, s), (seed, epoch) or (seed, pool of steps). A run that was killed can therefore go on as if nothing had happened.

Five kinds of sentence make the steps, each a group of rows of similar length; the last four are not in every step:

- history: ``<history> a b c`` predicts ``a b c d``, an item at every place; where context or profile are learned, marks
  stand in between at random places: ``<history> a <evening> b`` predicts ``a b``, and at b what follows in the evening;
- wish: ``<request> french comedies <recommend>`` predicts all films that match, the often watched ones a little more;
- wish after history: ``<history> a b c <request> french comedies <recommend>`` predicts d, a french comedy;
- description: ``a <describe>`` predicts the text of a;
- review: ``a <review>`` predicts what somebody wrote about a.

What is predicted of an item are the edges of its path in the trie: its number, where each item is one word; where it
takes several, each word that is not certain in turn, and a wish predicts one film that matches.
"""

from math import ceil

import numpy as np
import torch
from torch.utils.data import Dataset

from workbench.catalogs import Split
from workbench.language.requests import held_out, phrase, read_requests
from workbench.language.trie import Trie
from workbench.models.gpt2 import GPT2Recommender
from workbench.training import sizing
from workbench.training.config import TrainingConfig
from workbench.training.marks import read_situations
from workbench.training.text_sentences import item_texts, review_texts, some_words, text_group
from workbench.training.windows import NO_TARGET, by_length, cut_windows, padded, read_histories

LEAST_WISH_STEPS, WISH_STEPS_PER_COMBINATION = 400, 1 / 3  # more steps with wishes would cost histories; see LOG.md
LONG_RUN = 2_000  # steps from which on all that is not history becomes rarer
ROWS = {  # of each kind beside history: which setting says how many, and how many times that a step has at most
    "wish": ("wishes", 4),
    "wish_after_history": ("wishes_after_history", 2),
    "description": ("descriptions", 4),
    "review": ("reviews", 4),
}
WISHES_END = 0.8  # of the run: what the last steps could still teach of wishes is little
POOL = 8  # steps whose sentences are sorted by length together, so that little of a batch is padding
Batch = dict[str, dict[str, torch.Tensor]]
Wish = tuple[list[int], np.ndarray]  # its words, and the catalog rows that match


class Sentences(Dataset):
    """All steps of a run; ``sentences[step]`` is one batch, groups of tensors by kind of sentence."""

    def __init__(self, recommender: GPT2Recommender, split: Split, config: TrainingConfig) -> None:
        """Read the training histories, the requests and the descriptions of the split's catalog."""
        self.recommender, self.config = recommender, config
        words = recommender.vocabulary
        if not len(split.train):
            raise ValueError("the split's training table is empty; there is nothing to learn from.")
        self.users, self.histories, self.times = read_histories(split.train, items=words.spelling.items)
        self._window = 1 + max(1, round(config.max_history / words.mean_length))
        self.windows = cut_windows(self.histories, self._window)
        self.choices = _choices(words.trie)
        self.batch_users = sizing.sized(config, split).batch_users
        self.steps_per_epoch = ceil(len(self.windows) / self.batch_users)
        sizes = {"n_items": len(recommender.catalog), "n_events": len(split.train)}
        self.epochs = config.epochs or sizing.epochs(**sizes, steps_per_epoch=self.steps_per_epoch)
        self.requests = read_requests(recommender.catalog)
        self.trained_requests = self.requests.trained
        self.texts = item_texts(recommender.catalog)
        self.reviews = review_texts(split.train, recommender) if config.reviews else []
        self.situations = read_situations(split, self.users, recommender.vocabulary)
        lengths = np.array([len(history) for history in self.histories])
        # a wish spread evenly would teach that unknown items are as likely as well-known ones, which histories deny
        counts = np.bincount(np.concatenate(self.histories), minlength=len(recommender.catalog))
        self.fame, self.shares = (1 + counts) ** 0.5, counts / counts.sum()
        self.negatives = self._negatives()
        self.chance = np.maximum(lengths - 1, 0) / max((lengths - 1).clip(0).sum(), 1)
        self.every = self._kinds()
        self._plan: tuple[int, list[np.ndarray]] = (-1, [])
        self._wishes: tuple[int, list[list[Wish]]] = (-1, [])

    def __len__(self) -> int:
        """Number of steps."""
        return self.epochs * self.steps_per_epoch

    def __getitem__(self, step: int) -> Batch:
        """The batch of one step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        rng = np.random.default_rng((self.config.seed, 1, step))
        batch = {"history": self._history_group(self._epoch_plan(epoch)[place], rng, step)}
        due = [kind for kind, every in self.every.items() if not step % every]
        if "wish" in due and step < WISHES_END * len(self):
            batch["wish"] = self._wish_group(*divmod(step // self.every["wish"], POOL))
        if "wish_after_history" in due:
            batch["wish_after_history"] = self._wish_after_history_group(rng)
        if "description" in due:
            some = [self._one_text(rng) for _ in range(self._size("description"))]
            batch["description"] = text_group(self.recommender, some)
        if "review" in due:
            own = np.random.default_rng((self.config.seed, 5, step))
            chosen = own.integers(len(self.reviews), size=self._size("review"))
            batch["review"] = text_group(self.recommender, [self.reviews[i] for i in chosen], kind="review")
        return {name: group for name, group in batch.items() if group}

    def _kinds(self) -> dict[str, int]:
        """In which steps a kind comes, beside histories: every nth; its rows are then up to four times as many."""
        n_wishes, every = len(self.trained_requests), {}
        rare = max(1, round(len(self) / LONG_RUN))  # a long run has time for all of this in few of its steps
        if n_wishes and self.config.wishes:
            enough = max(LEAST_WISH_STEPS, WISH_STEPS_PER_COMBINATION * n_wishes)
            every["wish"] = max(1, round(len(self) / enough))
        if n_wishes and self.config.wishes_after_history and self.chance.any():
            every["wish_after_history"] = 2 * rare
        if self.texts and self.config.descriptions:
            every["description"] = 4 * rare
        if self.reviews:
            every["review"] = 4 * rare
        return every

    def _size(self, kind: str) -> int:
        """Rows of a kind in a step that has it: few rows cost nearly as much as some more."""
        name, most = ROWS[kind]
        return getattr(self.config, name) * min(self.every[kind], most)

    def _epoch_plan(self, epoch: int) -> list[np.ndarray]:
        """Which windows each step of the epoch reads: shuffled, then sorted by length inside pools of steps."""
        if self._plan[0] != epoch:
            order = np.random.default_rng((self.config.seed, 0, epoch)).permutation(len(self.windows))
            rows, steps = self.batch_users, []
            for first in range(0, len(order), POOL * rows):
                pool = order[first : first + POOL * rows]
                steps += [pool[part] for part in by_length(self.windows[pool, 3], rows)]
            np.random.default_rng((self.config.seed, 2, epoch)).shuffle(steps)
            self._plan = (epoch, steps)
        return self._plan[1]

    def _history_group(self, chosen: np.ndarray, rng: np.random.Generator, step: int) -> dict[str, torch.Tensor]:
        words, rows, targets = self.recommender.vocabulary, [], []
        places = np.random.default_rng((self.config.seed, 6, step))  # of marks
        for user, low, high, length in self.windows[chosen]:
            start = rng.integers(low, high + 1)
            piece = slice(start, start + length)
            # events of one time have no order: each reading draws one, instead of learning the accident of the file
            order = np.lexsort((rng.random(length), self.times[user][piece]))
            items = self.histories[user][piece][order]
            read = np.arange(start, start + length)[order]
            room = self.recommender.model.config.n_positions - sum(len(words.spelled[row]) for row in items)
            profile, told = self.situations.draw(user, read, places, room=room)
            # what is told of an event stands before the word off which it is read: the item before it
            sentence = [*profile, *told[0], words.control("history")]
            follows = [NO_TARGET] * (len(sentence) - 1)
            for marks, row in zip([*told[1:], []], items, strict=True):
                # off the word before the marks the item is read, off the marks themselves nothing is
                first, *others = self.choices[row]
                follows += [first, *[NO_TARGET] * len(marks), *others]
                sentence += [*marks, *words.spelled[row]]
            rows.append(sentence[:-1])
            targets.append(follows)
        group = self._group(rows, targets)
        return group | self._drawn(group["targets"], step) if self.negatives else group

    def _negatives(self) -> int:
        """How many items are drawn to stand against the right one; 0: all items stand there."""
        n_items, asked = len(self.recommender.catalog), self.config.negatives
        if not self.recommender.vocabulary.one_word:
            return 0
        return min(sizing.negatives(n_items) if asked is None else asked, n_items - 1)

    def _drawn(self, targets: torch.Tensor, step: int) -> dict[str, torch.Tensor]:
        """Items that stand for all in a step's softmax: those it asks for, and some drawn evenly."""
        asked, n_items = targets[targets >= 0].numpy(), len(self.recommender.catalog)
        rng = np.random.default_rng((self.config.seed, 8, step))
        drawn = np.union1d(asked, rng.choice(n_items, size=self.negatives, replace=False))
        missed = (1 - self.shares[drawn]) ** len(asked) * (1 - self.negatives / n_items)
        return {"drawn": torch.from_numpy(drawn), "log_chances": torch.from_numpy(np.log1p(-missed).astype(np.float32))}

    def _group(self, rows: list[list[int]], targets: list[list[int]]) -> dict[str, torch.Tensor]:
        """Rows and targets, cut where the model reads no more."""
        most = self.recommender.model.config.n_positions
        words, follows = [row[:most] for row in rows], [row[:most] for row in targets]
        return {"words": self._padded(words, 0), "targets": self._padded(follows, NO_TARGET)}

    def _wish_group(self, pool: int, place: int) -> dict[str, torch.Tensor]:
        wishes = self._wish_pool(pool)[place]
        chances = np.zeros((len(wishes), len(self.recommender.catalog)), dtype=np.float32)
        for chance, (_, matching) in zip(chances, wishes, strict=True):
            chance[matching] = self.fame[matching] / self.fame[matching].sum()
        rows = [words for words, _ in wishes]
        if self.recommender.vocabulary.one_word:
            return {"words": self._padded(rows, 0), "ends": _ends(rows), "chances": torch.from_numpy(chances)}
        rng = np.random.default_rng((self.config.seed, 7, pool, place))
        return self._answered(rows, [int(rng.choice(len(chance), p=chance / chance.sum())) for chance in chances])

    def _answered(self, prompts: list[list[int]], items: list[int]) -> dict[str, torch.Tensor]:
        """Prompts and the item that each is answered with."""
        words, rows, targets = self.recommender.vocabulary, [], []
        for prompt, item in zip(prompts, items, strict=True):
            rows.append([*prompt, *words.spelled[item][:-1]])
            targets.append([*[NO_TARGET] * (len(prompt) - 1), *self.choices[item]])
        return self._group(rows, targets)

    def _wish_pool(self, pool: int) -> list[list[Wish]]:
        """The wishes of a pool of steps: sorted by length, cut into steps, shuffled."""
        if self._wishes[0] != pool:
            rng, n = np.random.default_rng((self.config.seed, 3, pool)), self._size("wish")
            wishes = [self._wish(rng) for _ in range(POOL * n)]
            steps = [[wishes[i] for i in part] for part in by_length([len(words) for words, _ in wishes], n)]
            rng.shuffle(steps)
            self._wishes = (pool, steps)
        return self._wishes[1]

    def _wish(self, rng: np.random.Generator) -> Wish:
        combination = self.trained_requests[rng.integers(len(self.trained_requests))]
        if rng.random() < 0.2 and self.texts:  # a wish in the words of one item's own text
            row, text = self._one_text(rng)
            return self._request_words(some_words(text, rng)), np.array([row])
        return self._request_words(self._phrase(combination, rng)), self.requests.matches[combination]

    def _wish_after_history_group(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        words, template = self.recommender.vocabulary, self.recommender.template
        keep = template.max_history_with_request
        rows, targets = [], []
        for user in rng.choice(len(self.histories), size=self._size("wish_after_history"), p=self.chance):
            history = self.histories[user]
            place = int(rng.integers(1, len(history)))
            combination = self._wish_for(int(history[place]), rng)
            if combination is None:
                continue
            tail = history[max(0, place - int(rng.integers(1, keep + 1))) : place]
            items = [words.spelled[row] for row in template.newest(words, tail.tolist(), budget=keep)]
            pieces = template.request_pieces(self.recommender.tokenizer, self._phrase(combination, rng))
            profile, [told] = self.situations.draw(user, np.array([place]), rng)
            rows.append(template.lay_out(words, items=items, pieces=pieces, context=told, profile=profile))
            targets.append(int(history[place]))
        return self._answered(rows, targets) if rows else {}

    def _wish_for(self, row: int, rng: np.random.Generator) -> tuple | None:
        """One to three attributes of the item, in a combination that training may use."""
        own = self.requests.item_attributes[row]
        for _ in range(4):
            if own:
                chosen = sorted(rng.choice(len(own), size=min(len(own), int(rng.integers(1, 4))), replace=False))
                combination = tuple(own[i] for i in chosen)
                if not held_out(combination):
                    return combination
        return None

    def _padded(self, rows: list[list[int]], fill: int) -> torch.Tensor:
        return padded(rows, fill, at_most=self.recommender.model.config.n_positions)

    def _one_text(self, rng: np.random.Generator) -> tuple[int, str]:
        return self.texts[rng.integers(len(self.texts))]

    def _phrase(self, combination: tuple, rng: np.random.Generator) -> str:
        """A wish; in two of five cases with a few words around it that say nothing, as people do."""
        request = phrase(combination, rng, language="zh" if rng.random() < 0.5 else "en")
        if self.texts and rng.random() < 0.4:
            chatter = some_words(self._one_text(rng)[1], rng, at_most=4)
            request = f"{chatter} {request}" if rng.random() < 0.5 else f"{request} {chatter}"
        return request

    def _request_words(self, request: str) -> list[int]:
        return self.recommender.template.request_words(self.recommender.vocabulary, self.recommender.tokenizer, request)


def _choices(trie: Trie) -> list[list[int]]:
    """Of each item, the edges of the trie to be predicted: its first word, and every word that others could replace."""
    free = np.isin(trie.parents, [0, *trie.forks])
    edges = np.where((trie.paths >= 0) & ~free[trie.paths], NO_TARGET, trie.paths)
    return [row[own].tolist() for row, own in zip(edges, trie.paths >= 0, strict=True)]


def _ends(rows: list[list[int]]) -> torch.Tensor:
    return torch.tensor([len(row) - 1 for row in rows])
