"""Metrics that compare generated images with real ones; nothing here knows a model or a trainer.

Functions on features ``(N, D)`` (:func:`frechet_distance`, :func:`kernel_distance`,
:func:`precision_recall`, :func:`memorisation_test`), feature spaces for images (:class:`Features` and what
makes them), and :func:`evaluate_images`, which puts it all together.
"""

from aegan.metrics.classifier import classifier_features, load_features, save_features
from aegan.metrics.distortion import decibels, mean_squared_error, psnr, ssim
from aegan.metrics.evaluation import ClassAccuracy, Evaluation, Row
from aegan.metrics.features import Features, encoder_features, module_features, to_uint8
from aegan.metrics.frechet import frechet_distance
from aegan.metrics.images import evaluate_images
from aegan.metrics.kernel import KernelDistance, kernel_distance
from aegan.metrics.memorisation import Duplicates, Memorisation, TailShare, duplicates, memorisation_test
from aegan.metrics.neighbours import Neighbours, nearest_neighbours, neighbour_radii
from aegan.metrics.precision_recall import PRDC, precision_recall

__all__ = [
    "ClassAccuracy",
    "Duplicates",
    "Evaluation",
    "Features",
    "KernelDistance",
    "Memorisation",
    "Neighbours",
    "PRDC",
    "Row",
    "TailShare",
    "classifier_features",
    "decibels",
    "duplicates",
    "encoder_features",
    "evaluate_images",
    "frechet_distance",
    "kernel_distance",
    "load_features",
    "mean_squared_error",
    "memorisation_test",
    "module_features",
    "nearest_neighbours",
    "neighbour_radii",
    "precision_recall",
    "psnr",
    "save_features",
    "ssim",
    "to_uint8",
]
