"""One Gaussian fitted to a mixture under four divergences, and pairs that are moved apart."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from gan_lab import information
from gan_lab.experiments.base import Arrays
from gan_lab.experiments.divergence_zoo.pairs import QUANTITIES, Line, Mixture
from gan_lab.information.quadrature import normal_density, panels

FIT_DIVERGENCES = ("kl", "reverse_kl", "js", "w1")
CELLS = 64  # of a block of length 1
_FARTHEST = 3  # block lengths
_GAUSSIAN_FARTHEST = 10  # standard deviations


def blocks_part() -> Arrays:
    """Move one of two uniform blocks of length 1 by whole cells, and compare them."""
    moves = torch.arange(_FARTHEST * CELLS + 1)
    cells = torch.arange((_FARTHEST + 1) * CELLS)
    inside = (cells >= moves[:, None]) & (cells < moves[:, None] + CELLS)
    q = inside.double() / CELLS
    p = q[:1].expand_as(q)
    x = cells.double() / CELLS
    values = {
        "kl": information.kl_divergence(p, q),
        "reverse_kl": information.kl_divergence(q, p),
        "js": information.js_divergence(p, q),
        "tv": information.total_variation(p, q),
        "w1": information.wasserstein_1(p, q, x),
    }
    arrays = {f"blocks/{name}": each.numpy() for name, each in values.items()}
    return arrays | {"blocks/shift": moves.double().numpy() / CELLS}


def gaussians_part() -> Arrays:
    """Compare N(0, 1) with N(t, 1): values and derivatives by t, in standard deviations."""
    t = torch.linspace(0, _GAUSSIAN_FARTHEST, 201, dtype=torch.float64)[1:].requires_grad_()
    divergences = information.gaussians(0.0, 1.0, t, 1.0)
    arrays = {"gaussians/shift": t.detach().numpy()}
    for name in ("kl", "js", "tv", "wasserstein"):
        values = getattr(divergences, name)
        (derivative,) = torch.autograd.grad(values.sum(), t, retain_graph=True)
        key = "w1" if name == "wasserstein" else name
        arrays[f"gaussians/{key}"] = values.detach().numpy()
        arrays[f"gaussians/{key}_slope"] = derivative.numpy()
    return arrays


def fits_part(target: Mixture, scales: Sequence[float], steps: int) -> Arrays:
    """Fit Gaussians to targets whose modes are spread by each scale around the target's mean.

    Adam goes its steps over all starts and scales at once; Newton's method finishes what is smooth.
    """
    middle = target.mean
    means = [middle + scale * (target.means - middle) for scale in scales]
    # In units of each target's own std around its mean, so that one learning rate suits them all.
    stds = [replace(target, means=each).std for each in means]
    sizes = torch.tensor(stds, dtype=torch.float64)
    units = [
        Mixture((each - middle) / size, target.stds / size, target.weights)
        for each, size in zip(means, sizes, strict=True)
    ]
    # One start on each mode, and wide and narrow ones across.
    starts = torch.stack([_starts(each) for each in units])  # [T, B, 2]
    arrays = {"fits/scale": np.array(scales)}
    for name in FIT_DIVERGENCES:
        loss = _LOSSES[name](units)
        ends = _minimize(loss, starts, steps)
        if name != "w1":  # whose quadrature is piecewise linear: no second derivative
            ends = _polish(loss, ends)
        unit = sizes[:, None] if name == "w1" else 1.0
        arrays[f"fits/{name}_loss"] = (loss(ends).detach() * unit).numpy()
        arrays[f"fits/{name}_mean"] = (middle + sizes[:, None] * ends[..., 0]).numpy()
        arrays[f"fits/{name}_std"] = (sizes[:, None] * ends[..., 1].exp()).numpy()
    return arrays


def best(arrays: Arrays, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the best fit at each scale."""
    at = np.argmin(arrays[f"fits/{name}_loss"], -1)
    rows = np.arange(len(at))
    return arrays[f"fits/{name}_mean"][rows, at], arrays[f"fits/{name}_std"][rows, at]


