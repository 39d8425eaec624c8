"""Matrix products by the fastest library on this processor, in float32 or with bfloat16 factors.

A product of two-dimensional factors is [n, k] @ [k, m]; three dimensions are a stack, one a seed.
"""

import re
from pathlib import Path

import torch
from torch import Tensor

_THIN = 16  # a dimension below it makes a product too small for bfloat16 to pay
# Multiplications from which oneDNN pays, which takes longer to start: by units of AVX-512 that are
# as wide as its registers, and by units of half that width, which AVX2 keeps busy as well.
_WORTH, _WORTH_AT_HALF_WIDTH = 2_000_000, 50_000_000
_FIRST_FULL_WIDTH = 26  # AMD's family of Zen 5


def addmm(bias: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return bias + x @ y: [(S,) m], [(S,) n, k], [(S,) k, m] -> [(S,) n, m]."""
    if x.ndim == 3:
        return torch.baddbmm(bias.unsqueeze(-2), x, y)
    if _prefers_onednn(x, y):
        return _onednn(x, y, bias)
    return torch.addmm(bias, x, y)


def mm(x: Tensor, y: Tensor) -> Tensor:
    """Return x @ y: [(S,) n, k], [(S,) k, m] -> [(S,) n, m]."""
    if y.shape[-1] < _THIN and x.device.type == "cpu":
        return _mm_thin(x, y)
    if x.ndim == 3:
        return torch.bmm(x, y)
    if _prefers_onednn(x, y):
        return _onednn(x, y, None)
    return torch.mm(x, y)


def _mm_thin(x: Tensor, y: Tensor) -> Tensor:
    # MKL is two to twelve times as fast where the few columns of y lie along memory.
    if x.stride(-1) == 1:
        return torch.matmul(x, y.mT.contiguous().mT)
    return torch.matmul(y.mT, x.mT).mT


def is_thin(n_in: int, n_out: int) -> bool:
    """Return whether a layer is so narrow that it stays in float32: it holds data coordinates."""
    return min(n_in, n_out) < _THIN


def _cpu() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return ""


def _mkl_is_slow(cpu: str) -> bool:
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkl.is_available():
        return False
    of_another_maker = cpu != "" and "GenuineIntel" not in cpu
    return of_another_maker and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _multiplications_worth_onednn(cpu: str) -> int:
    family = re.search(r"^cpu family\s*: (\d+)", cpu, re.MULTILINE)
    half_width = "AuthenticAMD" in cpu and family and int(family[1]) < _FIRST_FULL_WIDTH
    return _WORTH_AT_HALF_WIDTH if half_width else _WORTH


# Whether torch's float32 products may leave half of this processor unused. MKL runs its AVX2
# kernels on processors of other makers, also where they have AVX-512; oneDNN, which torch ships
# too, does not. An AMD EPYC of family 26 (Zen 5) reached 210 GFLOP/s against 92; one of family 25
# (Zen 4), whose units are half as wide, 98 against 90 in products of 512 units, and less than MKL
# in a step of 64 or 128. The rule is the maker and the family and not a timing, so that a seed
# stays bit-exact on a machine.
_CPU = _cpu()
MKL_IS_SLOW = _mkl_is_slow(_CPU)
WORTH = _multiplications_worth_onednn(_CPU)


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
    n_multiplications = x.numel() * y.shape[1]
    return (
        n_multiplications >= WORTH  # first: most products of narrow networks are decided by it
        and MKL_IS_SLOW
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and (n_multiplications >= 4 * WORTH or x.is_contiguous())
    )
