"""A device ``pretend`` that computes on the CPU and refuses what a GPU refuses.

Tensors of two devices in one operation, a generator of the wrong one, NumPy on what lies there: all raise as they would
with CUDA, and whatever the host reads from the device is counted, so that most of what needs a GPU is tested without
one. Importing this registers the device for the whole process: see ``tests/other_device.py``.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as tree
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

NAME = "pretend"
READS: Counter[str] = Counter()
"""How often the host waited for a value of the device (``read``) or for a result's ``size``, and how often tensors went
there (``up``) or back (``down``)."""
_ACROSS = ("aten::_to_copy", "aten::copy_")
_INDEXED = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")
_COUNTED = (
    "aten::nonzero",
    "aten::masked_select",
    "aten::bincount",
    "aten::_unique2",
    "aten::unique_consecutive",
    "aten::unique_dim",
    "aten::repeat_interleave",
    "aten::equal",
    "aten::_linalg_check_errors",
)
"""Operations whose result's size, or whether there is one, the host waits for; so does an index of booleans."""
_IN_BF16 = ("linear", "matmul", "mm", "addmm", "bmm", "baddbmm", "conv1d", "conv2d", "conv_transpose1d")


class _Strict:
    """Whether the host may neither wait for the device nor send anything: as while operations are captured."""

    on = False


@contextlib.contextmanager
def capturing() -> Iterator[None]:
    """Within it whatever a capture refuses raises."""
    _Strict.on = True
    try:
        yield
    finally:
        _Strict.on = False


def _waited(what: str) -> None:
    READS[what] += 1
    if _Strict.on:
        raise RuntimeError(f"operation not permitted when stream is capturing: {what}")


class _Module(backend_registration._DummyBackendModule):
    """What torch asks of ``torch.pretend``; it has the CPU's random numbers."""

    def get_rng_state(self, device: Any = None) -> Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        torch.set_rng_state(state)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
DEVICE = torch.device(NAME, 0)


class Pretended(Tensor):
    """A tensor that says it lies on the device; ``inner`` has its values."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Pretended:
        made = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )
        made.inner = inner
        return made

    def __repr__(self, **_: Any) -> str:
        return f"Pretended({self.inner})"

    def tolist(self) -> Any:
        _waited("read")
        return self.inner.tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert pretend:0 device type tensor to numpy. Use Tensor.cpu() first.")

    __array__ = numpy

    def new_tensor(self, data: Any, **kwargs: Any) -> Tensor:
        _waited("up")
        return Pretended(self.inner.new_tensor(data, **kwargs))

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch._VF.gru and len(args) == 9:
            return _gru(*args)
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


class _Operations(TorchDispatchMode):
    """Makes tensors on the device, and looks at every operation."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


class _Literals(TorchFunctionMode):
    """``torch.tensor([...], device=...)``, which no dispatch mode meets."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and _is_there(kwargs.get("device")):
            del kwargs["device"]
            _waited("up")
            return Pretended(func(*args, **kwargs))
        return func(*args, **kwargs)


@contextlib.contextmanager
def pretending() -> Iterator[None]:
    """Within it the device is there."""
    with _Operations(), _Literals():
        yield


def _is_there(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name, device = func._schema.name, kwargs.get("device")
    flat, form = tree.tree_flatten((args, kwargs))
    ours, there = [a for a in flat if isinstance(a, Pretended)], _is_there(device)
    if not ours and not there and name not in _ACROSS:
        return func(*args, **kwargs)
    if (ours or there) and name not in _ACROSS:
        _refuse_others(func, name, args, flat)
    if ours and name == "aten::_local_scalar_dense":
        _waited("read")
    if ours and (name in _COUNTED or (name in _INDEXED and any(_is_mask(i) for i in args[1]))):
        _waited("size")
    if name in _ACROSS:
        _count(args, bool(ours), there, device)
    inner_args, inner_kwargs = tree.tree_unflatten([_inner(a) for a in flat], form)
    if there:
        inner_kwargs["device"] = torch.device("cpu")
    out = func(*inner_args, **inner_kwargs)
    if name == "aten::copy_":
        return args[0]
    if not (there or (ours and device is None)):
        return out
    known = {id(a.inner): a for a in ours}

    def wrapped(o: Any) -> Any:
        if not isinstance(o, Tensor):
            return o
        return known[id(o)] if id(o) in known else Pretended(o)

    return tree.tree_map(wrapped, out)


def _is_mask(index: Any) -> bool:
    return isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, Pretended) else value


def _count(args: Any, ours: bool, there: bool, device: Any) -> None:
    """Copies between the devices."""
    if device is None:  # copy_(to, from)
        ends = [isinstance(a, Pretended) for a in args[:2]]
        if ends == [True, False]:
            _waited("up")
        elif ends == [False, True]:
            _waited("down")
    elif ours and not there:
        _waited("down")
    elif there and not ours:
        _waited("up")


def _refuse_others(func: Any, name: str, args: Any, flat: list[Any]) -> None:
    indices = args[1] if name.split(".")[0] in _INDEXED else ()
    for a in flat:
        if isinstance(a, Tensor) and not isinstance(a, Pretended) and a.dim() and not any(a is i for i in indices):
            raise RuntimeError(f"{func}: all tensors on one device expected, found {NAME} and {a.device} {a.shape}.")
        if isinstance(a, torch.Generator):
            raise RuntimeError(f"{func}: a generator of {NAME} expected, found one of {a.device}.")


def _gru(
    x: Tensor,
    start: Tensor,
    weights: list[Tensor],
    biased: bool,
    layers: int,
    dropout: float,
    training: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor]:
    """As ``torch.gru``, whose kernel for the CPU turns its result in place, which a wrapper cannot follow."""
    assert not bidirectional
    axis, each, ends = int(batch_first), 4 if biased else 2, []
    steps = list(x.unbind(axis))
    for layer in range(layers):
        w, u, b, c = (*weights[each * layer : each * (layer + 1)], None, None)[:4]
        h, out = start[layer], []
        for step in steps:
            (ir, iz, i), (hr, hz, n) = (functional.linear(v, m, k).chunk(3, 1) for v, m, k in ((step, w, b), (h, u, c)))
            r, z = (ir + hr).sigmoid(), (iz + hz).sigmoid()
            n = (i + r * n).tanh()
            h = n + z * (h - n)
            out.append(h)
        last = layer == layers - 1
        steps = out if last else [functional.dropout(o, dropout, training) for o in out]
        ends.append(h)
    return torch.stack(steps, axis), torch.stack(ends)


def _casting(op: Callable[..., Any]) -> Callable[..., Any]:
    """``op`` of bf16, as CUDA's autocast has it."""
    off = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def cast(value: Any) -> Any:
        return value.to(torch.bfloat16) if isinstance(value, Tensor) and value.dtype == torch.float32 else value

    def kernel(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(off):
            return op(*map(cast, args), **kwargs)

    return kernel


_LIBRARIES = [torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")]
_LIBRARIES[0].fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
for _name in _IN_BF16:
    _LIBRARIES[1].impl(_name, _casting(getattr(torch.ops.aten, _name).default), "AutocastPrivateUse1")
