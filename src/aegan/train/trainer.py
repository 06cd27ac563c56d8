"""The generic trainer: runs a model's stages and phases, whatever the model.

One step runs the stage's phases in order, each on a fresh batch with only its own networks thawed. Everything
that the weights depend on (order of data, noise, schedule) is a function of seed and step or is stored in the
checkpoint, so that a killed and resumed run of a given number of steps ends with the same bits.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aegan.config import TrainConfig
from aegan.data.in_one import in_one
from aegan.errors import ConfigError, Interrupted, NonFiniteError, RunError, StorageError
from aegan.models.base import BLOCK, Model
from aegan.streams import borrowed
from aegan.train.backend import Backend
from aegan.train.backward import Place
from aegan.train.checkpoint import load_state, save_model, save_state
from aegan.train.ema import Ema
from aegan.train.events import EventLog
from aegan.train.memory import keep_freed_memory
from aegan.train.order import Order, due, order_of
from aegan.train.prefetch import Prefetch, prefetched
from aegan.train.private import PrivateSteps
from aegan.train.probe import Observer, StepRecord
from aegan.train.schedule import Budget, lr_scale
from aegan.train.selection import Selection
from aegan.train.shards import Shards
from aegan.train.unread import UnreadUpdates, tell_of_graphs, updates_for
from aegan.train.update import Update, Updates
from aegan.types import Batch, Phase, Samples, Stage


class Trainer:
    """Trains ``model`` on ``data``.

    Args:
        model: Networks and stages.
        data: Indexed in batches.
        config: Budget, seed and intervals.
        backend: Device and precision.
        folder: Run folder for checkpoints and events; None trains without leaving a trace.
        identity: JSON values that the weights belong to; see ``checkpoint.save_model``.
        probes: Observers.
        stages: Train these instead of the model's own, for studies of one stage.
        validation: Held-out samples, for stages that keep the weights these like best.
        clock: Tells the seconds that a budget of time is counted in, such as ``time.process_time`` for processor time.
        private: Batches and noise of a differentially private training. No loss is recorded then.
    """

    def __init__(
        self,
        model: Model,
        data: Samples,
        config: TrainConfig,
        backend: Backend,
        *,
        folder: Path | None = None,
        identity: dict[str, Any] | None = None,
        probes: Sequence[Observer] = (),
        stages: Sequence[Stage] | None = None,
        validation: Samples | None = None,
        clock: Callable[[], float] = time.monotonic,
        private: PrivateSteps | None = None,
    ) -> None:
        self.clock = clock
        self.model, self.data, self.stage_data, self.config, self.backend = model, data, data, config, backend
        self.folder, self.identity = folder, identity or {}
        self.shards, self.private = Shards(config.accumulate, config.seed), private
        if private is not None and self.shards.total > 1:
            raise ConfigError("Private training: one process and accumulate=1 expected: noise is for whole batches.")
        # One process of a group observes and writes; the others compute.
        self.probes = list(probes) if self.shards.rank == 0 else []
        self.stages = tuple(model.stages if stages is None else stages)
        self.shards.check([stage.batch_size for stage in self.stages], self.backend.device)
        if config.graphs:
            tell_of_graphs(backend, self.shards, private)
        self.budget = Budget(self.stages, steps=config.steps, seconds=config.budget)
        self.stage_index = self.stage_step = self.step = self.samples = 0
        self.elapsed = self.stage_elapsed = 0.0
        self.ema = Ema({}, 0.0)
        self.validation, self.selection = validation, Selection(self.stage, None)
        self.events: EventLog | None = None
        self._models = [m for m in model.modules() if isinstance(m, Model)]
        self._optimizers: dict[str, torch.optim.Optimizer] = {}
        self._updates = self._new_updates()
        self._stop = False
        self._restored: dict[str, Any] | None = None
        self._clock = self._last_checkpoint = 0.0

    @property
    def stage(self) -> Stage:
        """The current stage (the last one when the run is over)."""
        return self.stages[min(self.stage_index, len(self.stages) - 1)]

    def fit(self, *, resume: bool = False) -> None:
        """Train to the end of the budget, leaving the averaged weights in the model.

        Args:
            resume: Go on from the folder's checkpoint; from the start when there is none yet.

        Raises:
            Interrupted: Ctrl-C or SIGTERM; the state was saved.
            NonFiniteError: A loss or gradient was not finite; the last checkpoint is as it was.
            StorageError: Disk full or folder not writable; the last checkpoint is as it was.
        """
        self.backend.place(self.model)
        keep_freed_memory()
        with borrowed(), self._signals():
            torch.manual_seed(self.config.seed)
            if resume:
                self._load()
            self.shards.agree_on(self.model)
            self._clock, self._last_checkpoint = self.clock(), time.monotonic()
            reason = "error"
            try:
                if self.folder is not None and self.shards.rank == 0:
                    self.events = EventLog(self.folder / "events.jsonl", keep_to_step=self.step if resume else None)
                self._announce(resume)
                self._run_stages()
                reason = "finished"
            except Interrupted:
                reason = "interrupted"
                raise
            except NonFiniteError as error:
                self._log("error", message=str(error), step=self.step)
                raise
            finally:
                self._finish(reason)

    # --- the loop -------------------------------------------------------------------------------------------

    def _run_stages(self) -> None:
        if self.stage_index >= len(self.stages):
            self.checkpoint()  # finished before: put back what may be missing or damaged
        while self.stage_index < len(self.stages):
            stage = self.stage
            self._tell_step()
            data = self.stage_data = self.model.prepare(stage.name, self.data, self._encode_all)
            self._open_stage(stage)
            order = self.private or order_of(data, stage.batch_size, self.config.seed * 31 + self.stage_index)
            self._tell("on_stage", stage.name)
            held = self.backend.hold(data)
            with prefetched(held, order, stage, self.stage_step, self.shards.parts) as (data, order):
                progress, _ = self.shards.agree(self._progress(), False)
                while progress < 1.0:
                    with self.backend.products.step(self.stage_step):
                        record = self._train_step(stage, data, order, progress)
                    self._look()
                    self._tell("on_step", record)
                    progress = self._housekeeping()
            self._updates.flush()
            self.selection.adopt(self.ema)
            with torch.no_grad():
                self.ema.adopt()
            self.stage_index, self.stage_step, self.stage_elapsed = self.stage_index + 1, 0, self._now()
            self.ema, self._optimizers, self._updates = Ema({}, 0.0), {}, self._new_updates()
            if self.stage_index == len(self.stages):
                with torch.no_grad():
                    self.model.finish(self.data)
            self.checkpoint()

    def _train_step(
        self, stage: Stage, data: Samples, order: Order | PrivateSteps | Prefetch, progress: float
    ) -> StepRecord:
        record = StepRecord(stage.name, self.step + 1, 0, 0.0, 0.0, progress)
        scale = lr_scale(stage, progress) * self.selection.lr_scale(self.stage_step)
        self._tell_step(progress)
        for number, draw, phase in due(stage, self.stage_step):
            record.lr[phase.name] = phase.optimizer.lr * scale
            self._updates(
                Update(
                    stage=stage,
                    phase=phase,
                    number=number,
                    step=self.step,
                    index=order.index(draw),
                    data=data,
                    parameters=self._of_phase[phase.name],
                    optimizer=self._optimizers[phase.name],
                    lr=record.lr[phase.name],
                    place=Place(stage, phase, self.step + 1, self.folder, self.backend.precision),
                    record=record,
                )
            )
        self.step, self.stage_step, self.samples = self.step + 1, self.stage_step + 1, self.samples + stage.batch_size
        self.ema.update(stage.batch_size, (self.stage_step - self.selection.settling) * stage.batch_size)
        record.samples, record.elapsed = self.samples, self._now()
        record.progress = self.budget.overall(step=self.step, elapsed=record.elapsed)
        record.stage_progress = self._progress()
        return record

    def _tell_step(self, progress: float = 0.0) -> None:
        """The stage's step and progress, to the model and to the models within it."""
        for model in self._models:
            model.stage_step, model.stage_progress = self.stage_step, progress

    # --- stages, phases and weights -------------------------------------------------------------------------

    def _open_stage(self, stage: Stage) -> None:
        self.model.requires_grad_(False)
        self.selection = Selection(stage, self.validation)
        networks = dict.fromkeys(name for phase in stage.phases for name in phase.networks)
        averaged = {name: getattr(self.model, name) for name in networks if name in stage.ema}
        self.ema = Ema(averaged, stage.ema_samples)
        self._of_phase = {
            p.name: [w for name in p.networks for w in getattr(self.model, name).parameters()] for p in stage.phases
        }
        self._optimizers = {p.name: self._optimizer(p) for p in stage.phases}
        self._updates = self._new_updates()
        if self._restored is not None:
            self.ema.load_state_dict(self._restored["ema"])
            self.backend.products.onednn = self._restored.get("onednn", False)
            if "selection" in self._restored:
                self.selection.load_state_dict(self._restored["selection"])
            for name, state in self._restored["optimizers"].items():
                self._optimizers[name].load_state_dict(state)
            self._restored = None

    def _new_updates(self) -> Updates | UnreadUpdates:
        """How a stage's updates are carried out; what was captured belongs to its optimisers."""
        log = lambda why: self._log("not-replayed", why=why)  # noqa: E731
        parts = self.model, self.backend, self.shards, self.private
        return updates_for(*parts, replayed=self._may_replay, log=log)

    def _may_replay(self, phase: Phase) -> bool:
        """Whether no probe wants to see the gradients of this update; all of them hear of it."""
        return False not in [self._call(p, "replays", phase) for p in list(self.probes) if hasattr(p, "replays")]

    def _optimizer(self, phase: Phase) -> torch.optim.Optimizer:
        o = phase.optimizer
        return torch.optim.AdamW(
            self._of_phase[phase.name], lr=o.lr, betas=o.betas, eps=o.eps, weight_decay=o.weight_decay, fused=True
        )

    def _encode_all(self, data: Samples) -> Tensor:
        def codes(index: Tensor) -> Tensor:
            return self.model.encode(data.batch(index)["x"].to(self.backend.device)).float().cpu()

        with torch.no_grad(), self.backend.autocast():
            return in_one((codes(index) for index in torch.arange(len(data)).split(8 * BLOCK)), len(data))

    # --- time, checkpoints, probes --------------------------------------------------------------------------

    def _now(self) -> float:
        return self.elapsed + self.clock() - self._clock

    def _look(self) -> None:
        if not self.selection.due(self.stage_step):
            return

        def batch(data: Samples, index: Tensor) -> Batch:
            return {k: v.to(self.backend.device) for k, v in data.batch(index).items()}

        with self.backend.autocast(self.stage.autocast):
            loss = self.selection.look(self.model, self.ema, self.stage_step, batch)
        self._log("validation", step=self.step, t=round(self._now(), 2), loss=loss, best_step=self.selection.best_step)
        if self.selection.lost(self.stage_step):
            self.selection.settle(self.ema, self.stage_step)
            self._log("settling", step=self.step, best_step=self.selection.best_step)

    def _progress(self) -> float:
        if self.selection.over(self.stage_step):
            return 1.0
        start = self.step - self.stage_step
        return self.budget.progress(
            self.stage_index, step=self.step, elapsed=self._now(), start_step=start, start_elapsed=self.stage_elapsed
        )

    def _housekeeping(self) -> float:
        """Checkpoint where it is time; returns the progress that all processes go on with."""
        if due := time.monotonic() - self._last_checkpoint >= self.config.checkpoint_every:
            self.checkpoint()
        progress, stop = self.shards.agree(self._progress(), self._stop)
        if not stop:
            return progress
        if not due:
            self.checkpoint()
        kept = f"The state is saved in {self.folder}" if self.folder else "Nothing is kept without a run folder"
        raise Interrupted(f"Stopped at step {self.step}, stage {self.stage.name!r}. {kept}; go on with --resume.")

    def checkpoint(self) -> None:
        """Write ``state.pt`` and ``model.safetensors``; both appear whole or not at all."""
        self._updates.flush()  # what is not finite must not be kept
        if self.folder is None or self.shards.rank:
            return
        now = self._now()
        state = {
            "stage": self.stage_index,
            "stage_step": self.stage_step,
            "step": self.step,
            "samples": self.samples,
            "elapsed": now,
            "stage_elapsed": self.stage_elapsed,
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "selection": self.selection.state_dict(),
            "onednn": self.backend.products.onednn,
            "optimizers": {name: o.state_dict() for name, o in self._optimizers.items()},
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.backend.device) if self.backend.device.type == "cuda" else None,
            "steps": self.config.steps,
        }
        save_state(self.folder / "state.pt", state)
        finished = self.stage_index >= len(self.stages)
        status = {"step": self.step, "stage": self.stage.name, "stage_index": self.stage_index, "finished": finished}
        with self.selection.applied(self.ema):
            save_model(self.folder / "model.safetensors", self.model.state_dict(), self.identity, status)
        self._log("checkpoint", step=self.step, t=round(now, 2))
        self._last_checkpoint = time.monotonic()

    def _load(self) -> None:
        if self.folder is None:
            raise RunError("resume: there is no run folder to go on from. Give one.")
        state = load_state(self.folder / "state.pt")
        if state is None:
            return
        if state["steps"] != self.config.steps:
            raise RunError(f"resume: the run was begun with steps={state['steps']}, got {self.config.steps}.")
        self.model.load_state_dict(state["model"])
        self.stage_index, self.stage_step = state["stage"], state["stage_step"]
        self.step, self.samples = state["step"], state["samples"]
        self.elapsed, self.stage_elapsed = state["elapsed"], state["stage_elapsed"]
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] is not None and self.backend.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"], self.backend.device)
        self._restored = state if self.stage_step else None

    def _announce(self, resume: bool) -> None:
        if resume:
            self._log("resume", step=self.step, t=round(self.elapsed, 2))
        else:
            stages = [{"name": s.name, "share": s.share} for s in self.stages]
            self._log("start", time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), stages=stages)
        self._tell("on_start")

    def _finish(self, reason: str) -> None:
        self.elapsed, self._clock = self._now(), self.clock()
        with contextlib.suppress(StorageError) if reason == "error" else contextlib.nullcontext():
            self._tell("on_end", reason)
            self._log("end", step=self.step, t=round(self.elapsed, 2), reason=reason)
            if self.events is not None:
                self.events.close()
        self.events = None

    def _tell(self, method: str, *args: Any) -> None:
        for probe in list(self.probes):
            self._call(probe, method, *args)

    def _call(self, probe: Observer, method: str, *args: Any) -> Any:
        """What a probe answers; None from one that raises, which is asked nothing more."""
        try:
            call: Callable[..., Any] = getattr(probe, method)
            if method == "replays" or (method == "on_step" and not getattr(probe, "draws", False)):
                return call(self, *args)
            with torch.no_grad(), borrowed():
                return call(self, *args)
        except StorageError:
            raise
        except Exception as error:  # a probe must never break a training
            self.probes.remove(probe)
            self._log("probe-error", probe=type(probe).__name__, error=f"{type(error).__name__}: {error}")
            return None

    def _log(self, event: str, **values: Any) -> None:
        if self.events is not None:
            self.events.write(event, **values)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM ask for a clean stop; a second Ctrl-C stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number: int, frame: Any) -> None:
            if self._stop and number == signal.SIGINT:
                raise KeyboardInterrupt
            self._stop = True

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
