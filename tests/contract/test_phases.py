"""What the trainer's steps change, for every registered model: each phase its own networks, all of them, no others."""

from __future__ import annotations

import pytest
import torch
from tests.contract.test_models import PAIRS, SPECS, data_for
from tests.contract.test_runs import RUNS, model_of

from aegan.config import TrainConfig
from aegan.models.base import Model
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Batch, Phase, Term

CASES = [*[(name, spec) for name, spec in PAIRS if spec == "labelled"], *RUNS]
LEVELS = {
    # Relativistic losses: a constant added to all logits cancels.
    "DenoisingGAN": {"discriminator.logit.bias"},
    "WarmStartGAN": {"discriminator.logit.bias"},
    "BiGAN": {"discriminator.logit.bias"},
    "ALAE": {"discriminator.logit.bias"},
    "ContractiveGAN": {"discriminator.logit.bias"},  # not that of the discriminator of codes, which has another loss
    "MDGAN": {"manifold_discriminator.logit.bias", "diffusion_discriminator.logit.bias"},
    "LatentGAN": {"discriminator.logit.bias", "latent_discriminator.logit.bias"},
    # Wasserstein: it cancels likewise.
    "ARAE": {"critic.logit.bias"},
    # Hinge: it cancels as long as no logit is beyond its margin. The GAN is tried with relativistic losses too.
    "VQGAN": {"discriminator.logit.bias"},
    "GAN": {"discriminator.logit.bias"},
}
"""By model, what its loss gives no gradient to."""
NOT_TRAINED: dict[str, set[str]] = {}
"""By model, parameters that no phase trains: none so far."""
FAINT = 1e-6
"""Share of the largest gradient in the phase below which a gradient is rounding."""


class _Watched(Trainer):
    """Compares all that the model holds before a phase's loss and after its step."""

    def __init__(self, model: Model, spec: str) -> None:
        super().__init__(model, data_for(SPECS[spec]), TrainConfig(steps=16, grids=0), Backend("cpu", "fp32"))
        self.names = {id(p): name for name, p in model.named_parameters()}  # an alias has its parameter's one name
        self.reached: dict[str, set[str]] = {}
        self.moved: dict[str, set[str]] = {}
        self.foreign: dict[str, set[str]] = {}
        loss = model.loss

        def watched(phase: str, batch: Batch) -> dict[str, Term]:
            self.before = {k: v.clone() for k, v in model.state_dict().items()}
            return loss(phase, batch)

        model.loss = watched  # type: ignore[method-assign]

    def own(self, phase: Phase) -> set[str]:
        return {self.names[id(p)] for n in phase.networks for p in getattr(self.model, n).parameters()}

    def _optimizer(self, phase: Phase) -> torch.optim.Optimizer:
        optimizer = super()._optimizer(phase)
        optimizer.register_step_pre_hook(lambda *_: self._reach(phase))
        optimizer.register_step_post_hook(lambda *_: self._compare(phase))
        return optimizer

    def _reach(self, phase: Phase) -> None:
        sizes = {k: float(p.grad.abs().max()) for k, p in self.model.named_parameters() if p.grad is not None}
        least = FAINT * max(sizes.values())
        self.reached.setdefault(phase.name, set()).update(k for k, size in sizes.items() if size > least)

    def _compare(self, phase: Phase) -> None:
        now = self.model.state_dict(keep_vars=True)
        moved = {k for k, v in now.items() if not torch.equal(v, self.before[k])}
        networks = [getattr(self.model, n) for n in phase.networks]
        # Statistics kept in buffers may move in the loss, those of the phase's own networks alone.
        own = {id(v) for n in networks for v in [*n.parameters(), *n.buffers()]}
        self.moved.setdefault(phase.name, set()).update(moved)
        self.foreign.setdefault(phase.name, set()).update(k for k in moved if id(now[k]) not in own)


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_each_phase_moves_its_own_networks_and_no_others_and_all_are_trained(name: str, spec: str) -> None:
    model = model_of(name, spec)
    # Branches that start at zero pass no gradient on at first: give every weight a value.
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    trainer, without = _Watched(model, spec), LEVELS.get(type(model).__name__, set())
    trainer.fit()
    phases = [phase for stage in model.stages for phase in stage.phases]
    for phase in phases:
        assert not trainer.foreign[phase.name], f"{phase.name} moved {trainer.foreign[phase.name]}"
        expected = trainer.own(phase) - without
        assert not (lacking := expected - trainer.reached[phase.name]), f"{phase.name}: no gradient at {lacking}"
        assert not (still := expected - trainer.moved[phase.name]), f"{phase.name} does not move {still}"
    trained = set().union(*(trainer.own(phase) for phase in phases))
    assert set(trainer.names.values()) - trained == NOT_TRAINED.get(type(model).__name__, set())
