"""Which number format trains faster here: measured in a fraction of a second, never assumed."""

import time
from functools import cache

import torch


@cache
def choose_precision(device: str = "cpu") -> str:
    """``"bf16"`` where a short timing finds it at least a quarter faster on this machine, else ``"fp32"``.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``; on MPS, where bf16 gains nothing here, always ``"fp32"``.

    Example:
        >>> choose_precision("cpu") in ("bf16", "fp32")
        True
    """
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device != "cpu":
        return "fp32"
    return "bf16" if 1.25 * _seconds(torch.bfloat16) < _seconds(torch.float32) else "fp32"


def best_device() -> str:
    """``"cuda"``, ``"mps"`` or ``"cpu"``, the first that is there."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _seconds(dtype: torch.dtype) -> float:
    """Quickest of five products shaped like a block of a small GPT-2 over 4,096 words."""
    words, matrix = torch.ones(4096, 128, dtype=dtype), torch.ones(128, 512, dtype=dtype)
    times = []
    for _ in range(6):
        begin = time.perf_counter()
        (words @ matrix) @ matrix.T
        times.append(time.perf_counter() - begin)
    return min(times[1:])
