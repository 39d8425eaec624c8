"""The command `divergence`: every distance of two discrete distributions that were typed in."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from rich import box
from rich.table import Column, Table
from torch import Tensor

from gan_lab import information
from gan_lab.cli.arguments import parse_options
from gan_lab.cli.commands import Divergence
from gan_lab.errors import ConfigError
from gan_lab.information.checks import check_distribution
from gan_lab.reports.export.terminal import console

_Quantity = Callable[[Tensor, Tensor], Tensor]
_IN_NATS: dict[str, tuple[str, _Quantity]] = {
    "entropy_p": ("entropy H(p)", lambda p, q: information.entropy(p)),
    "entropy_q": ("entropy H(q)", lambda p, q: information.entropy(q)),
    "cross_entropy_p_q": ("cross entropy H(p, q)", information.cross_entropy),
    "cross_entropy_q_p": ("cross entropy H(q, p)", lambda p, q: information.cross_entropy(q, p)),
    "kl_p_q": ("KL(p||q)", information.kl_divergence),
    "kl_q_p": ("KL(q||p)", lambda p, q: information.kl_divergence(q, p)),
    "js": ("JS(p, q)", information.js_divergence),
}


def divergence(arguments: list[str]) -> int:
    """Print every divergence of p and q as a table or as JSON."""
    request = parse_options(Divergence, arguments)
    p, q = _numbers("p", request.p), _numbers("q", request.q)
    if len(p) != len(q):
        raise ConfigError(
            f"p and q have {len(p)} and {len(q)} entries; give both the same number, with 0 for an "
            "outcome that cannot occur"
        )
    x = torch.arange(len(p)).double() if request.x is None else _numbers("x", request.x)
    if len(x) != len(p):
        raise ConfigError(f"x has {len(x)} positions for {len(p)} probabilities; give one for each")
    try:
        for key, values in (("p", p), ("q", q)):
            check_distribution(values, key)
        # Rounding may leave -1e-17 or -0 where the truth is 0; none of these can be negative.
        nats = {key: max(0.0, float(f(p, q))) for key, (_, f) in _IN_NATS.items()}
        plain = {
            "total_variation": float(information.total_variation(p, q)),
            "wasserstein_1": float(information.wasserstein_1(p, q, x)),
        }
    except ValueError as error:  # what is no distribution says so itself
        raise ConfigError(str(error)) from error
    notes = [*_infinities("p", p, "q", q), *_infinities("q", q, "p", p)]
    show = _print_json if request.format == "json" else _print_table
    show({"p": p, "q": q, "x": x}, nats, plain, notes)
    return 0


def _numbers(key: str, text: str) -> Tensor:
    inside = text[1:-1].strip()
    if not (text.startswith("[") and text.endswith("]") and inside):
        raise ConfigError(f"{key}={text} is no list of numbers; say '{key}=[0.5,0.5]'")
    values = [_number(word.strip(), f"{key}[{i}]") for i, word in enumerate(inside.split(","))]
    return torch.tensor(values, dtype=torch.float64)


def _number(word: str, place: str) -> float:
    try:
        value = float(Fraction(word)) if "/" in word else float(word)
    except (ValueError, ArithmeticError):
        raise ConfigError(f"{place}={word} is no number; write it as 0.25 or 1/4") from None
    if not math.isfinite(value):
        raise ConfigError(f"{place}={word} is not finite; give a number")
    return value


def _infinities(name: str, p: Tensor, other: str, q: Tensor) -> list[str]:
    outside = ((p > 0) & (q == 0)).nonzero().flatten().tolist()
    where = f"KL({name}||{other}) is infinite: {other} has no mass at index"
    return [f"{where} {i}, where {name} has {p[i]:g}" for i in outside[:1]]


def _print_json(
    inputs: dict[str, Tensor], nats: dict[str, float], plain: dict[str, float], notes: list[str]
) -> None:
    def number(value: float) -> float | str:
        return value if math.isfinite(value) else str(value)

    report: dict[str, Any] = {key: values.tolist() for key, values in inputs.items()}
    for key, value in nats.items():
        report[key] = {"nats": number(value), "bits": number(value / math.log(2))}
    report |= {key: number(value) for key, value in plain.items()}
    print(json.dumps({**report, "notes": notes}, indent=2, allow_nan=False))


def _print_table(
    inputs: dict[str, Tensor], nats: dict[str, float], plain: dict[str, float], notes: list[str]
) -> None:
    numbers = (Column(name, justify="right", no_wrap=True) for name in ("nats", "bits"))
    table = Table(Column("quantity", no_wrap=True), *numbers, box=box.SIMPLE_HEAD)
    for key, value in nats.items():
        table.add_row(_IN_NATS[key][0], f"{value:.6f}", f"{value / math.log(2):.6f}")
    console(width=100).print(table)
    x = inputs["x"]
    positions = ", ".join([*(f"{value:g}" for value in x[:8].tolist()), *["..."] * (len(x) > 8)])
    lines = [
        f"total variation  {plain['total_variation']:.6f} (a probability)",
        f"W1               {plain['wasserstein_1']:.6g} (in the unit of x = [{positions}])",
        *notes,
    ]
    for line in lines:
        console().print(f"  {line}", soft_wrap=True)
