"""What is timed: the rows of the benchmark, and the figure that each is meant to reach."""

import math
from dataclasses import dataclass
from fnmatch import fnmatch

GAMES = {
    "wgan_gp": ("wasserstein", "WGAN-GP"),
    "wgan_clip": ("wasserstein_clip", "WGAN, clipping, RMSprop"),
    "non_saturating": ("non_saturating", "non-saturating"),
}
DEPTH = 3  # hidden layers of an MLP


@dataclass(frozen=True)
class Work:
    """One step of a game (a key of GAMES), the same for every contestant.

    `network` is mlp, conv or dcgan, `width` its hidden units, or its channels next to the image,
    and `shape` that of one sample.
    """

    game: str
    network: str
    width: int
    shape: tuple[int, ...] = (2,)
    batch_size: int = 256
    latent_dim: int = 2
    n_critic: int = 5

    @property
    def n_in(self) -> int:
        """Numbers of one sample."""
        return math.prod(self.shape)

    @property
    def words(self) -> str:
        """For a table."""
        on = "" if self.shape == (2,) else f" on {'x'.join(map(str, reversed(self.shape)))}"
        return f"{GAMES[self.game][1]}, {self.network.upper()} {self.width}{on}"


@dataclass(frozen=True)
class Row:
    """A work, by how many seeds, and in which ways gan_lab is timed beside the textbook loop.

    Attributes:
        seeds: Trained at once; the ratio is per seed.
        compiled: Whether compiled variants are timed on the CPU too (each takes its time to build).
        bf16: Whether bf16 variants are timed.
        beside_one: Whether gan_lab with one seed is timed beside it, for the price of stacking.
    """

    name: str
    work: Work
    seeds: int = 1
    compiled: bool = False
    bf16: bool = True
    beside_one: bool = False
    devices: tuple[str, ...] = ("cpu", "cuda")


def _points(game: str, width: int) -> Work:
    return Work(game, "mlp", width, n_critic=1 if game == "non_saturating" else 5)


def _images(network: str, size: int, channels: int, width: int, latent_dim: int) -> Work:
    return Work("wgan_gp", network, width, (channels, size, size), 64, latent_dim)


def _conv28(game: str) -> Work:
    return Work(game, "conv", 16, (1, 28, 28), 32, 64, n_critic=1)  # as the presets of MNIST


_QUICK = ("wgan_gp_mlp64", "wgan_gp_mlp512", "seeds16_mlp16")
ROWS = (
    *(
        Row(
            f"{game}_mlp{width}",
            _points(game, width),
            compiled=width == 512 or (width, game) == (64, "wgan_gp"),
            bf16=width >= 64,
        )
        for width in (16, 64, 128, 512)
        for game in GAMES
    ),
    Row("wgan_gp_mlp28x28", _images("mlp", 28, 1, 512, 64), compiled=True),
    Row("non_saturating_conv28", _conv28("non_saturating")),
    Row("wgan_gp_conv28", _conv28("wgan_gp")),
    Row("wgan_gp_dcgan28", _images("dcgan", 28, 1, 64, 64)),
    Row("wgan_gp_dcgan32", _images("dcgan", 32, 3, 64, 128)),
    Row("wgan_gp_dcgan64", _images("dcgan", 64, 3, 64, 128)),
    *(
        Row(
            f"seeds{n}_mlp{width}",
            _points("wgan_gp", width),
            n,
            compiled=n == 16,
            bf16=width == 64,
            beside_one=True,
        )
        for width in (16, 64)
        for n in (1, 4, 16, 64)
    ),
    Row("seeds64_mlp128", _points("wgan_gp", 128), 64, beside_one=True, devices=("cuda",)),
)
PROCESS_ROWS = {
    "both_cores_mlp16": _points("wgan_gp", 16),
    "both_cores_mlp64": _points("wgan_gp", 64),
}
RUN_ROWS = {
    f"whole_run_{data}": data
    for data in ("mnist_5k", "ring", "digits", "gaussian_1d", "mixture_1d", "segments")
}
START_ROWS = ("start",)


def chosen(patterns: str, quick: bool, device: str) -> list[str]:
    """Names of the rows that match one of several patterns, in order.

    Raises:
        ValueError: A pattern matches no row.
    """
    others = [*PROCESS_ROWS, *RUN_ROWS, *START_ROWS] if device == "cpu" else [*RUN_ROWS]
    known = [*(row.name for row in ROWS if device in row.devices), *others]
    if not patterns:
        return [name for name in known if not quick or name in _QUICK]
    wanted = [pattern.strip() for pattern in patterns.split(",") if pattern.strip()]
    for pattern in wanted:
        if not any(fnmatch(name, pattern) for name in known):
            raise ValueError(f"no row is called {pattern!r}; the rows are {', '.join(known)}")
    return [name for name in known if any(fnmatch(name, pattern) for pattern in wanted)]


@dataclass(frozen=True)
class Target:
    """A figure that a row is meant to reach, by the best of the variants it covers.

    Attributes:
        figure: ratio (textbook / gan_lab, per seed), price (time of all seeds / time of one), share
            (of a run's time that evaluation and records take) or seconds.
        at_least: Whether more is better.
        precision: Of the variants it covers; "" = any.
        amx: Whether it is asked for only where the CPU has matrix tiles.
        part: Which of a row's several figures.
    """

    row: str
    figure: str
    bound: float
    at_least: bool = True
    precision: str = ""
    device: str = "cpu"
    amx: bool = False
    part: str = ""

    @property
    def words(self) -> str:
        """For a table."""
        sign = ">=" if self.at_least else "<="
        shown = f"{100 * self.bound:g} %" if self.figure == "share" else f"{self.bound:g}"
        unit = " s" if self.figure == "seconds" else ""
        what = "times one seed" if self.figure == "price" else ""
        return " ".join(filter(None, [self.precision, self.part, what, sign, shown + unit]))


TARGETS = (
    Target("wgan_gp_mlp512", "ratio", 1.3, precision="f32"),
    Target("wgan_gp_mlp512", "ratio", 3.5, precision="bf16", amx=True),
    Target("wgan_clip_mlp512", "ratio", 1.15, precision="f32"),
    Target("non_saturating_mlp512", "ratio", 1.3, precision="f32"),
    Target("wgan_gp_mlp64", "ratio", 2.5, precision="f32"),
    Target("seeds16_mlp16", "ratio", 8.0),
    Target("both_cores_mlp64", "ratio", 4.0),
    Target("wgan_gp_mlp28x28", "ratio", 1.7),
    Target("wgan_gp_dcgan32", "ratio", 1.3, precision="f32"),
    Target("wgan_gp_dcgan32", "ratio", 3.5, precision="bf16"),
    Target("wgan_gp_dcgan64", "ratio", 2.5, precision="bf16"),
    *(Target(name, "share", 0.03, at_least=False) for name in RUN_ROWS),
    Target("start", "seconds", 0.5, at_least=False, part="--help"),
    Target("start", "seconds", 6.0, at_least=False, part="first step"),
    Target("wgan_gp_mlp512", "ratio", 10.0, device="cuda"),
    Target("seeds64_mlp128", "price", 1.5, at_least=False, device="cuda"),
    Target("wgan_gp_dcgan64", "ratio", 2.0, precision="bf16", device="cuda"),
    Target("non_saturating_conv28", "ratio", 1.25, precision="f32"),
    Target("wgan_gp_conv28", "ratio", 1.25, precision="f32"),
)
