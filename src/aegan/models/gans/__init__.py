"""GANs in data space."""
