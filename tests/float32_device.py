"""A device without float64, as a stand-in for Apple's mps: run the command line on it.

    python -m tests.float32_device train data=ring trainer.steps=4

Its tensors hold tensors of the CPU, where every operator is computed. One that would return
float64, or that takes tensors of both devices, is refused as on mps. Operators that torch lacks on
mps are not missing here: only a Mac shows them.
"""

import sys
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from gan_lab.engine import devices

_setup_privateuseone_for_python_backend("single")
DEVICE = torch.device("single:0")
BETWEEN_DEVICES = ("copy_", "_to_copy")
REFUSAL = "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support it"


class DeviceTensor(Tensor):
    """A tensor of the device; `inner` is on the CPU."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner):
        layout = {"strides": inner.stride(), "storage_offset": inner.storage_offset()}
        self = Tensor._make_wrapper_subclass(
            cls, inner.size(), dtype=inner.dtype, device=DEVICE, **layout
        )
        self.inner = inner
        return self

    def __deepcopy__(self, memo):
        return self.detach().clone().requires_grad_(self.requires_grad)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class DeviceGenerator(Generator):
    """A generator that says it is on the device, and draws on the CPU."""

    def __new__(cls, device="cpu"):
        is_here = torch.device(device).type == DEVICE.type
        return Generator.__new__(cls if is_here else Generator, "cpu" if is_here else device)

    def __init__(self, device="cpu"):
        pass

    @property
    def device(self):
        return DEVICE


class OnDevice(TorchDispatchMode):
    """Send to the device what is created there."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


def compute(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute an operator on the CPU and return its result on the device that it belongs to."""
    name = func._schema.name.removeprefix("aten::")
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    here = [isinstance(tensor, DeviceTensor) for tensor in tensors]
    is_here = any(here) and name != "_local_scalar_dense"
    others = [t for t, is_inside in zip(tensors, here, strict=True) if not is_inside and t.ndim]
    if any(here) and others and name not in BETWEEN_DEVICES:
        raise RuntimeError(f"{func} takes tensors of two devices")
    if kwargs.get("device") is not None:
        is_here = torch.device(kwargs["device"]).type == DEVICE.type
        kwargs = {**kwargs, "device": torch.device("cpu") if is_here else kwargs["device"]}
    result = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    wide = [r for r in tree_leaves(result) if isinstance(r, Tensor) and r.dtype == torch.float64]
    if is_here and wide:
        raise TypeError(f"{REFUSAL}: {func}")
    if name.endswith("_"):  # in place; of lists of tensors it returns nothing
        return args[0] if isinstance(args[0], Tensor) else None
    outs = [kwargs[argument.name] for argument in func._schema.arguments if argument.is_out]
    if outs:
        return outs[0] if len(outs) == 1 else tuple(outs)
    return tree_map(lambda x: DeviceTensor(x) if is_here and isinstance(x, Tensor) else x, result)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, DeviceTensor) else value


def install() -> None:
    """Make every device that is asked for this one."""
    build = torch.tensor

    def tensor(data, *, device=None, **keys):  # which asks no mode
        return build(data, **keys) if device is None else build(data, **keys).to(device)

    devices.resolve_device = lambda name: DEVICE
    torch.Generator, torch.tensor = DeviceGenerator, tensor


if __name__ == "__main__":
    install()
    from gan_lab.cli.main import main

    with OnDevice():
        sys.exit(main(sys.argv[1:]))
