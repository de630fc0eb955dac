"""The device badge: device, memory and model in words, on machines this one is not too."""

from types import SimpleNamespace

import psutil
import pytest
import torch

from workbench.widgets import device_badge
from workbench.widgets.device_badge import DeviceBadge, describe_device, memory_free, memory_used, write_size

GB = 10**9


@pytest.fixture
def cpu(monkeypatch) -> None:
    monkeypatch.setattr(device_badge, "best_device", lambda: "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def group(monkeypatch, tmp_path):
    """A container that may use 4 GB and uses 3, of which 1 is cache."""
    monkeypatch.setattr(device_badge, "GROUP", tmp_path)
    for name, text in (("max", 4 * GB), ("current", 3 * GB), ("stat", f"anon 5\ninactive_file {GB}\n")):
        (tmp_path / f"memory.{name}").write_text(f"{text}\n")
    return tmp_path


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize(("precision", "words"), [("bf16", "CPU with bf16, 1 "), ("fp32", "CPU without bf16, which ")])
def test_a_cpu_is_named_with_bf16_or_without(precision, words, monkeypatch):
    monkeypatch.setattr(device_badge, "choose_precision", lambda device: precision)
    assert describe_device().startswith(words) and describe_device().endswith("1 thread")


def test_a_gpu_is_named_with_its_memory(monkeypatch):
    monkeypatch.setattr(device_badge, "best_device", lambda: "cuda")
    monkeypatch.setattr(device_badge, "choose_precision", lambda device: "bf16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA <H100>")
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 2 * GB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (70 * GB, 80 * GB))
    badge = DeviceBadge()
    assert "Device: NVIDIA <H100> (CUDA) with bf16" in badge.text
    assert ", GPU 2.0 GB used by this process" in badge.text and ", GPU 70.0 GB of 80.0 GB free" in badge.text
    assert "<H100>" not in badge.words.value and "&lt;H100&gt;" in badge.words.value


def test_apple_gpus_are_named_with_what_they_hold(monkeypatch):
    monkeypatch.setattr(device_badge, "best_device", lambda: "mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 3 * GB)
    assert "MPS" in describe_device() and memory_used().endswith(", GPU 3.0 GB")


@pytest.mark.usefixtures("cpu", "group")
def test_free_memory_is_that_of_the_container_where_it_has_less(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=9 * GB, total=16 * GB))
    assert memory_free() == f"{write_size(4 * GB - (3 * GB - GB))} of 4.0 GB"
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=GB, total=16 * GB))
    assert memory_free() == "1.0 GB of 16.0 GB"


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("limit", ["max", str(99 * GB), None])
def test_a_container_without_a_limit_of_its_own_changes_nothing(limit, group, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=9 * GB, total=16 * GB))
    (group / "memory.max").unlink() if limit is None else (group / "memory.max").write_text(limit)
    assert memory_free() == "9.0 GB of 16.0 GB"


def test_the_model_is_described_and_another_is_seen_after_refresh(recommender):
    badge = DeviceBadge()
    assert "Model: no model loaded" in badge.text
    badge.recommender = recommender
    badge.button.click()
    assert "1 layers x 16" in badge.text and "9 items, start random, not trained" in badge.text
    assert "9 items" in badge.words.value


def test_the_badge_is_a_status_and_its_button_says_what_it_does():
    badge = DeviceBadge()
    assert badge.words.value.startswith("<div role='status'")
    assert badge.button.description == "Refresh" and len(badge.button.tooltip) > 10


def test_without_a_kernel_the_line_stays():
    bundle = DeviceBadge()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "Memory" in bundle["text/html"] and bundle["text/plain"].startswith("Device: ")
