"""The autoencoders as a scikit-learn transformer: ``Pipeline``, ``GridSearchCV`` and ``SelectFromModel`` take it.

Importing this module imports torch and scikit-learn; ``import aegan`` does not import it.
"""

from __future__ import annotations

import copy
import math
import threading
import time
from typing import Any, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data
from torch import Tensor

from aegan.config import TrainConfig, from_json, override
from aegan.data.base import TensorData
from aegan.errors import ConfigError, DataError, Interrupted, nearest
from aegan.metrics.relevance import reconstruction_relevance
from aegan.models.base import Model, in_blocks
from aegan.models.registry import MODELS, entry
from aegan.streams import borrowed
from aegan.train.backend import Backend, resolve_device
from aegan.train.probe import Probe, StepRecord
from aegan.train.trainer import Trainer
from aegan.types import Spec

SCALES = ("auto", "columns", "range", "none")
_FLOATS = [np.float64, np.float32]
_LARGEST_DEFAULT_CODE = 64
_TRAINING = threading.Lock()
"""Weights and noise come from torch's one random state, so threads (joblib's, say) train one after the other."""


class AutoencoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Codes of an autoencoder as features, trained on the rows it is fitted with.

    Labels given to :meth:`fit` are not used unless ``class_weight`` asks for it, so that features made within a
    ``Pipeline`` know nothing of the labels.

    Args:
        model: A registered model of the family ``autoencoder``; ``aegan models`` lists them.
        latent_dim: Length of a code. None: half the number of columns, at most 64.
        width: Size of the networks: an eighth of the hidden units, or the channels of the finest feature map of
            images.
        blocks: Residual blocks (of each resolution, for images).
        steps: Training steps.
        budget: Seconds to train; given, it replaces ``steps``, and how far training comes depends on the machine.
        batch_size: Samples a step. None: the model's default.
        lr: Peak learning rate. None: the model's default.
        class_weight: Weight of a classifier on the encoder's features, for which ``fit`` then needs labels. At 0,
            labels are not looked at.
        settings: Further settings of the model by name, as in ``{"amount": 0.5}`` for ``denoising``.
        scale: What is done to the columns before the networks see them: ``columns`` (each to zero mean and unit
            variance), ``range`` (all by one factor, from their common range to [-1, 1]), ``none``, or ``auto``:
            ``range`` for images, ``columns`` otherwise.
        image_shape: ``(H, W)`` or ``(C, H, W)`` where rows are flattened images (in that order, C-contiguous): the
            networks are then convolutional. None: rows are vectors.
        random_state: Seed, generator or None, as everywhere in scikit-learn. torch's random state is left alone.
        device: ``auto``, ``cpu`` or ``cuda``.
        verbose: Above 0, a line every second of training.

    Attributes:
        network_: The trained :class:`aegan.models.base.Model`.
        feature_importances_: Relevance ``(n_features_in_,)`` of each column: how much of the *other* columns'
            variance is reconstructed because of it; see :func:`aegan.metrics.relevance.reconstruction_relevance`.
        offset_, scale_: ``(X - offset_) / scale_`` is what the network sees.
        steps_: Steps trained.
        n_features_in_, feature_names_in_: As everywhere in scikit-learn; the names only where ``X`` had some.

    >>> x = np.random.default_rng(0).normal(size=(100, 2)) @ np.ones((2, 6))
    >>> coder = AutoencoderTransformer(latent_dim=1, steps=5, random_state=0).fit(x)
    >>> coder.transform(x).shape, coder.inverse_transform(coder.transform(x)).shape
    ((100, 1), (100, 6))
    """

    network_: Model
    feature_importances_: np.ndarray
    offset_: Any
    scale_: Any
    steps_: int
    n_features_in_: int
    _n_features_out: int

    def __init__(
        self,
        model: str = "autoencoder",
        *,
        latent_dim: int | None = None,
        width: int = 16,
        blocks: int = 1,
        steps: int = 1000,
        budget: float | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        class_weight: float = 0.0,
        settings: dict[str, Any] | None = None,
        scale: str = "auto",
        image_shape: tuple[int, ...] | None = None,
        random_state: Any = None,
        device: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.latent_dim = latent_dim
        self.width = width
        self.blocks = blocks
        self.steps = steps
        self.budget = budget
        self.batch_size = batch_size
        self.lr = lr
        self.class_weight = class_weight
        self.settings = settings
        self.scale = scale
        self.image_shape = image_shape
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> AutoencoderTransformer:
        """Train on the rows of ``X`` ``(N, n_features)``.

        Args:
            X: Finite numbers, two rows at least.
            y: Class labels ``(N,)``; not looked at unless ``class_weight`` is above 0.

        Raises:
            ValueError: Data that scikit-learn refuses everywhere, with its own words; or (as
                :class:`aegan.errors.ConfigError`) settings that cannot work.
            aegan.errors.NonFiniteError: The loss or a gradient became NaN or infinite.
        """
        X = self._checked(X, ensure_min_samples=2)
        labels, classes = self._labels(X, y)
        self.offset_, self.scale_ = self._scaling(X)
        spec = self._spec(classes)
        x = self._tensor(X, spec)
        config = TrainConfig(
            steps=self.steps if self.budget is None else None,
            budget=300.0 if self.budget is None else self.budget,
            seed=int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max)),
            device=self.device,
            precision="fp32",
            grids=0,
        )
        data = TensorData(x=x) if labels is None else TensorData(x=x, y=labels)
        backend = Backend(resolve_device(self.device), "fp32")
        with _TRAINING:
            network, self.steps_ = self._trained(spec, data, config, backend)
        self.network_ = network
        self._n_features_out = network.code_dim
        self.feature_importances_ = reconstruction_relevance(
            network.encode, network.decode, x, seed=config.seed, device=backend.device
        ).numpy()
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Codes ``(N, latent_dim)`` of the rows of ``X`` ``(N, n_features)``, in the data type of ``X``."""
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        z = self._run(self.network_.encode, self._tensor(X, self.network_.spec))
        return _finite(z.numpy().astype(X.dtype, copy=False), "transform")

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Rows ``(N, n_features)`` that codes ``X`` ``(N, latent_dim)`` stand for, in the units of the data."""
        check_is_fitted(self)
        X = np.asarray(check_array(X, dtype=cast("Any", _FLOATS)))
        if X.shape[1] != self._n_features_out:
            raise ValueError(f"X has {X.shape[1]} columns, but codes of {self._n_features_out} are expected.")
        x = self._run(self.network_.decode, torch.from_numpy(X.astype(np.float32)))
        return (x.flatten(1).numpy() * self.scale_ + self.offset_).astype(X.dtype, copy=False)

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the mean squared error of the reconstruction of ``X`` ``(N, n_features)``; at most 0.

        The error is that of the scaled values, so compare models of one ``scale`` only. ``y`` is not looked at.
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        x = self._tensor(X, self.network_.spec)
        x_hat = self._run(lambda part: self.network_.decode(self.network_.encode(part)), x)
        return -float((x_hat.double() - x.double()).square().mean())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = bool(self.class_weight)
        tags.non_deterministic = self.budget is not None
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # A pickle has to open on a machine without this one's GPU.
        state = cast("dict[str, Any]", super().__getstate__())
        if "network_" in state and _device(state["network_"]).type != "cpu":
            state = state | {"network_": copy.deepcopy(state["network_"]).cpu()}
        return state

    # --- from arguments and arrays to aegan's nouns ---------------------------------------------------------

    def _checked(self, X: Any, **options: Any) -> np.ndarray:
        return cast("np.ndarray", validate_data(self, X, dtype=_FLOATS, **options))

    def _labels(self, X: np.ndarray, y: Any) -> tuple[Tensor | None, tuple[str, ...]]:
        if not self.class_weight:
            return None, ()
        if y is None:
            raise ValueError(
                f"{type(self).__name__}: class_weight={self.class_weight} requires y to be passed, but the target y "
                "is None. Give labels, or class_weight=0."
            )
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        check_classification_targets(y)
        classes, index = np.unique(y, return_inverse=True)
        return torch.from_numpy(index.astype(np.int64)), tuple(str(name) for name in classes)

    def _scaling(self, X: np.ndarray) -> tuple[Any, Any]:
        if self.scale not in SCALES:
            raise ConfigError(f"scale: unknown value {self.scale!r}. {nearest(str(self.scale), SCALES)}")
        scale = self.scale
        if scale == "auto":
            scale = "range" if self.image_shape is not None else "columns"
        if scale == "columns":
            scaler = StandardScaler().fit(X)  # leaves constant columns at scale 1
            return scaler.mean_, scaler.scale_
        if scale == "range":
            low, high = float(X.min()), float(X.max())
            return (low + high) / 2, (high - low) / 2 or 1.0
        return 0.0, 1.0

    def _spec(self, classes: tuple[str, ...]) -> Spec:
        if self.image_shape is None:
            return Spec(kind="vector", shape=(self.n_features_in_,), classes=classes)
        shape = tuple(int(side) for side in self.image_shape)
        shape = (1, *shape) if len(shape) == 2 else shape
        if len(shape) != 3 or min(shape) < 1 or math.prod(shape) != self.n_features_in_:
            raise ConfigError(
                f"image_shape: (H, W) or (C, H, W) whose product is the number of columns, {self.n_features_in_}, "
                f"expected, got {self.image_shape}."
            )
        return Spec(kind="image", shape=shape, classes=classes)

    def _network(self, spec: Spec) -> Model:
        described = entry(self.model)
        if described.family != "autoencoder" or "vector" not in described.kinds:
            able = [name for name, other in MODELS.items() if other.family == "autoencoder" and "vector" in other.kinds]
            known = ", ".join(able)
            raise ConfigError(f"model: {self.model!r} is no autoencoder. Known autoencoders: {known}.")
        cls = described.load()
        half = min(_LARGEST_DEFAULT_CODE, max(1, self.n_features_in_ // 2))
        given: dict[str, Any] = {name: getattr(self, name) for name in ("width", "blocks", "batch_size", "lr")}
        given = {name: value for name, value in given.items() if value is not None}
        given |= {"latent_dim": half if self.latent_dim is None else self.latent_dim}
        config = from_json(cls.Config, given | {"class_weight": self.class_weight}, where=type(self).__name__)
        config = override(config, {name: _text(value) for name, value in (self.settings or {}).items()})
        return cls(spec, config)  # type: ignore[call-arg]

    def _trained(self, spec: Spec, data: TensorData, config: TrainConfig, backend: Backend) -> tuple[Model, int]:
        with borrowed():
            torch.manual_seed(config.seed)
            network = self._network(spec)
        _check_range(network, data)
        probes = [_Lines(type(self).__name__)] if self.verbose else []
        trainer = Trainer(network, data, config, backend, probes=probes)
        try:
            trainer.fit()
        except Interrupted:
            # A search takes any ordinary exception for a failed fit, and would go on.
            raise KeyboardInterrupt from None
        return network.eval(), trainer.step

    def _tensor(self, X: np.ndarray, spec: Spec) -> Tensor:
        with np.errstate(over="ignore"):  # refused below, in words
            scaled = ((X - self.offset_) / self.scale_).astype(np.float32)
        return torch.from_numpy(_finite(scaled, "scaling")).reshape(len(X), *spec.shape)

    def _run(self, function: Any, x: Tensor) -> Tensor:
        return in_blocks(function, x, device=_device(self.network_))


class _Lines(Probe):
    """A line every second: step and reconstruction error."""

    def __init__(self, name: str) -> None:
        self.name, self.last = name, time.monotonic()

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        """Print, once a second has passed or training is over."""
        if time.monotonic() - self.last < 1 and record.progress < 1:
            return
        self.last = time.monotonic()
        terms = ", ".join(f"{name.partition('/')[2]} {value:.4g}" for name, value in record.terms.items())
        print(f"[{self.name}] step {record.step}, {record.progress:.0%}: {terms}", flush=True)


def _device(network: Model) -> torch.device:
    return next(network.parameters()).device


def _text(value: Any) -> str:
    return ",".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)


def _finite(values: np.ndarray, where: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise DataError(
            f"{where}: values too large for 32-bit floats. Scale the columns, or look for values far from "
            "those that the transformer was fitted on."
        )
    return values


def _check_range(network: Model, data: TensorData) -> None:
    largest = float(torch.as_tensor(data.fields["x"]).abs().max())
    if getattr(network, "error", "") == "bernoulli" and largest > 1.0 + 1e-4:
        raise ConfigError(
            f"error=bernoulli: values in [-1, 1] expected after scaling, got {largest:.3g}. Use scale='range'."
        )


def __getattr__(name: str) -> Any:
    # It needs what is above, so it cannot be imported there.
    if name == "LatentSampler":
        from aegan.augmentation.sampler import LatentSampler

        return LatentSampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
