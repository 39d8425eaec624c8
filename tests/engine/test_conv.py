"""The conv pair in the engine: against plain modules at 28 pixels, in every way to take a step."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

from gan_lab.data.arrays import Array
from gan_lab.engine.backends.select import build_gradients
from gan_lab.engine.execution import Execution
from gan_lab.engine.gradients import FunctionalGradients
from gan_lab.engine.optimizers import Adam, Sgd
from gan_lab.engine.precision import Arithmetic
from gan_lab.losses import NonSaturating, Wasserstein
from gan_lab.networks.conv import (
    ChannelsToPixels,
    Conv,
    FlattenPixels,
    LeakyReLU,
    PixelsToChannels,
    UnflattenPixels,
)
from gan_lab.regularizers import R1, GradientPenalty
from tests.engine.test_step import EXACT, check_stacked_is_solo
from tests.helpers import draws_like, load_loss, load_regularizers, normal, small_run, take_steps

PAIR = Conv(6, 4)
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Data of 256 grey images of 28 x 28."""
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, np.random.default_rng(0).uniform(-1, 1, (256, 28, 28)).astype(np.float32))
    return Array(str(path))


# Against plain modules.


def plain_pair():
    """The networks of the recipe with torch's own modules alone, of width 4."""
    generator = nn.Sequential(
        *(nn.Linear(6, 256), nn.Unflatten(1, (16, 4, 4)), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.ConvTranspose2d(16, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Conv2d(4, 4, 3, 1, 1), nn.PixelShuffle(2), nn.Tanh()),
    )
    discriminator = nn.Sequential(
        *(nn.PixelUnshuffle(2), nn.Conv2d(4, 4, 3, 1, 1), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(4, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 16, 3, 2, 1)),
        *(nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(256, 1), nn.Flatten(0)),
    )
    return generator.double(), discriminator.double()


def in_torchs_order(name, leaf):
    """A leaf with the pixels' numbers as torch's Flatten and Unflatten have them."""
    if name in ("0.weight", "0.bias") and len(leaf) == 256:  # of the generator: [H, W, C] of rows
        return (
            leaf.unflatten(0, (4, 4, 16)).permute(2, 0, 1, *range(3, leaf.ndim + 2)).flatten(0, 2)
        )
    if leaf.shape == (1, 256):
        return leaf.unflatten(1, (4, 4, 16)).permute(0, 3, 1, 2).flatten(1)
    return leaf


def plain_networks(run):
    """Plain modules with the run's leaves."""
    networks = plain_pair()
    states = (run.state.generator, run.state.discriminator)
    for module, network in zip(networks, states, strict=True):
        with torch.no_grad():
            leaves = zip(module.parameters(), network.params.items(), strict=True)
            for theirs, (name, ours) in leaves:
                theirs.copy_(in_torchs_order(name, ours))
    return networks


def penalty_of(kind, critic, real, fake, mix):
    mix = mix.view(-1, 1, 1, 1)
    points = real if kind == "r1" else mix * real + (1 - mix) * fake
    points = points.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    squares = slope.flatten(1).square().sum(1)
    return (squares / 2).mean() if kind == "r1" else 10 * ((squares.sqrt() - 1) ** 2).mean()


def plain_step(kind, networks, optimizers, draws):
    generator, critic = networks
    g_optimizer, d_optimizer = optimizers
    softplus = nn.functional.softplus
    for real, z, mix in zip(*draws.discriminator[:3], strict=True):
        fake = generator(z).detach()
        on_real, on_fake = critic(real), critic(fake)
        loss = on_fake - on_real if kind == "gp" else softplus(-on_real) + softplus(on_fake)
        d_optimizer.zero_grad()
        (loss.mean() + penalty_of(kind, critic, real, fake, mix)).backward()
        d_optimizer.step()
    logits = critic(generator(draws.generator.z[0]))
    g_optimizer.zero_grad()
    (-logits if kind == "gp" else softplus(-logits)).mean().backward()
    g_optimizer.step()


@pytest.mark.parametrize("kind", ["r1", "gp"])
def test_training_equals_a_plain_loop_of_plain_modules(kind, images):
    loss = Wasserstein() if kind == "gp" else NonSaturating()
    penalty = GradientPenalty(10.0) if kind == "gp" else R1(1.0)
    choice = {"data": images, "network": PAIR, "optim": Adam(1e-2, betas=(0.0, 0.9))}
    run = small_run(loss, {"p": penalty}, n_critic=2, float64=True, **choice)
    assert run.gradients.objective.arithmetic.channels_last
    assert run.objective.independent  # real and fake are one batch
    networks = plain_networks(run)
    optimizers = [
        torch.optim.Adam(m.parameters(), 1e-2, (0.0, 0.9), foreach=False) for m in networks
    ]
    for _ in range(3):
        plain_step(kind, networks, optimizers, draws_like(run))
        take_steps(run, 1)
        for module, network in zip(
            networks, (run.state.generator, run.state.discriminator), strict=True
        ):
            leaves = zip(module.parameters(), network.params.items(), strict=True)
            for theirs, (name, ours) in leaves:
                shown = in_torchs_order(name, ours)
                # A bias before a batch norm has no gradient but rounding, which Adam blows up.
                if not (module is networks[0] and name in ("0.bias", "4.bias", "7.bias")):
                    torch.testing.assert_close(shown, theirs, msg=name, **CLOSE)


# The layout in memory.


def test_pixels_to_channels_is_torchs_pixel_unshuffle():
    x = normal(3, 2, 10, 6)
    blocks = PixelsToChannels()(x)
    assert torch.equal(blocks, nn.functional.pixel_unshuffle(x, 2))
    assert blocks.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_channels_to_pixels_is_torchs_pixel_shuffle(layout):
    x = normal(3, 8, 5, 3).contiguous(memory_format=layout)
    assert torch.equal(ChannelsToPixels()(x), nn.functional.pixel_shuffle(x, 2))


def test_the_activation_is_torchs_twice_differentiated_without_a_way_back_through_the_network():
    x = normal(64, 1, 8, 8)
    weight = normal(4, 1, 3, 3, seed=1).requires_grad_(True)
    found = {}
    for activation in (nn.LeakyReLU(0.2), LeakyReLU(0.2)):
        with Layouts() as calls:
            points = x.clone().requires_grad_(True)
            y = nn.functional.conv2d(
                activation(nn.functional.conv2d(points, weight)), weight.mT[:1].expand(1, 4, 3, 3)
            )
            (slope,) = torch.autograd.grad(y.sum(), points, create_graph=True)
            gradients = torch.autograd.grad(slope.square().sum(), weight)
        found[type(activation)] = y, slope, *gradients, calls.n_calls
    *theirs, n_theirs = found[nn.LeakyReLU]
    *ours, n_ours = found[LeakyReLU]
    for mine, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, their, **CLOSE)
    assert n_ours < n_theirs
    with torch.no_grad():
        assert torch.equal(LeakyReLU(0.2)(x), nn.LeakyReLU(0.2)(x))


