"""Cross-entropy losses of logits or probabilities against labels, and the squared error.

One value per sample unless a reduction is asked. Each checks its input, which reads a few flags
back from the device: for tables, tests and small models, not for a training step under vmap or
CUDA graphs (the adversarial losses are in gan_lab.losses). float16 and bfloat16 are computed in
float32 and returned in their own dtype.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.information.checks import check_finite, check_unit_interval
from gan_lab.information.labels import (
    Reduction,
    check_class_labels,
    check_epsilon,
    check_weight,
    class_numbers,
    clipped_log,
    floating,
    paired,
    reduced,
)


def sigmoid_cross_entropy_with_logits(
    logits: Tensor, labels: Tensor, *, reduction: Reduction | None = None
) -> Tensor:
    """Cross entropy of independent yes-or-no labels, -y log s(x) - (1 - y) log(1 - s(x)).

    Args:
        logits: Log-odds x of "yes", any shape, finite.
        labels: Probabilities y of "yes", same shape, in [0, 1]; booleans and integers are welcome.
        reduction: None for one value an entry, "mean" or "sum" over all entries.

    Returns:
        Nats, the shape of logits (or a scalar), >= 0; log 2 at logit 0. The gradient is s(x) - y.

    Raises:
        ValueError: The shapes differ, a logit is not finite, a label is outside [0, 1] (the entry
            is named), an unknown reduction, or a mean of nothing.

    Reference: torch.nn.functional.binary_cross_entropy_with_logits, in TensorFlow's naming.
    """
    x, y = paired(logits, labels)
    check_unit_interval(labels, "labels")
    loss = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    return reduced(loss, reduction).to(logits.dtype)


def weighted_cross_entropy_with_logits(
    logits: Tensor,
    labels: Tensor,
    pos_weight: Tensor | float,
    *,
    reduction: Reduction | None = None,
) -> Tensor:
    """Sigmoid cross entropy whose positive term counts pos_weight times.

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
    x, y = paired(logits, labels)
    check_unit_interval(labels, "labels")
    weight = torch.as_tensor(pos_weight, dtype=x.dtype, device=x.device)
    check_weight(weight, "pos_weight")
    try:
        weight = weight.expand(x.shape)
    except RuntimeError:
        raise ValueError(
            f"pos_weight of shape {tuple(weight.shape)} does not broadcast to the logits' "
            f"{tuple(x.shape)}; give a number or one weight for each column"
        ) from None
    loss = F.binary_cross_entropy_with_logits(x, y, pos_weight=weight, reduction="none")
    return reduced(loss, reduction).to(logits.dtype)


def softmax_cross_entropy_with_logits(
    logits: Tensor, labels: Tensor, *, normalized: bool = True, reduction: Reduction | None = None
) -> Tensor:
    """Cross entropy of a label distribution against a softmax, -sum_c y_c log softmax(x)_c.

    Args:
        logits: Unnormalised log-probabilities x, shape [..., C], finite (mask a class with a large
            negative number, not -inf: 0 * inf would be nan).
        labels: Soft or one-hot labels y, same shape; each row sums to 1.
        normalized: False lets rows sum to something else: y then are weights >= 0 of the classes.
        reduction: None for one value a row, "mean" or "sum" over rows.

    Returns:
        Nats, shape [...] (or a scalar), >= 0; log C at equal logits.

    Raises:
        ValueError: The shapes differ, a logit is not finite, a label is negative, not finite or (if
            normalized) a row does not sum to 1, an unknown reduction, or a mean of nothing.

    Reference: torch.nn.functional.cross_entropy with class probabilities, in TensorFlow's naming.
    """
    x, y = paired(logits, labels)
    check_class_labels(labels, normalized)
    classes = x.shape[-1]
    loss = F.cross_entropy(x.reshape(-1, classes), y.reshape(-1, classes), reduction="none")
    return reduced(loss.reshape(x.shape[:-1]), reduction).to(logits.dtype)


