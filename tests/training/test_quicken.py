"""What makes steps quicker changes nothing that is learned, and is gone after training."""

import pytest
import torch

from workbench.models.start import start_recommender
from workbench.training.quicken import ByteDropout, quickened


@pytest.fixture
def model(cycles):
    return start_recommender(cycles.dataset.catalog, layers=2, width=16, heads=2, dropout=0.25).model


def test_attention_is_plain_in_bf16_inside_the_block_and_as_before_after_it(model):
    usual = model.config._attn_implementation
    with pytest.raises(RuntimeError, match="broken"), quickened(model, precision="bf16"):
        assert model.config._attn_implementation == "eager"
        raise RuntimeError("broken")
    assert model.config._attn_implementation == usual != "eager"
    with quickened(model, precision="fp32"):
        assert model.config._attn_implementation == usual


def test_losses_and_gradients_stay_what_they_are(model):
    model.eval()  # no dropout, so that both passes are the same
    words = torch.arange(24).view(3, 8)

    def gradients():
        model.zero_grad()
        loss = model(words, labels=words).loss
        loss.backward()
        return loss.detach(), torch.cat([p.grad.flatten() for p in model.parameters()])

    usual_loss, usual = gradients()
    with quickened(model, precision="bf16"):
        loss, quick = gradients()
    assert loss.isclose(usual_loss, atol=1e-6)
    torch.testing.assert_close(quick, usual, atol=1e-6, rtol=1e-4)


def test_byte_dropout_drops_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    dropped = ByteDropout(0.2)(torch.ones(1000, 1000))
    share = round(256 * 0.2) / 256
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)
    assert (dropped == 0).float().mean().item() == pytest.approx(share, abs=0.01)


def test_byte_dropout_leaves_values_alone_outside_training():
    values = torch.randn(4, 5)
    assert torch.equal(ByteDropout(0.9).eval()(values), values)
    assert torch.equal(ByteDropout(0.0)(values), values)
