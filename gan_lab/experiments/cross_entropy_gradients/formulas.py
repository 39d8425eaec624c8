"""Cross entropy and squared error by autograd and by formula: gradients, soft labels, precision."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gan_lab import information
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays

EPSILON = 1e-7  # where Keras clips
DTYPES = {"float32": torch.float32, "float16": torch.float16}
_LOGITS = (-10.0, 10.0, 401)
_PRECISION = (-40.0, 40.0, 1281)  # steps of 1/16, which float16 holds exactly
_ASYMMETRY_P = 0.9


def squared_error_of_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """Return (s(x) - y)^2, without the half of some books: its gradient is 2 (a - y) a (1 - a)."""
    return information.squared_error(torch.sigmoid(logits), labels)


def by_autograd(
    loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the loss per entry (or row) and its gradient by the logits, both detached."""
    x = logits.detach().clone().requires_grad_()
    value = loss(x, labels)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), gradient


def sigmoid_part() -> Arrays:
    """Evaluate losses of one sigmoid output against its logit, labels 0, .3 and 1, float64."""
    # log 2 is the logit of a = 2/3, where squared error is steepest for the label 0.
    grid = torch.linspace(*_LOGITS, dtype=torch.float64)
    x = torch.cat([grid, torch.tensor([math.log(2), 8.0], dtype=torch.float64)]).sort().values
    labels = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    logits, y = torch.broadcast_tensors(x, labels[:, None])
    a = torch.sigmoid(logits)
    arrays = {"sigmoid/logit": x.numpy(), "sigmoid/label": labels.numpy()}
    for name, loss, formula in (
        ("cross_entropy", information.sigmoid_cross_entropy_with_logits, a - y),
        ("squared", squared_error_of_logits, 2 * (a - y) * a * (1 - a)),
    ):
        value, gradient = by_autograd(loss, logits, y)
        arrays[f"sigmoid/{name}_loss"] = value.numpy()
        arrays[f"sigmoid/{name}_gradient"] = gradient.numpy()
        arrays[f"sigmoid/{name}_formula"] = formula.numpy()
    return arrays


def softmax_part(seed: int, n: int = 200) -> Arrays:
    """Evaluate softmax outputs: random logits and soft labels, a line, and two classes."""
    generator = stream(seed, "cross_entropy_gradients/softmax")
    x = 3 * torch.randn(n, 5, generator=generator, dtype=torch.float64)
    y = torch.softmax(torch.randn(n, 5, generator=generator, dtype=torch.float64), -1)
    # One wrong class pulls ahead of the right one and a third.
    line = torch.linspace(*_LOGITS, dtype=torch.float64)
    ahead = torch.stack([line, torch.zeros_like(line), torch.zeros_like(line)], -1)
    right = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).expand_as(ahead)
    arrays = {"softmax/logit": line.numpy()}
    for name, loss, formula in (
        ("cross_entropy", information.softmax_cross_entropy_with_logits, torch.sub),
        ("squared", _softmax_squared, _softmax_squared_gradient),
    ):
        _, gradient = by_autograd(loss, x, y)
        arrays[f"softmax/{name}_gradient"] = gradient.numpy()
        arrays[f"softmax/{name}_formula"] = formula(torch.softmax(x, -1), y).numpy()
        arrays[f"softmax/{name}_line"] = by_autograd(loss, ahead, right)[1][:, 0].numpy()
    pair, share = x[:, :2], torch.softmax(y[:, :2], -1)
    binary = information.sigmoid_cross_entropy_with_logits
    _, two = by_autograd(information.softmax_cross_entropy_with_logits, pair, share)
    _, one = by_autograd(binary, pair[:, 0] - pair[:, 1], share[:, 0])
    return arrays | {"two_classes/softmax": two.numpy(), "two_classes/sigmoid": one.numpy()}


