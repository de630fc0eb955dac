"""Which attention kernel trains fastest on this CPU: forward and backward of rows as short as histories and requests.

    python benchmarks/attention.py

writes ``benchmarks/results/attention.json``: milliseconds of the fused and the plain kernel, and their ratio, for bf16
and fp32. Compare the ratios; the milliseconds belong to one machine.
"""

import time
from collections.abc import Callable

import torch
from records import RESULTS, Row, machine, say, write_json
from torch.nn import functional

SHAPES = [(32, 25), (32, 71), (32, 201), (64, 15)]  # rows, words in a row; two heads of 64 each


def fused(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """PyTorch's own kernel, causal."""
    return functional.scaled_dot_product_attention(query, key, value, is_causal=True)


def plain(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The same by two products and a softmax in float32, as transformers' ``"eager"`` does it."""
    scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    ahead = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(ahead, torch.finfo(torch.float32).min).softmax(-1).to(value.dtype) @ value


def milliseconds(kernel: Callable, rows: int, words: int, dtype: torch.dtype) -> float:
    """Quickest of twenty forward and backward passes."""
    torch.manual_seed(0)
    inputs = [torch.randn(rows, words, 2, 64, dtype=dtype).transpose(1, 2).requires_grad_() for _ in range(3)]
    slope = torch.randn(rows, words, 2, 64, dtype=dtype).transpose(1, 2)
    times = []
    for _ in range(22):
        begin = time.perf_counter()
        kernel(*inputs).backward(slope)
        times.append(time.perf_counter() - begin)
    return 1000 * min(times[2:])


def main() -> None:
    """Time every shape and write the page."""
    page: Row = {"machine": machine(), "shapes": []}
    for rows, words in SHAPES:
        for dtype in (torch.bfloat16, torch.float32):
            times = {kernel.__name__: round(milliseconds(kernel, rows, words, dtype), 2) for kernel in (fused, plain)}
            name = str(dtype).removeprefix("torch.")
            ratio = round(times["fused"] / times["plain"], 2)
            page["shapes"].append({"rows": rows, "words": words, "dtype": name, **times, "fused_over_plain": ratio})
            say(f"{rows} rows of {words} words, {name}: fused takes {ratio} times as long as plain")
    write_json(RESULTS / "attention.json", page)


if __name__ == "__main__":
    main()
