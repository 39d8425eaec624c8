"""Networks whose slope is at most 1 by construction, whatever their leaves are.

Each layer's matrix is orthonormal, each activation sorts numbers; neither lengthens a difference,
so the whole network is 1-Lipschitz without a penalty, clipping or a division by a measured slope.
The difference of its means over two samples is then a lower bound of their W1.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def orthonormal(weight: Tensor) -> Tensor:
    """Return the Cayley transform of a matrix, whose columns (or rows) are orthonormal.

    With a tall weight split into U (square) and V, and A = U - U' + V'V, it is
    [(I + A)^-1 (I - A); -2 V (I + A)^-1]: orthonormal for every finite weight, since I + A, whose
    symmetric part is at least I, has an inverse.

    Args:
        weight: [m, n], any finite numbers.

    Returns:
        [m, n] with singular values 1: of orthonormal columns where m >= n, else of rows.

    Reference: Trockman and Kolter 2021, arXiv:2104.07167, section 4.
    """
    m, n = weight.shape[-2:]
    if m < n:
        return orthonormal(weight.mT).mT
    top, rest = weight[..., :n, :], weight[..., n:, :]
    skew = top - top.mT + rest.mT @ rest if m > n else top - top.mT
    one = torch.eye(n, dtype=weight.dtype, device=weight.device)
    # Without the check of a singular matrix, which waits for the device: there is none.
    inverse = torch.linalg.inv_ex(one + skew).inverse if n > 1 else 1 / (one + skew)
    square = 2 * inverse - one
    return square if m == n else torch.cat([square, -2 * rest @ inverse], -2)


class OrthonormalLinear(nn.Module):
    """x -> Q x + b with an orthonormal Q: it keeps lengths, or shortens them where n_out < n_in.

    Attributes:
        weight: Free parameter of Q = `orthonormal(weight)`, [n_out, n_in].
        bias: b, [n_out].
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_out, n_in))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, n_in] -> [N, n_out]; the slope is at most 1 up to rounding, in bf16 2^-8."""
        return F.linear(x, orthonormal(self.weight), self.bias)


class GroupSort(nn.Module):
    """Sorts the units of each group: [N, n] -> [N, n], a permutation of its input.

    Gradients keep their length through any depth; a ReLU would halve them. Of the sizes 2 (MaxMin),
    4, 8, 16 and all, 8 gave the highest bounds of W1 in 2 and in 128 dimensions.

    Attributes:
        size: Units of a group; the last group has what is left.

    Reference: Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 4.
    """

    def __init__(self, size: int = 8) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return x [N, n] with the units of each group in rising order."""
        n = x.shape[-1]
        cut = n - n % self.size
        if cut < n:
            rest = x[..., cut:].sort(-1).values
            return torch.cat([self(x[..., :cut]), rest], -1) if cut else rest
        groups = x.reshape(*x.shape[:-1], n // self.size, self.size)
        return groups.sort(-1).values.reshape(x.shape)


def group_sort_layers(
    n_in: int, width: int, depth: int, linear: Callable[[int, int], nn.Module]
) -> list[nn.Module]:
    """Return the layers of a perceptron with group sort and one output: [N, n_in] -> [N, 1].

    It is 1-Lipschitz if `linear` makes `OrthonormalLinear` layers.
    """
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [linear(n_in, width), GroupSort()]
        n_in = width
    return [*layers, linear(n_in, 1)]


@torch.no_grad()
def initialise_orthonormal_(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of its orthonormal layers N(0, 1/max(n_in, n_out)); biases are 0.

    The rotation is then by angles of order 1, and no singular direction of V'V outweighs U.
    """
    for layer in module.modules():
        if isinstance(layer, OrthonormalLinear):
            std = max(layer.weight.shape) ** -0.5
            layer.weight.normal_(0.0, std, generator=generator)
            layer.bias.zero_()
