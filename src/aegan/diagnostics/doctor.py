"""The doctor for anybody's loop: plain modules, plain PyTorch, no trainer of aegan's.

    doctor = Doctor(generator=G, discriminator=D)
    with doctor:                                     # hooks on the optimisers' steps, removed at the end
        for real in loader:
            ...                                      # your steps, however many backward() calls there are
            doctor.observe(real=real, fake=fake, losses={"generator": loss_g})
    print(doctor.report())

It reads weights, gradients and batches and changes none of them; buffers, modes and random state are as they were.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from aegan.diagnostics import measure
from aegan.diagnostics.aside import aside
from aegan.diagnostics.balance import Judge, compared
from aegan.diagnostics.batches import Batches
from aegan.diagnostics.calls import LatestCall, Looking, Remember, called, unwrapped
from aegan.diagnostics.collapse import active_part, kl_per_dimension, perplexity
from aegan.diagnostics.gradients import first_non_finite, layers
from aegan.diagnostics.guard import Guard, noted
from aegan.diagnostics.health import diagnose
from aegan.diagnostics.history import History, Look
from aegan.diagnostics.pooled import FEW, Pooled
from aegan.diagnostics.schedule import Schedule
from aegan.diagnostics.verdicts import Verdict, report_text
from aegan.diagnostics.watch import GradientWatch
from aegan.errors import ConfigError
from aegan.storage import write_json

NOTHING_SEEN = (
    "Nothing was seen yet, so nothing can be said. Step the optimisers within `with doctor:`, call doctor.observe() "
    "after each step, and let the training run for some seconds, or give Doctor(..., every=1)."
)


class Doctor:
    """Watches a training of one or two networks and says what is wrong with it.

    Args:
        generator: Noise to samples.
        discriminator: Samples to logits ``(B,)``, ``(B, 1)`` or patches.
        encoder: Samples to codes.
        decoder: Codes to samples.
        judge: Samples to logits, where ``discriminator(samples)`` alone does not give them (labels, several outputs).
        share: Part of the training's time that looking may take, in (0, 1).
        every: Look at every such step instead, whatever it costs, for reproducible histories; at a network that does
            not learn at it, and at the balance of losses, at the first one after it.
        on_look: Called with every look, such as a writer of ``aegan.diagnostics.writers``.

    Attributes:
        history: What was measured.
        errors: What went wrong in the doctor itself; it never breaks a training.

    Raises:
        ConfigError: No network was given.
    """

    def __init__(
        self,
        *,
        generator: nn.Module | None = None,
        discriminator: nn.Module | None = None,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        judge: Judge | None = None,
        share: float = 0.05,
        every: int | None = None,
        on_look: Callable[[Look], None] | None = None,
    ) -> None:
        named = {"generator": generator, "discriminator": discriminator, "encoder": encoder, "decoder": decoder}
        self.networks = {name: unwrapped(m) for name, m in named.items() if m is not None}
        if not self.networks:
            raise ConfigError("Doctor: no network. Give one at least, as in Doctor(generator=G, discriminator=D).")
        if not 0 < share < 1 or (every is not None and every < 1):
            raise ConfigError(
                f"Doctor: share in (0, 1) and every of at least 1 expected, got {share} and {every}. "
                "The default share is 0.05."
            )
        self._generator = None if generator is None else called(generator)
        self.judge: Judge | None = judge or self.networks.get("discriminator")
        self.schedule = Schedule(share, every=every)
        self.history = History()
        self.errors: list[str] = []
        self._guarded = Guard(self.errors)
        self.on_look = on_look
        self._watch: GradientWatch | None = None
        self._earlier: GradientWatch | None = None
        self._closed = False
        self._handle: Any = None
        self._batches = Batches()
        self._call = LatestCall()
        self._seen, self._pooled = measure.Seen(), Pooled()
        self._compared: dict[str, float] = {}
        self._step = 0

    # --- hooks ------------------------------------------------------------------------------------------------

    def watch(self, *optimizers: Optimizer) -> Doctor:
        """Put the hooks in place; use it as a context manager, ``with doctor.watch(opt_G, opt_D):``.

        Args:
            *optimizers: Those whose steps are read; all that move one of the networks when none is named.
        """
        if self._watch is None:
            self.schedule.wait_for(p.device for network in self.networks.values() for p in network.parameters())
            self.schedule.begin()
            # The hooks do not know the doctor, so that a forgotten one takes them away with it.
            schedule, errors = self.schedule, self.errors
            self._watch = GradientWatch(
                self.networks,
                wants=lambda name: schedule.due("gradients", name),
                spent=lambda: schedule.measuring("gradients"),
                fail=lambda error: noted(errors, error),
                optimizers=optimizers or None,
                earlier=self._earlier,
            )
            self._earlier, self._closed = None, False

            if self._generator is not None:
                self._handle = Remember.on(self._generator, self._call)
                weakref.finalize(self, self._handle.remove)
        return self

    def close(self) -> None:
        """Remove all hooks, as the end of a ``with`` does; what was measured stays, and a later one goes on there."""
        if self._watch is not None:
            self._watch.close()
            self._earlier = self._watch
        if self._handle is not None:
            self._handle.remove()
        self._watch = self._handle = None
        self._call.forget()
        self._closed = True

    def __enter__(self) -> Doctor:
        return self.watch()

    def __exit__(self, *_: Any) -> None:
        self.close()

    # --- observing --------------------------------------------------------------------------------------------

    @torch.no_grad()
    def observe(
        self,
        *,
        real: Tensor | None = None,
        fake: Tensor | None = None,
        losses: Mapping[str, Tensor | float] | Tensor | float | None = None,
        holdout: Tensor | Callable[[], Tensor] | None = None,
        posterior: tuple[Tensor, Tensor] | None = None,
        tokens: Tensor | None = None,
        codes: int | None = None,
        step: int | None = None,
    ) -> None:
        """Tell the doctor of a step that is done; everything is optional, and more tells more.

        Args:
            real: This step's real batch ``(B, ...)``.
            fake: Samples ``(B, ...)``.
            losses: By name, or one without; looked at for values that are not finite.
            holdout: Real data that the discriminator never learns from ``(B, ...)``, or a function that draws some,
                which is called at looks alone.
            posterior: Mean and log-variance of codes ``(B, D)``.
            tokens: Indices into a codebook, int64.
            codes: Size of that codebook.
            step: Number of the step; counted from 1, or on from the last one given, when left out.
        """
        if not self._closed:
            self.watch()
        self._step += 1
        if step is not None:
            with self._guarded:
                self._step = int(step)  # NumPy's numbers are no seeds, and not written as JSON
        told = {} if losses is None else losses if isinstance(losses, Mapping) else {"loss": losses}
        values: dict[str, float] = {}
        notes: dict[str, str] = {}
        spectrum: tuple[float, ...] = ()
        with self.schedule.working():
            if self._watch is not None:
                self._watch.tick()
            if self._passes_over(told):
                return
            with self._guarded:
                self._batches.keep(real, fake)
            with self._guarded:
                notes |= self._broken(told, real, fake)
            layers_seen: dict[str, dict[str, float]] = {}
            if self._watch is not None:
                found, layers_seen, places = self._watch.take()
                if not notes.get("non-finite", "").startswith("real"):  # broken data come before what they break
                    notes |= places
                if len(found) > len(self.networks):  # more than the counters
                    values |= found
            values |= self._compared
            self._compared = {}
            with self._guarded:
                values |= self._codes(posterior, tokens, codes)
            if self.schedule.due("judge"):
                with self._guarded, self._look("judge"):
                    self._judged(values, real, fake, holdout() if callable(holdout) else holdout, notes)
            if self.schedule.due("samples"):
                with self._guarded, self._look("samples"):
                    values |= self._batches.compared(self._step)
            if self._call.known and self.schedule.due("jacobian"):
                with self._guarded, self._look("jacobian"):
                    found, spectrum = self._call.values(self.networks["generator"], self._guarded)
                    values |= found
            if values or notes:
                look = Look(step=self._step, values=values, layers=layers_seen, spectrum=spectrum, notes=notes)
                self.history.add(look)
                with self._guarded:
                    if self.on_look is not None:
                        self.on_look(look)
        self.schedule.settle()

    def compare(self, *, reconstruction: Tensor, adversarial: Tensor, shared: Tensor | None = None) -> None:
        """Hold a reconstruction's gradient against the adversary's at a shared weight; call it before ``backward``.

        Args:
            reconstruction: Weighted loss with its graph.
            adversarial: The same.
            shared: Weight that both reach; the last layer of the decoder, or of the generator, when left out.
        """
        if not self._closed:
            self.watch()
        if not self.schedule.due("terms"):
            return
        try:
            with self.schedule.measuring("terms"):
                if shared is None:
                    network = self.networks.get("decoder") or self.networks.get("generator")
                    shared = list(layers(network).values())[-1] if network is not None else None
                found = None if shared is None else compared(reconstruction, adversarial, [shared])
                if found is not None:
                    ratio, turned = found
                    self._compared["decoder/balance"] = ratio
                    self._compared |= {} if turned is None else {"decoder/agreement": turned}
        except Exception as error:
            noted(self.errors, error)

    # --- telling ----------------------------------------------------------------------------------------------

    @property
    def cost(self) -> float:
        """Part of the time since the first step that looking took."""
        return self.schedule.share

    def verdicts(self) -> list[Verdict]:
        """What is wrong, causes and the surest first; ``healthy`` where nothing is, none where nothing was seen."""
        return diagnose(self.history)

    def report(self) -> str:
        """The verdicts for reading, with evidence and remedies."""
        unseen = not self.history.looks  # which is no health
        text = NOTHING_SEEN if unseen else report_text(self.verdicts(), cost=self.cost)
        return text + "".join(f"\nThe doctor failed: {error}" for error in self.errors[:3])

    def to_json(self, path: str | Path | None = None) -> dict[str, Any]:
        """Verdicts and history as plain JSON values; written to ``path`` where one is given."""
        told = {
            "verdicts": [v.to_json() for v in self.verdicts()],
            "cost": round(self.cost, 4),
            "looks": [look.to_json() for look in self.history.looks],
            "errors": self.errors,
        }
        if path is not None:
            write_json(Path(path), told)
        return told

    # --- parts ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _look(self, kind: str) -> Iterator[None]:
        """A measurement: timed, without traces, and unseen by the doctor's own hooks."""
        with Looking.now(), self.schedule.measuring(kind), aside(*self.networks.values()):
            yield

    def _passes_over(self, losses: Mapping[str, Tensor | float]) -> bool:
        """Whether nothing but the losses is looked at in this step: where steps take a few milliseconds."""
        if not self.schedule.crowded or (self._watch is not None and self._watch.fresh):
            return False
        with self._guarded:
            if all(_finite(loss) for loss in losses.values()):
                self.schedule.settle()
                return True
        return False

    def _broken(self, losses: Mapping[str, Tensor | float], real: Tensor | None, fake: Tensor | None) -> dict[str, str]:
        """Where a loss is not finite, the deepest cause that can be found: data, weights, samples, the loss."""
        bad = next((n for n, v in losses.items() if not _finite(v)), None)
        if bad is None:
            return {}
        weights = {f"{name}.{key}": p for name, m in self.networks.items() for key, p in m.named_parameters()}
        place = first_non_finite({"real": real}) or first_non_finite(weights) or first_non_finite({"fake": fake})
        return {"non-finite": place or f"loss {bad!r}"}

    def _judged(
        self,
        values: dict[str, float],
        real: Tensor | None,
        fake: Tensor | None,
        holdout: Tensor | None,
        notes: dict[str, str],
    ) -> None:
        """Put the data's facts into ``values``, then what the discriminator says, which may fail."""
        if real is not None:
            generator = self.networks.get("generator") or self.networks.get("decoder")
            bounds, names = None if generator is None else measure.bounds_of(generator), measure.of_names(real)
            found, place = measure.data_values(real, bounds, names=names)
            values |= found | self._seen.values(real, names=names)
            if place:
                notes["non-finite"] = place
        if self.judge is not None and real is not None and fake is not None:
            if "discriminator" in self.networks:
                values |= measure.weight_values("discriminator", self.networks["discriminator"])
            shown = measure.as_weights(self.networks.get("discriminator"), real)
            rows = min(len(real), len(fake))
            scale = self._batches.spacing(FEW) if rows < FEW else None
            found, place = measure.judged_values(self.judge, shown, fake, holdout, scale=scale)
            values |= self._pooled.values(found, rows)
            if place:
                notes.setdefault("non-finite", place)  # what the data or weights are not is the deeper cause

    def _codes(
        self, posterior: tuple[Tensor, Tensor] | None, tokens: Tensor | None, codes: int | None
    ) -> dict[str, float]:
        values: dict[str, float] = {}
        if (posterior is None and tokens is None) or not self.schedule.due("judge"):
            return values
        with self.schedule.measuring("judge"):
            if posterior is not None:
                values["encoder/active"] = active_part(posterior[0].detach())
                values["encoder/kl"] = float(kl_per_dimension(posterior[0].detach(), posterior[1].detach()).sum())
            if tokens is not None and codes:
                values["encoder/perplexity"] = perplexity(tokens.detach().cpu(), codes)
        return values


def _finite(loss: Tensor | float) -> bool:
    """Whether a loss is, of a batch or of each sample."""
    if isinstance(loss, Tensor) and loss.numel() > 1:
        return bool(torch.isfinite(loss).all())
    return math.isfinite(loss)
