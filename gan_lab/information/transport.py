"""The Wasserstein-1 distance: on a line, between samples, and for any cost matrix.

Differentiable by masses, positions, samples and costs. W1 depends on how far apart p and q are;
KL and JS of disjoint distributions do not.
"""

import warnings

import torch
from torch import Tensor

from gan_lab.information.checks import (
    check_distribution,
    check_finite,
    check_pair,
    float_dtype,
    wide,
)

_GAP = 1e-8  # largest distance between primal and dual value, in units of the largest cost


def wasserstein_1(p: Tensor, q: Tensor, x: Tensor | None = None) -> Tensor:
    """Return W1 of distributions on a line, the area between their distribution functions.

    W1 = sum_i |F_i - G_i| (x_(i+1) - x_i), with the positions in ascending order.

    Args:
        p: Masses along the last axis, shape [..., n].
        q: Masses at the same positions, same shape.
        x: Positions, shape [n] or [..., n], finite, in any order, repeats allowed; None is
            0, 1, ..., n-1.

    Returns:
        The unit of x, shape [...], >= 0. The gradient is a subgradient where F = G.

    Raises:
        ValueError: p or q is not a distribution, the shapes do not fit, or a position is not
            finite.

    Reference: Peyre and Cuturi 2019, arXiv:1803.00567, remark 2.30.
    """
    check_pair(p, q)
    dtype = float_dtype(p, q) if x is None or not x.is_floating_point() else float_dtype(p, q, x)
    difference = p.to(wide(dtype)) - q.to(wide(dtype))
    if x is None:
        return difference.cumsum(-1)[..., :-1].abs().sum(-1).to(dtype)
    if x.shape not in (p.shape, p.shape[-1:]):
        raise ValueError(
            f"x has shape {tuple(x.shape)}; give one position for each of the {p.shape[-1]} "
            f"entries, shape {tuple(p.shape[-1:])} or {tuple(p.shape)}"
        )
    check_finite(x, "x")
    positions, order = x.to(wide(dtype)).expand(p.shape).sort(dim=-1, stable=True)
    excess = difference.gather(-1, order).cumsum(-1)[..., :-1]
    return (excess.abs() * positions.diff(dim=-1)).sum(-1).to(dtype)


