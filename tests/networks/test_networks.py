"""What a pair of networks promises: shapes, a seeded start, stacking, and names for its faults."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap

from gan_lab.engine.rng import stream
from gan_lab.networks import dcgan, mlp
from gan_lab.networks.base import ACTIVATIONS, batch_coupling, forward_on_meta, on_meta
from gan_lab.networks.conv import Conv
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.mlp import Mlp
from gan_lab.networks.r3gan import R3gan
from gan_lab.networks.resnet import Resnet
from tests.helpers import assert_same, normal, seeded, snapshot

MLP_SHAPES = [(1,), (2,), (64,), (1, 8, 8), (3, 8, 8)]
PAIRS = [
    pytest.param(Mlp(4, 8, 2), (2,), id="mlp points"),
    pytest.param(Mlp(4, 8, 2, generator_norm="batch"), (1, 8, 8), id="mlp batch images"),
    pytest.param(Mlp(4, 8, 2, generator_norm="layer", discriminator_norm="layer"), (3,), id="mlp"),
    pytest.param(Mlp(4, 7, 2, lipschitz=True), (3,), id="mlp lipschitz"),
    pytest.param(Dcgan(4, 4), (1, 8, 8), id="dcgan batch layer"),
    pytest.param(Dcgan(4, 4, "instance", "batch"), (3, 16, 16), id="dcgan instance batch"),
    pytest.param(Dcgan(4, 4, "none", "none"), (1, 8, 8), id="dcgan none"),
    pytest.param(Conv(4, 4), (1, 28, 28), id="conv batch none"),
    pytest.param(Conv(4, 4, "layer", "layer"), (3, 12, 12), id="conv layer"),
    pytest.param(Conv(4, 4, "none", "batch"), (1, 16, 16), id="conv none batch"),
    pytest.param(Resnet(4, 4), (3, 8, 8), id="resnet batch"),
    pytest.param(Resnet(4, 4, 6, "layer"), (1, 12, 12), id="resnet layer"),
    pytest.param(R3gan(4, 8), (1, 8, 8), id="r3gan"),
]
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
SIZES_OF_28 = ([7, 14, 14], [14, 7, 4])  # of the conv pair's convolutions
NETWORKS = pytest.mark.parametrize("network", ["generator", "discriminator"])


def inputs_of(pair, shape, network, *leading):
    return normal(*leading, *((pair.latent_dim,) if network == "generator" else shape))


def check_shapes(pair, shape, n=5):
    generator, discriminator = pair.generator(shape), pair.discriminator(shape)
    fake = generator(normal(n, pair.latent_dim, dtype=torch.float32))
    assert fake.shape == (n, *shape)
    logits = discriminator(fake)
    assert logits.shape == (n,)
    assert logits.dtype == fake.dtype == torch.float32
    return fake


@pytest.mark.parametrize("shape", MLP_SHAPES, ids=str)
@pytest.mark.parametrize("norm", list(mlp.NORMS))
def test_mlp_maps_z_to_samples_to_one_logit_each(shape, norm):
    pair = Mlp(3, 8, 2, generator_norm=norm, discriminator_norm=norm)
    fake = check_shapes(pair, shape)
    if len(shape) == 3:
        assert fake.abs().max() <= 1


@pytest.mark.parametrize("size", [8, 16, 28, 32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_dcgan_maps_z_to_images_to_one_logit_each(size, channels):
    check_shapes(Dcgan(3, 2), (channels, size, size), n=2)


@pytest.mark.parametrize("generator_norm", list(dcgan.NORMS))
@pytest.mark.parametrize("discriminator_norm", list(dcgan.NORMS))
@pytest.mark.parametrize("kind", [Conv, Dcgan])
def test_convolutions_take_every_norm(kind, generator_norm, discriminator_norm):
    check_shapes(kind(3, 4, generator_norm, discriminator_norm), (1, 16, 16))


@pytest.mark.parametrize("size", [8, 10, 12, 18, 28, 32, 48, 64, 126, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_conv_maps_z_to_images_of_every_even_size_to_one_logit_each(size, channels):
    check_shapes(Conv(3, 2), (channels, size, size), n=2)


def test_the_conv_pair_of_28_pixels_is_that_of_the_recipe():
    pair = Conv(64)
    networks = pair.generator((1, 28, 28)), pair.discriminator((1, 28, 28))
    assert [sum(p.numel() for p in m.parameters()) for m in networks] == [94_036, 28_337]
    inputs = torch.empty(2, 64, device="meta"), torch.empty(2, 1, 28, 28, device="meta")
    for module, x, sizes in zip(on_meta(pair, (1, 28, 28)), inputs, SIZES_OF_28, strict=True):
        calls = forward_on_meta(module, x)
        outputs = [y.shape[-1] for m, _, y in calls if isinstance(m, CONVOLUTIONS)]
        assert outputs == sizes  # nothing is convolved at 28 pixels


@pytest.mark.parametrize("pair", [Conv(3, 2), Dcgan(3, 2)], ids=["conv", "dcgan"])
def test_shapes_without_numbers_are_those_of_the_numbers(pair):
    shape = (3, 28, 28)
    modules = pair.generator(shape), pair.discriminator(shape)
    for module, meta, x in zip(modules, on_meta(pair, shape), zeros_for(shape), strict=True):
        sizes = [output.shape for _, _, output in forward_on_meta(meta, x.to("meta"))]
        real, keep = [], lambda layer, inputs, output, real: real.append(output.shape)
        for each in module.modules():
            each.register_forward_hook(partial(keep, real=real))
        module(x)
        assert sizes == real


def test_shapes_without_numbers_take_a_convolution_however_it_is_called():
    class Own(nn.Module):
        def forward(self, x):
            kernel = x.new_empty(4, 1, 3, 3)
            return nn.functional.pixel_shuffle(
                nn.functional.conv2d(x, kernel, padding=1), upscale_factor=2
            )

    with torch.device("meta"):
        network = nn.Sequential(Own(), nn.Conv2d(1, 2, 3, padding="same"))
    calls = forward_on_meta(network, torch.empty(2, 1, 8, 8, device="meta"))
    assert [y.shape for _, _, y in calls[:2]] == [(2, 1, 16, 16), (2, 2, 16, 16)]


def zeros_for(shape):
    return torch.zeros(2, 3), torch.zeros(2, *shape)


def test_a_norm_is_there_only_where_it_was_asked_for():
    kinds = {"batch": nn.BatchNorm2d, "layer": nn.GroupNorm, "instance": nn.InstanceNorm2d}
    for norm, kind in kinds.items():
        pair = Dcgan(3, 4, generator_norm=norm, discriminator_norm="none")
        found = [m for m in pair.generator((1, 16, 16)).modules() if isinstance(m, kind)]
        assert len(found) == 2  # after each layer but the last
        others = tuple(kinds.values())
        assert not any(isinstance(m, others) for m in pair.discriminator((1, 16, 16)).modules())


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_mlp_takes_every_activation(activation):
    check_shapes(Mlp(3, 8, 2, activation), (2,))


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_depth_counts_the_hidden_layers(depth):
    module = Mlp(3, 8, depth).discriminator((2,))
    assert sum(isinstance(m, nn.Linear) for m in module.modules()) == depth + 1


def fifty_times(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(50)
    return module


@pytest.mark.parametrize(
    ("pair", "shape"),
    [(Mlp(4, 16, 2), (1, 8, 8)), (Dcgan(4, 4), (3, 8, 8)), (Conv(4, 4), (3, 12, 12))],
    ids=["mlp", "dcgan", "conv"],
)
def test_images_lie_in_minus_1_to_1_and_reach_for_both_ends(pair, shape):
    images = fifty_times(pair.generator(shape))(normal(16, 4, dtype=torch.float32))
    assert images.min().item() == pytest.approx(-1, abs=1e-3)
    assert images.max().item() == pytest.approx(1, abs=1e-3)
    assert images.abs().max() <= 1


def test_points_and_logits_are_not_squashed():
    pair = Mlp(4, 16, 2)
    points = fifty_times(pair.generator((2,)))(normal(16, 4, dtype=torch.float32))
    assert points.abs().max() > 10
    assert fifty_times(pair.discriminator((2,)))(points).abs().max() > 10


@pytest.mark.parametrize("shape", [(2,), (64,), (1, 7, 7), (1, 12, 12), (1, 8, 16), (1, 256, 256)])
@NETWORKS
def test_dcgan_refuses_what_is_no_square_image_of_a_power_of_two(shape, network):
    with pytest.raises(ValueError, match=r"square images.*got samples of shape.*network=mlp") as e:
        getattr(Dcgan(3, 4), network)(shape)
    assert str(shape) in str(e.value)


@pytest.mark.parametrize("shape", [(2,), (64,), (1, 27, 27), (1, 28, 32), (1, 6, 6), (1, 130, 130)])
@NETWORKS
def test_conv_refuses_what_is_no_square_image_of_an_even_size(shape, network):
    words = r"square images of an even size.*got samples of shape.*data\.size.*network=mlp"
    with pytest.raises(ValueError, match=words) as e:
        getattr(Conv(3, 4), network)(shape)
    assert str(shape) in str(e.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mlp(0, 8), r"Mlp\.latent_dim=0 is not a whole number >= 1"),
        (lambda: Mlp(2, -1), r"Mlp\.width=-1"),
        (lambda: Mlp(2, 8, 0), r"Mlp\.depth=0"),
        (lambda: Mlp(2, 8.0), r"Mlp\.width=8\.0"),
        (lambda: Mlp(True, 8), r"Mlp\.latent_dim=True"),
        (lambda: Mlp(2, 8, 2, "gelu"), r"activation='gelu' is unknown; take one of .*relu"),
        (lambda: Mlp(2, 8, 2, generator_norm="instance"), r"generator_norm='instance'.*layer"),
        (lambda: Mlp(2, 8, 2, discriminator_norm="x"), r"discriminator_norm='x'"),
        (lambda: Dcgan(2, 0), r"Dcgan\.width=0"),
        (lambda: Dcgan(2, 4, "spectral"), r"Dcgan\.generator_norm='spectral'.*instance"),
        (lambda: Dcgan(2, 4, "batch", "group"), r"Dcgan\.discriminator_norm='group'"),
        (lambda: Conv(2, 0), r"Conv\.width=0"),
        (lambda: Conv(0), r"Conv\.latent_dim=0"),
        (lambda: Conv(2, packing=0), r"Conv\.packing=0"),
        (lambda: Conv(2, 4, "spectral"), r"Conv\.generator_norm='spectral'.*instance"),
        (lambda: Conv(2, 4, "batch", "group"), r"Conv\.discriminator_norm='group'"),
    ],
)
def test_a_wrong_choice_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def started(pair, shape, network, seed):
    module = getattr(pair, network)(shape)
    pair.initialise_(module, stream(seed, f"init/{network}"))
    return {**snapshot(dict(module.named_parameters())), **snapshot(dict(module.named_buffers()))}


@pytest.mark.parametrize(("pair", "shape"), PAIRS)
@NETWORKS
def test_the_start_is_a_function_of_the_seed_and_not_of_torchs_global_generator(
    pair, shape, network
):
    torch.manual_seed(1)
    first = started(pair, shape, network, seed=0)
    torch.manual_seed(2)
    assert_same(started(pair, shape, network, seed=0), first)
    other = started(pair, shape, network, seed=1)
    # The last convolution of a branch of R3gan is 0 at first.
    weights = [n for n, leaf in first.items() if leaf.ndim >= 2 and leaf.any()]
    assert weights
    assert all(not torch.equal(first[name], other[name]) for name in weights)


@pytest.mark.parametrize(("pair", "shape"), PAIRS)
@NETWORKS
def test_initialising_fills_every_parameter_and_draws_nothing_global(pair, shape, network):
    module = getattr(pair, network)(shape)
    for leaf in (*module.parameters(), *module.buffers()):
        if leaf.is_floating_point():
            nn.init.constant_(leaf, float("nan"))
    before = torch.get_rng_state()
    pair.initialise_(module, seeded(0))
    assert torch.equal(torch.get_rng_state(), before)
    for name, leaf in (*module.named_parameters(), *module.named_buffers()):
        assert leaf.isfinite().all(), name


def test_mlp_starts_uniform_within_1_over_root_fan_in():
    leaves = started(Mlp(4, 400, 2), (100,), "discriminator", seed=0)
    for name, fan_in in (("1.weight", 100), ("3.weight", 400), ("3.bias", 400)):
        bound = fan_in**-0.5
        assert leaves[name].abs().max().item() == pytest.approx(bound, rel=0.02)
        assert leaves[name].abs().max().item() <= bound
        assert leaves[name].std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_conv_starts_as_torch_starts_its_layers(network):
    """Every leaf is uniform on the bounds of torch's own, not merely of their size."""
    pair = Conv(64, 64)
    module = getattr(pair, network)((1, 28, 28))
    torchs = {name: leaf.detach().abs().max().item() for name, leaf in module.named_parameters()}
    pair.initialise_(module, seeded(0))
    names = {n: type(layer) for n, layer in module.named_modules()}
    for name, leaf in module.named_parameters():
        if leaf.numel() < 1000 or names[name.rpartition(".")[0]] is nn.BatchNorm2d:
            continue  # too few numbers to tell their bound
        assert leaf.abs().max().item() == pytest.approx(torchs[name], rel=0.02), name
        assert leaf.std().item() == pytest.approx(torchs[name] / 3**0.5, rel=0.05), name


