"""What actions there are, with or without Gymnasium."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aegan.errors import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class Actions:
    """A space of actions.

    Attributes:
        sizes: Discrete actions: how many each component has; one for actions ``(N,)``. Empty for amounts.
        low: Amounts: lowest value of each component; empty where discrete.
        high: The highest.
        scalar: Whether an action is one number, shape ``(N,)``.
        start: The lowest whole number of discrete actions.
    """

    sizes: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    scalar: bool = False
    start: int = 0

    @property
    def discrete(self) -> bool:
        """Whether actions are names rather than amounts."""
        return bool(self.sizes)

    @property
    def length(self) -> int:
        """Components of an action."""
        return len(self.sizes) if self.discrete else len(self.low)

    @property
    def one_of(self) -> int:
        """Number of actions where they are one choice; 0 otherwise."""
        return self.sizes[0] if len(self.sizes) == 1 and self.scalar else 0

    def describe(self) -> str:
        """In words."""
        if self.one_of:
            return f"{self.one_of} actions"
        return f"actions of {self.length} {'choices' if self.discrete else 'amounts'}"

    def like(self, other: Actions) -> bool:
        """Whether actions of both have the same form."""
        return (self.discrete, self.length, self.scalar) == (other.discrete, other.length, other.scalar)

    def joined(self, other: Actions) -> Actions:
        """The least space that has the actions of both, which are :meth:`like` each other."""
        if not self.discrete:
            low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
            return replace(self, low=tuple(low.tolist()), high=tuple(high.tolist()))
        start = min(self.start, other.start)
        ends = zip(self.sizes, other.sizes, strict=True)
        sizes = tuple(max(self.start + a, other.start + b) - start for a, b in ends)
        return replace(self, sizes=sizes, start=start)

    def shaped(self, actions: np.ndarray, name: str) -> np.ndarray:
        """Actions ``(N,)`` or ``(N, A)`` of this space.

        Raises:
            DataError: Another shape, or an action that the space does not have.
        """
        flat = actions.reshape(len(actions), -1)
        if flat.shape[1] != self.length:
            raise DataError(f"{name}: actions of {flat.shape[1]} numbers; {self.describe()} expected.")
        if self.discrete:
            whole = flat.astype(np.int64)
            out = (whole != flat) | (whole < self.start) | (whole >= self.start + np.asarray(self.sizes))
            if out.any():
                row = int(np.flatnonzero(out.any(axis=1))[0])
                raise DataError(f"{name}: action {flat[row].tolist()} in row {row}; {self.describe()} expected.")
            flat = whole
        return flat[:, 0] if self.scalar else flat

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Uniform actions, ``(N,)`` or ``(N, A)``; amounts without a bound are drawn as Gymnasium does.

        That is exponentially from the one bound, and normally where there is none.
        """
        if self.discrete:
            drawn = self.start + rng.integers(0, self.sizes, size=(count, self.length))
        else:
            low, high = np.asarray(self.low, dtype=np.float64), np.asarray(self.high, dtype=np.float64)
            below, above = np.isfinite(low), np.isfinite(high)
            both = below & above
            drawn = rng.uniform(np.where(both, low, 0.0), np.where(both, high, 0.0), size=(count, self.length))
            if not both.all():
                away = rng.exponential(size=drawn.shape)
                half = np.where(below, np.where(below, low, 0.0) + away, np.where(above, high, 0.0) - away)
                drawn = np.where(both, drawn, np.where(below | above, half, rng.normal(size=drawn.shape)))
            drawn = drawn.astype(np.float32)
        return drawn[:, 0] if self.scalar else drawn

    @classmethod
    def of(cls, space: Any, actions: np.ndarray, name: str) -> Actions:
        """From a Gymnasium space, or found from ``actions`` where ``space`` is None.

        Raises:
            ConfigError: A space that is neither discrete nor a box.
        """
        if isinstance(space, Actions):
            return space
        if space is None:
            return cls._found(actions, name)
        kind = type(space).__name__
        if kind == "Discrete":
            return cls(sizes=(int(space.n),), scalar=True, start=int(getattr(space, "start", 0)))
        if kind == "MultiBinary":
            return cls(sizes=(2,) * int(np.prod(space.shape)))
        if kind == "MultiDiscrete" and not np.any(getattr(space, "start", 0)):
            return cls(sizes=tuple(int(n) for n in np.ravel(space.nvec)))
        if kind == "Box":
            low, high = (np.ravel(bound).astype(float) for bound in (space.low, space.high))
            return cls(low=tuple(low.tolist()), high=tuple(high.tolist()), scalar=space.shape == ())
        raise ConfigError(
            f"{name}: an action space {space}; Discrete, MultiDiscrete (from 0), MultiBinary or Box expected. Flatten "
            "it, as by gymnasium.wrappers or gymnasium.spaces.flatten_space."
        )

    @classmethod
    def _found(cls, actions: np.ndarray, name: str) -> Actions:
        flat = actions.reshape(len(actions), -1)
        if actions.ndim > 2 or not flat.size:
            raise DataError(f"{name}: actions of shape {actions.shape}; (N,) or (N, A) expected.")
        scalar = actions.ndim == 1 or (actions.dtype.kind in "iub" and flat.shape[1] == 1)
        if actions.dtype.kind in "iub":
            if flat.min() < 0:
                raise DataError(f"{name}: action {int(flat.min())}; discrete actions from 0 on, or floats, expected.")
            return cls(sizes=tuple(int(n) + 1 for n in flat.max(axis=0)), scalar=scalar)
        low, high = flat.min(axis=0).astype(float), flat.max(axis=0).astype(float)
        return cls(low=tuple(low.tolist()), high=tuple(high.tolist()), scalar=scalar)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For an ``.npz``."""
        if self.discrete:
            return {"action_sizes": np.array(self.sizes), "action_start": np.array(self.start)}
        return {"action_low": np.array(self.low), "action_high": np.array(self.high)}

    @classmethod
    def from_arrays(cls, parts: dict[str, np.ndarray], actions: np.ndarray) -> Actions | None:
        """Inverse of :meth:`to_arrays`; None where nothing is said."""
        scalar = np.ndim(actions) == 1
        if "action_sizes" in parts:
            sizes = tuple(int(n) for n in np.ravel(parts["action_sizes"]))
            return cls(sizes=sizes, scalar=scalar, start=int(parts.get("action_start", 0)))
        if "action_low" in parts and "action_high" in parts:
            low, high = (tuple(np.ravel(parts[f"action_{end}"]).astype(float).tolist()) for end in ("low", "high"))
            return cls(low=low, high=high, scalar=scalar)
        return None

    def gymnasium(self) -> Any:
        """The same as a Gymnasium space."""
        from gymnasium import spaces

        if self.one_of:
            return spaces.Discrete(self.sizes[0], start=self.start)
        if self.discrete:
            return spaces.MultiDiscrete(list(self.sizes))
        shape = () if self.scalar else (self.length,)
        bounds = [np.asarray(end, dtype=np.float32).reshape(shape) for end in (self.low, self.high)]
        return spaces.Box(bounds[0], bounds[1], shape=shape, dtype=np.float32)
