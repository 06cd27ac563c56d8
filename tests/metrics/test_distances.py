"""Fréchet distance, kernel distance and precision/recall against hand-computed values and references."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

from aegan.errors import ConfigError, DataError
from aegan.metrics import (
    frechet_distance,
    kernel_distance,
    nearest_neighbours,
    neighbour_radii,
    precision_recall,
)
from aegan.metrics import neighbours as neighbours_module
from aegan.metrics.frechet import bootstrap_deviation, moments


def normal(n: int, d: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    mix = torch.eye(d) + 0.3 * torch.randn(d, d, generator=torch.Generator().manual_seed(99))
    return shift + scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) @ mix


def rotation(d: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(5)))[0]


def frechet_reference(real: np.ndarray, fake: np.ndarray) -> float:
    s1, s2 = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    root = scipy.linalg.sqrtm(s1 @ s2).real
    return float(((real.mean(0) - fake.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root))


class TestFrechet:
    def test_by_hand(self) -> None:
        real = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])  # mean (2, 1), variance (4, 0)
        fake = torch.tensor([[3.0, 0.0], [4.0, 0.0], [5.0, 0.0]])  # mean (4, 0), variance (1, 0)
        assert frechet_distance(real, fake) == pytest.approx(4 + 1 + (2 - 1) ** 2)

    def test_scipy_sqrtm(self) -> None:
        real, fake = normal(300, 12, 0), normal(200, 12, 1, shift=0.2, scale=1.4)
        expected = frechet_reference(real.double().numpy(), fake.double().numpy())
        assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)

    def test_torchmetrics(self) -> None:
        pytest.importorskip("torchmetrics")
        from torchmetrics.image.fid import _compute_fid

        real, fake = normal(300, 12, 0).double(), normal(200, 12, 1, shift=0.2, scale=1.4).double()
        expected = _compute_fid(real.mean(0), real.T.cov(), fake.mean(0), fake.T.cov())
        assert frechet_distance(real, fake) == pytest.approx(float(expected), rel=1e-9)

    def test_rank_deficient(self) -> None:
        # Ten samples of 40 dimensions. The nuclear norm of the centred data gives the cross term exactly.
        real, fake = normal(10, 40, 0).double(), normal(8, 40, 1).double()
        a, b = real - real.mean(0), fake - fake.mean(0)
        cross = torch.linalg.matrix_norm(a @ b.T, "nuc") / math.sqrt(9 * 7)
        expected = (
            (real.mean(0) - fake.mean(0)).square().sum() + a.square().sum() / 9 + b.square().sum() / 7 - 2 * cross
        )
        assert frechet_distance(real, fake) == pytest.approx(float(expected), rel=1e-9)

    def test_zero_for_equal_sets_even_far_from_the_origin(self) -> None:
        x = normal(50, 80, 0).double()
        assert frechet_distance(x, x.flip(0)) < 1e-9
        assert frechet_distance(1000 + x, 1000 + x) < 1e-9

    def test_invariances(self) -> None:
        real, fake = normal(100, 6, 0).double(), normal(100, 6, 1, shift=0.5).double()
        base = frechet_distance(real, fake)
        turn = rotation(6).double()
        assert frechet_distance(fake, real) == pytest.approx(base)
        assert frechet_distance(real @ turn + 3, fake @ turn + 3) == pytest.approx(base)
        assert frechet_distance(2 * real, 2 * fake) == pytest.approx(4 * base)
        assert frechet_distance(real.numpy(), fake.numpy()) == base

    def test_bootstrap_spread_is_that_of_fresh_samples(self) -> None:
        reference = moments(normal(2000, 3, 0))
        fresh = [frechet_distance(normal(2000, 3, 0), normal(300, 3, 10 + i, shift=0.5)) for i in range(60)]
        deviation = bootstrap_deviation(reference, normal(300, 3, 10, shift=0.5), resamples=60)
        assert 0.6 < deviation / float(np.std(fresh)) < 1.7


class TestKernel:
    def test_by_hand(self) -> None:
        # k = (xy + 1)^3: within real 1, within fake 2^3 = 8, across 1.
        value = kernel_distance(torch.zeros(3, 1), torch.ones(3, 1), subsets=4)
        assert value == (1 + 8 - 2, 0)

    @pytest.mark.parametrize("degree", [1, 3])
    def test_sklearn_kernel_over_whole_sets(self, degree: int) -> None:
        real, fake = normal(60, 7, 0).double().numpy(), normal(60, 7, 1, shift=0.3).double().numpy()

        def k(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return polynomial_kernel(a, b, degree=degree, gamma=1 / 7, coef0=1)

        off = ~np.eye(60, dtype=bool)
        expected = k(real, real)[off].mean() + k(fake, fake)[off].mean() - 2 * k(real, fake).mean()
        got = kernel_distance(real, fake, degree=degree, subsets=3, subset_size=60)
        assert got.mean == pytest.approx(expected)
        assert got.std < 1e-12

    def test_torchmetrics(self) -> None:
        pytest.importorskip("torchmetrics")
        from torchmetrics.image.kid import poly_mmd

        real, fake = normal(50, 7, 0).double(), normal(50, 7, 1, shift=0.3).double()
        assert kernel_distance(real, fake, subsets=1, subset_size=50).mean == pytest.approx(float(poly_mmd(real, fake)))

    def test_unbiased(self) -> None:
        values = [kernel_distance(normal(20, 3, i), normal(20, 3, 1000 + i), subsets=1).mean for i in range(300)]
        assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(300)
        assert min(values) < 0

    def test_seed_and_global_generator(self) -> None:
        real, fake = normal(60, 4, 0), normal(80, 4, 1)
        before = torch.get_rng_state()
        a = kernel_distance(real, fake, subsets=5, subset_size=20, seed=3)
        assert a == kernel_distance(real, fake, subsets=5, subset_size=20, seed=3)
        assert a != kernel_distance(real, fake, subsets=5, subset_size=20, seed=4)
        assert torch.equal(before, torch.get_rng_state())

    def test_settings(self) -> None:
        x = normal(10, 2, 0)
        with pytest.raises(ConfigError, match="subset_size=11.*at most 10"):
            kernel_distance(x, x, subset_size=11)
        with pytest.raises(ConfigError, match="subsets=0"):
            kernel_distance(x, x, subsets=0)


def prdc_reference(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float, float, float]:
    def radii(x: np.ndarray) -> np.ndarray:
        return NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)[0][:, -1]

    distance = np.sqrt(((real[:, None] - fake[None]) ** 2).sum(-1))
    in_real = distance <= radii(real)[:, None]
    in_fake = distance <= radii(fake)[None]
    covered = distance.min(axis=1) <= radii(real)
    return in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum() / (k * len(fake)), covered.mean()


class TestPrecisionRecall:
    def test_by_hand(self) -> None:
        real = torch.tensor([[0.0], [1.0], [2.0], [10.0]])  # radii 1, 1, 1, 8 for k=1
        fake = torch.tensor([[0.5], [30.0], [31.5]])  # radii 29.5, 1.5, 1.5
        got = precision_recall(real, fake, k=1)
        assert got == pytest.approx((1 / 3, 1.0, 2 / 3, 2 / 4))

    @pytest.mark.parametrize("chunk", [None, 700])
    def test_reference(self, chunk: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
        if chunk:
            monkeypatch.setattr(neighbours_module, "CHUNK_VALUES", chunk)
        real, fake = normal(150, 5, 0).double(), normal(120, 5, 1, shift=0.7).double()
        for k in (1, 5):
            expected = prdc_reference(real.numpy(), fake.numpy(), k)
            assert precision_recall(real, fake, k) == pytest.approx(expected)

    def test_a_set_covers_itself(self) -> None:
        x = 100 + normal(100, 4, 0)
        precision, recall, density, coverage = precision_recall(x, x.flip(0), k=3)
        assert (precision, recall, coverage) == (1, 1, 1)
        assert density == pytest.approx(4 / 3)  # closed balls: its own, and those of k neighbours

    def test_a_missing_mode_costs_recall_and_a_foreign_one_precision(self) -> None:
        two_modes = torch.cat([normal(200, 3, 0), normal(200, 3, 1, shift=50.0)])
        one_mode, foreign = normal(200, 3, 2), normal(200, 3, 3, shift=-50.0)
        missing = precision_recall(two_modes, one_mode)
        assert missing.recall < 0.55 < 0.85 < missing.precision and missing.coverage < 0.55
        mixed = precision_recall(one_mode, torch.cat([normal(200, 3, 4), foreign]))
        assert mixed.precision < 0.55 < 0.85 < mixed.recall

    def test_identical_gaussians_score_below_one(self) -> None:
        got = precision_recall(torch.randn(1500, 64), torch.randn(1500, 64), k=3)
        assert 0.4 < got.precision < 0.8 and 0.4 < got.recall < 0.8
        assert 0.8 < got.density < 1.25

    def test_invariances(self) -> None:
        real, fake = normal(100, 6, 0).double(), normal(100, 6, 1, shift=0.5).double()
        base, turn = precision_recall(real, fake), rotation(6).double()
        assert precision_recall(5 * real @ turn + 3, 5 * fake @ turn + 3) == pytest.approx(base)
        swapped = precision_recall(fake, real)
        assert (swapped.precision, swapped.recall) == (base.recall, base.precision)


class TestNeighbours:
    def test_sklearn(self) -> None:
        query, reference = normal(40, 6, 0).double(), normal(90, 6, 1).double()
        expected = NearestNeighbors(n_neighbors=4).fit(reference.numpy()).kneighbors(query.numpy())
        got = nearest_neighbours(query, reference, k=4)
        assert np.array_equal(got.index.numpy(), expected[1])
        assert np.allclose(got.distance.numpy(), expected[0])

    def test_a_copy_is_at_distance_zero_exactly(self) -> None:
        reference = 1e4 + normal(500, 20, 0)
        got = nearest_neighbours(reference[100:110], reference)
        assert got.index.flatten().tolist() == list(range(100, 110))
        assert got.distance.max() == 0

    def test_radii_of_repeated_samples(self) -> None:
        assert neighbour_radii(torch.tensor([[1.0], [1.0], [4.0]]), k=1).tolist() == [0, 0, 3]

    def test_too_few(self) -> None:
        with pytest.raises(ConfigError, match="k=3 neighbours.*only 2 other"):
            neighbour_radii(torch.zeros(3, 1), k=3)
        with pytest.raises(ConfigError, match="k=0"):
            nearest_neighbours(torch.zeros(3, 1), torch.zeros(3, 1), k=0)


@pytest.mark.parametrize("metric", [frechet_distance, kernel_distance, precision_recall])
class TestWrongFeatures:
    def test_too_few(self, metric) -> None:
        with pytest.raises(DataError, match=f"{metric.__name__}: 'fake' holds 1 sample; at least 2"):
            metric(torch.zeros(9, 2), torch.zeros(1, 2))

    def test_dimensions(self, metric) -> None:
        with pytest.raises(DataError, match="'real' has 2 feature dimensions and 'fake' has 3"):
            metric(torch.zeros(9, 2), torch.zeros(9, 3))

    def test_not_finite(self, metric) -> None:
        bad = torch.zeros(9, 2)
        bad[4, 1] = float("nan")
        with pytest.raises(DataError, match=r"'real' holds NaN or infinite.*1 of 9 samples, the first at index 4"):
            metric(bad, torch.zeros(9, 2))

    def test_shape(self, metric) -> None:
        with pytest.raises(DataError, match=r"shape \(9, 1, 2, 2\).*\(N, D\) expected"):
            metric(torch.zeros(9, 1, 2, 2), torch.zeros(9, 4))


def test_subsets_of_small_sets_differ() -> None:
    assert kernel_distance(normal(60, 3, 0), normal(60, 3, 1, shift=0.5)).std > 1e-6
