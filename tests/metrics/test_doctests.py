"""The examples in the docstrings hold."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["features", "frechet", "kernel", "memorisation", "neighbours", "precision_recall"])
def test_examples(name: str) -> None:
    result = doctest.testmod(
        importlib.import_module(f"aegan.metrics.{name}"), extraglobs={"torch": __import__("torch")}
    )
    assert result.attempted and not result.failed