def sparse_softmax_cross_entropy_with_logits(
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    *,
    reduction: Reduction | None = None,
) -> Tensor:
    """Cross entropy of class numbers against a softmax, -w_y log softmax(x)_y.

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
    x = floating(logits, "logits")
    check_finite(logits, "logits")
    target = class_numbers(labels, logits, "logits", ignore_index)
    if weight is not None:
        if weight.shape != x.shape[-1:]:
            raise ValueError(
                f"weight has shape {tuple(weight.shape)}; give one for each of the "
                f"{x.shape[-1]} classes"
            )
        check_weight(weight, "weight")
        weight = weight.to(x)
    loss = F.cross_entropy(
        x.reshape(-1, x.shape[-1]), target, weight, ignore_index=ignore_index, reduction="none"
    ).reshape(labels.shape)
    if reduction != "mean":
        return reduced(loss, reduction).to(logits.dtype)
    kept = target[target != ignore_index]
    total = torch.ones_like(kept).sum() if weight is None else weight[kept].sum()
    if total == 0:
        raise ValueError(
            "the mean has nothing to average: no label counts with a weight above 0; ask for "
            "reduction='sum' or leave the batch out"
        )
    return (loss.sum() / total).to(logits.dtype)


def binary_cross_entropy(
    probabilities: Tensor,
    labels: Tensor,
    epsilon: float = 1e-7,
    *,
    reduction: Reduction | None = None,
) -> Tensor:
    """Cross entropy of yes-or-no labels against probabilities, in the Keras manner.

    Probabilities are clipped to [epsilon, 1 - epsilon] and taken back to logits, so a sure answer
    costs a finite 16.1 nats when it is wrong and 1.192e-7 (float32: 1 - epsilon rounds to
    1 - 2^-23) when it is right. Where the clip bites the gradient is 0: prefer logits.

    Args:
        probabilities: Of "yes", any shape, in [0, 1].
        labels: Probabilities of "yes", same shape, in [0, 1]; booleans and integers are welcome.
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
    p, y = paired(probabilities, labels, "probabilities")
    check_unit_interval(probabilities, "probabilities")
    check_unit_interval(labels, "labels")
    check_epsilon(epsilon, p.dtype)
    loss = F.binary_cross_entropy_with_logits(torch.logit(p, eps=epsilon), y, reduction="none")
    return reduced(loss, reduction).to(probabilities.dtype)


def categorical_cross_entropy(
    probabilities: Tensor,
    labels: Tensor,
    epsilon: float = 1e-7,
    *,
    normalized: bool = True,
    reduction: Reduction | None = None,
) -> Tensor:
    """Cross entropy of a label distribution against class probabilities, in the Keras manner.

    The probabilities are divided by their sum, then clipped to [epsilon, 1 - epsilon]:
    -sum_c y_c log clip(p_c / sum p).

    Args:
        probabilities: Of the classes, shape [..., C], in [0, 1]; a row may sum to anything above 0.
        labels: Soft or one-hot labels y, same shape; each row sums to 1.
        epsilon: Where to clip, as in binary_cross_entropy.
        normalized: False takes both as weights >= 0, which may be above 1.
        reduction: None for one value a row, "mean" or "sum" over rows.

    Returns:
        Nats, shape [...] (or a scalar), >= 0.

    Raises:
        ValueError: The shapes differ, an entry is negative, not finite or (if normalized) above 1,
            labels do not sum to 1, probabilities sum to 0, or epsilon or reduction is wrong.

    Reference: tf.keras.backend.categorical_crossentropy.
    """
    p, y = paired(probabilities, labels, "probabilities")
    check_class_labels(labels, normalized)
    loss = -(y * clipped_log(p, probabilities, epsilon, normalized)).sum(-1)
    return reduced(loss, reduction).to(probabilities.dtype)


def sparse_categorical_cross_entropy(
    probabilities: Tensor,
    labels: Tensor,
    epsilon: float = 1e-7,
    *,
    reduction: Reduction | None = None,
) -> Tensor:
    """Cross entropy of class numbers against class probabilities, -log clip(p_y / sum p).

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
    p = floating(probabilities, "probabilities")
    target = class_numbers(labels, probabilities, "probabilities", None)
    logs = clipped_log(p, probabilities, epsilon, normalized=True)
    loss = F.nll_loss(logs.reshape(-1, p.shape[-1]), target, reduction="none")
    return reduced(loss.reshape(labels.shape), reduction).to(probabilities.dtype)


def squared_error(
    predictions: Tensor, targets: Tensor, *, reduction: Reduction | None = None
) -> Tensor:
    """Squared difference entry by entry, (prediction - target)^2.

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
    a, b = paired(predictions, targets, "predictions", "targets")
    check_finite(targets, "targets")
    return reduced(F.mse_loss(a, b, reduction="none"), reduction).to(predictions.dtype)
