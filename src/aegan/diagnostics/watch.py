"""Gradients and updates as the optimisers see them, whatever the loop around them looks like.

Hooks sit on the optimisers' steps, not on modules: however many ``backward()`` calls come before, and whichever
networks they run through, what a step is taken with is what counts. Weights, gradients and random state are only read.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from aegan.diagnostics.gradients import (
    LayerGradient,
    cosine,
    depth_ratio,
    first_last,
    first_non_finite,
    layer_gradients,
    layers,
    norms,
    silent_units,
    sketch,
    update_ratios,
)
from aegan.diagnostics.history import median

DEAD_AFTER = 10
"""Looks in a row that a unit gets no gradient in before it counts as dead."""
UNMOVED = 10
"""Steps of other networks after which one that no optimiser has moved counts as left out."""
SIGNAL_OVER = 16
"""Steps over which a gradient's mean and variance are taken."""


@dataclass
class _Network:
    """What is remembered of one network between looks."""

    module: nn.Module
    parameters: list[nn.Parameter] = field(default_factory=list)
    steps: int = 0
    reached: int = 0
    moved: bool = False
    paces: int = 0
    looks: int = 0
    start: Tensor | None = None
    length: float = 0.0
    previous: Tensor | None = None
    mean: Tensor | None = None
    square: Tensor | None = None
    before: list[Tensor] = field(default_factory=list)
    silent: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    layers: dict[str, float] = field(default_factory=dict)