def best_at_1(arrays: Arrays, name: str) -> tuple[float, float]:
    """Return mean and standard deviation of the best fit at scale 1, the middle one."""
    mean, std = best(arrays, name)
    return float(mean[len(mean) // 2]), float(std[len(std) // 2])


def table(target: Mixture, arrays: Arrays) -> np.ndarray:
    """Return every fit at scale 1 under every divergence, [fit, divergence], as pairs are."""
    columns = [QUANTITIES.index(name) for name in FIT_DIVERGENCES]
    bests = (best_at_1(arrays, name) for name in FIT_DIVERGENCES)
    rows = [Line(target, Mixture.of((mean,), (std,))).values() for mean, std in bests]
    return np.array(rows)[:, columns]


_Loss = Callable[[Tensor], Tensor]  # (mean, log std) [T, B, 2] -> loss [T, B]


def _starts(target: Mixture) -> Tensor:
    ends = float(target.means.min()), float(target.means.max())
    across = torch.linspace(*ends, 3, dtype=torch.float64)
    rows = [torch.stack([target.means, target.stds.log()], -1)]
    for width in (math.log(target.std), float(target.stds.min().log())):
        rows.append(torch.stack([across, torch.full_like(across, width)], -1))
    return torch.cat(rows)


def _own_nodes(targets: Sequence[Mixture], cuts: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Return nodes x [T, 1, N], masses of the target there, and its log density.

    Targets have equally many components. A panel of half a standard deviation is cut into `cuts`.
    """
    share = torch.arange(cuts, dtype=torch.float64) / cuts
    nodes = []
    for each in targets:
        edges = each.edges().sort().values
        fine = (edges[:-1, None] + edges.diff()[:, None] * share).flatten()
        nodes.append(panels(torch.cat([fine, edges[-1:]]), 6))
    x, weights = (torch.stack(part)[:, None] for part in zip(*nodes, strict=True))
    logs = torch.stack([each.log_density(row[0]) for each, row in zip(targets, x, strict=True)])
    return x, logs[:, None].exp() * weights, logs[:, None]


def _normal_nodes() -> tuple[Tensor, Tensor]:
    """Return nodes z [N] of the standard normal and its masses there."""
    z, weights = panels(torch.arange(-24, 25, dtype=torch.float64) / 2, 6)
    return z, weights * normal_density(z)


def _log_normal(x: Tensor, fit: Tensor) -> Tensor:
    z = (x - fit[..., :1]) / fit[..., 1:].exp()
    return -z.square() / 2 - fit[..., 1:] - math.log(2 * math.pi) / 2


def _log_targets(targets: Sequence[Mixture]) -> Callable[[Tensor], Tensor]:
    """Return the log densities of all targets as a function of x [T, B, N]."""
    parts = zip(*((each.means, each.stds, each.weights) for each in targets), strict=True)
    return Mixture(*(torch.stack(part)[:, None, None] for part in parts)).log_density


def _kl(targets: Sequence[Mixture]) -> _Loss:
    x, masses, logs = _own_nodes(targets)
    return lambda fit: (masses * (logs - _log_normal(x, fit))).sum(-1)


def _reverse_kl(targets: Sequence[Mixture]) -> _Loss:
    z, masses = _normal_nodes()
    log_density = _log_targets(targets)

    def loss(fit: Tensor) -> Tensor:
        x = fit[..., :1] + fit[..., 1:].exp() * z
        return (masses * (_log_normal(x, fit) - log_density(x))).sum(-1)

    return loss


def _js(targets: Sequence[Mixture]) -> _Loss:
    x, masses, logs = _own_nodes(targets)
    z, own = _normal_nodes()
    log_density = _log_targets(targets)

    def loss(fit: Tensor) -> Tensor:
        y = fit[..., :1] + fit[..., 1:].exp() * z
        # log p - log m = log 2 - log(1 + q/p), and the same for q.
        there = torch.nn.functional.softplus(_log_normal(x, fit) - logs)
        here = torch.nn.functional.softplus(log_density(y) - _log_normal(y, fit))
        return math.log(2) - ((masses * there).sum(-1) + (own * here).sum(-1)) / 2

    return loss


def _w1(targets: Sequence[Mixture]) -> _Loss:
    """Return the mean over x ~ p of |x - (mean + std z)|, z the normal's quantile at F(x)."""
    x, masses, _ = _own_nodes(targets, cuts=8)  # fine, for the kinks
    rows = []
    for target, at in zip(targets, x, strict=True):
        # From the nearer tail, where 1 - F would be 0.
        mirror = Mixture(-target.means, target.stds, target.weights)
        below, above = target.cdf(at), mirror.cdf(-at)
        lower = below < above
        z = torch.special.ndtri(torch.where(lower, below, above))
        rows.append(torch.where(lower, z, -z))
    z = torch.stack(rows)
    return lambda fit: (masses * (x - fit[..., :1] - fit[..., 1:].exp() * z).abs()).sum(-1)


_LOSSES: dict[str, Callable[[Sequence[Mixture]], _Loss]]
_LOSSES = {"kl": _kl, "reverse_kl": _reverse_kl, "js": _js, "w1": _w1}


def _minimize(loss: _Loss, starts: Tensor, steps: int) -> Tensor:
    """Run Adam on all problems at once, its rate falling to 0 as a cosine."""
    fit = starts.clone().requires_grad_()
    optimizer = torch.optim.Adam([fit], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(fit).sum().backward()
        optimizer.step()
        schedule.step()
    return fit.detach()


def _polish(loss: _Loss, fit: Tensor, steps: int = 12) -> Tensor:
    """Run Newton's method for each problem; a step that does not lower its loss is not taken."""
    for _ in range(steps):
        at = fit.clone().requires_grad_()
        value = loss(at)
        (gradient,) = torch.autograd.grad(value.sum(), at, create_graph=True)
        sums = gradient.sum((0, 1))
        rows = [torch.autograd.grad(part, at, retain_graph=True)[0] for part in sums]
        hessian = torch.stack(rows, -2)
        # Upwards along a direction of negative curvature is no way down.
        size, axes = torch.linalg.eigh(hessian)
        along = (axes.mT @ gradient.detach()[..., None])[..., 0] / size.abs().clamp_min(1e-6)
        candidate = fit - (axes @ along[..., None])[..., 0]
        lower = loss(candidate).detach() <= value.detach()
        fit = torch.where(lower[..., None], candidate, fit).detach()
    return fit
