"""The device badge: what the model computes on, how much memory there is, and which model is loaded."""

import re
import time
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets
import psutil
import torch

from workbench.models import GPT2Recommender
from workbench.training.precision import best_device, choose_precision
from workbench.widgets.view import TEXT

GROUP = Path("/sys/fs/cgroup")  # where Linux says what a container may use


def describe_device() -> str:
    """What a new model computes on, in words.

    Example:
        >>> any(name in describe_device() for name in ("CPU", "CUDA", "MPS"))
        True
    """
    device = best_device()
    if device == "cuda":
        return f"{torch.cuda.get_device_name()} (CUDA) with {choose_precision(device)}"
    if device == "mps":
        return "Apple GPU (MPS) with fp32"
    precision = "with bf16" if choose_precision(device) == "bf16" else "without bf16, which is no quicker here"
    threads = torch.get_num_threads()
    return f"CPU {precision}, {threads} thread{'s' * (threads > 1)}"


def memory_used() -> str:
    """What this process holds, on the GPU too where there is one: ``"412 MB"``.

    Example:
        >>> memory_used().split()[1] in ("MB", "GB", "MB,", "GB,")
        True
    """
    used = write_size(psutil.Process().memory_info().rss)
    if torch.cuda.is_available():
        return f"{used}, GPU {write_size(torch.cuda.memory_reserved())}"
    if torch.backends.mps.is_available():
        return f"{used}, GPU {write_size(torch.mps.driver_allocated_memory())}"
    return used


def memory_free() -> str:
    """What is left of the machine, or of its container where that has less, and of the GPU where there is one."""
    free, total = free_memory()
    words = f"{write_size(free)} of {write_size(total)}"
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return f"{words}, GPU {write_size(free)} of {write_size(total)}"
    return words  # Apple's GPU shares the machine's memory


def free_memory() -> tuple[float, float]:
    """Free and total bytes of the machine, or of its container where that has less."""
    memory = psutil.virtual_memory()
    return min((memory.available, memory.total), _container(memory.total), key=lambda pair: pair[0])


def write_size(size: float) -> str:
    """Bytes as people say them.

    Example:
        >>> write_size(412_400_000), write_size(3_140_000_000)
        ('412 MB', '3.1 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _container(total: int) -> tuple[float, float]:
    """Free and allowed memory of the container; endless where it sets no limit of its own."""
    limit = (GROUP / "memory.max").read_text().strip() if (GROUP / "memory.max").is_file() else ""
    if not limit.isdigit() or int(limit) >= total:
        return float("inf"), float("inf")
    cache = re.search(r"^inactive_file (\d+)$", (GROUP / "memory.stat").read_text(), flags=re.MULTILINE)
    used = int((GROUP / "memory.current").read_text()) - int(cache[1] if cache else 0)
    return max(int(limit) - used, 0), int(limit)


class DeviceBadge(ipywidgets.HBox):
    """Device, memory and model in one line, with a button that looks again.

    Attributes:
        recommender: The model that is loaded, or None; set it and call ``refresh`` to show another.
        words: The line, as HTML with the role of a status.
        button: Looks again.
        text: The line as plain text.

    Example:
        >>> DeviceBadge().text.endswith("no model loaded")
        True
    """

    def __init__(self, recommender: GPT2Recommender | None = None) -> None:
        """Look once.

        Args:
            recommender: The model that is loaded, if any.
        """
        self.recommender, self.text = recommender, ""
        self.words = ipywidgets.HTML(layout={"flex": "1 1 auto", "min_width": "0"})
        self.button = ipywidgets.Button(
            description="Refresh", tooltip="Looks at device, memory and model again", layout={"flex": "0 0 88px"}
        )
        self.button.on_click(lambda _: self.refresh())
        super().__init__([self.button, self.words], layout={"align_items": "center", "min_height": "44px"})
        self.refresh()

    def refresh(self) -> None:
        """Look at device, memory and model again."""
        parts = {
            "Device": describe_device(),
            "Memory": f"{memory_used()} used by this process, {memory_free()} free",
            "Model": self._model(),
        }
        self.text = " · ".join(f"{name}: {words}" for name, words in parts.items())
        self.words.value = self._html(parts)

    def _model(self) -> str:
        """What matters of the model, in words."""
        if self.recommender is None:
            return "no model loaded"
        return repr(self.recommender).partition("(")[2].removesuffix(")")

    def _html(self, parts: dict[str, str]) -> str:
        """The line with its time, which tells two looks apart."""
        said = " · ".join(f"<b>{name}</b> {escape(words)}" for name, words in parts.items())
        return f"<div role='status' style='{TEXT}'>{said} · at {time.strftime('%H:%M:%S')}</div>"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the badge, and the line for wherever it cannot be drawn."""
        bundle = super()._repr_mimebundle_(**kwargs) or {}
        return bundle | {"text/plain": self.text, "text/html": self.words.value}
