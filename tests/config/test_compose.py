"""Choices compose: every loss, regularizer and data set, and a typed key always wins."""

import shutil

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from gan_lab.config.compose import build_run_config, compose_config, construct
from gan_lab.engine.optimizers import Adam, Optimizer
from gan_lab.errors import ConfigError
from gan_lab.losses.base import AdversarialLoss
from gan_lab.networks.conv import Conv
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers.base import Regularizer
from gan_lab.reports.analysis.run_config import flat_keys
from gan_lab.training.build import open_run
from tests.helpers import CONF, DIGITS, RING, names, run_config, two_steps

LOSSES, REGULARIZERS = names("loss"), names("regularizer")
KINDS = {"ring-mlp": RING, "digits-dcgan": DIGITS}


def regularized(name):
    return "regularizer=none" if name == "none" else f"regularizer=[{name}]"


def is_penalty(regularizer):
    """By what it does, not by what it says of itself."""
    return type(regularizer).penalty is not Regularizer.penalty


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_takes_two_finite_steps_with_every_regularizer(loss, regularizer, kind):
    chosen = run_config(
        *KINDS[kind], f"loss={loss}", regularized(regularizer), "trainer.n_critic=1"
    )
    assert list(chosen.regularizers) == ([] if regularizer == "none" else [regularizer])
    run = open_run(chosen)
    before = [p.detach().clone() for p in run.state.generator.params.values()]
    assert two_steps(run)
    after = run.state.generator.params.values()
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """16 x 16 images: on 8 x 8 ones a DCGAN discriminator has no layer that would get a norm."""
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, np.random.default_rng(0).uniform(-1, 1, (240, 1, 16, 16)).astype(np.float32))
    return (*DIGITS, "data=array", f"data.path={path}")


@pytest.mark.parametrize("kind", ["points", "images"])
@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_batch_norm_in_the_discriminator_excludes_penalties_and_nothing_else(
    regularizer, kind, images
):
    keys = ("loss=non_saturating", regularized(regularizer), "network.discriminator_norm=batch")
    chosen = run_config(*(RING if kind == "points" else images), *keys)
    if any(is_penalty(each) for each in chosen.regularizers.values()):
        with pytest.raises(ConfigError) as refused:
            open_run(chosen)
        for said in (f"'{regularizer}'", "BatchNorm", "network.discriminator_norm=layer"):
            assert said in str(refused.value)
    else:
        assert two_steps(open_run(chosen))


def test_the_penalties_are_the_four_of_the_literature():
    kinds = {
        name: run_config(*RING, regularized(name)).regularizers.values() for name in REGULARIZERS
    }
    found = {name for name, parts in kinds.items() if any(map(is_penalty, parts))}
    assert found == {"gradient_penalty", "r1", "r2", "dragan"}


@pytest.mark.parametrize("loss", LOSSES)
def test_several_regularizers_hold_together(loss):
    both = "regularizer=[spectral_norm,gradient_penalty,instance_noise]"
    assert two_steps(open_run(run_config(*RING, f"loss={loss}", both, "n_seeds=2")))


# What belongs to a choice


@pytest.mark.parametrize(
    ("loss", "data", "regularizers", "n_critic"),
    [
        ("minimax", "ring", [], 1),
        ("minimax", "digits", [], 1),
        ("non_saturating", "ring", [], 1),
        ("least_squares", "ring", [], 1),
        ("hinge", "ring", ["spectral_norm"], 1),
        ("relativistic", "ring", ["r1", "r2"], 1),
        ("wasserstein", "ring", ["gradient_penalty"], 3),
        ("wasserstein", "digits", ["gradient_penalty"], 5),
    ],
)
def test_a_loss_brings_its_regularizer_and_n_critic(loss, data, regularizers, n_critic):
    chosen = run_config(f"loss={loss}", f"data={data}")
    assert list(chosen.regularizers) == regularizers
    assert chosen.trainer.n_critic == n_critic


