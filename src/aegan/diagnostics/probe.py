"""The doctor in aegan's own runs: a probe of the trainer that writes ``health`` events and ``diagnosis.json``.

It has the trainer's probe methods and knows nothing of the trainer but what it is handed. Gradients are read at the
optimisers' steps; everything else is asked of a copy of the model, so that no buffer, mode, weight or random number of
the training is touched.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from aegan.diagnostics import measure
from aegan.diagnostics.balance import gradient_of, gradients_by_layer
from aegan.diagnostics.collapse import active_part, flattened, kl_per_dimension, perplexity
from aegan.diagnostics.gradients import cosine, layers
from aegan.diagnostics.health import diagnose
from aegan.diagnostics.history import History, Look
from aegan.diagnostics.run import read_looks
from aegan.diagnostics.schedule import Schedule
from aegan.diagnostics.verdicts import Accepts, Verdict, without_refused
from aegan.diagnostics.watch import GradientWatch
from aegan.errors import ConfigError
from aegan.models.base import Model
from aegan.storage import write_json
from aegan.types import Phase, Samples, Stage

RECONSTRUCTION = ("reconstruction", "perceptual", "anchor")
"""Beginnings of the names of terms that reconstruct."""
WRITTEN_EVERY = 1.0
"""Seconds between ``health`` events; looks in between are put together."""

DEEPLY = 4
"""Looks at the terms for one that goes through all layers, which costs a whole backward pass a term."""


class DoctorProbe:
    """Watches a run of aegan's trainer.

    Args:
        holdout: Data that the discriminator does not learn from; without them its overfitting is hardly seen.
        share: Part of the training's time that looking may take.
        every: Look at every such step instead, at everything or by kind of look, as in ``{"gradients": 10}``.
        settings: The model's settings by name, for remedies that can be pasted.
        accepts: Whether the model takes a setting; all are taken for granted when None.
    """

    draws = False
    """Its own fork of the random state is made only when it looks."""

    def __init__(
        self,
        *,
        holdout: Samples | None = None,
        share: float = 0.05,
        every: int | Mapping[str, int] | None = None,
        settings: Mapping[str, Any] | None = None,
        accepts: Accepts | None = None,
    ) -> None:
        self.holdout, self.settings, self.accepts = holdout, dict(settings or {}), accepts
        self.schedule = Schedule(share, every=every)
        self.history = History()
        self.errors: list[str] = []
        self._watch: GradientWatch | None = None
        self._twin: Model | None = None
        self._stage: Stage | None = None
        self._data: Samples | None = None
        self._before: Tensor | None = None
        self._seen = measure.Seen()
        self._gathered: dict[str, float] = {}
        self._layers: dict[str, dict[str, float]] = {}
        self._notes: dict[str, str] = {}
        self._spectrum: tuple[float, ...] = ()
        self._written = -math.inf
        self._off: set[str] = set()
        self._deeply = 0
        self._passed: set[str] = set()

    # --- the trainer's calls ----------------------------------------------------------------------------------

    def on_start(self, trainer: Any) -> None:
        """Before the first step: the clock starts; a resumed run remembers what was seen before."""
        self.schedule.wait_for([trainer.backend.device])
        self.schedule.begin()
        if trainer.step and trainer.folder is not None:
            self.history = History(x for x in read_looks(trainer.folder / "events.jsonl") if x.step <= trainer.step)

    def on_stage(self, trainer: Any, stage: str) -> None:
        """A stage begins: its networks are watched, and copied for what is asked of them."""
        self._unwatch()
        now = self._stage = next(s for s in trainer.stages if s.name == stage)
        self._data, self._before, self._off = trainer.stage_data, None, set()
        names = dict.fromkeys(name for phase in now.phases for name in phase.networks)
        networks = {name: getattr(trainer.model, name) for name in names}
        self._watch = GradientWatch(
            {name: network for name, network in networks.items() if any(True for _ in network.parameters())},
            wants=lambda name: name not in self._passed and self.schedule.due("gradients", name),
            spent=lambda: self.schedule.measuring("gradients"),
            fail=self._failed,
        )
        self._twin = None  # copied when it is first needed

    def replays(self, trainer: Any, phase: Phase) -> bool:
        """Whether an update may be replayed, whose gradients nobody sees: unless they are to be looked at now."""
        if self._watch is None:
            return True
        if any(self.schedule.due("gradients", name) for name in phase.networks if name in self._watch.networks):
            return False
        self._passed.update(phase.networks)
        self._watch.passed(phase.networks)
        return True

    def on_step(self, trainer: Any, record: Any) -> None:
        """After a step: what is due is measured; about once a second it is written."""
        self._passed.clear()
        with self.schedule.working():
            self._look(trainer, record)
        self.schedule.settle()

    def _look(self, trainer: Any, record: Any) -> None:
        for kind, ask in (
            ("judge", self._judged), ("samples", self._samples), ("jacobian", self._jacobian), ("terms", self._terms),
        ):  # fmt: skip
            if kind not in self._off and self.schedule.due(kind):
                with self._aside(trainer, kind):
                    self._gathered |= ask(trainer)
        if self._watch is not None:
            self._watch.tick()
            values, found, notes = self._watch.take()
            if found or notes:
                self._gathered |= values
            self._layers |= found
            self._notes |= notes
        if self.schedule.every is not None or record.elapsed - self._written >= WRITTEN_EVERY:
            self._write(trainer, record.step, record.stage, record.elapsed)

    def on_end(self, trainer: Any, reason: str) -> None:
        """After the last step, or at an error: the verdicts, in ``diagnosis.json``."""
        self._write(trainer, trainer.step, self._stage.name if self._stage else "", trainer.elapsed)
        self._unwatch()
        if trainer.folder is not None and self.history.looks:
            write_json(trainer.folder / "diagnosis.json", self.to_json())

    # --- what it found ----------------------------------------------------------------------------------------

    def verdicts(self) -> list[Verdict]:
        """What is wrong, causes and the surest first."""
        return diagnose(self.history)

    def to_json(self) -> dict[str, Any]:
        """What ``diagnosis.json`` holds: the verdicts, what looking cost, and what failed in the doctor itself."""
        told = without_refused(self.verdicts(), self.settings, self.accepts)
        verdicts = [verdict.to_json(self.settings) for verdict in told]
        return {"verdicts": verdicts, "cost": round(self.schedule.share, 4), "errors": self.errors}

    # --- parts ------------------------------------------------------------------------------------------------

    def _write(self, trainer: Any, step: int, stage: str, elapsed: float) -> None:
        if self._gathered or self._notes:
            look = Look(
                step=step, stage=stage, values=self._gathered, layers=self._layers,
                spectrum=self._spectrum, notes=self._notes,
            )  # fmt: skip
            self.history.add(look)
            if trainer.events is not None:
                trainer.events.write(
                    "health", t=round(elapsed, 2), cost=round(self.schedule.share, 4), **look.to_json()
                )
            self._written = elapsed
        self._gathered, self._layers, self._notes, self._spectrum = {}, {}, {}, ()

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _failed(self, error: Exception) -> None:
        self.errors.append(f"{type(error).__name__}: {error}")
        del self.errors[20:]

    @contextlib.contextmanager
    def _aside(self, trainer: Any, kind: str) -> Iterator[None]:
        """Random state and time looked after; what a model cannot do is not asked of it again."""
        device = trainer.backend.device
        devices = [device] if device.type == "cuda" else []
        try:
            with self.schedule.measuring(kind), torch.random.fork_rng(devices=devices):
                # Drawn of the step alone: the same run is looked at alike.
                torch.manual_seed(trainer.config.seed * 7919 + trainer.step)
                yield
        except ConfigError:
            self._off.add(kind)  # no generator, no discriminator, no code
        except Exception as error:  # looking must never break a training
            self._off.add(kind)
            self._failed(error)

    def _copy(self, trainer: Any) -> Model:
        """The model as it is now, to do with as one likes."""
        twin = self._twin
        if twin is None:
            twin = self._twin = copy.deepcopy(trainer.model)
        else:
            twin.load_state_dict(trainer.model.state_dict())
        for copied, part in zip(twin.modules(), trainer.model.modules(), strict=True):
            copied.training = part.training
        twin.stage_step, twin.stage_progress = trainer.stage_step, trainer.model.stage_progress
        return twin

    def _batch(self, trainer: Any, data: Samples, rows: int) -> dict[str, Tensor]:
        index = torch.randint(0, len(data), (rows,)) if rows < len(data) else torch.randperm(len(data))
        return {k: v.to(trainer.backend.device) for k, v in data.batch(index).items()}

    def _labels(self, model: Model, batch: Mapping[str, Tensor]) -> Tensor | None:
        return batch.get("y") if model.conditional else None

    def _makes_samples(self, trainer: Any) -> bool:
        names = [stage.name for stage in trainer.stages]
        begins = trainer.model.samples_from or names[0]
        return bool(trainer.model.noise_dim) and begins in names and trainer.stage_index >= names.index(begins)

    def _judged(self, trainer: Any) -> dict[str, float]:
        """The data; and the discriminator of data, in stages that train it."""
        model = self._copy(trainer)
        batch = self._batch(trainer, trainer.data, measure.JUDGED)
        names = model.spec.discrete
        values, place = measure.data_values(batch["x"], None, names=names)
        values |= self._seen.values(batch["x"], names=names)
        if place:
            self._notes["non-finite"] = place
        trained = {name for phase in self._stage.phases for name in phase.networks} if self._stage else set()
        if "encoder" in trained or "autoencoder" in trained:
            values |= _of_codes(model, batch["x"])
        if "discriminator" not in trained or model.spec.discrete or not self._makes_samples(trainer):
            return values
        y = self._labels(model, batch)
        try:
            with torch.no_grad():
                fake = model.generate(torch.randn(len(batch["x"]), model.noise_dim, device=batch["x"].device), y)
                model.judge(batch["x"][:2], None if y is None else y[:2])
        except ConfigError:
            return values  # a model that judges no data

        def judge(labels: Tensor | None) -> Any:
            return lambda x: model.judge(x, None if labels is None else labels[: len(x)])

        found, place = measure.judged_values(judge(y), batch["x"], fake)
        values |= found
        if place:
            self._notes.setdefault("non-finite", place)
        elif self.holdout is not None and len(self.holdout) >= 16:
            unseen = self._batch(trainer, self.holdout, measure.JUDGED)
            values |= measure.holdout_values(judge(y), batch["x"], judge(self._labels(model, unseen)), unseen["x"])
        discriminator = getattr(model, "discriminator", None)
        return values | ({} if discriminator is None else measure.weight_values("discriminator", discriminator))

    def _samples(self, trainer: Any) -> dict[str, float]:
        """Samples of the weights as they are beside real data."""
        if not self._makes_samples(trainer):
            return {}
        model = self._copy(trainer)
        real = self._batch(trainer, trainer.data, 2 * measure.ROWS)
        count = min(measure.ROWS, len(real["x"]) // 2)
        y = self._labels(model, real)
        with torch.no_grad():
            noise = torch.randn(count, model.noise_dim, device=real["x"].device)
            fake = flattened(model.generate(noise, None if y is None else y[:count]))
        values = measure.sample_values(measure.different(flattened(real["x"])), fake, self._before, trainer.step)
        self._before = fake
        return values

    def _jacobian(self, trainer: Any) -> dict[str, float]:
        """The generator's Jacobian at a few points."""
        if not self._makes_samples(trainer) or trainer.model.spec.discrete:
            return {}
        model = self._copy(trainer).eval()
        batch = self._batch(trainer, trainer.data, measure.POINTS)
        y = self._labels(model, batch)
        noise = torch.randn(len(batch["x"]), model.noise_dim, device=batch["x"].device)
        values, self._spectrum = measure.jacobian_values(lambda z: model.generate(z, y), noise)
        return values

    def _terms(self, trainer: Any) -> dict[str, float]:
        """Each phase's terms: their gradients at its last layer, against one another; at times those of all layers."""
        values: dict[str, float] = {}
        if self._stage is None or self._data is None:
            return values
        model = self._copy(trainer)
        for phase in self._stage.phases:
            values |= self._of_phase(trainer, model, phase)
        self._deeply += 1
        return values

    def _of_phase(self, trainer: Any, model: Model, phase: Phase) -> dict[str, float]:
        assert self._stage is not None and self._data is not None  # noqa: S101 - the caller looked
        last = [list(layers(getattr(model, name)).values())[-1:] for name in phase.networks]
        shared = next((weights for weights in reversed(last) if weights), [])
        if not shared:
            return {}
        model.requires_grad_(False)
        for name in phase.networks:
            getattr(model, name).requires_grad_(True)
        batch = self._batch(trainer, self._data, self._stage.batch_size)
        with torch.enable_grad():
            terms = {n: t for n, t in model.loss(phase.name, batch).items() if t.weight and t.value.requires_grad}
            found = {name: gradient_of(t.weight * t.value, shared) for name, t in terms.items()}
            if len(terms) > 1 and self._deeply % DEEPLY == 0:
                weights = {f"{n}.{k}": w for n in phase.networks for k, w in layers(getattr(model, n)).items()}
                for name, t in terms.items():
                    self._layers[f"{phase.name}/{name}"] = gradients_by_layer(t.weight * t.value, weights)
        lengths = {name: float(g.norm()) for name, g in found.items()}
        values = {f"{phase.name}/{name}/gradient_of": length for name, length in lengths.items()}
        for one, other in itertools.combinations(found, 2):
            if (turned := cosine(found[one], found[other])) is not None:
                values[f"{phase.name}/{one}, {other}/cosine_of"] = turned
        back = [n for n in lengths if n.startswith(RECONSTRUCTION)]
        against = [n for n in lengths if "adversarial" in n]
        if back and against:
            one = torch.stack([found[n] for n in back]).sum(0)
            other = torch.stack([found[n] for n in against]).sum(0)
            if float(other.norm()) > 0:
                values["decoder/balance"] = float(one.norm() / other.norm())
                if (turned := cosine(one, other)) is not None:
                    values["decoder/agreement"] = turned
        return values


@torch.no_grad()
def _of_codes(model: Any, x: Tensor) -> dict[str, float]:
    """How much of its code, or of its codebook, an autoencoder uses for a batch; nothing where it has neither."""
    model = getattr(model, "autoencoder", model)
    if hasattr(model, "quantiser") and hasattr(model, "tokens"):
        return {"encoder/perplexity": perplexity(model.tokens(x).cpu(), model.quantiser.size)}
    try:
        mu, logvar = model.posterior(x)
    except (AttributeError, ConfigError, TypeError):
        return {}  # no distribution of codes given data
    return {"encoder/active": active_part(mu), "encoder/kl": float(kl_per_dimension(mu, logvar).sum())}
