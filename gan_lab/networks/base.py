"""The interface of a pair of networks: z [N, latent_dim] -> [N, *shape] -> logits [N]."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gan_lab.errors import ConfigError

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


class NetworkPair(ABC):
    """A description of two networks: a frozen dataclass that allocates nothing by itself.

    A shape of samples that it cannot make or read is refused (ValueError).

    Attributes:
        latent_dim: Dimensions of z.
        packing: Samples that the discriminator judges together; see `Packing`.
        lipschitz: Whether the discriminator's slope is at most 1 by construction.
        conditional: Whether both networks are given the class of each sample; see `Conditional`.
        n_classes: Classes that they are given, once the data are known; 0 = none.
    """

    latent_dim: int
    packing: int = 1
    lipschitz: bool = False
    conditional: bool = False
    n_classes: int = 0

    @abstractmethod
    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module z [N, latent_dim] -> samples [N, *shape]; images end in tanh."""

    @abstractmethod
    def discriminator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module, samples [N, *shape] -> logits [N / packing], never squashed."""

    @abstractmethod
    def initialise_(self, module: nn.Module, generator: torch.Generator) -> None:
        """Fill every parameter of one of its networks from the generator's randomness alone."""


def check_conditional(pair: NetworkPair) -> None:
    """Refuse a pair of classes whose discriminator has several samples or a slope of at most 1.

    Raises:
        ConfigError: Which key to change.
    """
    if not isinstance(pair.conditional, bool):
        raise ConfigError(f"network.conditional={pair.conditional!r} is not true or false")
    if pair.conditional and pair.packing > 1:
        raise ConfigError(
            f"network.conditional=true gives the discriminator one class a sample, but "
            f"network.packing={pair.packing} joins samples of several; set network.packing=1"
        )
    if pair.conditional and pair.lipschitz:
        raise ConfigError(
            "network.conditional=true adds a product of class and features to the logit, so that "
            "the slope of network.lipschitz=true is not at most 1; set network.lipschitz=false"
        )


