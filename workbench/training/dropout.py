"""Dropout that draws eight decisions from one random number: on a CPU, drawing them is what dropout costs."""

import torch
from torch import nn


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


def quicken_dropout(module: nn.Module) -> None:
    """Replace every ``nn.Dropout`` inside a module by a :class:`ByteDropout` of the same share."""
    for name, child in module.named_children():
        if isinstance(child, nn.Dropout):
            setattr(module, name, ByteDropout(child.p))
        else:
            quicken_dropout(child)