def test_flattened_pixels_are_the_same_memory_there_and_back():
    x = normal(3, 5, 4, 4).contiguous(memory_format=torch.channels_last)
    rows = FlattenPixels()(x)
    assert rows.shape == (3, 80)
    assert torch.equal(rows[:, :5], x[:, :, 0, 0])  # all channels of the first pixel
    back = UnflattenPixels(5, 4)(rows)
    assert torch.equal(back, x)
    assert back.data_ptr() == rows.data_ptr() == x.data_ptr()


class Layouts(TorchDispatchMode):
    """The convolutions' arguments that are not laid out as asked for, by operator."""

    def __init__(self):
        super().__init__()
        self.n_calls, self.others = 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "convolution" in str(func):
            self.n_calls += 1
            images = [x for x in args if isinstance(x, torch.Tensor) and x.ndim == 4]
            if not all(x.is_contiguous(memory_format=torch.channels_last) for x in images):
                self.others.append(str(func))
        return func(*args, **(kwargs or {}))


def test_convolutions_have_their_images_channels_last_forward_and_backward(images):
    run = small_run(data=images, network=PAIR)
    with Layouts() as layouts:
        take_steps(run, 1)
    assert layouts.n_calls == 21  # fakes 3, discriminator 3 + 3, generator 6 + 6
    assert len(layouts.others) <= 1  # behind torch's own pixel shuffle


