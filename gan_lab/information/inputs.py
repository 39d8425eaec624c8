"""Numbers or tensors as inputs, results of the same kind."""

import dataclasses
from typing import Any, TypeVar

import torch
from torch import Tensor

from gan_lab.information.checks import check_finite, refuse

Real = float | Tensor
Number = TypeVar("Number", float, Tensor)


def as_tensors(positive: tuple[str, ...] = (), **values: Real) -> list[Tensor]:
    """Return every value as a float64 tensor of one shape; refuse, by its name, what is not finite.

    Those named in `positive` are above 0, too.
    """
    tensors = {}
    device = next((v.device for v in values.values() if isinstance(v, Tensor)), None)
    for name, value in values.items():
        tensor = torch.as_tensor(value, dtype=torch.float64, device=device)
        check_finite(tensor, name)
        if name in positive:
            refuse(tensor <= 0, tensor, name, "is not above 0")
        tensors[name] = tensor
    try:
        return list(torch.broadcast_tensors(*tensors.values()))
    except RuntimeError:
        shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in tensors.items())
        raise ValueError(f"the shapes do not broadcast: {shapes}") from None


def like_inputs(result: Any, *inputs: Real) -> Any:
    """Return the result as it is if an input was a tensor, else with every tensor as a number."""
    if any(isinstance(value, Tensor) for value in inputs):
        return result
    if isinstance(result, Tensor):
        return result.item()
    fields = {f.name: getattr(result, f.name).item() for f in dataclasses.fields(result)}
    return type(result)(**fields)
