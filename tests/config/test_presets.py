"""conf/preset: whole published set-ups compose, say what they are, and run."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gan_lab.config.compose import compose_config
from gan_lab.networks.base import on_meta
from tests.data.test_images import write_cifar
from tests.helpers import CONF, names, rows, run_config, train

FASHION = Path("/usr/share/datasets/fashion-mnist")  # Debian's package
CIFAR10 = [name for name in names("preset") if name.startswith("cifar10")]
NO_DATA = {"none", *CIFAR10}
CHEAP = (
    *("trainer.steps=2", "trainer.image_every=0", "trainer.warmup_n_critic=7", "network.width=8"),
    *("evaluator.n=16", "evaluator.n_repeats=2", "evaluator.final_n_repeats=2"),
    *("evaluator.floor_n_repeats=2", "device=cpu", "execution.threads=1", "metrics=[wasserstein]"),
    *("evaluator.final_n=16", "neural_distance.steps=0"),
)


@pytest.fixture(params=[name for name in names("preset") if name != "none"])
def preset(request):
    return request.param


def test_a_preset_says_what_it_reproduces_and_how_to_run_it(preset):
    lines = (CONF / "preset" / f"{preset}.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_"
    head = " ".join(line.lstrip("# ") for line in lines[1:4])
    assert re.search(r"et al\. 20\d\d \(arXiv:\d{4}\.\d{4,5}\)", head)
    assert f"python -m gan_lab train preset={preset}" in head


def test_every_key_of_a_preset_arrives(preset):
    node = OmegaConf.load(CONF / "preset" / f"{preset}.yaml")
    chosen = {k: v for k, v in node.items() if k != "defaults"}
    cfg = compose_config("train", [f"preset={preset}"])
    assert OmegaConf.merge(cfg, chosen) == cfg
    for choice in node.defaults:
        ((group, option),) = choice.items()
        group = group.removeprefix("override /")
        if group == "regularizer":
            assert list(cfg.regularizer) == list(option)
        else:
            file = OmegaConf.load(CONF / group / f"{option}.yaml")
            assert cfg[group]._target_ == (file.get("_target_") or file[group]._target_)


@pytest.mark.parametrize("preset", [name for name in names("preset") if name not in NO_DATA])
def test_a_preset_takes_two_steps(preset, workdir):
    if preset.startswith("fashion") and not FASHION.exists():
        pytest.skip("needs Debian's dataset-fashion-mnist")
    run = train("run", f"preset={preset}", *CHEAP)
    assert [row["step"] for row in rows(run)] == [0, 1, 2]
    assert (run / "checkpoints" / "step_00000002.pt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("preset", CIFAR10)
def test_a_preset_of_cifar10_takes_two_steps_on_its_file_format(preset, workdir, monkeypatch):
    write_cifar(workdir / "data", monkeypatch, n=30)  # 150 images to train on, 30 of the test
    more = ("data.n_held_out=30", "trainer.batch_size=8")
    run = train("run", f"preset={preset}", *CHEAP, *more)
    assert [row["step"] for row in rows(run)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("preset", "network", "optim", "loss", "n_critic", "batch_size"),
    [
        ("gan_2014", "Mlp", "Sgd", "NonSaturating", 1, 64),
        ("dcgan_2016", "Dcgan", "Adam", "NonSaturating", 1, 128),
        ("wgan_2017", "Mlp", "RmsProp", "Wasserstein", 5, 64),
        ("wgan_gp_2017", "Mlp", "Adam", "Wasserstein", 5, 256),
        ("cifar10_dcgan", "Dcgan", "Adam", "NonSaturating", 1, 128),
        ("cifar10_wgan_clip", "Conv", "Adam", "Wasserstein", 1, 128),
        ("cifar10_wgan_gp", "Resnet", "Adam", "Wasserstein", 5, 64),
        ("cifar10_sngan", "Resnet", "Adam", "Hinge", 5, 64),
        ("cifar10_r3gan", "R3gan", "Adam", "RelativisticPairing", 1, 64),
    ],
)
def test_a_preset_is_the_paper_s_set_up(preset, network, optim, loss, n_critic, batch_size):
    chosen = run_config(f"preset={preset}")
    kinds = [type(part).__name__ for part in (chosen.network, chosen.optim, chosen.loss)]
    assert kinds == [network, optim, loss]
    assert (chosen.trainer.n_critic, chosen.trainer.batch_size) == (n_critic, batch_size)


def test_the_numbers_that_the_papers_give_are_the_numbers_that_run():
    clipped = run_config("preset=wgan_2017")
    assert clipped.optim.lr == 5e-5
    assert clipped.regularizers["weight_clipping"].bound == 0.01
    updates = clipped.trainer.schedule.discriminator_updates
    assert [updates(step) for step in (0, 24, 25, 499, 500, 501)] == [100, 100, 5, 5, 100, 5]
    penalised = run_config("preset=wgan_gp_2017")
    assert (penalised.optim.lr, penalised.optim.betas) == (1e-4, (0.5, 0.9))
    assert penalised.regularizers["gradient_penalty"].weight == 0.1
    assert (penalised.network.width, penalised.network.depth) == (512, 3)
    convolutional = run_config("preset=dcgan_2016")
    assert (convolutional.optim.lr, convolutional.optim.betas) == (2e-4, (0.5, 0.999))
    assert convolutional.network.latent_dim == 100


@pytest.mark.parametrize("name", CIFAR10)
def test_a_preset_for_a_gpu_says_its_published_row_and_protocol_and_claims_nothing(name):
    lines = (CONF / f"preset/{name}.yaml").read_text().split("defaults:")[0].splitlines()
    words = " ".join(line.lstrip("# ") for line in lines)
    assert "not run here" in words
    assert re.search(r"FID \d+\.\d\d", words)
    assert "50,000" in words  # samples of the row's FID
    assert "evaluator.final_n=10000" in words  # of ours
    assert "Expected" not in words
    assert run_config(f"preset={name}").trainer.steps >= 100_000


def test_the_size_of_r3gan_for_a_gpu_is_what_its_preset_says():
    networks = on_meta(run_config("preset=cifar10_r3gan").network, (3, 32, 32))
    n = sum(p.numel() for module in networks for p in module.parameters())
    theirs = 20_732_160 + 20_683_776  # see tests/networks/test_residual.py
    text = (CONF / "preset/cifar10_r3gan.yaml").read_text()
    assert f"({theirs / 1e6:.1f} million" in text
    assert f"{n / 1e6:.1f} million parameters, {theirs / n:.1f} times fewer" in text


def test_a_loss_takes_the_preset_that_was_tuned_for_it_unless_another_is_typed():
    tuned, plain = run_config("data=mnist_5k"), run_config("data=mnist_5k", "preset=none")
    assert tuned.optim == run_config("preset=mnist_wgan_gp").optim != plain.optim
    other = run_config("data=mnist_5k", "loss=non_saturating")
    assert list(other.regularizers) == ["r1"]
    assert run_config("data=mnist_5k", "regularizer=none").regularizers == {}
    assert run_config("data=mnist_5k", "network=mlp").optim == plain.optim
    assert run_config("data=mnist_5k", "loss=least_squares").optim == plain.optim
    assert run_config("data=mnist_5k", "optim.lr=1e-4").optim.lr == 1e-4