def soft_labels_part(seed: int, n: int = 500) -> Arrays:
    """Find where cross entropy is least, its floor, its asymmetry, and the range of JS."""
    y = torch.linspace(0.02, 0.98, 49, dtype=torch.float64)
    low, high = torch.full_like(y, -30.0), torch.full_like(y, 30.0)
    for _ in range(80):  # the gradient grows with the logit: halve the interval where it is 0
        middle = (low + high) / 2
        _, gradient = by_autograd(information.sigmoid_cross_entropy_with_logits, middle, y)
        rises = gradient < 0
        low, high = torch.where(rises, middle, low), torch.where(rises, high, middle)
    best = (low + high) / 2
    a = torch.linspace(0.002, 0.998, 250, dtype=torch.float64)
    q = _coins(a)
    p = _coins(torch.tensor([_ASYMMETRY_P], dtype=torch.float64)).expand_as(q)
    share = torch.linspace(0, 1, 101, dtype=torch.float64)
    # Two coins that lie differently: the first always heads, the second heads with this share.
    liar, other = _coins(torch.ones_like(share)), _coins(share)
    generator = stream(seed, "cross_entropy_gradients/pairs")
    pairs = torch.randn(2, n, 6, generator=generator, dtype=torch.float64).mul(2).softmax(-1)
    fair = torch.tensor([0.5, 0.5], dtype=torch.float64)
    uneven = torch.tensor([0.9, 0.1], dtype=torch.float64)
    half, certain = fair[:1], torch.eye(2, dtype=torch.float64)
    arrays = {
        "soft/label": y,
        "soft/best_output": torch.sigmoid(best),
        "soft/least_loss": information.sigmoid_cross_entropy_with_logits(best, y),
        "soft/entropy": information.binary_entropy(y),
        "asymmetry/q": a,
        "asymmetry/pq": information.cross_entropy(p, q),
        "asymmetry/qp": information.cross_entropy(q, p),
        "asymmetry/entropy_p": information.entropy(p[:1]),
        "asymmetry/entropy_q": information.entropy(q),
        "asymmetry/fair": information.cross_entropy(fair, uneven)[None],
        "asymmetry/tilted": information.cross_entropy(uneven, fair)[None],
        "floor/excess": information.cross_entropy(*pairs) - information.entropy(pairs[0]),
        "floor/kl": information.kl_divergence(*pairs),
        "js/share": share,
        "js/nats": information.js_divergence(liar, other),
        "js/bits": information.js_divergence(liar, other, base=2),
        "js/random_bits": information.js_divergence(pairs[0], pairs[1], base=2),
        "js/disjoint_nats": information.js_divergence(certain[0], certain[1])[None],
        "js/disjoint_bits": information.js_divergence(certain[0], certain[1], base=2)[None],
        "slip/half": information.binary_cross_entropy(half, half),
    }
    return {name: tensor.numpy() for name, tensor in arrays.items()}


def precision_part() -> Arrays:
    """Evaluate a sure answer in float32 and float16, [form, label, logit]."""
    x = torch.linspace(*_PRECISION, dtype=torch.float64)
    labels = torch.tensor([0.0, 1.0], dtype=torch.float64)
    logits, y = torch.broadcast_tensors(x, labels[:, None])
    value, gradient = by_autograd(information.sigmoid_cross_entropy_with_logits, logits, y)
    arrays = {"precision/logit": x, "precision/loss": value, "precision/gradient": gradient}
    for name, dtype in DTYPES.items():
        sides = logits.to(dtype), y.to(dtype)
        pairs = [by_autograd(form, *sides) for form in _FORM_OF.values()]
        for quantity, values in zip(("loss", "gradient"), zip(*pairs, strict=True), strict=True):
            arrays[f"precision/{name}_{quantity}"] = torch.stack(values).double()
    return {name: tensor.numpy() for name, tensor in arrays.items()}


def _clip_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss as Keras has it: a probability in the network's dtype, then clipped."""
    return information.binary_cross_entropy(torch.sigmoid(logits), labels, EPSILON)


def _plain(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the textbook's sum, clipped and computed in the dtype of the network."""
    a = torch.sigmoid(logits).clamp(EPSILON, 1 - EPSILON)
    return -(labels * a.log() + (1 - labels) * (1 - a).log())


_FORM_OF = {
    "logits": information.sigmoid_cross_entropy_with_logits,
    "clipped": _clip_probability,
    "plain": _plain,
}


def _softmax_squared(logits: Tensor, labels: Tensor) -> Tensor:
    return information.squared_error(torch.softmax(logits, -1), labels).sum(-1)


def _softmax_squared_gradient(a: Tensor, y: Tensor) -> Tensor:
    """Return 2 a_i ((a_i - y_i) - sum_j a_j (a_j - y_j)), from da_j/dx_i = a_j ([i = j] - a_i)."""
    return 2 * a * ((a - y) - (a * (a - y)).sum(-1, keepdim=True))


def _coins(heads: Tensor) -> Tensor:
    return torch.stack([heads, 1 - heads], -1)