class GradientWatch:
    """Reads the gradients of named networks at the steps of their optimisers.

    Args:
        networks: By name.
        wants: Asked before each step whether a network, by name, is to be measured; the owner's schedule.
        spent: Told the seconds that a measurement took, by a context manager.
        fail: Told of an exception; the training goes on.
        optimizers: Those to watch; every optimiser of the process whose parameters are the networks' when None.
        earlier: A watch of the same networks that this one goes on from.

    Attributes:
        fresh: Whether something was measured since the last :meth:`take`.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        wants: Callable[[str], bool],
        spent: Callable[[], Any],
        fail: Callable[[Exception], None],
        optimizers: Sequence[Optimizer] | None = None,
        earlier: GradientWatch | None = None,
    ) -> None:
        self.networks = {name: _Network(module, list(module.parameters())) for name, module in networks.items()}
        if earlier is not None:
            self.networks |= {n: old for n, old in earlier.networks.items() if n in networks}
        self._wants, self._spent, self._fail = wants, spent, fail
        self._optimizers = None if optimizers is None else {id(o) for o in optimizers}
        self._known: weakref.WeakKeyDictionary[Optimizer, tuple[int, tuple[str, ...]]] = weakref.WeakKeyDictionary()
        self._measuring: set[str] = set()
        self._first: dict[str, int] = {}
        self._place: str | None = None
        self.fresh = self._failed = False
        self._taken = 0 if earlier is None else earlier._taken
        itself = weakref.ref(self)

        def before(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if (watch := itself()) is None or watch._failed:
                return None
            closure = kwargs.get("closure") or next((a for a in args[1:] if callable(a)), None)
            if closure is None or not watch._mine(optimizer):
                watch._guarded(watch._before, optimizer)
                return None
            # The gradients are made within the step.
            called = _Once(closure, lambda: watch._guarded(watch._before, optimizer))
            if "closure" in kwargs:
                return args, kwargs | {"closure": called}
            return tuple(called if a is closure else a for a in args), kwargs

        def after(optimizer: Optimizer, *_: Any) -> None:
            if (watch := itself()) is not None:
                watch._guarded(watch._after, optimizer)

        self._handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
        # Whoever forgets to close leaves no hook behind once the watch is gone.
        weakref.finalize(self, _remove, list(self._handles))

    def close(self) -> None:
        """Remove the hooks."""
        _remove(self._handles)
        self._handles = []

    def tick(self) -> None:
        """End of a step: note which networks were moved in it."""
        self._taken += 1
        for network in self.networks.values():
            network.paces += network.moved
            network.moved = False
        self._first = {}

    def passed(self, names: Sequence[str]) -> None:
        """These networks are moved by a step that no optimiser is called for, and nothing is seen of."""
        for network in (self.networks[name] for name in names if name in self.networks):
            network.steps += 1
            network.reached += 1
            network.moved = True

    def take(self) -> tuple[dict[str, float], dict[str, dict[str, float]], dict[str, str]]:
        """Values, layers and notes measured since the last call, by ``network/statistic`` and network."""
        values: dict[str, float] = {}
        found: dict[str, dict[str, float]] = {}
        notes: dict[str, str] = {}
        if not self.fresh:
            return values, found, notes
        self.fresh = False
        total = max((n.steps for n in self.networks.values()), default=0)
        for name, network in self.networks.items():
            if network.steps:
                values[f"{name}/reached"] = network.reached / network.steps
            elif total >= UNMOVED:
                values[f"{name}/reached"] = 0.0
            values[f"{name}/pace"] = network.paces / max(self._taken, 1)
            values |= {f"{name}/{key}": value for key, value in network.values.items()}
            if network.layers:
                found[name] = network.layers
            network.values, network.layers = {}, {}
        if self._place is not None:
            notes["non-finite"], self._place = self._place, None
        return values, found, notes

    def _guarded(self, measure: Callable[[Optimizer], None], optimizer: Optimizer) -> None:
        if self._failed:
            return
        try:
            measure(optimizer)
        except Exception as error:  # a watch must never break a training
            self._failed = True
            self._fail(error)

    def _mine(self, optimizer: Optimizer) -> tuple[str, ...]:
        """Networks that this optimiser moves."""
        if self._optimizers is not None and id(optimizer) not in self._optimizers:
            return ()
        count = sum(len(group["params"]) for group in optimizer.param_groups)  # more may be added later
        known = self._known.get(optimizer)
        if known is None or known[0] != count:
            moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
            names = (n for n, one in self.networks.items() if any(id(p) in moved for p in one.module.parameters()))
            known = self._known[optimizer] = (count, tuple(names))
        return known[1]

    def _before(self, optimizer: Optimizer) -> None:
        # A frozen network has no gradient to judge.
        names = [n for n in self._mine(optimizer) if any(p.requires_grad for p in self.networks[n].parameters)]
        for name in names:
            network = self.networks[name]
            network.steps += 1
            network.moved = True
            for p in network.parameters:
                if p.grad is not None:
                    network.reached += 1
                    break
        names = [name for name in names if self._wants(name)]
        if names and not _overflowed(optimizer):
            self.fresh = True
            with self._spent():
                for name in names:
                    # Of several optimisers of one network the first one's step begins, and the last one's ends it.
                    if self._first.setdefault(name, id(optimizer)) == id(optimizer):
                        self._measure(name, _scale(optimizer))
                    self._measuring.add(name)

    def _after(self, optimizer: Optimizer) -> None:
        names = [name for name in self._mine(optimizer) if name in self._measuring] if self._measuring else ()
        if names:
            with self._spent():
                for name in names:
                    self._measure_update(name)
                    self._measuring.discard(name)

    @torch.no_grad()
    def _measure(self, name: str, scale: float) -> None:
        """Read the gradients, which are ``scale`` times too long."""
        network = self.networks[name]
        module, values = network.module, network.values
        network.parameters = list(module.parameters())
        found = {
            n: LayerGradient(g.gradient / scale, g.weight, g.rms / scale) for n, g in layer_gradients(module).items()
        }
        others = [p.grad for p in module.parameters() if p.ndim < 2 and p.grad is not None]
        lengths = [length / scale for length in norms(others)]
        top = max((n / g.numel() ** 0.5 for n, g in zip(lengths, others, strict=True)), default=0.0)
        total = math.hypot(*lengths, *(f.gradient for f in found.values()))
        values["gradient"] = total
        if not math.isfinite(total):
            named = dict(module.named_parameters())
            place = first_non_finite(dict(named))
            place = place or first_non_finite({f"gradient of {n}": p.grad for n, p in named.items()})
            self._say(name, place or f"norm of the gradient is {total}")
            return
        self._by_depth(network, found, top)
        self._units(network)
        self._over_time(network)
        weights = list(layers(module).values())
        network.before = [w.detach().clone() for w in weights]
        here = sketch(weights)
        if network.start is None or network.start.shape != here.shape:
            network.start, network.length = here, max(float(here.norm()), 1e-3)
        values["travel"] = float((here - network.start).norm()) / network.length
        values["weight"] = float(here.norm()) / network.length

    def _by_depth(self, network: _Network, found: dict[str, LayerGradient], top: float) -> None:
        if not found:
            return
        relative = {name: layer.relative for name, layer in found.items()}
        network.layers = relative
        network.values["relative"] = max(relative.values())
        for key, ratio in (("depth", depth_ratio(found, top)), ("first_last", first_last(found))):
            if ratio is not None:
                network.values[key] = ratio

    def _units(self, network: _Network) -> None:
        for name, silent in silent_units(network.module).items():
            run = network.silent.get(name)
            network.silent[name] = silent.int() if run is None or run.shape != silent.shape else (run + 1) * silent
        if network.silent:
            parts = [float((run >= DEAD_AFTER).float().mean()) for run in network.silent.values()]
            network.values["dead"] = max(parts)

    def _over_time(self, network: _Network) -> None:
        g = sketch(p.grad for p in network.module.parameters())
        values, last = network.values, network.previous
        if last is not None and (turned := cosine(g, last)) is not None:
            values["turn"] = turned
        if network.mean is None or network.square is None or network.mean.shape != g.shape:
            network.mean, network.square = g.clone(), g.square()
        else:
            network.mean.lerp_(g, 1 / SIGNAL_OVER)
            network.square.lerp_(g.square(), 1 / SIGNAL_OVER)
            noise = (network.square - network.mean.square()).clamp_min(0).mean()
            network.looks += 1
            if float(noise) > 0 and network.looks >= SIGNAL_OVER:
                # A mean over n steps holds 1/n of the noise.
                signal = float(network.mean.square().mean() - noise / (2 * SIGNAL_OVER - 1))
                values["signal"] = max(signal, 0.0) / float(noise)
        network.previous = g

    @torch.no_grad()
    def _measure_update(self, name: str) -> None:
        network = self.networks[name]
        weights = list(layers(network.module).values())
        if len(weights) == len(network.before):
            ratios = update_ratios(network.before, weights)
            network.values |= {"update": median(ratios)} if ratios else {}
            self._say(name, first_non_finite(dict(network.module.named_parameters())))

    def _say(self, name: str, place: str | None) -> None:
        """Keep the first place that is not finite: what comes later in a step follows from it."""
        if place is not None and self._place is None:
            self._place = f"{name}: {place}"

    def dead_where(self, name: str) -> str:
        """Layer of a network with the largest part of dead units."""
        silent = self.networks[name].silent
        return max(silent, key=lambda layer: float((silent[layer] >= DEAD_AFTER).float().mean()), default="")


class _Once:
    """A closure that something is done behind the first call of."""

    def __init__(self, closure: Callable[..., Any], then: Callable[[], None]) -> None:
        self.closure, self.then, self.done = closure, then, False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        out = self.closure(*args, **kwargs)
        if not self.done:
            self.done = True
            self.then()
        return out


def _scale(optimizer: Optimizer) -> float:
    """What a ``GradScaler`` made the gradients longer by; a fused optimiser undoes that within its step."""
    scale = getattr(optimizer, "grad_scale", None)
    return 1.0 if scale is None else float(scale)


def _overflowed(optimizer: Optimizer) -> bool:
    """Whether a fused optimiser was told by a ``GradScaler`` to leave this step out, as the first ones often are."""
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)


def _remove(handles: Sequence[Any]) -> None:
    for handle in handles:
        handle.remove()