def test_dcgan_starts_normal_with_std_002_and_norm_scales_around_1():
    module = Dcgan(8, 64).generator((1, 16, 16))
    Dcgan(8, 64).initialise_(module, seeded(0))
    for layer in module.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
            assert layer.bias.abs().max().item() == 0
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.01)
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.3)


@pytest.mark.parametrize(("pair", "shape"), PAIRS)
@NETWORKS
def test_stacked_leaves_under_vmap_equal_a_loop(pair, shape, network):
    modules = []
    for seed in range(3):
        module = getattr(pair, network)(shape)
        pair.initialise_(module, seeded(seed))
        modules.append(module.double())
    inputs = inputs_of(pair, shape, network, 3, 4)
    leaves = [dict([*m.named_parameters(), *m.named_buffers()]) for m in modules]
    stacked = {n: torch.stack([each[n].detach().clone() for each in leaves]) for n in leaves[0]}
    template = modules[0]
    together = vmap(lambda own, x: functional_call(template, own, (x,)))(stacked, inputs)
    alone = torch.stack([m(x) for m, x in zip(modules, inputs, strict=True)])
    torch.testing.assert_close(together, alone.detach(), rtol=1e-10, atol=1e-12)
    # Batch norm's running statistics moved alike: the modules' own moved in their forward pass.
    for name, buffer in stacked.items():
        each = torch.stack([own[name].detach() for own in leaves])
        torch.testing.assert_close(buffer, each, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (Mlp(2, 4, 2).discriminator((2,)), None),
        (Mlp(2, 4, 2, discriminator_norm="layer").discriminator((2,)), None),
        (Mlp(2, 4, 2, discriminator_norm="batch").discriminator((2,)), "BatchNorm1d ('2')"),
        (Dcgan(2, 4).discriminator((1, 16, 16)), None),
        (Dcgan(2, 4, discriminator_norm="instance").discriminator((1, 16, 16)), None),
        (Dcgan(2, 4, discriminator_norm="batch").discriminator((1, 16, 16)), "BatchNorm2d ('3')"),
        (Dcgan(2, 4).generator((1, 8, 8)), "BatchNorm2d ('2')"),
        (Conv(2, 4).generator((1, 8, 8)), "BatchNorm2d ('2')"),
        (Conv(2, 4).discriminator((1, 28, 28)), None),
        (Conv(2, 4, packing=2).discriminator((1, 28, 28)), "Packing ('0')"),
        (nn.ModuleDict({"body": nn.Sequential(nn.BatchNorm3d(2))}), "BatchNorm3d ('body.0')"),
    ],
)
def test_batch_coupling_names_the_first_layer_that_mixes_samples(module, expected):
    assert batch_coupling(module) == expected