def wasserstein_1_samples(a: Tensor, b: Tensor) -> Tensor:
    """Return W1 of two samples of real numbers: each quantile goes to the same quantile.

    The integral over u of |F^-1(u) - G^-1(u)|; for equal sizes the mean of |a_(i) - b_(i)|.

    Args:
        a: Samples along the last axis, shape [..., n], finite.
        b: Samples along the last axis, shape [..., m], finite, the same leading dimensions; m need
            not be n.

    Returns:
        The unit of the samples, shape [...], >= 0.

    Raises:
        ValueError: No samples, other leading dimensions, or a sample that is not finite.

    Reference: Peyre and Cuturi 2019, arXiv:1803.00567, proposition 2.1 and remark 2.28.
    """
    for samples, name in ((a, "a"), (b, "b")):
        if samples.ndim == 0 or samples.shape[-1] == 0:
            raise ValueError(f"{name} has shape {tuple(samples.shape)}; it needs a last axis")
        check_finite(samples, name)
    _check_leading_dimensions(a, b, "a and b")
    dtype = float_dtype(a, b)
    n, m = a.shape[-1], b.shape[-1]
    # F^-1 jumps at multiples of 1/n and G^-1 at multiples of 1/m: counted in 1/(n m), all exact.
    jumps = [torch.arange(0, n * m + 1, step, device=a.device) for step in (m, n)]
    edges = torch.cat(jumps).unique()
    starts = edges[:-1]
    quantiles_a = a.to(wide(dtype)).sort(dim=-1).values[..., starts // m]
    quantiles_b = b.to(wide(dtype)).sort(dim=-1).values[..., starts // n]
    shares = edges.diff().to(wide(dtype)) / (n * m)
    return ((quantiles_a - quantiles_b).abs() * shares).sum(-1).to(dtype)


def optimal_transport(p: Tensor, q: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cost and the plan of the cheapest way to move p onto q, exactly.

    value = min over couplings P >= 0 with row sums p and column sums q of sum_ij P_ij cost_ij: W1
    if the cost is a distance. Solved on the CPU in float64 (network simplex), about 5 ms for
    n = m = 128, .2 s for 1024, and certified by its dual.

    Args:
        p: Masses, shape [..., n].
        q: Masses, shape [..., m], the same leading dimensions.
        cost: Cost of moving a unit from i to j, finite, of any sign, shape [..., n, m] or [n, m].

    Returns:
        (value, coupling): shapes [...] and [..., n, m], in the unit of cost and as shares of mass.
        The value is differentiable: by the cost its gradient is the coupling, by p and q it is the
        dual potentials, which mean something up to a constant only (masses keep their sum) and are
        one of several at a kink; at an entry without mass, the price of putting some there. The
        coupling carries no gradient.

    Raises:
        ValueError: p or q is not a distribution, the shapes do not fit, or a cost is not finite
            (the solver would call a nan 0, a perfect score).
        ImportError: POT is not installed.
        RuntimeError: The solver stopped before the optimum.

    Reference: Peyre and Cuturi 2019, arXiv:1803.00567, equations 2.11 and 2.20.
    """
    check_distribution(p, "p")
    check_distribution(q, "q")
    _check_leading_dimensions(p, q, "p and q")
    pair = (p.shape[-1], q.shape[-1])
    if tuple(cost.shape) not in (pair, (*p.shape[:-1], *pair)):
        raise ValueError(
            f"cost has shape {tuple(cost.shape)}; p and q ask for {pair}, with or without their "
            f"leading dimensions {tuple(p.shape[:-1])}"
        )
    check_finite(cost, "cost")
    dtype = float_dtype(p, q, cost)
    p, q, cost = p.to(wide(dtype)), q.to(wide(dtype)), cost.to(wide(dtype))
    cost = cost.expand(*p.shape[:-1], *pair)
    shapes = ((p, pair[:1]), (q, pair[1:]), (cost, pair))
    flat = [t.detach().double().cpu().reshape(-1, *shape) for t, shape in shapes]
    solutions = [_solve(*problem) for problem in zip(*flat, strict=True)]

    def stack(position: int, shape: tuple[int, ...]) -> Tensor:
        parts = [solution[position] for solution in solutions]
        whole = torch.stack(parts) if parts else torch.zeros(0, *shape, dtype=torch.float64)
        return whole.reshape(*p.shape[:-1], *shape).to(cost)

    coupling = stack(0, pair)
    # Envelope theorem: at the optimum coupling and potentials count as constants. The added terms
    # are 0; only their gradients matter.
    value = (coupling * cost).sum((-2, -1))
    value = value + (stack(1, pair[:1]) * (p - p.detach())).sum(-1)
    value = value + (stack(2, pair[1:]) * (q - q.detach())).sum(-1)
    return value.to(dtype), coupling.to(dtype)


def _check_leading_dimensions(a: Tensor, b: Tensor, names: str) -> None:
    if a.shape[:-1] != b.shape[:-1]:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise ValueError(f"{names} must have the same leading dimensions, got {shapes}")


def _solve(p: Tensor, q: Tensor, cost: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Solve one problem on the CPU in float64: the coupling and both dual potentials."""
    try:
        import ot
    except ImportError as error:
        raise ImportError(
            "optimal_transport needs POT, which is not installed; say `pip install POT`"
        ) from error
    p, q = p / p.sum(), q / q.sum()  # the solver requires equal totals to the last digits
    # The solver's absolute tolerance is some 1e-16, whatever the unit.
    scale = cost.abs().max()
    scale = torch.where(scale == 0, 1, scale)
    cost = cost / scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the duality gap is checked below
        plan, log = ot.emd(p.numpy(), q.numpy(), cost.numpy(), numItermax=10_000_000, log=True)
    coupling = torch.from_numpy(plan)
    # The solver leaves the potentials of entries without mass undefined. The marginal cost of mass
    # there is the cheapest way to where the other side has mass.
    u = (cost - torch.from_numpy(log["v"]))[:, q > 0].amin(1)
    v = (cost - u[:, None])[p > 0].amin(0)
    gap = (coupling * cost).sum() - (u @ p + v @ q)
    if not gap.abs() <= _GAP:
        above = f"{float(gap * scale):.3g} above the optimum"
        raise RuntimeError(f"the transport solver stopped {above}: {log['warning']}")
    return coupling, u * scale, v * scale
