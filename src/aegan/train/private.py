"""Differentially private training: batches drawn at random, each sample's gradient cut, noise on their sum.

References: Abadi et al. 2016, "Deep learning with differential privacy" (arXiv 1607.00133); Mironov 2017, "Rényi
differential privacy" (arXiv 1702.07476), by which Opacus adds up what the steps give away.
"""

from __future__ import annotations

import math
import secrets
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from aegan.config import PrivateConfig
from aegan.errors import ConfigError

WEAK = 10.0
"""An ε above this promises little."""


def private_config(
    epsilon: float, delta: float | None, *, samples: int, batch_size: int, steps: int, bound: float
) -> PrivateConfig:
    """The noise that ``steps`` steps need so that all of them together are (ε, δ)-differentially private.

    Two data sets are neighbours when one has a sample more than the other.

    Args:
        epsilon: Above 0.
        delta: Below ``1 / samples``; None takes the smaller of 1e-5 and a tenth of that.
        samples: Training samples; their number is taken to be known to everybody.
        batch_size: Mean size of a batch; each sample is in it independently of the others.
        steps: Of all stages together.
        bound: Norm to which a sample's gradient is cut.

    Raises:
        ConfigError: An ε or δ that promises nothing, too few samples, or Opacus is not installed.
    """
    if not 0 < epsilon < math.inf:
        raise ConfigError(f"--private {epsilon}: an ε above 0 expected, such as 3; below 1 is strong, above 10 weak.")
    if samples < 100:
        raise ConfigError(f"--private: at least 100 rows expected, got {samples}; noise would be all that is left.")
    delta = min(1e-5, 0.1 / samples) if delta is None else delta
    if not 0 < delta < 1 / samples:
        raise ConfigError(
            f"--delta {delta:g}: a number above 0 and below 1/{samples} = {1 / samples:.2g} expected, for {samples} "
            "rows: with more, giving away a whole row would be allowed."
        )
    rate = min(1.0, batch_size / samples)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from opacus.accountants.utils import get_noise_multiplier

            noise = get_noise_multiplier(
                target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=steps, accountant="rdp"
            )
    except ImportError as error:
        raise ConfigError("--private needs Opacus, which adds up the privacy: pip install 'aegan[private]'.") from error
    except ValueError as error:
        raise ConfigError(f"--private {epsilon:g}: no noise reaches it in {steps} steps ({error}).") from error
    return PrivateConfig(epsilon=epsilon, delta=delta, noise=float(noise), rate=rate, bound=bound)


class PrivateSteps:
    """The batches and the noise of a private training. Nobody may know or repeat either, so no seed goes in.

    Args:
        config: Noise, rate and bound.
        samples: Samples in the data set.
    """

    def __init__(self, config: PrivateConfig, samples: int) -> None:
        self.config, self.samples = config, samples
        self.expected = config.rate * samples
        self._random = np.random.Generator(np.random.PCG64DXSM(secrets.randbits(128)))

    def index(self, draw: int) -> Tensor:
        """Indices of a batch: each sample with the same probability, whatever the others do."""
        return torch.from_numpy(np.flatnonzero(self._random.random(self.samples) < self.config.rate))

    def disturb(self, gradients: Sequence[Tensor]) -> None:
        """Add the noise to a step's gradients, in place."""
        scale = self.config.noise * self.config.bound / self.expected
        for gradient in gradients:
            noise = self._random.standard_normal(tuple(gradient.shape), dtype=np.float32)
            gradient.add_(torch.from_numpy(np.asarray(noise)).to(gradient), alpha=scale)
