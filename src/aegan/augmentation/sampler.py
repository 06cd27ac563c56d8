"""Augmentation as a sampler: ``fit_resample`` of tables and vectors, as imbalanced-learn's pipelines call it.

Importing this module imports torch and scikit-learn; imbalanced-learn is not needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d, validate_data

from aegan.augmentation.engine import Augmenter, Labels, Made, Settings
from aegan.augmentation.space import Space
from aegan.data.base import TensorData
from aegan.data.table import TableAdapter
from aegan.data.table_frames import column_of, dtype_name
from aegan.data.table_looks import NumberLook
from aegan.errors import ConfigError, nearest
from aegan.sklearn import AutoencoderTransformer

STRATEGIES = ("auto", "not majority", "minority", "all", "not minority")


class LatentSampler(OneToOneFeatureMixin, BaseEstimator):
    """Fills small classes with samples made in the codes of an autoencoder that is trained on the rows given.

    Rows of numbers (arrays, lists, sparse matrices, frames of numbers) go through an
    :class:`~aegan.sklearn.AutoencoderTransformer`; frames with other columns through the default model of tables,
    whose rows keep the columns' types.

    Args:
        model: Of the autoencoder family for rows of numbers, or any model of tables. None: ``autoencoder`` or
            ``autoregressive``.
        sampling_strategy: As in imbalanced-learn: ``"auto"`` or ``"not majority"`` fill every class up to the largest,
            ``"minority"`` the smallest alone; ``{class: number}`` says how many there shall be; a float, for two
            classes, the ratio of minority to majority.
        strength: From 0 (reconstructions) to 1 (as far from their sources as real neighbours are).
        operations: See :meth:`aegan.Estimator.augment`.
        checks: The same.
        neighbours: Nearest samples of the class that the moves are made of.
        steps: Training steps of the model.
        latent_dim: Length of a code, for rows of numbers. None: half the number of columns, at most 64.
        settings: Further settings of the model by name.
        random_state: Seed, generator or None, as everywhere in scikit-learn.
        device: ``auto``, ``cpu`` or ``cuda``.

    Attributes:
        sampling_strategy_: How many samples were asked for, by class.
        report_: What was made and dropped.
        n_features_in_, feature_names_in_: As everywhere in scikit-learn.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(60, 4)), np.repeat([0, 1], [50, 10])
    >>> made, labels = LatentSampler(steps=5, random_state=0).fit_resample(x, y)
    >>> made.shape, np.bincount(labels).tolist()
    ((100, 4), [50, 50])
    """

    _estimator_type = "sampler"
    _sampling_type = "over-sampling"

    def __init__(
        self,
        model: str | None = None,
        *,
        sampling_strategy: Any = "auto",
        strength: float = 0.5,
        operations: str | Sequence[str] = "auto",
        checks: str | Sequence[str] = "auto",
        neighbours: int = 5,
        steps: int = 1000,
        latent_dim: int | None = None,
        settings: dict[str, Any] | None = None,
        random_state: Any = None,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.sampling_strategy = sampling_strategy
        self.strength = strength
        self.operations = operations
        self.checks = checks
        self.neighbours = neighbours
        self.steps = steps
        self.latent_dim = latent_dim
        self.settings = settings
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any) -> LatentSampler:
        """Check ``X`` and ``y`` and count what each class wants; the model is trained by :meth:`fit_resample`."""
        self._checked(X, y)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """``X`` ``(N, n_features)`` and ``y`` ``(N,)`` with what was made after them, in the same containers.

        Raises:
            ValueError: Data that scikit-learn refuses everywhere, one class alone, or a strategy that cannot be met.
        """
        rows, labels, one_hot = self._checked(X, y)
        classes, index = np.unique(labels, return_inverse=True)
        wanted = {int(np.flatnonzero(classes == c)[0]): n for c, n in self.sampling_strategy_.items()}
        if isinstance(rows, pd.DataFrame):
            made = self._of_table(rows, labels, classes, wanted)
        else:
            made = self._of_numbers(rows, index, classes, wanted)
        added, new = made
        return _joined(X, rows, added), _joined_labels(y, labels, classes[new], classes if one_hot else None)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        return tags

    # --- what is asked for -----------------------------------------------------------------------------------

    def _checked(self, X: Any, y: Any) -> tuple[np.ndarray | pd.DataFrame, np.ndarray, bool]:
        """Rows, their classes, and whether these came one column a class."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: it is classes that are "
                "balanced."
            )
        self._settings({})  # refuses what is out of range
        labels, one_hot = _labels(y)
        rows: np.ndarray | pd.DataFrame
        if isinstance(X, pd.DataFrame) and not all(pd.api.types.is_numeric_dtype(kind) for kind in X.dtypes):
            check_consistent_length(X, labels)
            if X.columns.nlevels > 1:
                raise ValueError(
                    f"X: columns of {X.columns.nlevels} levels; names of one level expected: "
                    "X.columns = [' '.join(map(str, name)) for name in X.columns]."
                )
            self.n_features_in_ = X.shape[1]
            self.feature_names_in_ = np.asarray(X.columns, dtype=object)
            rows = X.reset_index(drop=True)
        else:
            checked = validate_data(self, cast("Any", X), dtype=[np.float64, np.float32], accept_sparse=["csr", "csc"])
            rows = np.asarray(cast("Any", checked).toarray() if sparse.issparse(checked) else checked)
            check_consistent_length(rows, labels)
        self.sampling_strategy_ = _wanted(self.sampling_strategy, labels)
        return rows, labels, one_hot

    def _settings(self, counts: Mapping[int, int], seed: int = 0) -> Settings:
        return Settings(
            strength=self.strength,
            operations=self.operations,
            checks=self.checks,
            neighbours=self.neighbours,
            counts=dict(counts),
            seed=seed,
        )

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    # --- rows ------------------------------------------------------------------------------------------------

    def _of_numbers(
        self, rows: np.ndarray, index: np.ndarray, classes: np.ndarray, wanted: Mapping[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        if not any(wanted.values()):
            return rows[:0], index[:0]
        seed = self._seed()
        coder = AutoencoderTransformer(
            self.model or "autoencoder",
            latent_dim=self.latent_dim,
            steps=self.steps,
            settings=self.settings,
            random_state=seed,
            device=self.device,
        ).fit(rows)
        network = coder.network_
        device = next(network.parameters()).device
        space = Space(network, network.spec, name=coder.model, device=device)
        data = TensorData(x=coder._tensor(rows, network.spec))
        labels = Labels(y=torch.from_numpy(index.astype(np.int64)), names=tuple(map(str, classes)))
        made = self._made(Augmenter(space, data, self._settings(wanted, seed), labels))
        x = made.x.flatten(1).numpy() * coder.scale_ + coder.offset_
        return x.astype(rows.dtype), cast("torch.Tensor", made.y).numpy()

    def _of_table(
        self, rows: pd.DataFrame, labels: np.ndarray, classes: np.ndarray, wanted: Mapping[int, int]
    ) -> tuple[pd.DataFrame, np.ndarray]:
        if not any(wanted.values()):
            return rows.iloc[:0], np.empty(0, dtype=np.int64)
        from aegan import api
        from aegan.augmentation.estimators import augmenter

        name = "class"
        while name in rows.columns:
            name += "_"
        names = [f"c{i}" for i in range(len(classes))]
        frame = rows.assign(**{name: np.asarray(names, dtype=object)[np.searchsorted(classes, labels)]})
        seed = self._seed()
        # A rule that tells the class by another column would leave no class to keep.
        fields = TableAdapter(columns={name: "categorical"}).fit(frame).spec.fields
        free = any(field.column == name for field in fields)
        estimator = api.fit(
            frame,
            kind="table",
            model=self.model,
            steps=self.steps,
            seed=seed,
            device=self.device,
            settings={key: str(value) for key, value in (self.settings or {}).items()},
            columns={name: "categorical"},
            rules="auto" if free else "none",
            target=None,
            holdout=0.0,
            evaluate=False,
            doctor=False,
        )
        order = sorted(names)  # as the label's column has them
        counts = {order.index(names[c]): n for c, n in wanted.items()}
        made = self._made(augmenter(estimator, frame, self._settings(counts, seed), label=name))
        added = cast("pd.DataFrame", estimator.adapter.from_tensors(made.x))
        new = np.array([names.index(label) for label in added[name]], dtype=np.int64)
        return cast("pd.DataFrame", added.loc[:, list(rows.columns)]), new

    def _made(self, augmenter: Augmenter) -> Made:
        made = augmenter.make()
        self.report_ = made.report
        return made


def _labels(y: Any) -> tuple[np.ndarray, bool]:
    """Classes ``(N,)`` of a column, or of one column a class."""
    array = np.asarray(y)
    if array.dtype.kind in "mM" or (array.dtype == object and array.size and hasattr(array.flat[0], "isoformat")):
        raise ValueError(
            f"y: points in time ({array.dtype}); classes expected, numbers or names. Cut them into classes, such as "
            "y.dt.year, or make them names: y.astype(str)."
        )
    if array.dtype == object and pd.isna(array).any():
        raise ValueError("y: Input contains NaN: a class in every row expected. Remove such rows, or name the class.")
    one_hot = array.ndim == 2 and array.shape[1] > 1
    if one_hot:
        if type_of_target(array) != "multilabel-indicator" or not bool((array.sum(1) == 1).all()):
            raise ValueError("y: one class a row expected; several at once (multilabel) cannot be balanced.")
        array = array.argmax(1)
    labels = column_or_1d(array, warn=False)
    if labels.dtype.kind in "fc":
        check_array(labels[:, None], input_name="y")
    check_classification_targets(labels)
    return np.asarray(labels), one_hot


def _wanted(strategy: Any, labels: np.ndarray) -> dict[Any, int]:
    """How many samples to make, by class."""
    there = Counter(labels.tolist())
    if len(there) < 2:
        raise ValueError(
            f"The target 'y' needs to have more than 1 class. Got {len(there)} class instead: nothing to balance."
        )
    most, least = max(there.values()), min(there.values())
    if callable(strategy):
        strategy = strategy(labels)
    if isinstance(strategy, Mapping):
        for name, n in strategy.items():
            if name not in there:
                raise ConfigError(f"sampling_strategy: no class {name!r}. {nearest(str(name), map(str, there))}")
            if n < there[name]:
                raise ConfigError(
                    f"sampling_strategy: {n} samples of class {name!r} asked for, but there are {there[name]}; at "
                    "least as many expected. To leave samples out, use an under-sampler."
                )
        return {name: int(n) - there[name] for name, n in strategy.items()}
    if isinstance(strategy, float) and not isinstance(strategy, bool):
        return _ratio(strategy, there)
    if strategy not in STRATEGIES:
        raise ConfigError(f"sampling_strategy: unknown value {strategy!r}. {nearest(str(strategy), STRATEGIES)}")
    # Of several largest, or smallest, the first is spared, or chosen.
    largest = next(name for name in sorted(there) if there[name] == most)
    smallest = next(name for name in sorted(there) if there[name] == least)
    chosen = {
        "minority": [smallest],
        "all": list(there),
        "not minority": [name for name in there if name != smallest],
    }.get(strategy, [name for name in there if name != largest])
    return {name: most - there[name] for name in sorted(chosen)}


def _ratio(ratio: float, there: Mapping[Any, int]) -> dict[Any, int]:
    smallest, largest = sorted(there, key=lambda name: there[name])[0], max(there.values())
    if len(there) != 2 or not 0 < ratio <= 1:
        raise ConfigError(
            f"sampling_strategy={ratio}: a ratio above 0 and at most 1, of two classes, expected, got {len(there)} "
            "classes. Use a dict: {class: number}."
        )
    number = int(ratio * largest) - there[smallest]
    if number < 0:
        raise ConfigError(
            f"sampling_strategy={ratio}: there are more of the minority already ({there[smallest]} of {largest})."
        )
    return {smallest: number}


def _joined(given: Any, rows: Any, added: Any) -> Any:
    """What was given with the new rows after it, in the same container."""
    if isinstance(given, pd.DataFrame):
        added = added if isinstance(added, pd.DataFrame) else pd.DataFrame(added, columns=given.columns)
        both = pd.concat([given.reset_index(drop=True), _typed(added, given)], ignore_index=True)
        return both
    if sparse.issparse(given):
        kind = sparse.csr_matrix if given.format == "csr" else sparse.csc_matrix
        return sparse.vstack([given, kind(added)], format=given.format)
    both = np.concatenate([rows, added])
    return both.tolist() if isinstance(given, list) else both


def _typed(added: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """New rows with the types of the given columns; whole numbers rounded."""
    out = {}
    for name in given.columns:
        column, kind = column_of(added, name), column_of(given, name).dtype
        made_of_floats = pd.api.types.is_float_dtype(column.dtype)
        if pd.api.types.is_bool_dtype(kind) and made_of_floats:
            column = column >= 0.5
        elif pd.api.types.is_integer_dtype(kind) and made_of_floats:
            column = NumberLook(dtype=dtype_name(column_of(given, name))).write(
                column.to_numpy(dtype=np.float64), column.isna().to_numpy(dtype=bool)
            )
        out[name] = column.astype(kind)
    return pd.DataFrame(out, columns=given.columns)


def _joined_labels(given: Any, labels: np.ndarray, new: np.ndarray, one_hot: np.ndarray | None) -> Any:
    """The same of the classes."""
    both = np.concatenate([labels, new])
    if one_hot is not None:
        return (both[:, None] == one_hot[None]).astype(np.asarray(given).dtype)
    if isinstance(given, pd.Series):
        return pd.Series(both, name=given.name).astype(given.dtype)
    if isinstance(given, pd.DataFrame):
        return pd.DataFrame(both[:, None], columns=given.columns).astype(given.dtypes.to_dict())
    return both.tolist() if isinstance(given, list) else both
