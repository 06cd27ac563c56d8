"""A feature space for images: a named function from images to vectors, which the metrics then compare.

Values of a metric can be compared only within one feature space, so every space carries a name that says
which network it is, what that was trained on, and how many dimensions it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from aegan.data.base import TensorData
from aegan.data.in_one import in_one
from aegan.errors import ConfigError, DataError

BATCH = 500
"""Images a forward pass; fixed, so that results repeat to the last bit."""


def to_uint8(x: Tensor, *, where: str = "to_uint8") -> Tensor:
    """What an 8-bit image file can hold of ``x``: rounded, clipped, uint8. uint8 tensors pass through.

    Args:
        x: Floats in [-1, 1]; slight overshoot is clipped, as saving would.
        where: Caller's name for error messages.

    Raises:
        DataError: NaN or infinite values, or values so far outside that the scale must be wrong.

    >>> to_uint8(torch.tensor([-1.0, 0.001, 1.2])).tolist()
    [0, 128, 255]
    """
    if x.dtype == torch.uint8:
        return x
    if not torch.isfinite(x).all():
        raise DataError(f"{where}: images hold NaN or infinite values; finite values in [-1, 1] expected.")
    if x.numel() and float(x.abs().max()) > 4:
        raise DataError(
            f"{where}: image values reach {float(x.abs().max()):.4g}; floats in [-1, 1] expected. "
            "Pass 0..255 images as uint8, or scale them by x / 127.5 - 1."
        )
    return x.float().add(1.0).mul(127.5).round_().clamp_(0, 255).to(torch.uint8)


def as_data(x: Tensor | TensorData, *, where: str) -> TensorData:
    """``x`` as TensorData, its samples checked to be images ``(N, C, H, W)``."""
    data = x if isinstance(x, TensorData) else TensorData(x=x)
    images = data.fields.get("x")
    if images is None or len(images.shape) != 4:
        got = f"fields {sorted(data.fields)}" if images is None else f"shape {tuple(images.shape)}"
        raise DataError(
            f"{where}: got {got}; images of shape (N, C, H, W) expected. Add the channel axis with .unsqueeze(1)."
        )
    return data


def image_batches(data: TensorData, size: int = BATCH, *, where: str = "image_batches") -> Iterator[Tensor]:
    """The images of ``data`` in order, as uint8 batches ``(B, C, H, W)`` on the CPU."""
    images = TensorData(x=data.fields["x"])
    for index in torch.arange(len(data)).split(size):
        yield to_uint8(images.batch(index)["x"], where=where).cpu()


class Features:
    """Images to feature vectors, in evaluation mode, without gradients, the same each time.

    Inputs are first rounded to what an 8-bit image can hold, so that a model's floats and the PNGs saved
    from them score alike.

    Args:
        function: Maps floats ``(B, C, H, W)`` in [-1, 1] on ``device`` to ``(B, D)`` or ``(B, D, 1, 1)``.
            A module (or the one whose method this is) is put into evaluation mode for each call and left
            as it was found.
        name: Which network, its dimensions, its training data.
        dim: D; 0 if not known before the first call, after which it is set.
        shape: ``(C, H, W)`` that the network needs, or None if any will do.
        device: Where ``function`` computes.
        classify: Maps the same floats to class logits ``(B, K)``, if this is a classifier.
        about: JSON values that describe the space further (classes, accuracy, fingerprint).
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        *,
        name: str,
        dim: int = 0,
        shape: tuple[int, ...] | None = None,
        device: str | torch.device = "cpu",
        classify: Callable[[Tensor], Tensor] | None = None,
        about: dict[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.dim = dim
        self.shape = shape
        self.device = torch.device(device)
        self.classify = classify
        self.about = dict(about or {})

    def __repr__(self) -> str:
        return f"Features({self.name!r}, dim={self.dim})"

    @property
    def is_classifier(self) -> bool:
        """Whether :meth:`predict` can be called."""
        return self.classify is not None

    def __call__(self, x: Tensor | TensorData) -> Tensor:
        """Features float32 ``(N, D)`` on the CPU of images in [-1, 1] (float) or 0..255 (uint8).

        Raises:
            DataError: Wrong shape or scale, no samples, or values that are not finite.
            ConfigError: The network returns something else than one vector of D values per image.
        """
        return self._evaluate(x, self.function, self._vectors)

    def predict(self, x: Tensor | TensorData) -> Tensor:
        """Most likely class index of each image, int64 ``(N,)``.

        Raises:
            ConfigError: These features do not come from a classifier.
        """
        if self.classify is None:
            raise ConfigError(
                f"Features.predict: '{self.name}' is not a classifier. Use classifier_features to get one."
            )
        return self._evaluate(x, self.classify, lambda logits, _: logits.argmax(dim=1).cpu())

    def _evaluate(
        self, x: Tensor | TensorData, function: Callable[[Tensor], Tensor], finish: Callable[[Tensor, int], Tensor]
    ) -> Tensor:
        data = as_data(x, where="Features")
        self._check(data)
        owner = getattr(function, "__self__", function)  # a bound method such as model.encode has an owner
        training = [m for m in owner.modules() if m.training] if isinstance(owner, nn.Module) else []
        devices = [self.device] if self.device.type == "cuda" else []
        try:
            if isinstance(owner, nn.Module):
                owner.eval()
            # An encoder that samples its code draws the same noise each time.
            with torch.no_grad(), torch.random.fork_rng(devices=devices):
                torch.manual_seed(0)
                parts = (
                    finish(function(batch.to(self.device).float().div_(127.5).sub_(1.0)), len(batch))
                    for batch in image_batches(data, where=f"Features '{self.name}'")
                )
                return in_one(parts, len(data))
        finally:
            for module in training:
                module.training = True

    def _check(self, data: TensorData) -> None:
        shape = tuple(data.fields["x"].shape[1:])
        if len(data) == 0:
            raise DataError(f"Features '{self.name}': no images given; at least one expected.")
        if self.shape is not None and shape != self.shape:
            raise DataError(
                f"Features '{self.name}': images of shape {shape} given, {tuple(self.shape)} expected. "
                "Resize the images, or train features on images of this shape."
            )

    def _vectors(self, out: Tensor, batch: int) -> Tensor:
        if isinstance(out, Tensor) and out.ndim == 4 and out.shape[2:] == (1, 1):
            out = out.flatten(1)
        if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != batch:
            got = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
            raise ConfigError(
                f"Features '{self.name}': for {batch} images the network returned {got}; "
                "(N, D) or (N, D, 1, 1) expected. Pool or flatten its output, or wrap it in a module that does."
            )
        if self.dim and out.shape[1] != self.dim:
            raise ConfigError(f"Features '{self.name}': {out.shape[1]} dimensions returned, {self.dim} expected.")
        self.dim = out.shape[1]
        return out.float().cpu()


def encoder_features(
    encode: Callable[[Tensor], Tensor], dim: int, name: str, *, device: str | torch.device = "cpu"
) -> Features:
    """Features from an autoencoder's own encoder, for data without labels.

    The space shares the model's blind spots: what the encoder drops, no metric in it can see. Do not
    compare models by spaces that each brought along.

    Args:
        encode: Maps images ``(B, C, H, W)`` in [-1, 1] to codes ``(B, dim)``.
        dim: Dimensions of the code.
        name: Which encoder, trained on what.
        device: Where ``encode`` computes.
    """
    return Features(encode, name=name, dim=dim, device=device)


def module_features(module: nn.Module, name: str, *, device: str | torch.device = "cpu") -> Features:
    """Features from any module that maps images in [-1, 1] to ``(N, D)`` or ``(N, D, 1, 1)``.

    Resizing or another input scale belongs inside the module. ``dim`` is known after the first call.

    >>> module_features(nn.Flatten(), "pixels")(torch.zeros(3, 1, 2, 2)).shape
    torch.Size([3, 4])
    """
    return Features(module, name=name, device=device)
