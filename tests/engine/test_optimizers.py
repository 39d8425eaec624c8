"""Optimisers are torch's formulas, elementwise, so one on stacked seeds is as many as there are."""

import math

import pytest
import torch

from gan_lab.engine.optimizers import Adam, RmsProp, Sgd
from gan_lab.engine.state import NetworkState
from tests.helpers import normal

CHOICES = [
    pytest.param(Adam(0.01), torch.optim.Adam, {"betas": (0.5, 0.9)}, id="adam"),
    pytest.param(
        Adam(0.01, betas=(0.0, 0.99), eps=1e-6),
        torch.optim.Adam,
        {"betas": (0.0, 0.99), "eps": 1e-6},
        id="adam 0",
    ),
    pytest.param(RmsProp(0.01), torch.optim.RMSprop, {}, id="rmsprop"),
    pytest.param(
        RmsProp(0.01, alpha=0.9, momentum=0.3),
        torch.optim.RMSprop,
        {"alpha": 0.9, "momentum": 0.3},
        id="rmsprop momentum",
    ),
    pytest.param(Sgd(0.01), torch.optim.SGD, {}, id="sgd"),
    pytest.param(Sgd(0.01, momentum=0.5), torch.optim.SGD, {"momentum": 0.5}, id="sgd momentum"),
]


def descend(optimizer, leaf, gradients):
    for gradient in gradients:
        leaf.grad = gradient.clone()
        optimizer.step()
    return leaf.detach()


@pytest.mark.parametrize(("choice", "kind", "arguments"), CHOICES)
def test_a_choice_is_torchs_plain_optimiser(choice, kind, arguments):
    start, gradients = normal(3, 4), normal(7, 3, 4, seed=1)
    ours, theirs = (start.clone().requires_grad_(True) for _ in range(2))
    built = choice.build_generator(ours)
    plain = kind([theirs], lr=0.01, foreach=False, **arguments)
    torch.testing.assert_close(
        descend(built, ours, gradients), descend(plain, theirs, gradients), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize(("choice", "kind", "arguments"), CHOICES)
def test_one_optimiser_on_stacked_leaves_is_one_for_each_seed(choice, kind, arguments):
    start, gradients = normal(5, 3, 4), normal(7, 5, 3, 4, seed=1)
    stacked = start.clone().requires_grad_(True)
    together = descend(choice.build_generator(stacked), stacked, gradients)
    for seed in range(5):
        leaf = start[seed].clone().requires_grad_(True)
        alone = descend(choice.build_generator(leaf), leaf, gradients[:, seed])
        assert torch.equal(together[seed], alone)


@pytest.mark.parametrize(("choice", "kind", "arguments"), CHOICES)
def test_an_update_does_not_depend_on_the_memory_layout_of_the_gradient(choice, kind, arguments):
    # vmap returns transposed gradients, and torch's fused kernels on the CPU ignore strides.
    start, gradient = normal(3, 4), normal(3, 4, seed=1)
    networks = [NetworkState({"w": start.clone()}, {}) for _ in range(2)]
    transposed = gradient.t().contiguous().t()
    assert transposed.stride() != gradient.stride()
    for network, layout in zip(networks, (gradient, transposed), strict=True):
        network.optimizer = choice.build_generator(network.flat)
        for _ in range(3):
            network.update_({"w": layout}, {})
    assert torch.equal(networks[0].params["w"], networks[1].params["w"])


def test_the_discriminator_has_a_rate_of_its_own_where_asked():
    leaf = torch.zeros(2, requires_grad=True)
    for choice, rates in ((Adam(1e-3), (1e-3, 1e-3)), (Adam(1e-4, 4e-4), (1e-4, 4e-4))):
        built = (choice.build_generator(leaf), choice.build_discriminator(leaf))
        assert tuple(optimizer.lr for optimizer in built) == rates


def test_a_decay_scales_the_rate_the_run_started_with():
    network = NetworkState({"w": torch.zeros(2)}, {})
    network.optimizer = Sgd(0.1).build_generator(network.flat)
    for factor, expected in ((1.0, 0.1), (0.5, 0.05), (0.5, 0.05), (0.0, 0.0), (1.0, 0.1)):
        network.set_lr_factor_(factor)
        assert network.optimizer.lr == pytest.approx(expected, abs=1e-16)


@pytest.mark.parametrize("value", [0, -1e-3, math.nan, math.inf, "1e-3", None, True])
@pytest.mark.parametrize("make", [Adam, RmsProp, Sgd])
def test_a_rate_that_is_no_positive_number_is_refused_by_name(make, value):
    with pytest.raises(ValueError, match=rf"{make.__name__}\.lr="):
        make(value)
    if value is not None:
        with pytest.raises(ValueError, match=rf"{make.__name__}\.discriminator_lr="):
            make(1e-3, discriminator_lr=value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adam(1e-3, betas=(0.9, 1.0)), r"Adam\.betas=1\.0"),
        (lambda: Adam(1e-3, betas=(-0.1, 0.9)), r"Adam\.betas=-0\.1"),
        (lambda: Adam(1e-3, betas=(0.9,)), r"Adam\.betas=\[0\.9\] needs two numbers"),
        (lambda: Adam(1e-3, eps=0), r"Adam\.eps=0"),
        (lambda: RmsProp(1e-3, alpha=1), r"RmsProp\.alpha=1"),
        (lambda: RmsProp(1e-3, momentum=-1), r"RmsProp\.momentum=-1"),
        (lambda: Sgd(1e-3, momentum=1.0), r"Sgd\.momentum=1\.0"),
        (lambda: Sgd(1e-3, decay="step"), r"Sgd\.decay='step' is unknown.*linear"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
