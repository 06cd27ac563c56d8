"""fit, load and evaluate: the doors of the library."""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aegan import presets
from aegan.data.kinds import detect_kind, new_adapter, own_options, refuse_run
from aegan.errors import AeganWarning, ConfigError, DataError, RunError
from aegan.estimator import Estimator
from aegan.fitting import Promise, Started, adapter_of, begin, carry_out, go_on, network_of, train_config
from aegan.kinds import EVALUATE_OPTIONS, handler
from aegan.run import RunFolder, check_free
from aegan.train import group
from aegan.train.backend import resolve_device
from aegan.train.probe import Probe


def fit(
    source: Any,
    *,
    out: str | Path | None = None,
    kind: str | None = None,
    model: str | None = None,
    budget: str | float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    settings: Mapping[str, str] | None = None,
    target: str | None = "auto",
    holdout: float = 0.1,
    evaluate: bool = True,
    quiet: bool = True,
    checkpoint_every: float = 60.0,
    doctor: bool = True,
    heal: bool = False,
    probes: Sequence[Probe] = (),
    private: float | None = None,
    delta: float | None = None,
    public: Any = None,
    accumulate: int = 1,
    graphs: bool = False,
    **options: Any,
) -> Estimator:
    """Train a generator on ``source``; started by ``torchrun``, with all its processes together.

    Args:
        source: A folder, archive, file, array, tensor or list of images (see :func:`aegan.data.open_source`), or a
            table: a frame, CSV, Parquet, Excel or database (see :func:`aegan.data.table_source.open_table`).
        out: Run folder to make; None keeps the run in a temporary folder until :meth:`Estimator.save`.
        kind: Kind of data; found from the source when None.
        model: A name from ``aegan models``; the kind's default when None.
        budget: Training time over all stages: seconds, or text such as ``"90s"``, ``"5m"``, ``"1h"``.
            Evaluation and report come on top. 5 minutes when neither it nor ``steps`` is given.
        steps: Train for this many steps instead.
        seed: Seed of split, weights, order and noise.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto`` (the faster one, if it holds), ``fp32`` or ``bf16``.
        resume: Go on with the interrupted run in ``out``. Seed, precision, size and all other settings are those
            in the folder; another model, budget, number of steps, setting or way to read the source is an error.
        overwrite: Replace a run that is in ``out``.
        settings: The model's settings by name, values as text, as in ``{"joint.gamma": "0.5"}``.
        target: Tables: column that the evaluation predicts from the others; None leaves that out.
        holdout: Part of the data kept from training, to judge by (10,000 samples at most).
        evaluate: Judge the result and write ``metrics.json``, pictures and ``report.html``.
        quiet: No progress line.
        checkpoint_every: Seconds between checkpoints.
        doctor: Watch the training's health, in at most a twentieth of its time; ``diagnosis.json`` is what comes of it.
        heal: Act on a sure verdict: change a setting and go on from where all was well; see :mod:`aegan.healing`.
        probes: Further observers of the training.
        private: Tables: ε of a differentially private training, such as 3. Needs ``public`` and ``steps``. Nothing is
            held out, judged, or recorded of losses then: each would tell of the rows what the noise hides.
        delta: δ; the smaller of 1e-5 and a tenth of one over the number of rows when None.
        public: A table of the same columns that anybody may see; what columns and cells are is learnt from it alone.
        accumulate: Parts of a batch that are computed one after the other, in less memory; several processes share a
            batch likewise.
        graphs: On CUDA, capture updates that are always the same, and replay them: small networks do not wait for
            kernels to be started. Not measured on a GPU yet, so off.
        **options: How the source is read, by kind of data; each is an argument of the kind's adapter.
            Images (:class:`~aegan.data.image.ImageAdapter`): ``size``, side or (height, width), ``resize``,
            ``channels``, ``skip_bad``. Tables (:class:`~aegan.data.table.TableAdapter`): ``columns``, what columns are
            where that shall not be found out, as in ``{"zip": "categorical"}``, and ``rules``, ``"auto"``, ``"none"``
            or a list such as ``["start <= end"]``, and ``inf``, infinite numbers: ``"error"`` or ``"missing"``. Series
            (:class:`~aegan.data.series.SeriesAdapter`): ``window``, ``stride``, ``id``, ``time``, ``label``,
            ``static``, ``channels``, ``layout``, ``scaling``, ``per_series``, ``irregular``, ``seasons``.
            Text (:class:`~aegan.data.text.TextAdapter`): ``column`` and
            ``label`` of a table, ``each`` (``"line"`` or ``"paragraph"`` is a sample), ``unit``, ``length``.

    Returns:
        The fitted model.

    Raises:
        AeganError: Any of its kinds; each message says how to mend it.
    """
    if group.world() > 1 and (out is None or heal):
        raise ConfigError("Several processes: a run folder (--out) that all can reach, and no --heal, expected.")
    temporary = out is None
    folder = Path(tempfile.mkdtemp(prefix="aegan-")) / "run" if out is None else Path(out)
    # After a failure torchrun starts the group anew: it goes on from the last checkpoint.
    resume = resume or (group.restarted() and (folder / "config.json").exists())

    def opened(asked: bool = True) -> Started:
        return go_on(
            folder,
            source,
            model=model if asked else None,
            budget=budget if asked else None,
            steps=steps if asked else None,
            settings=(settings or {}) if asked else {},
            options=options,
        )

    def made() -> Started:
        check_free(folder, overwrite=overwrite)
        refuse_run(source)
        chosen = kind or ("text" if options.get("column") is not None else detect_kind(source))
        adapter = new_adapter(chosen, options)
        config = train_config(
            budget, steps=steps, seed=seed, device=device, precision=precision, accumulate=accumulate, graphs=graphs
        )
        promise = None if private is None else Promise(epsilon=private, delta=delta, public=public)
        if promise is None and (delta is not None or public is not None):
            raise ConfigError("--delta and --public: only with --private EPSILON.")
        name = model or presets.default_model(chosen)
        return begin(folder, source, adapter, config, chosen, name, settings or {}, holdout, overwrite, target, promise)

    try:
        with group.joined():
            alone = group.rank() == 0
            # The first process makes the folder; the others open what it made.
            started = opened() if resume else group.first_then_others(made, lambda: opened(asked=False))
            estimator = carry_out(
                started, resume, quiet=quiet or not alone, every=checkpoint_every, doctor=doctor, heal=heal,
                probes=probes,
            )  # fmt: skip
        if alone:
            estimator.kind.finish(estimator)
    except BaseException:
        if temporary:
            _remove(folder)
        raise
    if temporary:
        estimator._temporary = weakref.finalize(estimator, _remove, folder)
    if evaluate and alone and "private" not in estimator.run.config:
        from aegan.evaluation import write_results

        try:
            write_results(estimator, console=not quiet, target=target)
        except (DataError, ConfigError) as error:
            # What took long to train is not lost because it cannot be judged.
            warnings.warn(f"The model is trained, but could not be judged: {error}", AeganWarning, stacklevel=2)
    return estimator


