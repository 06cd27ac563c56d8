"""The scikit-learn transformer: scikit-learn's own checks, and what they do not look at."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from aegan.errors import AeganWarning, ConfigError, DataError, Interrupted
from aegan.models.registry import MODELS
from aegan.sklearn import AutoencoderTransformer
from aegan.train.trainer import Trainer
from tests.conftest import bars

SMALL = {"width": 2, "blocks": 1, "batch_size": 16, "random_state": 0, "device": "cpu"}
FAMILY = [name for name, entry in MODELS.items() if entry.family == "autoencoder" and "vector" in entry.kinds]
NEEDS = {"vector-quantised": {"code_size": 2, "codebook": 8}}


def small(model: str = "autoencoder", **arguments: object) -> AutoencoderTransformer:
    given = {"latent_dim": 2, "steps": 4, "settings": NEEDS.get(model)} | SMALL | arguments
    return AutoencoderTransformer(model, **given)  # type: ignore[arg-type]


def rows(n: int = 60, columns: int = 6, seed: int = 0) -> np.ndarray:
    """Columns that follow one hidden factor, in units of their own."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n, 1)) * rng.choice([-1, 1], columns) + 0.1 * rng.normal(size=(n, columns))
    return 5 + factor * rng.uniform(0.1, 100, columns)


@pytest.mark.filterwarnings("ignore::aegan.errors.AeganWarning")  # scikit-learn checks data of one column, too
@parametrize_with_checks([AutoencoderTransformer(steps=2, latent_dim=1, **SMALL)])  # type: ignore[arg-type]
def test_scikit_learns_own_checks(estimator: AutoencoderTransformer, check: object) -> None:
    check(estimator)  # type: ignore[operator]


@pytest.mark.parametrize("name", FAMILY)
def test_every_member_of_the_family_codes_and_decodes(name: str) -> None:
    x = rows()
    coder = small(name).fit(x)
    z = coder.transform(x)
    assert z.shape == (60, 2) and z.dtype == np.float64 and np.isfinite(z).all()
    assert coder.inverse_transform(z.astype(np.float32)).dtype == np.float32
    assert coder.feature_importances_.shape == (6,) and np.isfinite(coder.feature_importances_).all()


def test_a_seed_decides_everything_and_nothing_global_moves() -> None:
    x = rows()
    torch.manual_seed(1)
    np.random.seed(1)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again = small().fit(x), small().fit(x)
    other = small(random_state=np.random.RandomState(3)).fit(x)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()
    assert (first.transform(x) == again.transform(x)).all()
    assert (first.feature_importances_ == again.feature_importances_).all()
    assert (first.transform(x) != other.transform(x)).any()


def test_a_pickle_gives_the_same_bits() -> None:
    x = rows()
    coder = small().fit(x)
    assert (pickle.loads(pickle.dumps(coder)).transform(x) == coder.transform(x)).all()


def test_labels_are_looked_at_only_when_asked() -> None:
    x, y = rows(), np.array(["low", "high"] * 30)
    assert (small().fit(x, y).transform(x) == small().fit(x).transform(x)).all()
    asked = small(class_weight=1.0, steps=30).fit(x, y)
    assert asked.network_.spec.classes == ("high", "low")
    assert (asked.transform(x) != small(steps=30).fit(x).transform(x)).any()
    with pytest.raises(ValueError, match="requires y"):
        small(class_weight=1.0).fit(x)
    with pytest.raises(ValueError, match="continuous"):
        small(class_weight=1.0).fit(x, x[:, 0])


@pytest.mark.parametrize("scale", ["columns", "range", "none"])
def test_reconstructions_are_in_the_units_of_the_data(scale: str) -> None:
    x = rows(n=200) / (100 if scale == "none" else 1)
    coder = small(scale=scale, steps=150, width=4, lr=0.01).fit(x)
    made = coder.inverse_transform(coder.transform(x))
    assert np.square(made - x).sum() < 0.3 * np.square(x - x.mean(0)).sum()
    error = np.square((made - x) / coder.scale_).mean()
    assert coder.score(x) == pytest.approx(-error, rel=1e-3)


def test_constant_columns_come_back() -> None:
    x = rows()
    x[:, 2] = 7.0
    coder = small(steps=50).fit(x)
    assert coder.feature_importances_[2] == 0
    assert np.isfinite(coder.transform(x)).all() and coder.scale_[2] == 1


