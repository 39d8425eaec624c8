"""examples/ do what the engine does: the same weights after every step."""

import importlib.util
import itertools

import pytest
import torch

from gan_lab.engine.gradients import Gradients
from gan_lab.engine.state import TrainState
from gan_lab.training.build import open_run
from tests.helpers import ROOT, draws_like, in_float64, run_config, take_steps

EXAMPLES = ROOT / "examples"


def load_example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_weights(module, network):
    module.load_state_dict({name: leaf.detach().clone() for name, leaf in network.params.items()})


@pytest.fixture
def example():
    return load_example("minimal_wgan_gp")


@pytest.fixture
def run():
    return open_in_float64()


def open_in_float64(*keys):
    """The run that the example names, with its defaults but for some keys, in float64."""
    usual = ("data=ring", "loss=wasserstein", "device=cpu", "execution.mode=eager")
    config = run_config(*usual, *keys)
    run = open_run(config)
    networks = map(in_float64, (run.state.discriminator, run.state.generator))
    run.state = TrainState(*networks, config.optim)
    return run


def plain_networks(example, run):
    """The example's networks and optimisers, with the run's weights."""
    shape = example.DATA.shape
    generator = example.NETWORKS.generator(shape).double()
    critic = example.NETWORKS.discriminator(shape).double()
    load_weights(generator, run.state.generator)
    load_weights(critic, run.state.discriminator)
    return generator, critic, [example.make_optimizer(network) for network in (generator, critic)]


@pytest.mark.parametrize("analytic", [False, True])
def test_the_minimal_example_has_the_engines_weights_after_each_step(example, run, analytic):
    gradients = run.gradients if analytic else Gradients(run.objective)
    assert (type(gradients) is Gradients) is not analytic
    generator, critic, optimizers = plain_networks(example, run)
    start = torch.cat([weight.detach().flatten() for weight in generator.parameters()])
    for step in range(20):
        draws = draws_like(run)
        assert draws.discriminator.mix.shape == (example.N_CRITIC, example.N)
        z = torch.cat([draws.discriminator.z, draws.generator.z])
        real, mix = draws.discriminator.real, draws.discriminator.mix
        example.train_step(generator, critic, optimizers, real, z, mix)
        take_steps(run, 1, gradients=gradients)
        pairs = ((generator, run.state.generator), (critic, run.state.discriminator))
        for module, network in pairs:
            assert dict(module.named_parameters()).keys() == network.params.keys()
            for name, weight in module.named_parameters():
                leaf = network.params[name]
                torch.testing.assert_close(
                    weight, leaf, rtol=0, atol=1e-12, msg=lambda m, s=step, n=name: f"{s} {n}: {m}"
                )
    moved = torch.cat([weight.detach().flatten() for weight in generator.parameters()]) - start
    assert moved.abs().max() > 1e-3  # 20 steps of Adam move a weight by about 20 lr at most


def test_the_example_with_a_lazy_penalty_has_the_engines_weights(example, monkeypatch):
    """Its penalty is four times as heavy at every fourth critic update and 0 at the others."""
    run, updates = open_in_float64("regularizer.gradient_penalty.every=4"), itertools.count()
    generator, critic, optimizers = plain_networks(example, run)

    class Lazy:
        def penalty(self, score, real, fake, mix):
            is_due = next(updates) % 4 == 0
            return 4 * plain.penalty(score, real, fake, mix) if is_due else torch.zeros(len(mix))

    plain = example.PENALTY
    monkeypatch.setattr(example, "PENALTY", Lazy())
    for _ in range(9):
        draws = draws_like(run)
        z = torch.cat([draws.discriminator.z, draws.generator.z])
        real, mix = draws.discriminator.real, draws.discriminator.mix
        example.train_step(generator, critic, optimizers, real, z, mix)
        take_steps(run, 1)
    pairs = ((generator, run.state.generator), (critic, run.state.discriminator))
    for module, network in pairs:
        for name, weight in module.named_parameters():
            torch.testing.assert_close(weight, network.params[name], rtol=0, atol=1e-11)
    assert next(updates) == 9 * example.N_CRITIC


def test_the_minimal_examples_critic_sends_no_gradient_to_the_generator(example, run):
    generator, critic, optimizers = plain_networks(example, run)
    inputs = []
    critic.register_forward_pre_hook(lambda _, args: inputs.append(args[0].grad_fn is not None))
    draws = draws_like(run)
    z = torch.cat([draws.discriminator.z, draws.generator.z])
    real, mix = draws.discriminator.real, draws.discriminator.mix
    example.train_step(generator, critic, optimizers, real, z, mix)
    # Real, fake and the penalty's points of each critic update, then the generator's samples.
    assert inputs == [False] * 3 * example.N_CRITIC + [True]


def test_the_minimal_example_trains_from_its_own_draws(example):
    torch.manual_seed(0)
    generator = example.train(steps=2)
    samples = generator(torch.randn(5, example.NETWORKS.latent_dim))
    assert samples.shape == (5, 2)
    assert samples.isfinite().all()


def test_the_minimal_example_is_short_and_uses_no_trainer():
    text = (EXAMPLES / "minimal_wgan_gp.py").read_text()
    assert len(text.splitlines()) <= 60
    imports = [line for line in text.splitlines() if line.startswith(("import", "from"))]
    rooms = {line.split()[1].split(".")[1] for line in imports if "gan_lab" in line}
    assert rooms == {"data", "losses", "metrics", "networks", "regularizers"}
