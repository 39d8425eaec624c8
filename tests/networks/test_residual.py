"""The residual pairs, resnet and r3gan, against torch's plain operators in the papers' order."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

from gan_lab.data.arrays import Array
from gan_lab.engine.optimizers import Adam, Sgd
from gan_lab.losses import Hinge, NonSaturating, RelativisticPairing, Wasserstein
from gan_lab.networks.base import batch_coupling, forward_on_meta, on_meta
from gan_lab.networks.r3gan import Bottleneck, Downsample, R3gan, Upsample
from gan_lab.networks.resnet import DiscriminatorBlock, Resnet, SumPixels, doublings
from gan_lab.regularizers import R1, R2, SpectralNorm
from tests.engine.test_step import EXACT, check_stacked_is_solo
from tests.helpers import (
    ONE,
    ROOT,
    draws_like,
    load_regularizers,
    normal,
    seeded,
    small_run,
    take_steps,
)

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
PAIRS = pytest.mark.parametrize("pair", [Resnet(3, 4, 6), R3gan(3, 8, 2)], ids=["resnet", "r3gan"])
NETWORKS = pytest.mark.parametrize("network", ["generator", "discriminator"])
SIZES = [8, 16, 28, 32, 48, 64, 128]


def random_leaves(module, seed=0):
    """Leaves in float64, none of them zero, so that no branch is lost; None for the statistics."""
    parameters = dict(module.named_parameters())
    return {
        name: (0.3 * normal(*leaf.shape, seed=seed + k)).requires_grad_(True)
        for k, (name, leaf) in enumerate(parameters.items())
    }


# The networks of the papers, operator by operator.


def norm_relu(x, leaves, name):
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
    scale, shift = (leaves[f"{name}.{leaf}"][:, None, None] for leaf in ("weight", "bias"))
    return ((x - mean) / (var + 1e-5).sqrt() * scale + shift).clamp(min=0)


def conv(x, leaves, name, **options):
    return F.conv2d(x, leaves[f"{name}.weight"], leaves.get(f"{name}.bias"), **options)


def nearest(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def resnet_generator(z, leaves):
    """SNGAN's for 28 pixels: dense 7x7, two blocks that double, norm, ReLU, 3x3, tanh."""
    x = F.linear(z, leaves["0.weight"], leaves["0.bias"])
    x = x.unflatten(1, (7, 7, -1)).permute(0, 3, 1, 2)
    for block in ("2", "3"):
        branch = nearest(norm_relu(x, leaves, f"{block}.branch.0"))
        branch = conv(branch, leaves, f"{block}.branch.3", padding=1)
        branch = norm_relu(branch, leaves, f"{block}.branch.4")
        branch = conv(branch, leaves, f"{block}.branch.6", padding=1)
        x = branch + conv(nearest(x), leaves, f"{block}.shortcut.0")
    return conv(norm_relu(x, leaves, "4"), leaves, "6", padding=1).tanh()


def resnet_discriminator(x, leaves):
    """SNGAN's for 28 pixels: two blocks that halve, two that do not, ReLU, sum, dense."""
    branch = conv(x, leaves, "0.branch.0", padding=1).clamp(min=0)
    branch = F.avg_pool2d(conv(branch, leaves, "0.branch.2", padding=1), 2)
    x = branch + F.avg_pool2d(conv(x, leaves, "0.shortcut.1"), 2)
    for block in ("1", "2", "3"):
        branch = conv(x.clamp(min=0), leaves, f"{block}.branch.1", padding=1).clamp(min=0)
        branch = conv(branch, leaves, f"{block}.branch.3", padding=1)
        if block == "1":
            branch = F.avg_pool2d(branch, 2)
            x = F.avg_pool2d(conv(x, leaves, "1.shortcut.1"), 2)
        x = x + branch
    pixels = x.clamp(min=0).sum((2, 3))
    return pixels @ leaves["6.weight"][0] + leaves["6.bias"]


