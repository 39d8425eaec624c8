"""Cross-entropy losses of logits or probabilities against labels, and the squared error.

One value per sample without a reduction. Each checks its input, which reads a few flags
back from the device: for tables, tests and small models, not for a training step under vmap or
CUDA graphs (the adversarial losses are in gan_lab.losses). float16 and bfloat16 are computed in
float32 and returned in their own dtype.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.information.checks import (
    check_distribution,
    check_finite,
    check_same_shape,
    check_unit_interval,
    refuse,
    wide,
)
from gan_lab.information.inputs import Real

Reduction = Literal["mean", "sum"] | None
_NO_MEAN = "the mean has nothing to average: {}; ask for reduction='sum' or leave the batch out"
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def sigmoid_cross_entropy_with_logits(
    logits: Tensor, labels: Tensor, *, reduction: Reduction = None
) -> Tensor:
    """Return the cross entropy of yes-or-no labels, -y log s(x) - (1 - y) log(1 - s(x)).

    Args:
        logits: Log-odds x of "yes", any shape, finite.
        labels: Probabilities y of "yes", same shape, in [0, 1]; booleans and integers are accepted.
        reduction: None for one value an entry, "mean" or "sum" over all entries.

    Returns:
        Nats, the shape of logits (or a scalar), >= 0; log 2 at logit 0. The gradient is s(x) - y.

    Raises:
        ValueError: The shapes differ, a logit is not finite, a label is outside [0, 1] (the entry
            is named), an unknown reduction, or a mean of nothing.

    Reference: torch.nn.functional.binary_cross_entropy_with_logits, in TensorFlow's naming.
    """
    x, y = _as_pair(logits, labels)
    check_unit_interval(labels, "labels")
    loss = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    return _reduce(loss, reduction).to(logits.dtype)


def weighted_cross_entropy_with_logits(
    logits: Tensor, labels: Tensor, pos_weight: Real, *, reduction: Reduction = None
) -> Tensor:
    """Return the sigmoid cross entropy whose positive term counts pos_weight times.

    -pos_weight y log s(x) - (1 - y) log(1 - s(x)): above 1 it trades precision for recall.

    Args:
        logits: Log-odds x of "yes", any shape, finite.
        labels: Probabilities y of "yes", same shape, in [0, 1].
        pos_weight: A number, or a tensor that broadcasts to the shape of logits; finite and >= 0.
        reduction: None, "mean" (over entries, not over weights) or "sum".

    Returns:
        Nats, the shape of logits (or a scalar), >= 0.

    Raises:
        ValueError: As sigmoid_cross_entropy_with_logits, or a wrong pos_weight.

    Reference: torch.nn.functional.binary_cross_entropy_with_logits (pos_weight); TensorFlow's
        weighted_cross_entropy_with_logits.
    """
    x, y = _as_pair(logits, labels)
    check_unit_interval(labels, "labels")
    weight = torch.as_tensor(pos_weight, dtype=x.dtype, device=x.device)
    _check_weight(weight, "pos_weight")
    try:
        weight = weight.expand(x.shape)
    except RuntimeError:
        raise ValueError(
            f"pos_weight of shape {tuple(weight.shape)} does not broadcast to the logits' "
            f"{tuple(x.shape)}; give a number or one weight for each column"
        ) from None
    loss = F.binary_cross_entropy_with_logits(x, y, pos_weight=weight, reduction="none")
    return _reduce(loss, reduction).to(logits.dtype)


def softmax_cross_entropy_with_logits(
    logits: Tensor, labels: Tensor, *, sum_to_one: bool = True, reduction: Reduction = None
) -> Tensor:
    """Return the cross entropy of labels against a softmax, -sum_c y_c log softmax(x)_c.

    Args:
        logits: Unnormalised log-probabilities x, shape [..., C], finite (mask a class with a large
            negative number, not -inf: 0 * inf would be nan).
        labels: Soft or one-hot labels y, same shape; each row sums to 1.
        sum_to_one: False lets rows sum to something else: y then are weights >= 0 of the classes.
        reduction: None for one value a row, "mean" or "sum" over rows.

    Returns:
        Nats, shape [...] (or a scalar), >= 0; log C at equal logits.

    Raises:
        ValueError: The shapes differ, a logit is not finite, a label is negative, not finite or (if
            sum_to_one) a row does not sum to 1, an unknown reduction, or a mean of nothing.

    Reference: torch.nn.functional.cross_entropy with class probabilities, in TensorFlow's naming.
    """
    x, y = _as_pair(logits, labels)
    _check_class_labels(labels, sum_to_one)
    classes = x.shape[-1]
    loss = F.cross_entropy(x.reshape(-1, classes), y.reshape(-1, classes), reduction="none")
    return _reduce(loss.reshape(x.shape[:-1]), reduction).to(logits.dtype)


def sparse_softmax_cross_entropy_with_logits(
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    *,
    reduction: Reduction = None,
) -> Tensor:
    """Return the cross entropy of class numbers against a softmax, -w_y log softmax(x)_y.

    Args:
        logits: Unnormalised log-probabilities x, shape [..., C], finite.
        labels: Class numbers y in 0..C-1, integers, shape [...].
        weight: One weight w_c a class, shape [C], finite and >= 0; None is 1 each.
        ignore_index: Rows with this label give 0 and count in no mean.
        reduction: None for one value a row, "sum", or "mean": the sum divided by the sum of the
            weights of the rows that count, as torch does.

    Returns:
        Nats, shape [...] (or a scalar), >= 0.

    Raises:
        ValueError: The shapes do not fit, a logit is not finite, a label is no class (the entry is
            named), a wrong weight, an unknown reduction, or a mean of nothing.

    Reference: torch.nn.functional.cross_entropy with class indices, in TensorFlow's naming.
    """
    x = _as_float(logits, "logits")
    check_finite(logits, "logits")
    target = _class_indices(labels, logits, "logits", ignore_index)
    if weight is not None:
        if weight.shape != x.shape[-1:]:
            got = f"weight has shape {tuple(weight.shape)}"
            raise ValueError(f"{got}; give one for each of the {x.shape[-1]} classes")
        _check_weight(weight, "weight")
        weight = weight.to(x)
    loss = F.cross_entropy(
        x.reshape(-1, x.shape[-1]), target, weight, ignore_index=ignore_index, reduction="none"
    ).reshape(labels.shape)
    if reduction != "mean":
        return _reduce(loss, reduction).to(logits.dtype)
    valid = target[target != ignore_index]
    total = valid.new_tensor(len(valid)) if weight is None else weight[valid].sum()
    if total == 0:
        raise ValueError(_NO_MEAN.format("no label counts with a weight above 0"))
    return (loss.sum() / total).to(logits.dtype)


def binary_cross_entropy(
    probabilities: Tensor, labels: Tensor, epsilon: float = 1e-7, *, reduction: Reduction = None
) -> Tensor:
    """Return the cross entropy of yes-or-no labels against probabilities, in the Keras manner.

    Probabilities are clipped to [epsilon, 1 - epsilon] and taken back to logits, so a sure answer
    costs a finite 16.1 nats when it is wrong and 1.192e-7 (float32: 1 - epsilon rounds to
    1 - 2^-23) when it is right. Where the clip bites the gradient is 0: prefer logits.

    Args:
        probabilities: Of "yes", any shape, in [0, 1].
        labels: Probabilities of "yes", same shape, in [0, 1]; booleans and integers are accepted.
        epsilon: Where to clip; 1 - epsilon must differ from 1 in the dtype (half precision is
            computed in float32).
        reduction: None for one value an entry, "mean" or "sum" over all entries. (Keras averages.)

    Returns:
        Nats, the shape of probabilities (or a scalar), >= 0.

    Raises:
        ValueError: The shapes differ, a probability or label is outside [0, 1] (the entry is
            named), an epsilon that cannot be used, an unknown reduction, or a mean of nothing.

    Reference: tf.keras.backend.binary_crossentropy of TensorFlow 1; torch.logit.
    """
    p, y = _as_pair(probabilities, labels, "probabilities")
    check_unit_interval(probabilities, "probabilities")
    check_unit_interval(labels, "labels")
    _check_epsilon(epsilon, p.dtype)
    loss = F.binary_cross_entropy_with_logits(torch.logit(p, eps=epsilon), y, reduction="none")
    return _reduce(loss, reduction).to(probabilities.dtype)


def categorical_cross_entropy(
    probabilities: Tensor,
    labels: Tensor,
    epsilon: float = 1e-7,
    *,
    sum_to_one: bool = True,
    reduction: Reduction = None,
) -> Tensor:
    """Return the cross entropy of labels against class probabilities, in the Keras manner.

    The probabilities are divided by their sum, then clipped to [epsilon, 1 - epsilon]:
    -sum_c y_c log clip(p_c / sum p).

    Args:
        probabilities: Of the classes, shape [..., C], in [0, 1]; a row may sum to anything above 0.
        labels: Soft or one-hot labels y, same shape; each row sums to 1.
        epsilon: Where to clip, as in binary_cross_entropy.
        sum_to_one: False takes both as weights >= 0, which may be above 1.
        reduction: None for one value a row, "mean" or "sum" over rows.

    Returns:
        Nats, shape [...] (or a scalar), >= 0.

    Raises:
        ValueError: The shapes differ, an entry is negative, not finite or (if sum_to_one) above 1,
            labels do not sum to 1, probabilities sum to 0, or epsilon or reduction is wrong.

    Reference: tf.keras.backend.categorical_crossentropy.
    """
    p, y = _as_pair(probabilities, labels, "probabilities")
    _check_class_labels(labels, sum_to_one)
    loss = -(y * _clipped_log(p, probabilities, epsilon, sum_to_one)).sum(-1)
    return _reduce(loss, reduction).to(probabilities.dtype)


def sparse_categorical_cross_entropy(
    probabilities: Tensor, labels: Tensor, epsilon: float = 1e-7, *, reduction: Reduction = None
) -> Tensor:
    """Return the cross entropy of class numbers against probabilities, -log clip(p_y / sum p).

    Args:
        probabilities: Of the classes, shape [..., C], in [0, 1]; a row may sum to anything above 0.
        labels: Class numbers y in 0..C-1, integers, shape [...].
        epsilon: Where to clip, as in binary_cross_entropy.
        reduction: None for one value a row, "mean" or "sum" over rows.

    Returns:
        Nats, shape [...] (or a scalar), >= 0: categorical_cross_entropy of the one-hot labels.

    Raises:
        ValueError: The shapes do not fit, a probability is outside [0, 1], a row sums to 0, a label
            is no class (the entry is named), an epsilon that cannot be used, an unknown reduction,
            or a mean of nothing.

    Reference: tf.keras.backend.sparse_categorical_crossentropy; torch.nn.functional.nll_loss.
    """
    p = _as_float(probabilities, "probabilities")
    target = _class_indices(labels, probabilities, "probabilities", None)
    logs = _clipped_log(p, probabilities, epsilon, sum_to_one=True)
    loss = F.nll_loss(logs.reshape(-1, p.shape[-1]), target, reduction="none")
    return _reduce(loss.reshape(labels.shape), reduction).to(probabilities.dtype)


def squared_error(predictions: Tensor, targets: Tensor, *, reduction: Reduction = None) -> Tensor:
    """Return the squared difference entry by entry, (prediction - target)^2.

    Args:
        predictions: Any shape, finite.
        targets: Same shape, finite.
        reduction: None for one value an entry, "mean" or "sum" over all entries.

    Returns:
        The square of the data's unit, the shape of predictions (or a scalar), >= 0.

    Raises:
        ValueError: The shapes differ ([N] against [N, 1] would broadcast to [N, N]), an entry is
            not finite, an unknown reduction, or a mean of nothing.

    Reference: torch.nn.functional.mse_loss.
    """
    a, b = _as_pair(predictions, targets, "predictions", "targets")
    check_finite(targets, "targets")
    return _reduce(F.mse_loss(a, b, reduction="none"), reduction).to(predictions.dtype)


def _as_float(values: Tensor, name: str) -> Tensor:
    """Return real numbers in the dtype of the arithmetic; refuse whole numbers."""
    if not values.dtype.is_floating_point:
        raise ValueError(f"{name} are {values.dtype}; they must be floating point, say .float()")
    return values.to(wide(values.dtype))


def _as_pair(
    logits: Tensor, labels: Tensor, name: str = "logits", label_name: str = "labels"
) -> tuple[Tensor, Tensor]:
    """Return finite scores and labels of one shape in the dtype of the arithmetic."""
    x = _as_float(logits, name)
    check_same_shape(logits, labels, f"{name} and {label_name}")
    check_finite(logits, name)
    return x, labels.to(x.dtype)


def _check_class_labels(labels: Tensor, sum_to_one: bool) -> None:
    """Refuse labels that are no distributions (or, if not sum_to_one, weights >= 0)."""
    if labels.ndim == 0 or labels.shape[-1] == 0:
        raise ValueError(f"labels have shape {tuple(labels.shape)}; they need a last axis, classes")
    check_finite(labels, "labels")
    refuse(labels < 0, labels, "labels", "is negative; a label is >= 0")
    if sum_to_one:
        try:
            check_unit_interval(labels, "labels")
            check_distribution(labels, "labels")
        except ValueError as error:
            raise ValueError(f"{error}; pass sum_to_one=False if they are weights") from None


def _class_indices(labels: Tensor, scores: Tensor, name: str, ignore_index: int | None) -> Tensor:
    """Return class numbers as flat int64, checked against scores of shape [*labels.shape, C]."""
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


def _clipped_log(p: Tensor, probabilities: Tensor, epsilon: float, sum_to_one: bool) -> Tensor:
    """Return log clip(p / sum p) along the last axis; `probabilities` is p in its own dtype."""
    if sum_to_one:
        check_unit_interval(probabilities, "probabilities")
    else:
        check_finite(probabilities, "probabilities")
        refuse(probabilities < 0, probabilities, "probabilities", "is negative; a weight is >= 0")
    total = p.sum(-1, keepdim=True)
    refuse(total[..., 0] == 0, total[..., 0], "sum of probabilities", "cannot be normalised")
    _check_epsilon(epsilon, p.dtype)
    return (p / total).clamp(epsilon, 1 - epsilon).log()


def _check_weight(weight: Tensor, name: str) -> None:
    """Refuse weights that are negative or not finite."""
    check_finite(weight, name)
    refuse(weight < 0, weight, name, "is negative; a weight is >= 0")


def _check_epsilon(epsilon: float, dtype: torch.dtype) -> None:
    """Refuse an epsilon that would not keep logarithms finite in this dtype."""
    if not 0 < epsilon < 0.5 or bool(1 - torch.tensor(epsilon, dtype=dtype) == 1):
        raise ValueError(
            f"epsilon={epsilon} cannot clip {dtype}: it must be below 0.5 and large enough that "
            f"1 - epsilon differs from 1, above {torch.finfo(dtype).eps / 2:.3g}"
        )


def _reduce(loss: Tensor, reduction: Reduction) -> Tensor:
    """Return the loss as it is, its sum or its mean; refuse a mean of nothing."""
    if reduction is None:
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction != "mean":
        raise ValueError(f"reduction={reduction!r} is unknown; use None, 'mean' or 'sum'")
    if loss.numel() == 0:
        raise ValueError(_NO_MEAN.format("the batch is empty"))
    return loss.mean()
