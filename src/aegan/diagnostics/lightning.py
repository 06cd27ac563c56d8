"""The doctor as a callback of PyTorch Lightning; imported by name only, since Lightning is optional.

    from aegan.diagnostics.lightning import DoctorCallback
    trainer = Trainer(callbacks=[DoctorCallback(generator="G", discriminator="D")])

The module shows its batches by ``self.doctor_real``, ``self.doctor_fake`` and ``self.doctor_holdout``, set in
``training_step``; without them gradients, updates, the generator's Jacobian and the losses that it returns are watched
alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from aegan.diagnostics.doctor import Doctor
from aegan.errors import ConfigError


def _base() -> type:
    for name in ("lightning.pytorch", "pytorch_lightning"):
        try:
            return importlib.import_module(name).Callback
        except ImportError:
            continue
    return object


class DoctorCallback(_base()):
    """Watches a LightningModule's networks.

    Args:
        generator: Attribute of the module that is the generator; likewise the others.
        discriminator: Samples to logits.
        encoder: Samples to codes.
        decoder: Codes to samples.
        **options: Of :class:`~aegan.diagnostics.doctor.Doctor`.

    Raises:
        ConfigError: Lightning is not installed.
    """

    def __init__(
        self,
        *,
        generator: str | None = None,
        discriminator: str | None = None,
        encoder: str | None = None,
        decoder: str | None = None,
        **options: Any,
    ) -> None:
        if DoctorCallback.__mro__[1] is object:
            raise ConfigError(
                "DoctorCallback: PyTorch Lightning is not installed. Install it with `pip install lightning`, or use "
                "aegan.diagnostics.Doctor in the training step."
            )
        super().__init__()
        named = {"generator": generator, "discriminator": discriminator, "encoder": encoder, "decoder": decoder}
        self.names = {role: name for role, name in named.items() if name is not None}
        self.options = options
        self.doctor: Doctor | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Put the hooks in place."""
        missing = [name for name in self.names.values() if not hasattr(pl_module, name)]
        if missing:
            raise ConfigError(
                f"DoctorCallback: {type(pl_module).__name__} has no attribute {missing[0]!r}. Give the names of its "
                "networks, as in DoctorCallback(generator='G', discriminator='D')."
            )
        networks = {role: getattr(pl_module, name) for role, name in self.names.items()}
        self.doctor = Doctor(**networks, **self.options).watch()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Observe the step."""
        if self.doctor is not None:
            shown = {name: getattr(pl_module, f"doctor_{name}", None) for name in ("real", "fake", "holdout")}
            self.doctor.observe(**shown, losses=_losses(outputs), step=int(trainer.global_step))

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Remove the hooks: after an error there is no end of the training."""
        self.on_train_end(trainer, pl_module)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Remove the hooks; the verdicts are ``callback.doctor.report()``."""
        if self.doctor is not None:
            self.doctor.close()


def _losses(outputs: Any) -> dict[str, Tensor]:
    """What ``training_step`` returned, as losses by name."""
    named = outputs if isinstance(outputs, Mapping) else {"loss": outputs}
    return {str(name): value.detach() for name, value in named.items() if isinstance(value, Tensor)}
