"""The generator's latest call in a training, for what is asked of it beside: its Jacobian, and its other mode."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

from aegan.diagnostics import measure


class Looking:
    """How many doctors are looking just now: no hook takes their calls for the training's."""

    count = 0

    @classmethod
    @contextlib.contextmanager
    def now(cls) -> Iterator[None]:
        """While this lasts, one more."""
        cls.count += 1
        try:
            yield
        finally:
            cls.count -= 1


class LatestCall:
    """Arguments of a generator's latest call that a Jacobian can be taken by, without their graphs."""

    def __init__(self) -> None:
        self._arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    @property
    def known(self) -> bool:
        """Whether there was one."""
        return self._arguments is not None

    def keep(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep a call whose first argument is a batch ``(B, ...)`` of two rows at least of numbers."""
        if Looking.count or not args or not isinstance(args[0], Tensor):
            return
        if args[0].is_floating_point() and args[0].ndim > 1 and len(args[0]) > 1:
            self._arguments = (tuple(map(_cut, args)), {name: _cut(value) for name, value in kwargs.items()})

    def forget(self) -> None:
        """Let go of the tensors."""
        self._arguments = None

    def values(self, generator: nn.Module, guarded: Any) -> tuple[dict[str, float], tuple[float, ...]]:
        """Statistics of the generator at this call, and its Jacobian's singular values; run it within ``aside``.

        Args:
            generator: Is in eval mode afterwards.
            guarded: A context manager that keeps an error of one part from the other.
        """
        if self._arguments is None:
            return {}, ()
        args, kwargs = self._arguments
        noise = measure.as_weights(generator, args[0])
        rows = len(args[0])

        def first(value: Any, count: int) -> Any:
            return value[:count] if isinstance(value, Tensor) and value.ndim and len(value) == rows else value

        def generate(noise: Tensor) -> Tensor:
            rest = [first(a, len(noise)) for a in args[1:]]
            made = generator(noise, *rest, **{k: first(v, len(noise)) for k, v in kwargs.items()})
            return made[0] if isinstance(made, tuple) else made

        gap = None
        with guarded:
            gap = measure.mode_gap(generator, lambda: generate(noise))
        generator.eval()  # each sample from its own noise alone
        values, spectrum = measure.jacobian_values(generate, noise)
        return values | ({} if gap is None else {"generator/mode_gap": gap}), spectrum


class Remember:
    """A hook that shows calls of the generator as long as somebody keeps them; copies of it show nobody."""

    def __init__(self, call: Callable[[], LatestCall | None] = lambda: None) -> None:
        self.call = call

    @classmethod
    def on(cls, module: nn.Module, call: LatestCall) -> Any:
        """Put it on a module; returns what removes it. The call is known weakly, so that it can be let go of."""
        return module.register_forward_pre_hook(cls(weakref.ref(call)), with_kwargs=True)

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Show a call."""
        if (call := self.call()) is not None:
            call.keep(args, kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return Remember, ()


def unwrapped(module: nn.Module) -> nn.Module:
    """What wrappers wrap.

    Those for several devices would wait for other processes; ``torch.compile``'s has no second derivative, by which
    the Jacobian is taken.
    """
    while (inner := _inside(module)) is not None:
        module = inner
    return module


def called(module: nn.Module) -> nn.Module:
    """What the training calls, on every device: a hook inside a compiled module would be compiled with it."""
    while isinstance(module, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
        module = module.module
    return module


def _inside(module: nn.Module) -> nn.Module | None:
    if isinstance(module, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
        return module.module
    return module._modules.get("_orig_mod")  # of a compiled module


def _cut(value: Any) -> Any:
    """A tensor without its graph."""
    return value.detach() if isinstance(value, Tensor) else value