@pytest.mark.parametrize(
    ("data", "weight", "width", "lr"), [("ring", 0.1, 64, 1e-3), ("digits", 10.0, 256, 5e-4)]
)
def test_data_bring_the_penalty_weight_width_and_learning_rate(data, weight, width, lr):
    chosen = run_config("loss=wasserstein", f"data={data}")
    assert chosen.regularizers["gradient_penalty"].weight == weight
    assert chosen.network.width == width
    assert chosen.optim == Adam(lr=lr)


TYPED = {
    "regularizer=none": lambda s: list(s.regularizers) == [],
    "regularizer=[weight_clipping]": lambda s: list(s.regularizers) == ["weight_clipping"],
    "trainer.n_critic=2": lambda s: s.trainer.n_critic == 2,
    "regularizer.gradient_penalty.weight=1": lambda s: (
        s.regularizers["gradient_penalty"].weight == 1
    ),
    "network.width=24": lambda s: s.network.width == 24,
    "optim.lr=0.5": lambda s: s.optim.lr == 0.5,
    "hints.n_critic=7": lambda s: s.trainer.n_critic == 7,
}


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("typed", TYPED)
def test_a_typed_key_wins_wherever_it_stands(typed, order):
    choices = ["loss=wasserstein", "data=ring"]
    chosen = run_config(*([typed, *choices] if order == "before" else [*choices, typed]))
    assert TYPED[typed](chosen)


@pytest.mark.parametrize("typed", ["trainer.n_critic=2", "data=digits", "regularizer=none"])
def test_a_typed_key_wins_over_a_preset(typed):
    chosen = run_config(typed, "preset=wgan_gp_2017")
    assert chosen.trainer.n_critic == (2 if "n_critic" in typed else 5)
    assert list(chosen.regularizers) == ([] if "none" in typed else ["gradient_penalty"])
    assert type(chosen.data).__name__ == ("Digits" if "digits" in typed else "Ring")


def test_a_typed_optimizer_or_regularizer_takes_nothing_of_a_recipe_for_another():
    recipe = run_config("data=mnist_5k", "loss=wasserstein_clip")
    assert list(recipe.regularizers) == ["weight_clipping"]
    other = run_config(
        "data=mnist_5k", "loss=wasserstein_clip", "optim=rmsprop", "regularizer=[r1]"
    )
    assert (type(other.optim).__name__, other.optim.lr) == ("RmsProp", recipe.optim.lr)
    assert list(other.regularizers) == ["r1"]
    assert other.trainer == recipe.trainer
    assert run_config("data=mnist_5k", "optim=adam").optim == run_config("data=mnist_5k").optim


NEEDS = {name: ["data.path=x.npy"] for name in ("array", "image_array")}
NEEDS["image_folder"] = ["data.root=x"]
WITH_FEATURES = {"mnist_5k", "mnist", "fashion_mnist", "cifar10", "image_array", "image_folder"}
IMAGES = {*WITH_FEATURES, "stacked_mnist"}  # the latter is judged by its modes


@pytest.mark.parametrize("data", names("data"))
def test_every_data_set_composes_with_the_network_and_metrics_that_suit_it(data):
    words = [f"data={data}", *NEEDS.get(data, [])]
    chosen = build_run_config(compose_config("train", words))
    assert type(chosen.network) is (Conv if data in IMAGES else Mlp)
    assert ("features" in chosen.metrics) == (data in WITH_FEATURES)
    cfg = compose_config("train", [*words, "network=mlp", "metrics=[wasserstein]"])
    chosen, hints = build_run_config(cfg), cfg.hints
    assert (chosen.network.width, chosen.network.latent_dim) == (hints.width, hints.latent_dim)
    assert chosen.evaluator.final_n == hints.n_estimate
    assert list(chosen.metrics) == ["wasserstein"]


@pytest.mark.parametrize("group", ["network", "optim"])
def test_every_choice_of_a_group_takes_two_steps(group):
    for option in names(group):
        base = DIGITS if option in ("conv", "dcgan", "resnet", "r3gan") else RING
        chosen = run_config(*base, f"{group}={option}", "network.width=4")
        assert two_steps(open_run(chosen)), option


