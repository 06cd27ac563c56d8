"""Hybrids of autoencoder and GAN."""