class Packing(nn.Module):
    """Joins neighbouring samples into packs: [N, c, *rest] -> [N / size, size c, *rest].

    A discriminator of several samples of one side can detect their lack of variety: two equal
    samples are rarer under the data than under a collapsed generator.

    Reference: Lin et al. 2018 (PacGAN), arXiv:1712.04086, section 2.
    """

    couples_samples = True

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Join samples [N, c, *rest] to packs; refuse an N that is no multiple of the size."""
        if len(x) % self.size:
            raise ValueError(f"{len(x)} samples make no packs of {self.size}")
        return x.reshape(len(x) // self.size, self.size * x.shape[1], *x.shape[2:])


def with_packing(layers: Sequence[nn.Module], size: int) -> nn.Sequential:
    """Return a discriminator of packs; without packing the names of its leaves stay as they are."""
    return nn.Sequential(*([Packing(size)] if size > 1 else []), *layers)


def halvings(size: int) -> list[int]:
    """Return the sizes by which convolutions of stride 2 reach 4 or 3 pixels: 28, 14, 7, 4."""
    sizes = [size]
    while sizes[-1] > 4:
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def stride_2_kernel(size: int) -> int:
    """Return the kernel that takes `size` to its half, rounded up, and back (padding 1)."""
    return 4 - size % 2


def on_meta(network: NetworkPair, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """Build generator and discriminator without memory behind their parameters.

    Raises:
        ConfigError: The pair does not fit the samples, or is too large to be counted.
    """
    try:
        with torch.device("meta"):
            return network.generator(shape), network.discriminator(shape)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except (RuntimeError, TypeError, OverflowError) as error:  # more than 64 bits can count
        raise ConfigError(
            f"the networks have more parameters than torch can count ({str(error).splitlines()[0]})"
            f"; set a smaller network.width"
        ) from error


class _Shapes(TorchFunctionMode):
    """The output of layers whose shape is known: on meta they import torch's compiler."""

    _SAME = (
        *("relu", "leaky_relu", "elu", "silu", "softplus", "tanh"),
        *("layer_norm", "batch_norm", "group_norm", "instance_norm"),
    )
    _ELEMENTWISE = ("add", "sub", "mul", "div", "abs", "__radd__", "__rsub__", "__rmul__")

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.nn.functional.linear:
            return args[0].new_empty(*args[0].shape[:-1], len(args[1]))
        if func.__name__ in self._SAME:
            return args[0]
        if func.__name__ in self._ELEMENTWISE and not kwargs:
            tensors = [each for each in args if isinstance(each, Tensor)]
            return tensors[0].new_empty(_broadcast(*(each.shape for each in tensors)))
        if func is torch.nn.functional.avg_pool2d and args[1:4] == (2, 2, 0):
            *leading, h, w = args[0].shape
            return args[0].new_empty(*leading, h // 2, w // 2)
        if func is torch.nn.functional.interpolate and (kwargs or {}).get("scale_factor") == 2.0:
            *leading, h, w = args[0].shape
            return args[0].new_empty(*leading, 2 * h, 2 * w)
        if func is Tensor.sum and len(args) == 2 and isinstance(args[1], tuple):
            sizes = enumerate(args[0].shape)
            return args[0].new_empty([n for dim, n in sizes if dim not in args[1]])
        if func is torch.nn.functional.conv2d and _is_call_of_layer(args, 7):
            return _conv2d(*args)
        if func is torch.nn.functional.conv_transpose2d and _is_call_of_layer(args, 8):
            return _conv_transpose2d(*args)
        if func is torch.cat and len(args) == 2 and args[1] == 1:
            first, *others = args[0]
            n = first.shape[1] + sum(each.shape[1] for each in others)
            return first.new_empty(len(first), n, *first.shape[2:])
        if func is torch.stack and len(args) == 2:
            tensors, dim = args
            shape = list(tensors[0].shape)
            shape.insert(dim % (len(shape) + 1), len(tensors))
            return tensors[0].new_empty(shape)
        if func is torch.nn.functional.pixel_shuffle and len(args) == 2:
            (n, c, h, w), r = args[0].shape, args[1]
            return args[0].new_empty(n, c // r**2, h * r, w * r)
        if func is torch.nn.functional.pixel_unshuffle and len(args) == 2:
            (n, c, h, w), r = args[0].shape, args[1]
            return args[0].new_empty(n, c * r**2, h // r, w // r)
        return func(*args, **(kwargs or {}))


Pair = tuple[int, int]


def _broadcast(*shapes: torch.Size) -> list[int]:
    """Return torch.broadcast_shapes of non-empty tensors, without an import of sympy."""
    n = max(map(len, shapes))
    return [max(sizes) for sizes in zip(*((1,) * (n - len(s)) + s for s in shapes), strict=True)]


def _is_call_of_layer(args: Sequence[Any], n: int) -> bool:
    """Return whether a convolution is called as a layer does, with stride and padding in pairs.

    A user's own forward may leave arguments out, name them, or say padding="same".
    """
    return len(args) == n and all(isinstance(each, tuple) for each in args[3:6])


def _conv2d(
    x: Tensor, weight: Tensor, bias: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Tensor:
    axes = zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    size = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes]
    return x.new_empty(len(x), len(weight), *size)


def _conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Pair,
    padding: Pair,
    output_padding: Pair,
    groups: int,
    dilation: Pair,
) -> Tensor:
    axes = zip(
        x.shape[2:], weight.shape[2:], stride, padding, output_padding, dilation, strict=True
    )
    size = [(n - 1) * s - 2 * p + d * (k - 1) + o + 1 for n, k, s, p, o, d in axes]
    return x.new_empty(len(x), weight.shape[1] * groups, *size)


def forward_on_meta(network: nn.Module, samples: Tensor) -> list[tuple[nn.Module, Tensor, Tensor]]:
    """Return each module of a network with its input and output: shapes without numbers.

    Args:
        network: As `on_meta` builds it.
        samples: Its input, on the meta device.
    """
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []

    def keep(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        calls.append((module, inputs[0], output))

    hooks = [module.register_forward_hook(keep) for module in network.modules()]
    with torch.no_grad(), _Shapes():
        network(samples)
    for hook in hooks:
        hook.remove()
    return calls


def batch_coupling(module: nn.Module) -> str | None:
    """Return the first layer by which samples of a batch see each other, "BatchNorm2d ('body.3')".

    Batch norm is one, and each layer with an attribute `couples_samples` or `needs_whole_batch`
    that is true. None where there is no such layer.
    """
    return _first_layer(module, "couples_samples", "needs_whole_batch")


def batch_statistics(module: nn.Module) -> str | None:
    """Return the first layer that takes statistics of a whole batch, None where there is none.

    Batch norm is one, and each layer with an attribute `needs_whole_batch` that is true.
    """
    return _first_layer(module, "needs_whole_batch")


def _first_layer(module: nn.Module, *traits: str) -> str | None:
    for name, layer in module.named_modules():
        is_batch_norm = isinstance(layer, nn.modules.batchnorm._BatchNorm)
        if is_batch_norm or any(getattr(layer, trait, False) for trait in traits):
            return f"{type(layer).__name__} ('{name}')"
    return None