def load(path: str | Path, *, device: str = "auto") -> Estimator:
    """Read a run folder.

    Args:
        path: A folder made by ``fit`` or ``save``.
        device: ``auto``, ``cpu`` or ``cuda``; a run trained on a GPU loads on a CPU and the other way round.

    Raises:
        RunError: Missing, incomplete, damaged, tampered with, or from a newer version.
    """
    from aegan.train.checkpoint import load_model

    run = RunFolder.open(Path(path))
    adapter = adapter_of(run)
    network = network_of(run, adapter)
    tensors, status = load_model(run.weights, run.identity)
    if not status.get("finished"):
        names = [stage.name for stage in network.stages]
        if status.get("stage_index", 0) < names.index(network.samples_from or names[0]):
            raise RunError(
                f"{path}: the run is incomplete: it stopped in stage {status.get('stage')!r}, before there was "
                "anything to sample. Go on with `aegan fit SOURCE --out RUN --resume`."
            )
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise RunError(
            f"{run.weights}: not the weights of {run.config['model']!r} as this aegan builds it; the run was made by "
            f"aegan {run.config.get('aegan_version', '?')}. Load it with that version, or fit again."
        ) from error
    estimator = Estimator(network, adapter, run, device=resolve_device(device))
    estimator.kind.opened(estimator)
    return estimator


def evaluate(
    real: Any,
    synthetic: Any,
    *,
    holdout: Any = None,
    seed: int = 0,
    kind: str | None = None,
    **options: Any,
) -> Any:
    """Judge any synthetic data against real ones.

    Args:
        real: Real data, the reference.
        synthetic: Synthetic data of the same kind, from whatever generator.
        holdout: Further real data, for the real-vs-real floor; a tenth of ``real`` is set apart without.
        seed: Seed of subsets and networks.
        kind: Kind of data; found from ``real`` when None.
        **options: Of the kind. Images: ``features``, ``size``, ``skip_bad``, see
            :func:`aegan.evaluation.evaluate_sources`. Tables: ``target``, see
            :func:`aegan.tables.evaluate_table_sources`.

    Returns:
        The kind's evaluation: ``print`` shows it, ``to_json`` gives its figures.

    Raises:
        AeganError: Data that cannot be read or judged, or an option of another kind.
    """
    for given in (real, synthetic, holdout):
        refuse_run(given)
    judge = handler(kind or ("text" if options.get("column") is not None else detect_kind(real)))
    own = own_options(judge.name, options, EVALUATE_OPTIONS, "evaluate")
    return judge.evaluate_sources(real, synthetic, holdout=holdout, seed=seed, **own)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder.parent, ignore_errors=True)
