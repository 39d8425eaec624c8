"""How many floating-point operations one step needs, and how many the textbook loop does.

Needed is what a gradient derived by hand does, the least: no gradient by an input that nobody uses,
no zeros carried backward. With u = 4 B W^2, one pass of a batch through the two hidden W x W
products of a network of depth 3, a critic's update with penalty needs 11 u (fakes 1; real, fake and
mixed forward 3; weights and inputs of real and fake 4; the inner gradient 1; its derivative 2), one
without 7 u, and a generator's update 5 u: 240 B W^2 for WGAN-GP with n_critic = 5. The thin first
and last products are counted in full. Multiplications and additions of matrix products only, as in
torch.utils.flop_counter.
"""

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarking.rows import DEPTH, Work


def needed(work: Work) -> int | None:
    """Operations of one step and seed by formula; None for convolutions, which have none here."""
    if work.network != "mlp":
        return None
    hidden = [work.width * work.width] * (DEPTH - 1)
    g = [work.latent_dim * work.width, *hidden, work.width * work.n_in]
    d = [work.n_in * work.width, *hidden, work.width]
    critic = sum(g) + 2 * (sum(d) + sum(d) + sum(d[1:]))  # fakes; forward, weights, inputs twice
    if work.game == "wgan_gp":
        critic += sum(d) + sum(d)  # mixed forward; the slope at the input
        critic += sum(d) + sum(d[:-1])  # its derivative by the weights, by what came before
    generator = sum(g) + sum(d) + sum(d) + sum(g) + sum(g[1:])
    return 2 * work.batch_size * (work.n_critic * critic + generator)


class _Counter(TorchDispatchMode):
    """torch's flop counter without its module tracker, which autograd.grad at an input defeats."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func._overloadpacket):
            self.total += int(count(*args, **(kwargs or {}), out_val=out))
        return out


def counted(step: Callable[[], object]) -> int:
    """Operations that a step does, as torch's dispatcher sees them and its flop counter counts."""
    with _Counter() as counter:
        step()
    return counter.total
