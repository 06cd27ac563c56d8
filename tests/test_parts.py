"""The parts of a GAN in anybody's loop: a loop of nothing but those, and each small function by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from aegan import parts
from aegan.errors import ConfigError
from aegan.parts import (
    ADVERSARIAL,
    Ema,
    instance_noise,
    minibatch_stddev,
    packed,
    smoothed_labels,
    spectrally_normalised,
    zero_centred_gradient,
)


def test_every_name_is_there() -> None:
    assert all(getattr(parts, name) is not None for name in parts.__all__)


def test_a_loop_of_nothing_but_the_parts_learns_where_the_data_are() -> None:
    torch.manual_seed(0)

    class Judge(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.logit = nn.Linear(4, 32), nn.Linear(33, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.logit(minibatch_stddev(self.hidden(packed(x, 2)).relu())).squeeze(1)

    generator, judge = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2)), spectrally_normalised(Judge())
    adam = {net: torch.optim.Adam(net.parameters(), 5e-3, (0.0, 0.99)) for net in (judge, generator)}
    loss, ema = ADVERSARIAL["non-saturating"], Ema({"generator": generator}, 500)
    for step in range(150):
        real, fake = torch.randn(64, 2) + torch.tensor([2.0, -1.0]), generator(torch.randn(64, 2))
        real, fake = (instance_noise(x, 0.5, step=step, steps=100) for x in (real, fake))
        logits = judge(real.requires_grad_())
        error = smoothed_labels(loss.discriminator(logits, judge(fake.detach())), logits, 0.1)
        adam[judge].zero_grad()
        (error + 0.1 * zero_centred_gradient(logits, real)).backward()
        adam[judge].step()
        adam[generator].zero_grad()
        loss.generator(judge(real), judge(fake)).backward()
        adam[generator].step()
        ema.update(64, 64 * (step + 1))
    with ema.applied(), torch.no_grad():
        mean = generator(torch.randn(2000, 2)).mean(0)
    assert float((mean - torch.tensor([2.0, -1.0])).norm()) < 0.5


@pytest.mark.parametrize("name", ["minimax", "non-saturating"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_smoothed_labels_are_the_cross_entropy_with_such_labels(name: str, smoothing: float) -> None:
    real, fake = torch.tensor([2.0, -1.0, 0.3]), torch.tensor([-0.5, 1.5, 0.0])
    wanted = binary_cross_entropy_with_logits(real, torch.full((3,), 1.0 - smoothing))
    wanted = wanted + binary_cross_entropy_with_logits(fake, torch.zeros(3))
    found = smoothed_labels(ADVERSARIAL[name].discriminator(real, fake), real, smoothing)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("step", "steps", "left"), [(0, 10, 1.0), (5, 10, 0.5), (10, 10, 0.0), (99, 10, 0.0), (7, 0, 1.0)]
)
def test_instance_noise_falls_evenly_to_nothing(step: int, steps: int, left: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(4000, 5)
    made = instance_noise(x, 0.2, step=step, steps=steps)
    assert (made - x).std().item() == pytest.approx(0.2 * left, rel=0.03)


def test_the_batchs_standard_deviation_by_hand() -> None:
    h = torch.tensor([[1.0, 10.0], [3.0, 10.0]])
    # Deviations 1 and 0, their mean beside every sample; a collapsed batch has none.
    torch.testing.assert_close(
        minibatch_stddev(h), torch.tensor([[1.0, 10.0, 0.5], [3.0, 10.0, 0.5]]), atol=1e-4, rtol=0
    )
    assert minibatch_stddev(h[:1].expand(5, 2))[0, 2].item() == pytest.approx(1e-4, rel=1e-3)
    assert minibatch_stddev(torch.randn(4, 3, 6, 5)).shape == (4, 4, 6, 5)


def test_packs_join_neighbours_at_the_axis_asked_for() -> None:
    x = torch.arange(24.0).view(4, 2, 3)
    assert torch.equal(packed(x, 2), torch.stack([torch.cat([x[0], x[1]]), torch.cat([x[2], x[3]])]))
    assert torch.equal(packed(x, 2, axis=2)[1], torch.cat([x[2], x[3]], 1))
    assert packed(x, 1) is x
    with pytest.raises(ConfigError, match="packs of 3 expected, got 4 samples"):
        packed(x, 3)
