"""What makes a training step quicker on a CPU without changing what is learned."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from transformers import GPT2LMHeadModel


@contextmanager
def quickened(model: GPT2LMHeadModel, *, precision: str) -> Iterator[None]:
    """Parts that train faster on a CPU, while the block runs; on other devices nothing changes.

    Drawing random numbers is what dropout costs, see :class:`ByteDropout`. And in bf16 the fused attention kernel takes
    about three times as long as plain products for rows this short; in fp32 it is the faster one
    (``benchmarks/attention.py``).

    Args:
        model: The model that trains.
        precision: ``"bf16"`` or ``"fp32"``.
    """
    if model.device.type != "cpu":
        yield
        return
    usual = model.config._attn_implementation
    _quicken_dropout(model)
    if precision == "bf16":
        model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(usual)


class ByteDropout(nn.Module):
    """Like ``nn.Dropout``, with the share rounded to 1/256; inputs that stay are scaled so that the mean stays.

    Example:
        >>> dropped = ByteDropout(0.25)(torch.ones(100, 100))
        >>> dropped.unique().tolist()  # 0, or 256 / 192
        [0.0, 1.3333333730697632]
    """

    def __init__(self, p: float) -> None:
        """Drop the share ``p``, 0 to below 1."""
        super().__init__()
        self.p, self.cut = p, round(256 * p)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Values of any shape; unchanged outside training."""
        if not self.training or not self.cut:
            return values
        n = values.numel()
        words = torch.empty((n + 7) // 8, dtype=torch.int64, device=values.device).random_(-(2**63), None)
        keep = words.view(torch.uint8)[:n].view(values.shape) >= self.cut
        return values * keep.to(values.dtype).mul_(256 / (256 - self.cut))


def _quicken_dropout(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Dropout):
            setattr(module, name, ByteDropout(child.p).train(child.training))
        else:
            _quicken_dropout(child)
