"""Augmentation of small data with a fitted model: see :func:`aegan.augmentation.engine.augment`.

Imported by name only: the classes here need torch, and the sampler scikit-learn.
"""