def bottleneck(x, leaves, name):
    y = F.leaky_relu(conv(x, leaves, f"{name}.branch.0"), 0.2)
    y = F.leaky_relu(conv(y, leaves, f"{name}.branch.2", padding=1), 0.2)
    return x + conv(y, leaves, f"{name}.branch.4")


def resampled(x, up):
    """Bilinear resampling as a product with the matrix [2 n, n] of its weights along each axis."""
    n = x.shape[-1] if up else x.shape[-1] // 2
    matrix = torch.zeros(2 * n, n, dtype=x.dtype)
    for k in range(n):
        for j, weight in ((2 * k - 1, 0.25), (2 * k, 0.75), (2 * k + 1, 0.75), (2 * k + 2, 0.25)):
            if 0 <= j < 2 * n:
                matrix[j, k] = weight
    return matrix @ x @ matrix.T if up else matrix.T @ x @ matrix / 4


def r3gan_generator(z, leaves):
    x = (z @ leaves["0.linear.weight"].T)[:, :, None, None] * leaves["0.basis"]
    for layer in range(1, 9):
        is_block = layer not in (3, 6)
        x = bottleneck(x, leaves, str(layer)) if is_block else resampled(x, up=True)
    return conv(x, leaves, "9").tanh()


def r3gan_discriminator(x, leaves):
    x = conv(x, leaves, "0")
    for layer in range(1, 9):
        is_block = layer not in (3, 6)
        x = bottleneck(x, leaves, str(layer)) if is_block else resampled(x, up=False)
    x = F.conv2d(x, leaves["9.basis"][:, None], groups=8).flatten(1)
    return x @ leaves["10.weight"][0]


# Biases before a batch norm.
WITHOUT_EFFECT = [
    ("generator", f"{block}.{layer}.bias")
    for block in (2, 3)
    for layer in ("branch.3", "branch.6", "shortcut.0")
]
PLAIN = {
    Resnet: {"generator": resnet_generator, "discriminator": resnet_discriminator},
    R3gan: {"generator": r3gan_generator, "discriminator": r3gan_discriminator},
}


@PAIRS
@NETWORKS
def test_outputs_and_gradients_are_those_of_the_papers_operators(pair, network):
    module = getattr(pair, network)((1, 28, 28)).double()
    leaves = random_leaves(module)
    x = normal(2, *((3,) if network == "generator" else (1, 28, 28)))
    found = []
    for compute in (
        lambda x: functional_call(module, leaves, (x,)),
        lambda x: PLAIN[type(pair)][network](x, leaves),
    ):
        x = x.detach().requires_grad_(True)
        y = compute(x)
        weights = normal(*y.shape, seed=7)
        (slope,) = torch.autograd.grad((weights * y).sum(), x, create_graph=True)
        total = (weights * y).sum() + slope.square().sum()  # a penalty: second derivatives
        found.append((y, slope, torch.autograd.grad(total, list(leaves.values()))))
    (y, slope, gradients), (y_plain, slope_plain, gradients_plain) = found
    assert y_plain.std() > 0.1
    torch.testing.assert_close(y, y_plain, **CLOSE)
    torch.testing.assert_close(slope, slope_plain, **CLOSE)
    for name, ours, plain in zip(leaves, gradients, gradients_plain, strict=True):
        size = plain.abs().max()
        if isinstance(pair, Resnet) and (network, name) in WITHOUT_EFFECT:
            assert size < 1e-9, name
            continue
        assert size > 1e-6, name
        torch.testing.assert_close(ours / size, plain / size, msg=name, **CLOSE)