@pytest.mark.parametrize(("pair", "shape"), PAIRS)
@NETWORKS
def test_batch_coupling_is_none_exactly_where_a_sample_is_mapped_by_itself(pair, shape, network):
    module = getattr(pair, network)(shape)
    pair.initialise_(module, seeded(0))
    module = module.double()
    inputs = inputs_of(pair, shape, network, 6)
    whole, half = module(inputs)[:3], module(inputs[:3])
    close = torch.allclose(whole, half, rtol=1e-9, atol=1e-12)
    assert close == (batch_coupling(module) is None)


@pytest.mark.parametrize(("pair", "shape"), PAIRS)
@NETWORKS
def test_networks_can_be_described_on_the_meta_device(pair, shape, network):
    with torch.device("meta"):
        module = getattr(pair, network)(shape)
    assert all(leaf.is_meta for leaf in module.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("pair", "shape"), PAIRS[:1] + PAIRS[3:5] + PAIRS[7:8] + PAIRS[-3::2])
@NETWORKS
def test_networks_compile_as_one_graph(pair, shape, network):
    module = getattr(pair, network)(shape)
    inputs = inputs_of(pair, shape, network, 4).float()
    compiled = torch.compile(module, fullgraph=True)
    torch.testing.assert_close(compiled(inputs), module(inputs), rtol=1e-4, atol=1e-5)
