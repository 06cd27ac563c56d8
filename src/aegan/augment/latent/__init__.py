"""Augmentation in code space: encode, move the code a measured way, decode. Functions of codes; no model is known here.

The moves are in :mod:`~aegan.augment.latent.operations`, what strength means in
:mod:`~aegan.augment.latent.strength`, what is dropped in :mod:`~aegan.augment.latent.checks`, and the
augmentation of a discriminator's real data in :mod:`~aegan.augment.latent.training`.
"""