# The leaves of a template.


def test_a_call_with_leaves_is_torchs_functional_call_and_leaves_the_template_as_it_was():
    with torch.device("meta"):
        module = PAIR.generator((1, 28, 28))
    filled = PAIR.generator((1, 28, 28))
    PAIR.initialise_(filled, torch.Generator().manual_seed(0))
    leaves = dict([*filled.named_parameters(), *filled.named_buffers()])
    z = torch.randn(5, 6)
    expected = functional_call(module, {n: leaf.clone() for n, leaf in leaves.items()}, (z,))
    for channels_last in (False, True):
        own = {n: leaf.clone() for n, leaf in leaves.items()}
        images = Arithmetic(channels_last=channels_last)(module, own, z)
        torch.testing.assert_close(images, expected)
        assert int(own["2.num_batches_tracked"]) == 1
    with pytest.raises(RuntimeError):
        Arithmetic()(module, leaves, z[:, :3])
    assert all(leaf.is_meta for leaf in (*module.parameters(), *module.buffers()))


def test_bf16_rounds_the_products_of_the_conv_pair(images):
    run = small_run(data=images, network=Conv(6, 16))
    d, draws = run.state.discriminator, draws_like(run).discriminator
    fake = run.gradients.fakes(run.state, draws.z)[0]
    plain, rounded = (
        build_gradients(run.objective, 1, Execution(precision=precision)).discriminator(
            d, draws.real[0], fake, draws.mix[0], {}
        )[0]
        for precision in ("f32", "bf16")
    )
    a, b = (torch.cat([g.flatten() for g in each.values()]) for each in (plain, rounded))
    assert a.dtype == b.dtype == torch.float32
    assert 0.99 < float(torch.cosine_similarity(a, b, 0)) < 1 - 1e-7


# Every way to take a step.


@pytest.mark.parametrize(
    ("loss", "files"),
    [("wasserstein", ["gradient_penalty"]), ("non_saturating", ["r1"]), ("hinge", [])],
    ids=str,
)
def test_stacked_seeds_equal_solo_ones_at_28_pixels(loss, files, images):
    choice = {"loss": load_loss(loss), "regularizers": load_regularizers(*files)}
    check_stacked_is_solo(n_steps=2, data=images, network=PAIR, **choice, **EXACT)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["solo", "stacked"])
def test_a_compiled_step_is_the_eager_one(seeds, images):
    penalty = load_regularizers("gradient_penalty")
    # SGD: Adam blows up the rounding that is a bias's gradient before a batch norm.
    choice = {"data": images, "network": PAIR, "seeds": seeds, "optim": Sgd(1e-2)}
    compiled, eager = (small_run(Wasserstein(), penalty, **choice) for _ in range(2))
    gradients = build_gradients(compiled.objective, len(seeds), Execution(mode="compiled"))
    assert type(gradients) is FunctionalGradients
    take_steps(compiled, 3, gradients=gradients)
    take_steps(eager, 3)
    for name, leaf in eager.state.average.items():
        torch.testing.assert_close(compiled.state.average[name], leaf, rtol=1e-3, atol=1e-5)


def test_moments_are_saved_in_logical_order_whatever_lies_in_memory(images):
    choice = {"data": images, "network": PAIR, "optim": Adam(1e-2), "n_critic": 1}
    run, other = (small_run(Wasserstein(), **choice) for _ in range(2))
    take_steps(run, 1)
    network = run.state.discriminator
    weight = network.params["1.weight"]
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    gradient = torch.cat([leaf.flatten() for leaf in network.gradients.values()])
    saved = network.state_dict()["optimizer"]
    torch.testing.assert_close(saved["exp_avg"], 0.5 * gradient, rtol=1e-6, atol=0)
    other.state.load_state_dict_(run.state.state_dict())
    for name, moment in network.optimizer.state.items():
        assert torch.equal(other.state.discriminator.optimizer.state[name], moment)
