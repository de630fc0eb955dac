"""Nothing is left on the CPU when the model is elsewhere: shown on a second device that is the CPU under another name.

Its tensors say that they are on ``cuda`` and hold real values; an operation that mixes them with tensors of the CPU is
refused, as a GPU would. So the answers can be compared too.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from workbench.catalogs import leave_one_out, read_tables
from workbench.training import TrainingConfig
from workbench.training.batches import Sentences
from workbench.training.loss import sentence_loss

ATEN = torch.ops.aten
COPIES = (ATEN._to_copy.default, ATEN.copy_.default)
THERE = torch.device("meta")
IDS = [f"{row:03d}" for row in range(10)]
HISTORIES = {"a": IDS[:6], "b": [], "c": IDS[2:5]}


class Elsewhere(torch.Tensor):
    """A tensor on the second device; ``inner`` holds its values."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "Elsewhere":
        layout = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        with torch.inference_mode(False):  # or it could not be a part of a tensor made outside
            outer = torch.Tensor._make_wrapper_subclass(cls, inner.shape, device=THERE, **layout)
        outer.inner = inner
        return outer

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


class SecondDevice(TorchDispatchMode):
    """While it is entered, tensors can be made on the second device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def run(func, args, kwargs):
    """Do it on the CPU, or refuse; what comes out is where its inputs are, or where it was asked to be."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    places = {isinstance(tensor, Elsewhere) for tensor in tensors if tensor.dim()}  # a number may come from anywhere
    if len(places) > 1 and func not in COPIES:
        raise RuntimeError(f"{func} mixes devices")
    asked = kwargs.get("device")
    there = torch.device(asked) == THERE if asked is not None else any(isinstance(t, Elsewhere) for t in tensors)
    outer = {id(tensor.inner): tensor for tensor in tensors if isinstance(tensor, Elsewhere)}
    args, kwargs = tree_map(lambda leaf: leaf.inner if isinstance(leaf, Elsewhere) else leaf, (args, kwargs))
    results = func(*args, **(kwargs | ({} if asked is None else {"device": "cpu"})))

    def placed(result):
        if not isinstance(result, torch.Tensor) or not there:
            return result
        return outer.get(id(result)) if id(result) in outer else Elsewhere(result)  # changed in place: the same again

    return tree_map(placed, results)


@pytest.fixture
def second_device(monkeypatch) -> Iterator[None]:
    """PyTorch believes in the second device."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # it does not know meta
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)
    for name in ("tensor", "as_tensor"):  # on meta these forget the values
        make = getattr(torch, name)
        monkeypatch.setattr(torch, name, lambda data, device="cpu", make=make, **given: make(data, **given).to(device))
    with SecondDevice(), sdpa_kernel(SDPBackend.MATH):  # the one kernel that is made of smaller operations
        yield


def move(recommender):
    """The recommender on the second device."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # new parameters: the old ones are plain tensors
    recommender.model.to(THERE)
    torch.__future__.set_overwrite_module_params_on_conversion(False)
    assert recommender.device == THERE
    return recommender


def test_ranking_and_scores_are_the_same_on_another_device(make_tiny, tiny, second_device):
    moved, wishes = move(make_tiny()), {"b": "a western"}
    for rules in ({"k": 3, "request": wishes}, {"candidates": IDS[3:], "exclude_seen": False}):
        pd.testing.assert_frame_equal(moved.rank(HISTORIES, **rules), tiny.rank(HISTORIES, **rules), rtol=1e-5)
    np.testing.assert_allclose(moved.log_probabilities(HISTORIES), tiny.log_probabilities(HISTORIES), atol=1e-5)
    np.testing.assert_allclose(moved.states(HISTORIES), tiny.states(HISTORIES), atol=1e-5)
    prompts = tiny.prompts(HISTORIES, {})
    with moved.at_rest():
        assert isinstance(moved.item_scores(prompts), Elsewhere)


@pytest.mark.parametrize("how", ["semantic", "title"])
def test_items_of_several_words_are_scored_on_another_device(make_spelled, how, second_device):
    expected = make_spelled(how).log_probabilities(HISTORIES)
    moved = move(make_spelled(how))
    np.testing.assert_allclose(moved.log_probabilities(HISTORIES), expected, atol=1e-4)


def test_a_training_step_has_the_same_loss_and_slopes_on_another_device(make_tiny, tiny_catalog, second_device):
    events = [(user, item, place) for user, items in HISTORIES.items() for place, item in enumerate(items)]
    events = pd.DataFrame(events, columns=["user_id", "item_id", "position"])
    split = leave_one_out(read_tables(items=tiny_catalog, interactions=events))
    here = make_tiny(dropout=0.0)
    batch = Sentences(here, split, TrainingConfig(epochs=2, batch_users=4, wishes=4))[0]
    losses, slopes = {}, {}
    for name, recommender in (("here", here), ("there", move(make_tiny(dropout=0.0)))):
        device = recommender.device
        own = {kind: {part: table.to(device) for part, table in group.items()} for kind, group in batch.items()}
        loss = sentence_loss(recommender.model.transformer.train(), own, vocabulary=recommender.vocabulary)["total"]
        loss.backward()
        losses[name], slope = float(loss.detach().cpu()), recommender.model.transformer.wte.weight.grad
        slopes[name] = slope.cpu().numpy()
    assert {"history", "wish", "description"} <= set(batch)
    assert losses["there"] == pytest.approx(losses["here"], rel=1e-5)
    np.testing.assert_allclose(slopes["there"], slopes["here"], atol=1e-5)


def test_the_second_device_would_notice_a_tensor_left_on_the_cpu(make_tiny, monkeypatch, second_device):
    moved = move(make_tiny())
    monkeypatch.setattr(moved, "hidden_states", lambda prompts: torch.zeros(len(prompts), 16))
    with pytest.raises(RuntimeError, match="mixes devices"):
        moved.rank(HISTORIES)
