"""Matrix products by the fastest library on this processor, in float32 or with bfloat16 factors.

A product of two-dimensional factors is [n, k] @ [k, m]; three dimensions are a stack, one a seed.
"""

from pathlib import Path

import torch
from torch import Tensor

_THIN = 16  # a dimension below it makes a product too small for bfloat16 to pay
_WORTH = 2_000_000  # multiplications from which oneDNN's larger start-up cost pays


def addmm(bias: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return bias + x @ y: [(S,) m], [(S,) n, k], [(S,) k, m] -> [(S,) n, m]."""
    if x.ndim == 3:
        return torch.baddbmm(bias.unsqueeze(-2), x, y)
    if _prefers_onednn(x, y):
        return _onednn(x, y, bias)
    return torch.addmm(bias, x, y)


def mm(x: Tensor, y: Tensor) -> Tensor:
    """Return x @ y: [(S,) n, k], [(S,) k, m] -> [(S,) n, m]."""
    if x.ndim == 3:
        return torch.bmm(x, y)
    if _prefers_onednn(x, y):
        return _onednn(x, y, None)
    return torch.mm(x, y)


def is_thin(n_in: int, n_out: int) -> bool:
    """Return whether a layer is so narrow that it stays in float32: it holds data coordinates."""
    return min(n_in, n_out) < _THIN


def _mkl_is_slow() -> bool:
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkl.is_available():
        return False
    try:
        cpu = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return False
    return "GenuineIntel" not in cpu and hasattr(torch.ops.mkldnn, "_linear_pointwise")


# Whether torch's float32 products leave half of this processor unused. MKL runs its AVX2 kernels on
# processors of other makers, also where they have AVX-512; oneDNN, which torch ships too, does not:
# 210 against 92 GFLOP/s were measured on an AMD EPYC (Zen 5). The rule is the maker's name and not
# a timing, so that a seed stays bit-exact on a machine.
MKL_IS_SLOW = _mkl_is_slow()


def _linear(x: Tensor, y: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, y.t(), bias, "none", [], "")
    return product


# The same as an operator of its own, for compiled code: inductor takes oneDNN's for a layer of
# frozen weights. Defined without torch.library.custom_op, which costs as much as a small product.
_library = torch.library.Library("gan_lab", "DEF")
_library.define("linear(Tensor x, Tensor y, Tensor? bias) -> Tensor")
_library.impl("linear", _linear, "CPU")
_compilable = torch.ops.gan_lab.linear.default


@torch.library.register_fake("gan_lab::linear")
def _(x: Tensor, y: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(x.shape[0], y.shape[1])


def _onednn(x: Tensor, y: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = (_compilable if torch.compiler.is_compiling() else _linear)(x, y, bias)
    return product


def _prefers_onednn(x: Tensor, y: Tensor) -> bool:
    return (
        MKL_IS_SLOW
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.shape[0] * x.shape[1] * y.shape[1] >= (_WORTH if x.is_contiguous() else 4 * _WORTH)
    )
