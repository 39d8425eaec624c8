"""Groups are called what a person calls them, and never alike."""

import pytest

from gan_lab.reports.analysis.names import distinct_names, group_name, method_name, phrase


def config(loss, **regularizers):
    flat = {"loss._target_": f"gan_lab.losses.{loss}"}
    for name, keys in regularizers.items():
        flat[f"regularizer.{name}._target_"] = f"gan_lab.regularizers.{name}"
        flat |= {f"regularizer.{name}.{key}": value for key, value in keys.items()}
    return flat


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("WGAN-GP", config("Wasserstein", gradient_penalty={"weight": 10.0})),
        ("WGAN-LP", config("Wasserstein", gradient_penalty={"one_sided": True})),
        ("WGAN clip 0.01", config("Wasserstein", weight_clipping={"bound": 0.01})),
        ("WGAN + spectral norm", config("Wasserstein", spectral_norm={})),
        ("WGAN without constraint", config("Wasserstein")),
        ("hinge + spectral norm", config("Hinge", spectral_norm={})),
        ("non-saturating + R1", config("NonSaturating", r1={"weight": 1.0})),
        ("relativistic + R1 + R2", config("RelativisticPairing", r1={}, r2={})),
        ("minimax", config("Minimax")),
        ("least squares", config("LeastSquares")),
    ],
)
def test_a_method_has_the_name_that_its_papers_give_it(name, choice):
    assert method_name(choice) == name


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        ("penalty 1", "regularizer.gradient_penalty.weight", 1.0),
        ("R1 weight 0.1", "regularizer.r1.weight", 0.1),
        ("GP every 4", "regularizer.gradient_penalty.every", 4.0),
        ("R1 every 4", "regularizer.r1.every", 4.0),
        ("lr 0.0001", "optim.lr", 0.0001),
        ("n_critic 5", "trainer.n_critic", 5.0),
        ("200 steps", "trainer.steps", 200.0),
        ("dcgan", "network._target_", "gan_lab.networks.dcgan.Dcgan"),
        ("generator norm batch", "network.generator_norm", "batch"),
    ],
)
def test_a_key_is_said_in_words(words, key, value):
    assert phrase(key, value) == words


def test_only_the_keys_that_keep_names_apart_are_said():
    base = config("Wasserstein", gradient_penalty={"weight": 10.0}) | {"optim.lr": 1e-3}
    other = config("NonSaturating") | {"optim.lr": 1e-4}
    changed = base | {"regularizer.gradient_penalty.weight": 1.0}
    names = distinct_names([base, changed, other], group_name)
    assert names == ["WGAN-GP, penalty 10", "WGAN-GP, penalty 1", "non-saturating"]


def test_a_grid_of_two_keys_says_both_of_every_group():
    base = config("Wasserstein", gradient_penalty={"weight": 10.0})
    weight = "regularizer.gradient_penalty.weight"
    grid = [base | {"optim.lr": lr, weight: w} for lr in (0.1, 0.2) for w in (1.0, 2.0)]
    assert distinct_names(grid, group_name) == [
        *("WGAN-GP, penalty 1, lr 0.1", "WGAN-GP, penalty 2, lr 0.1"),
        *("WGAN-GP, penalty 1, lr 0.2", "WGAN-GP, penalty 2, lr 0.2"),
    ]


def test_values_that_read_the_same_still_get_distinct_names():
    base = config("Minimax")
    names = distinct_names([base | {"optim.lr": lr} for lr in (0.1, 0.1 + 1e-12)], group_name)
    assert len(set(names)) == 2


def test_a_fork_says_where_it_comes_from():
    fork = config("Minimax") | {"fork.of": "WGAN-GP", "fork.step": 40.0}
    assert group_name(fork) == "minimax, from WGAN-GP at step 40"
