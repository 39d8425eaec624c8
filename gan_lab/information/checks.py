"""Checks of tensors whose errors name the first bad entry, and the dtypes of arithmetic."""

from functools import reduce

import torch
from torch import Tensor

# How far a sum of probabilities, taken in float64, may be from 1: rounding the entries to a dtype
# moves it by up to half an epsilon, normalising them in that dtype by a few.
_SUM_TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
_FLOAT64_TOLERANCE = 1e-9


def refuse(bad: Tensor, values: Tensor, name: str, problem: str, digits: int = 6) -> None:
    """Raise if any entry is bad, naming the first: `labels[3, 1] = 1.5 is above 1 ...`.

    `bad` has the shape of values; `problem` says what is wrong and what to do.
    """
    if not bool(bad.any()):
        return
    bad_indices = bad.nonzero()
    index = tuple(bad_indices[0].tolist())
    value = values.detach()[index].item()
    text = f"{value:.{digits}g}" if isinstance(value, float) else str(value)
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    others = f" ({len(bad_indices)} such entries)" if len(bad_indices) > 1 else ""
    raise ValueError(f"{place} = {text} {problem}{others}")


def check_same_shape(a: Tensor, b: Tensor, names: str) -> None:
    """Refuse two shapes (ValueError): [N] against [N, 1] would be [N, N] in silence."""
    if a.shape != b.shape:
        raise ValueError(
            f"{names} must have one shape, got {tuple(a.shape)} and {tuple(b.shape)}; "
            "expand or reshape one of them"
        )


def check_finite(values: Tensor, name: str) -> None:
    """Refuse nan, infinity and complex numbers (ValueError)."""
    if values.is_complex():
        raise ValueError(f"{name} must be real numbers, got {values.dtype}")
    refuse(~torch.isfinite(values), values, name, "is not finite")


def check_unit_interval(values: Tensor, name: str) -> None:
    """Refuse entries that are not finite or outside [0, 1] (ValueError)."""
    check_finite(values, name)
    refuse(values < 0, values, name, "is negative; it must lie in [0, 1]")
    refuse(values > 1, values, name, "is above 1; it must lie in [0, 1]")


def check_distribution(p: Tensor, name: str) -> None:
    """Refuse anything but probability vectors along the last axis (ValueError).

    The sum may be off by 1e-9 in float64, 1e-5 in float32, 4e-3 in float16 and 3e-2 in bfloat16.
    """
    if p.ndim == 0 or p.shape[-1] == 0:
        raise ValueError(
            f"{name} has shape {tuple(p.shape)}; a distribution needs a last axis with an entry"
        )
    check_finite(p, name)
    refuse(p < 0, p, name, "is negative; a probability is >= 0")
    total = p.detach().sum(-1, dtype=torch.float64)
    tolerance = _SUM_TOLERANCE.get(p.dtype, _FLOAT64_TOLERANCE)
    off = (total - 1).abs() > tolerance
    problem = f"is not 1 within {tolerance:g}; divide {name} by its sum"
    refuse(off, total, f"sum of {name}", problem, digits=12)


def check_pair(p: Tensor, q: Tensor) -> None:
    """Refuse anything but two probability vectors, or batches, of one shape (ValueError)."""
    check_same_shape(p, q, "p and q")
    check_distribution(p, "p")
    check_distribution(q, "q")


def float_dtype(*tensors: Tensor) -> torch.dtype:
    """Return the widest dtype of the tensors; integers count as the default one."""
    result = reduce(torch.promote_types, (tensor.dtype for tensor in tensors))
    return result if result.is_floating_point else torch.get_default_dtype()


def wide(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype to compute in: half precision is too coarse for 1 - 1e-7 or a long sum."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype
