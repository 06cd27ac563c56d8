"""Networks, built from a Spec."""
