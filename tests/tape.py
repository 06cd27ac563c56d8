"""What CUDA graphs do, on a CPU: the operations of a call are noted with their tensors, and done again on the same.

As there, what Python does in between is not done again, numbers are those of the first time, results go where they went
then, and random numbers are drawn anew. Reading a value on the host fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as tree
from torch.utils._python_dispatch import TorchDispatchMode

from aegan.train.replays import Outcome

_TURNED = ("aten::transpose_", "aten::t_", "aten::squeeze_", "aten::unsqueeze_")
"""Operations that change how a tensor sees its values, and no value."""


def _as_now(value: Any) -> Any:
    """A tensor as it is seen now, wherever it is turned later."""
    return value.detach() if isinstance(value, Tensor) else value


class _Noting(TorchDispatchMode):
    """Notes every operation that does something."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name == "aten::_local_scalar_dense":
            raise RuntimeError("A value was read on the host while operations are noted.")
        given = tree.tree_map(_as_now, (args, kwargs or {}))
        out = func(*args, **(kwargs or {}))
        if func.namespace != "profiler" and func._schema.name not in _TURNED:
            self.done.append((func, *given, tree.tree_map(_as_now, out)))
        return out


class Tape:
    """Captures by noting.

    Attributes:
        captures: How many there were.
        replayed: How often one was replayed.
    """

    def __init__(self) -> None:
        self.captures = self.replayed = 0

    def aside(self, work: Callable[[], Outcome]) -> Outcome:
        return work()

    def __call__(self, work: Callable[[], Outcome]) -> tuple[Outcome, Callable[[], None]]:
        with _Noting() as noting:
            outcome = work()
        self.captures += 1
        fresh = True  # noting did it once, which capturing would not

        def replay() -> None:
            nonlocal fresh
            self.replayed += 1
            if fresh:
                fresh = False
                return
            with torch.no_grad():
                for func, args, kwargs, out in noting.done:
                    _again(func, args, kwargs, out)

        return outcome, replay


def _again(func: Any, args: Any, kwargs: Any, out: Any) -> None:
    """Do an operation on the same tensors; what it made new then is overwritten."""
    given = {t.untyped_storage()._cdata for t in tree.tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
    made = func(*args, **kwargs)
    for old, new in zip(tree.tree_leaves(out), tree.tree_leaves(made), strict=True):
        if not isinstance(old, Tensor):
            assert old == new, f"{func}: {old} is {new} now"
        elif old.untyped_storage()._cdata not in given:
            old.copy_(new)
