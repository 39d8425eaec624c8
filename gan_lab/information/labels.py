"""What the cross-entropy losses share: which inputs fit together, and how a loss is reduced."""

from typing import Literal

import torch
from torch import Tensor

from gan_lab.information.checks import (
    check_distribution,
    check_finite,
    check_same_shape,
    check_unit_interval,
    refuse,
    wide,
)

Reduction = Literal["mean", "sum"]
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def floating(values: Tensor, name: str) -> Tensor:
    """Real numbers in the dtype of the arithmetic; whole numbers are refused."""
    if not values.dtype.is_floating_point:
        raise ValueError(f"{name} are {values.dtype}; they must be floating point, say .float()")
    return values.to(wide(values.dtype))


def paired(
    logits: Tensor, labels: Tensor, name: str = "logits", label_name: str = "labels"
) -> tuple[Tensor, Tensor]:
    """Finite scores and labels of one shape, both in the dtype of the arithmetic."""
    x = floating(logits, name)
    check_same_shape(logits, labels, f"{name} and {label_name}")
    check_finite(logits, name)
    return x, labels.to(x.dtype)


def check_class_labels(labels: Tensor, normalized: bool) -> None:
    """Soft labels along the last axis: distributions, or weights >= 0 if not normalized."""
    if labels.ndim == 0 or labels.shape[-1] == 0:
        raise ValueError(f"labels have shape {tuple(labels.shape)}; they need a last axis, classes")
    check_finite(labels, "labels")
    refuse(labels < 0, labels, "labels", "is negative; a label is >= 0")
    if normalized:
        try:
            check_unit_interval(labels, "labels")
            check_distribution(labels, "labels")
        except ValueError as error:
            raise ValueError(f"{error}; pass normalized=False if they are weights") from None


def class_numbers(labels: Tensor, scores: Tensor, name: str, ignore_index: int | None) -> Tensor:
    """Class numbers as flat int64, checked against scores of shape [*labels.shape, C]."""
    if scores.ndim == 0 or scores.shape[-1] == 0 or scores.shape[:-1] != labels.shape:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} and {name} {tuple(scores.shape)}; {name} "
            "need the shape of labels and one more axis, the classes"
        )
    if labels.dtype not in _INTEGERS:
        raise ValueError(
            f"labels are {labels.dtype}; class numbers are integers, say .long() (for soft labels "
            "use the function without sparse)"
        )
    numbers = labels.long()
    classes = scores.shape[-1]
    bad = (numbers < 0) | (numbers >= classes)
    if ignore_index is not None:
        bad &= numbers != ignore_index
    refuse(bad, numbers, "labels", f"is no class; classes are 0..{classes - 1}")
    return numbers.reshape(-1)


def clipped_log(p: Tensor, given: Tensor, epsilon: float, normalized: bool) -> Tensor:
    """log clip(p / sum p) along the last axis, `given` being p in the dtype that was handed in."""
    if normalized:
        check_unit_interval(given, "probabilities")
    else:
        check_finite(given, "probabilities")
        refuse(given < 0, given, "probabilities", "is negative; a weight is >= 0")
    total = p.sum(-1, keepdim=True)
    refuse(total[..., 0] == 0, total[..., 0], "sum of probabilities", "cannot be normalised")
    check_epsilon(epsilon, p.dtype)
    return (p / total).clamp(epsilon, 1 - epsilon).log()


def check_weight(weight: Tensor, name: str) -> None:
    """Refuses weights that are negative or not finite."""
    check_finite(weight, name)
    refuse(weight < 0, weight, name, "is negative; a weight is >= 0")


def check_epsilon(epsilon: float, dtype: torch.dtype) -> None:
    """Refuses an epsilon that would not keep logarithms finite in this dtype."""
    if not 0 < epsilon < 0.5 or bool(1 - torch.tensor(epsilon, dtype=dtype) == 1):
        raise ValueError(
            f"epsilon={epsilon} cannot clip {dtype}: it must be below 0.5 and large enough that "
            f"1 - epsilon differs from 1, above {torch.finfo(dtype).eps / 2:.3g}"
        )


def reduced(loss: Tensor, reduction: Reduction | None) -> Tensor:
    """The loss as it is, its sum, or its mean; a mean of nothing is refused, not nan."""
    if reduction is None:
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction != "mean":
        raise ValueError(f"reduction={reduction!r} is unknown; use None, 'mean' or 'sum'")
    if loss.numel() == 0:
        raise ValueError(
            "the mean has nothing to average: the batch is empty; ask for reduction='sum' or leave "
            "the batch out"
        )
    return loss.mean()