@PAIRS
def test_second_derivatives_of_the_discriminator_are_its_derivatives_differences(pair):
    module = pair.discriminator((1, 8, 8)).double()
    leaves = random_leaves(module)
    names, values = zip(*leaves.items(), strict=True)
    few = [k for k, leaf in enumerate(values) if leaf.ndim != 1][:3]

    def logits(x, *chosen):
        own = {**leaves, **{names[k]: leaf for k, leaf in zip(few, chosen, strict=True)}}
        return functional_call(module, own, (x,))

    inputs = (normal(2, 1, 8, 8, seed=3).requires_grad_(True), *(values[k] for k in few))
    assert gradcheck(logits, inputs, fast_mode=True)
    assert gradgradcheck(logits, inputs, fast_mode=True)


# Shapes.


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@PAIRS
def test_images_of_every_size_get_one_logit_each_and_the_shapes_need_no_numbers(
    pair, size, channels
):
    shape = (channels, size, size)
    inputs = (torch.randn(2, 3), torch.randn(2, *shape))
    modules = pair.generator(shape), pair.discriminator(shape)
    outputs = []
    for module, meta, x in zip(modules, on_meta(pair, shape), inputs, strict=True):
        calls = forward_on_meta(meta, x.to("meta"))
        real = []
        for each in module.modules():
            each.register_forward_hook(lambda layer, args, y, real=real: real.append(y.shape))
        outputs.append(module(x))
        assert [y.shape for _, _, y in calls] == real
    images, logits = outputs
    assert images.shape == (2, *shape)
    assert images.abs().max() <= 1
    assert logits.shape == (2,)


SHAPES_ALONE = """
import sys, torch
from gan_lab.networks import R3gan, Resnet
from gan_lab.networks.base import forward_on_meta, on_meta
for pair in (Resnet(3, 4), R3gan(3, 8)):
    inputs = (torch.empty(2, *shape, device="meta") for shape in ((3,), (3, 28, 28)))
    for module, x in zip(on_meta(pair, (3, 28, 28)), inputs, strict=True):
        forward_on_meta(module, x)
sys.exit("sympy" in sys.modules or "torch._dynamo" in sys.modules)
"""


@pytest.mark.slow  # an import of torch
def test_the_shapes_need_no_compiler():
    subprocess.run([sys.executable, "-c", SHAPES_ALONE], cwd=ROOT, env=ONE, check=True)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(28, [7, 14, 28]), (32, [4, 8, 16, 32]), (48, [6, 12, 24, 48]), (64, [4, 8, 16, 32, 64])],
)
def test_sizes_double_from_4_to_7_pixels(size, expected):
    assert doublings((3, size, size), "resnet") == expected


@pytest.mark.parametrize("shape", [(2,), (1, 7, 7), (1, 18, 18), (1, 28, 32), (1, 27, 27)], ids=str)
@PAIRS
@NETWORKS
def test_images_of_another_size_are_refused(pair, shape, network):
    name = type(pair).__name__.lower()
    with pytest.raises(ValueError, match=rf"network={name} needs square.*data\.size.*network=mlp"):
        getattr(pair, network)(shape)


@pytest.mark.parametrize(("size", "n_halvings"), [(8, 1), (16, 1), (28, 2), (32, 2), (48, 3)])
def test_the_resnet_halves_until_8_pixels_and_keeps_the_size_twice(size, n_halvings):
    blocks = [
        m
        for m in Resnet(3, 4).discriminator((1, size, size)).modules()
        if isinstance(m, DiscriminatorBlock)
    ]
    halves = [not isinstance(block.shortcut, nn.Identity) for block in blocks]
    assert halves == [True] * n_halvings + [False] * 2
    assert [block.first for block in blocks] == [True] + [False] * (len(blocks) - 1)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [(Resnet(128), (4_276_739, 1_053_825)), (R3gan(64, 768, 2), (20_732_160, 20_683_776))],
    ids=["resnet", "r3gan"],
)
def test_the_pairs_for_cifar10_have_the_parameters_that_their_docstring_says(pair, expected):
    networks = on_meta(pair, (3, 32, 32))
    assert tuple(sum(p.numel() for p in m.parameters()) for m in networks) == expected
    for number in expected:
        assert f"{number:,}" in type(pair).__doc__


# Well-known mistakes.


