"""How fast this machine multiplies matrices, measured beside the rows: the limits of any step."""

import itertools
import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarking.rows import Work
from benchmarking.timing import Switches, finish
from gan_lab.networks.base import halvings, stride_2_kernel

_SECONDS = 0.06  # of one measurement
_REPEATS = 5
_BEST_SHAPES = ((1, 1280, 512, 512), (1, 1024, 1024, 1024))
Shape = tuple[int, int, int, int]
Product = Callable[[], Tensor]
Way = Callable[[Shape, str, torch.device], Iterator[Product]]


def shapes(work: Work, seeds: int = 1) -> list[Shape]:
    """Products (stack, m, k, n) that carry a row: [m, k] @ [k, n], for one batch and for several.

    For a convolution, the product that it amounts to when every window is a row.
    """
    if work.network == "mlp":
        sizes = (work.batch_size, 2 * work.batch_size, work.n_critic * work.batch_size)
        return [(seeds, m, work.width, work.width) for m in sorted(set(sizes))]
    found, channels = [], work.width
    sizes = halvings(work.shape[1] // 2)  # of the images that layers of stride 2 read
    for size in sizes[:-1]:
        half, window = (size + 1) // 2, stride_2_kernel(size) ** 2
        found.append((1, work.batch_size * half * half, window * channels, 2 * channels))
        channels *= 2
    return found


class Limits:
    """Operations a second of matrix products; every answer is measured once and kept."""

    def __init__(self, device: torch.device, quick: bool = False) -> None:
        self.device = device
        self.repeats = 2 if quick else _REPEATS
        self._known: dict[tuple[object, ...], float] = {}

    def torch(self, work: Work, precision: str, seeds: int = 1) -> float:
        """The best that torch's own products reach at a row's shapes: what callers of torch.mm get.

        Forward, gradient by the input and gradient by the weight, whichever is fastest.
        """
        return max(self._at(shape, precision, _plain) for shape in shapes(work, seeds))

    def best(self, precision: str) -> float:
        """The best of every kernel that torch ships, at large shapes."""
        pairs = itertools.product(_BEST_SHAPES, (_plain, _one_dnn))
        return max(self._at(shape, precision, way) for shape, way in pairs)

    def _at(self, shape: Shape, precision: str, way: Way) -> float:
        key = (shape, precision, way.__name__)
        if key not in self._known:
            operations = 2.0 * math.prod(shape)
            with Switches.at_rest():
                rates = [self._rate(p, operations) for p in way(shape, precision, self.device)]
            self._known[key] = max(rates, default=0.0)
        return self._known[key]

    def _rate(self, product: Product, operations: float) -> float:
        # What others take of a shared machine is no limit of it; see Contestant.cpu_rounds.
        alone = self.device.type == "cpu" and torch.get_num_threads() == 1
        clock = time.process_time if alone else time.perf_counter
        best = math.inf
        for _ in range(3):
            product()
        n = 1
        for _ in range(self.repeats + 1):
            finish(self.device)
            start = clock()
            for _ in range(n):
                product()
            finish(self.device)
            if n > 1 or clock() - start > _SECONDS:  # the first is cold and below a clock's grain
                best = min(best, (clock() - start) / n)
            n = max(2, int(_SECONDS / max((clock() - start) / n, 1e-7)))
        return operations / best


def _operands(shape: Shape, precision: str, device: torch.device) -> list[Tensor]:
    stack, m, k, n = shape
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    lead = (stack,) if stack > 1 else ()
    return [torch.randn(*lead, *s, device=device).to(dtype) for s in ((m, k), (n, k), (m, n))]


def _plain(shape: Shape, precision: str, device: torch.device) -> Iterator[Product]:
    x, w, g = _operands(shape, precision, device)
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    yield lambda: x @ w.mT
    yield lambda: g @ w
    yield lambda: g.mT @ x
    if precision == "bf16" and device.type == "cpu":  # float32 operands, multiplied in bfloat16
        xf, wf = x.float(), w.float()
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        yield lambda: xf @ wf.mT


def _one_dnn(shape: Shape, precision: str, device: torch.device) -> Iterator[Product]:
    if device.type != "cpu" or shape[0] != 1 or not torch.backends.mkldnn.is_available():
        return
    x, w, _ = _operands(shape, precision, device)
    yield lambda: torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")
