"""A CUDA graph without CUDA: the program runs again at every replay and is held to a graph's rules.

A graph repeats the recorded calls with the recorded numbers on the recorded addresses. So a program
that branches, reads a value, takes another number or another tensor is wrong on a GPU in silence;
here it raises.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Program = Callable[[], Tensor]

_WAITS = (  # calls whose result, or its shape, the host has to know
    *("aten::_local_scalar_dense", "aten::item", "aten::is_nonzero", "aten::equal"),
    *("aten::nonzero", "aten::masked_select", "aten::_unique", "aten::unique"),
)


def waits(name: str, arguments: Sequence[object]) -> bool:
    """Whether a call makes the host wait for a GPU; a copy to the host cannot be seen on a CPU."""
    if name.startswith("aten::index"):  # a mask as an index is nonzero() in disguise
        return any(isinstance(a, Tensor) and a.dtype == torch.bool for a in arguments[1:])
    return name.startswith(_WAITS) and not name.startswith("aten::nonzero_static")


class Rehearsal:
    """Runs the program at every replay, and raises where a graph would do something else."""

    def warm_up(self, program: Program) -> None:
        program()

    def record(self, program: Program, static: Sequence[Tensor]) -> Program:
        """A replay that has to make the calls of the first one, on the same tensors.

        Raises:
            RuntimeError: In a replay: a tensor is used that is neither static nor made inside, a
                value is read, or a call, a number or an address is another than the first time.
        """
        first: list[Any] = []

        def replay() -> Tensor:
            with _Monitor(static) as monitor:
                output = program()
            if not first:
                first.extend((monitor, output))
            elif difference := _difference(first[0].calls, monitor.calls):
                raise RuntimeError(f"a replay differs: {difference}")
            return first[1].copy_(output)

        return replay


class _Monitor(TorchDispatchMode):
    """Notes every call with its numbers and the tensors of `static` it touches."""

    def __init__(self, static: Sequence[Tensor]) -> None:
        super().__init__()
        self.calls: list[tuple[str, ...]] = []
        self._static = {leaf.untyped_storage().data_ptr() for leaf in static}
        self._made: dict[int, Tensor] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, arguments = func.name(), tree_leaves((args, kwargs))
        if waits(name, arguments):
            raise RuntimeError(f"{name} waits for the device, which a graph cannot")
        self.calls.append((name, *(self._format(name, argument) for argument in arguments)))
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.untyped_storage().data_ptr() not in self._static:
                self._made[leaf.untyped_storage().data_ptr()] = leaf  # kept: no address twice
        return result

    def _format(self, name: str, argument: object) -> str:
        if not isinstance(argument, Tensor):
            return str(argument)
        if name == "aten::lift_fresh":  # torch.tensor(1.0): a constant, recorded by its value
            return str(argument.tolist())
        address = argument.untyped_storage().data_ptr()
        if address in self._made or not argument.numel():
            return f"made {tuple(argument.shape)}"
        if address not in self._static:
            shape, dtype = tuple(argument.shape), argument.dtype
            raise RuntimeError(f"{name} uses a tensor {shape} {dtype} that is not static")
        return f"{argument.data_ptr()} {tuple(argument.shape)} {argument.stride()}"


def _difference(first: Sequence[tuple[str, ...]], now: Sequence[tuple[str, ...]]) -> str:
    for i, (a, b) in enumerate(zip(first, now, strict=False)):
        if a != b:
            return f"call {i} was {' '.join(a)}, is {' '.join(b)}"
    return "" if len(first) == len(now) else f"{len(first)} calls were {len(now)}"
