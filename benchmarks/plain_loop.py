"""The training loop that one would write first, to measure ours against; and the arithmetic of a step of either.

Hugging Face's GPT-2 with its own loss: a word for each item and one that fills, random windows filled up to a fixed
length, the softmax over all words at every place of all rows at once, dropout everywhere, AdamW.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

DROPOUT = 0.2


@dataclass(frozen=True)
class Work:
    """What a stretch of steps did.

    Attributes:
        seconds: Time it took.
        words: Words that the blocks read, filling included.
        real_words: The same without filling.
        flops: Floating-point operations that this needs, see ``count_flops``.
        preparing: Seconds of it in which sentences were made.
    """

    seconds: float
    words: int
    real_words: int
    flops: float
    preparing: float = 0.0


def count_flops(*, rows: int, length: int, asked: int, choices: int, layers: int, width: int) -> float:
    """Operations of forward and backward of one group of sentences: six for each weight that a word meets.

    A block has 12 x width^2 weights; each asked place meets the rows of all choices. Attention weighs every pair of a
    word and one that it may see, half of length^2: twice (query by key, weight by value), 2 x width each, three times
    over with the backward pass.

    Args:
        rows: Sentences.
        length: Words of each, filling included.
        asked: Places at which a word is predicted.
        choices: Words among which it is.
        layers: Blocks.
        width: Size of a hidden state.

    Example:
        >>> operations = count_flops(rows=1, length=2, asked=1, choices=5, layers=1, width=4)
        >>> operations == 6 * 12 * 4**2 * 2 + 3 * 2 * 2 * 4 * (2**2 / 2) + 6 * 4 * 5
        True
    """
    blocks = 6 * 12 * layers * width**2 * rows * length
    attention = 12 * layers * width * rows * length**2 / 2
    return blocks + attention + 6 * width * asked * choices


class PlainLoop:
    """The plain loop over histories of item numbers."""

    def __init__(
        self,
        histories: Sequence[np.ndarray],
        *,
        n_items: int,
        layers: int,
        width: int,
        heads: int,
        rows: int,
        length: int,
        device: torch.device,
        precision: str,
    ) -> None:
        """Begin with random weights.

        Args:
            histories: Per user, item numbers 0 .. n_items - 1, oldest first.
            n_items: Items of the catalog.
            layers: Blocks.
            width: Size of a hidden state.
            heads: Attention heads.
            rows: Windows in one step.
            length: Words of a window, filling included.
            device: Where it trains.
            precision: ``"bf16"`` or ``"fp32"``.
        """
        torch.manual_seed(0)
        self.rng = np.random.default_rng(0)
        self.histories, self.n_items, self.rows, self.length = histories, n_items, rows, length
        self.device, self.precision = device, precision
        self.shape = {"layers": layers, "width": width}
        config = GPT2Config(
            vocab_size=n_items + 1,
            n_positions=length,
            n_embd=width,
            n_layer=layers,
            n_head=heads,
            resid_pdrop=DROPOUT,
            embd_pdrop=DROPOUT,
            attn_pdrop=DROPOUT,
            bos_token_id=n_items,
            eos_token_id=n_items,
        )
        self.model = GPT2LMHeadModel(config).to(device).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)

    def take_steps(self, n: int) -> Work:
        """Train for n steps."""
        real, preparing, begun = 0, 0.0, time.perf_counter()
        for _ in range(n):
            prepared = time.perf_counter()
            words, labels = (table.to(self.device) for table in self.batch())
            preparing += time.perf_counter() - prepared
            real += int((labels >= 0).sum())
            low = torch.autocast(self.device.type, dtype=torch.bfloat16) if self.precision == "bf16" else nullcontext()
            with low:
                loss = self.model(words, labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
        wait_for(self.device)
        places = self.rows * self.length
        group = {"rows": self.rows, "length": self.length, "asked": places, "choices": self.n_items + 1}
        flops = n * count_flops(**group, **self.shape)
        return Work(time.perf_counter() - begun, n * places, real, flops, preparing)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Random windows and their labels, both (rows, length); the model itself moves labels by one place."""
        words = np.full((self.rows, self.length), self.n_items, dtype=np.int64)
        labels = np.full_like(words, -100)
        for row, user in enumerate(self.rng.integers(len(self.histories), size=self.rows)):
            history = self.histories[user]
            first = int(self.rng.integers(0, max(len(history) - self.length, 0) + 1))
            window = history[first : first + self.length]
            words[row, : len(window)] = labels[row, : len(window)] = window
        return torch.from_numpy(words), torch.from_numpy(labels)


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was given: a GPU only takes orders."""
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()
