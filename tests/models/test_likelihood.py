"""Likelihood bounds on models whose likelihood is known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Laplace, MultivariateNormal, Normal

from aegan.errors import ConfigError
from aegan.models.autoencoders.likelihood import elbo, log_density, log_likelihood


class LinearGaussian:
    """Probabilistic principal components: x = W z + m + σ ε; its marginal is N(m, W Wᵀ + σ² I)."""

    def __init__(self, *, std: float = 0.5, shift: float = 0.0) -> None:
        generator = torch.Generator().manual_seed(0)
        # Orthogonal columns: the exact posterior then has independent dimensions.
        basis = torch.linalg.qr(torch.randn(6, 2, generator=generator))[0]
        self.w, self.m, self.std, self.shift = basis * torch.tensor([2.0, 1.0]), torch.randn(6), std, shift

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        precision = self.w.square().sum(0) / self.std**2 + 1.0
        mu = (x - self.m) @ self.w / self.std**2 / precision
        return mu + self.shift, -precision.log().expand_as(mu)

    def log_density(self, x: Tensor, z: Tensor) -> Tensor:
        return log_density("squared", z @ self.w.T + self.m, x, self.std)

    def marginal(self, x: Tensor) -> Tensor:
        covariance = self.w @ self.w.T + self.std**2 * torch.eye(6)
        return MultivariateNormal(self.m, covariance).log_prob(x)


def _data(model: LinearGaussian, n: int = 64) -> Tensor:
    return torch.randn(n, 2) @ model.w.T + model.m + model.std * torch.randn(n, 6)


def test_both_bounds_are_exact_for_the_exact_posterior() -> None:
    torch.manual_seed(0)
    model = LinearGaussian()
    x = _data(model)
    # Every weight p(x, z)/q(z|x) then equals p(x), so the bound holds for each sample with any K.
    assert torch.allclose(log_likelihood(model, x, samples=3), model.marginal(x), atol=1e-4)
    assert elbo(model, x, samples=400).mean().item() == pytest.approx(model.marginal(x).mean().item(), abs=0.05)


def test_a_wrong_posterior_lowers_the_elbo_by_its_divergence_and_importance_samples_make_it_good() -> None:
    torch.manual_seed(0)
    model = LinearGaussian(shift=0.3)
    x = _data(model)
    exact = model.marginal(x).mean().item()
    variance = (model.w.square().sum(0) / model.std**2 + 1.0).reciprocal()
    gap = (0.3**2 / (2.0 * variance)).sum().item()  # KL between normals that differ in their mean alone
    bound = elbo(model, x, samples=400).mean().item()
    assert bound == pytest.approx(exact - gap, abs=0.1)
    few, many = (log_likelihood(model, x, samples=k).mean().item() for k in (5, 2000))
    assert bound < few < many
    assert many == pytest.approx(exact, abs=0.05)


def test_densities_agree_with_torch_distributions() -> None:
    torch.manual_seed(0)
    out, x = torch.randn(4, 1, 2, 3), torch.randn(4, 1, 2, 3).sign()
    expected = {
        "squared": Normal(out, 0.3).log_prob(x),
        "absolute": Laplace(out, 0.3).log_prob(x),
        "bernoulli": Bernoulli(logits=out).log_prob((x + 1) / 2),
    }
    for error, reference in expected.items():
        found = log_density(error, out, x, 0.3)
        assert found.shape == (4,)
        assert torch.allclose(found, reference.flatten(1).sum(1), rtol=1e-4), error


def test_a_bernoulli_model_without_code_is_exact() -> None:
    class Constant:
        def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return torch.zeros(len(x), 2), torch.zeros(len(x), 2)

        def log_density(self, x: Tensor, z: Tensor) -> Tensor:
            return log_density("bernoulli", torch.full_like(x, math.log(3.0)), x)

    x = torch.tensor([[1.0, 1.0, -1.0]])
    expected = 2 * math.log(0.75) + math.log(0.25)
    assert elbo(Constant(), x).item() == pytest.approx(expected, rel=1e-5)
    assert log_likelihood(Constant(), x, samples=7).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("bound", [elbo, log_likelihood])
def test_at_least_one_sample(bound) -> None:
    with pytest.raises(ConfigError, match="at least 1 expected, got 0"):
        bound(LinearGaussian(), torch.zeros(2, 6), samples=0)