def test_images_go_through_convolutions() -> None:
    pixels, _ = bars(n=20)
    x = pixels.reshape(20, -1).astype(np.float32)
    coder = small(image_shape=(8, 8)).fit(x)
    assert coder.network_.spec.shape == (1, 8, 8)
    seen = (x - coder.offset_) / coder.scale_
    assert seen.min() == -1 and seen.max() == 1
    assert coder.inverse_transform(coder.transform(x)).shape == (20, 64)
    assert small(image_shape=(1, 8, 8)).fit(x).score(x) == coder.score(x)


def test_names_and_output_containers() -> None:
    coder = small().fit(rows())
    assert list(coder.get_feature_names_out()) == ["autoencodertransformer0", "autoencodertransformer1"]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows(), columns=list("abcdef"))
    out = small().set_output(transform="pandas").fit_transform(frame)
    assert list(out.columns) == list(coder.get_feature_names_out())


def test_works_in_a_search_over_a_pipeline_on_two_processes() -> None:
    x = np.concatenate([rows(seed=0), rows(seed=1)])
    y = np.arange(120) // 60
    pipeline = make_pipeline(small(steps=20), LogisticRegression())
    grid = {"autoencodertransformer__latent_dim": [1, 3]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(x, y)
    alone = clone(pipeline).set_params(**search.best_params_).fit(x, y)
    assert (alone.predict(x) == search.predict(x)).all()


def test_a_search_without_a_scorer_uses_the_reconstruction_error() -> None:
    search = GridSearchCV(small(steps=60, lr=0.01), {"steps": [1, 60]}, cv=2, error_score="raise").fit(rows())
    assert search.best_params_ == {"steps": 60} and -2 < search.best_score_ < 0


def test_select_from_model_keeps_what_hangs_together_and_drops_noise() -> None:
    rng = np.random.default_rng(0)
    informative = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(300, 6))
    noise = 50 * rng.normal(size=(300, 12))
    x = np.concatenate([noise[:, :6], informative, noise[:, 6:]], axis=1)
    # More numbers in a code than factors: noise is carried as well, and must not count as relevant.
    selector = SelectFromModel(small(latent_dim=9, steps=200, width=4, lr=0.01)).fit(x)
    assert selector.get_support().nonzero()[0].tolist() == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "denoisin"}, "Did you mean 'denoising'"),
        ({"model": "latent-gan"}, "is no autoencoder. Known autoencoders: autoencoder"),
        ({"settings": {"code_nose": 1}}, "Did you mean"),
        ({"settings": {"code_noise": -1}}, "at least 0"),
        ({"latent_dim": 0}, "at least 1"),
        ({"steps": 0}, "at least 1"),
        ({"budget": 0.0}, "positive time"),
        ({"scale": "colums"}, "Did you mean 'columns'"),
        ({"image_shape": (2, 2)}, "product is the number of columns, 6"),
        ({"image_shape": (6,)}, "product is the number of columns, 6"),
        ({"settings": {"error": "bernoulli"}}, "Use scale='range'"),
        ({"device": "gpu"}, "Known: auto, cpu, cuda"),
    ],
)
def test_settings_that_cannot_work_are_refused(arguments: dict[str, object], message: str) -> None:
    coder = small(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=message):
        coder.fit(rows())


def test_values_beyond_32_bits_and_codes_of_another_length_are_refused() -> None:
    x = rows()
    coder = small().fit(x)
    with pytest.raises(DataError, match="too large"):
        coder.transform(x * 1e60)
    with pytest.raises(ValueError, match="codes of 2 are expected"):
        coder.inverse_transform(x)
    with pytest.warns(AeganWarning, match="nothing is compressed"):
        small(latent_dim=6).fit(x)


def test_ctrl_c_stops_a_search_instead_of_counting_as_a_failed_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(self: Trainer) -> None:
        raise Interrupted("stopped")

    monkeypatch.setattr(Trainer, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        small().fit(rows())


def test_a_line_of_progress_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    small(verbose=1).fit(rows())
    assert "[AutoencoderTransformer] step 4, 100%: reconstruction" in capsys.readouterr().out