def test_the_image_s_negative_half_reaches_the_logit():
    # A ReLU in front of the first block would cut it off in the branch, and the shortcut is linear.
    module = Resnet(3, 4).discriminator((1, 8, 8)).double()
    block = module[0]
    with torch.no_grad():
        block.shortcut[1].weight.zero_()
    x = -normal(2, 1, 8, 8).abs() - 0.1
    assert (block(x) - block(2 * x)).abs().max() > 1e-3


def test_a_shortcut_without_a_layer_is_its_input_itself():
    # An activation in place would hand relu(x) to the shortcut, too.
    block = DiscriminatorBlock(4, 4).double()
    x = normal(2, 4, 4, 4)
    before = x.clone()
    with torch.no_grad():
        block.branch[3].weight.zero_()
        block.branch[3].bias.zero_()
    assert torch.equal(block(x), before)
    assert torch.equal(x, before)


def test_the_pixels_are_summed():
    assert torch.equal(SumPixels()(torch.ones(2, 3, 4, 5)), torch.full((2, 3), 20.0))


def test_bilinear_resampling_keeps_a_constant_inside_and_halving_is_the_adjoint_of_doubling():
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    ones = torch.ones(1, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(Upsample()(ones)[inside], ones.new_ones(1, 3, 14, 14))
    torch.testing.assert_close(Downsample()(ones)[inside], ones.new_ones(1, 3, 2, 2))
    x, y = normal(2, 3, 5, 5), normal(2, 3, 10, 10, seed=1)
    torch.testing.assert_close((Upsample()(x) * y).sum(), 4 * (x * Downsample()(y)).sum(), **CLOSE)


# The start.


def test_a_bottleneck_starts_as_the_identity_and_its_branch_has_the_variance_of_the_paper():
    pair = R3gan(3, 64, 2)
    module = pair.discriminator((1, 28, 28))
    pair.initialise_(module, seeded(0))
    blocks = [m for m in module.modules() if isinstance(m, Bottleneck)]
    assert len(blocks) == 6
    x = normal(2, 64, 4, 4, dtype=torch.float32)
    assert all(torch.equal(block(x), x) for block in blocks)
    gain = (2 / 1.04) ** 0.5 * 6**-0.25
    for layer, fan_in in ((0, 64), (2, 16 * 9)):
        assert blocks[0].branch[layer].groups == (1 if layer == 0 else 8)
        std = blocks[0].branch[layer].weight.std().item()
        assert std == pytest.approx(gain / fan_in**0.5, rel=0.03)


def test_the_resnet_starts_with_glorot_s_bounds_and_branches_of_gain_root_2():
    pair = Resnet(3, 64)
    module = pair.discriminator((1, 28, 28))
    pair.initialise_(module, seeded(0))
    for layer, gain, fans in (
        (module[1].branch[1], 2**0.5, 2 * 9 * 64),
        (module[1].shortcut[1], 1.0, 2 * 64),
    ):
        bound = gain * (6 / fans) ** 0.5
        assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.02)
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Resnet(0), r"Resnet\.latent_dim=0"),
        (lambda: Resnet(2, 4, 0), r"Resnet\.generator_width=0"),
        (lambda: Resnet(2, generator_norm="spectral"), r"generator_norm='spectral'.*instance"),
        (lambda: R3gan(2, 12), r"R3gan\.width=12 makes no groups of 16.*multiple of 8"),
        (lambda: R3gan(2, 8, 0), r"R3gan\.depth=0"),
        (lambda: R3gan(2, packing=0), r"R3gan\.packing=0"),
    ],
)
def test_a_wrong_number_is_refused_by_name(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# In the engine.


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Data of 256 grey images of 8 x 8."""
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, np.random.default_rng(0).uniform(-1, 1, (256, 8, 8)).astype(np.float32))
    return Array(str(path))


def plain_step(loss, networks, leaves, optimizers, draws, penalties):
    """A textbook step on leaves of our names, by plain autograd."""
    generator, critic = networks
    fake = functional_call(generator, leaves[0], (draws.discriminator.z[0],)).detach()
    real = draws.discriminator.real[0]

    def score(x):
        return functional_call(critic, leaves[1], (x,))

    total = loss.discriminator(score(real), score(fake)).mean()
    for points in [real, fake][:penalties]:
        points = points.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(score(points).sum(), points, create_graph=True)
        total = total + slope.flatten(1).square().sum(1).mean() / 2
    optimizers[1].zero_grad()
    total.backward()
    optimizers[1].step()
    fake = functional_call(generator, leaves[0], (draws.generator.z[0],))
    optimizers[0].zero_grad()
    loss.generator(score(draws.generator.real[0]), score(fake)).mean().backward()
    optimizers[0].step()


@pytest.mark.parametrize(
    ("pair", "loss", "penalties"),
    [
        (Resnet(3, 4, 6, "none"), NonSaturating(), {"r1": R1(1.0)}),
        (R3gan(3, 8, 1), RelativisticPairing(), {"r1": R1(1.0), "r2": R2(1.0)}),
    ],
    ids=["resnet", "r3gan"],
)
def test_training_equals_a_plain_loop(pair, loss, penalties, images):
    options = {"data": images, "network": pair, "optim": Adam(1e-2, betas=(0.0, 0.9))}
    run = small_run(loss, penalties, n_critic=1, float64=True, **options)
    assert run.gradients.objective.arithmetic.channels_last
    modules = pair.generator((1, 8, 8)).double(), pair.discriminator((1, 8, 8)).double()
    states = run.state.generator, run.state.discriminator
    leaves = [
        {name: leaf.detach().clone().requires_grad_(True) for name, leaf in state.params.items()}
        for state in states
    ]
    optimizers = [torch.optim.Adam(each.values(), 1e-2, (0.0, 0.9)) for each in leaves]
    for _ in range(3):
        plain_step(loss, modules, leaves, optimizers, draws_like(run), len(penalties))
        take_steps(run, 1)
        for state, each in zip(states, leaves, strict=True):
            for name, leaf in state.params.items():
                torch.testing.assert_close(leaf.detach(), each[name].detach(), msg=name, **CLOSE)


@pytest.mark.parametrize(
    ("pair", "loss", "files"),
    [
        (Resnet(3, 4, 4), Hinge(), ["spectral_norm"]),
        (Resnet(3, 4, 4, "layer"), Wasserstein(), ["gradient_penalty"]),
        (Resnet(3, 4, 4, packing=2), NonSaturating(), []),
        (R3gan(3, 8, 1), RelativisticPairing(), ["r1", "r2"]),
        (R3gan(3, 8, 1, packing=2), RelativisticPairing(), []),
    ],
    ids=["resnet sn", "resnet gp", "resnet packed", "r3gan", "r3gan packed"],
)
def test_stacked_seeds_equal_solo_ones(pair, loss, files, images):
    # SGD: Adam blows up the rounding that is a bias's gradient before a batch norm.
    options = {"loss": loss, "regularizers": load_regularizers(*files), "optim": Sgd(1e-2)}
    check_stacked_is_solo(n_steps=2, data=images, network=pair, **options, **EXACT)


def test_spectral_norm_reaches_every_weight_of_the_resnet():
    module = Resnet(3, 4).discriminator((1, 8, 8))
    SpectralNorm().prepare(module)
    vectors = [name for name, _ in module.named_buffers() if name.endswith("_left_singular")]
    assert len(vectors) == sum(leaf.ndim > 1 for leaf in module.parameters()) == 8


@PAIRS
def test_only_packs_couple_the_discriminators_samples(pair):
    assert batch_coupling(pair.discriminator((1, 8, 8))) is None
    packed = type(pair)(3, 8, packing=2).discriminator((1, 8, 8))
    assert batch_coupling(packed) == "Packing ('0')"
