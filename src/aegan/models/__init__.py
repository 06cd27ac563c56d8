"""Models: one method, one file; the registry names them."""