def test_seeds_count_up_from_seed_and_zero_is_a_seed():
    assert run_config("seed=0").seeds == (0,)
    assert run_config("seed=5", "n_seeds=3").seeds == (5, 6, 7)
    runs = [open_run(run_config(*RING, f"seed={seed}")) for seed in (0, 0, 1)]
    first, same, other = (run.state.generator.params for run in runs)
    assert all(torch.equal(weight, same[name]) for name, weight in first.items())
    assert not all(torch.equal(weight, other[name]) for name, weight in first.items())
    noise = [run.streams.draws(0).generator.z for run in runs]
    assert not torch.equal(noise[0], noise[2])


def test_one_seed_gives_two_losses_the_same_start_batches_and_noise():
    one, other = (
        open_run(run_config(*RING, f"loss={loss}", "trainer.n_critic=3"))
        for loss in ("minimax", "wasserstein")
    )
    for player in ("generator", "discriminator"):
        ours, theirs = getattr(one.state, player).params, getattr(other.state, player).params
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    for step in range(2):
        for mine, yours in zip(one.streams.draws(step), other.streams.draws(step), strict=True):
            for field in ("real", "z", "mix"):
                assert torch.equal(getattr(mine, field), getattr(yours, field)), field


def test_the_generator_s_noise_does_not_depend_on_n_critic():
    one, other = (open_run(run_config(*RING, f"trainer.n_critic={n}")) for n in (1, 3))
    for step in range(2):
        a, b = one.streams.draws(step), other.streams.draws(step)
        assert (len(a.discriminator.z), len(b.discriminator.z)) == (1, 3)
        assert torch.equal(a.generator.z, b.generator.z)
        assert torch.equal(a.generator.real, b.generator.real)


# Constructors are the schema


def adam(**keys):
    return {"_target_": "gan_lab.engine.optimizers.Adam", "lr": 1e-3, **keys}


def test_a_node_is_its_class_with_its_keys_as_arguments():
    assert construct(adam(betas=[0.1, 0.2]), "optim", Optimizer) == Adam(1e-3, betas=(0.1, 0.2))
    assert construct(adam(lr=1), "optim", Optimizer) == Adam(1)  # a whole number is a number


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (adam(lrr=1), "unknown key 'optim.lrr'; did you mean 'optim.lr'"),
        (adam(lr="1e-3x"), "optim.lr='1e-3x' is no number"),
        (adam(eps=-1.0), "optim.eps=-1.0 is not a number in (0, inf)"),
        ({"_target_": "gan_lab.engine.optimizers.Adam"}, "optim.lr is not set"),
        ({"lr": 1.0}, "needs a _target_"),
        (None, "needs a _target_"),
        ({"_target_": "os.system", "command": "touch pwned"}, "is no Optimizer"),
        ({"_target_": "gan_lab.engine.optimizers.Nope"}, "cannot be imported"),
        ({"_target_": "Adam"}, "cannot be imported"),
    ],
)
def test_a_wrong_node_is_refused_by_its_key(node, said):
    with pytest.raises(ConfigError) as refused:
        construct(node, "optim", Optimizer)
    assert said in str(refused.value)


def test_a_loss_may_be_any_class_that_says_it_is_one():
    assert construct({"_target_": "gan_lab.losses.Hinge"}, "loss", AdversarialLoss) is not None


def test_flat_keys_are_dotted():
    nested = OmegaConf.create({"a": {"b": 1, "c": [2]}, "d": None})
    assert flat_keys(nested) == {"a.b": 1, "a.c": [2], "d": None}


def test_a_file_that_changes_is_read_again(tmp_path, monkeypatch):
    """Although tests/conftest.py lets Hydra remember it."""
    shutil.copytree(CONF, tmp_path / "conf")
    monkeypatch.setattr("gan_lab.config.compose.config_dir", lambda: tmp_path / "conf")
    file = tmp_path / "conf/data/ring.yaml"
    for _ in range(2):  # Hydra writes into what it is given
        assert compose_config("train", ["data=ring", "data.n_modes=5"]).data.n_modes == 5
        assert compose_config("train", ["data=ring"]).data.n_modes == 8
    file.write_text(file.read_text().replace("n_modes: 8", "n_modes: 11"))
    assert compose_config("train", ["data=ring"]).data.n_modes == 11
