"""The neural distance's three parts: to train on, to choose a step with, to report on."""

import pytest
import torch

from gan_lab.data.base import TensorSource
from gan_lab.engine.objective import Objective
from gan_lab.metrics.neural_distance import NeuralDistance
from tests.helpers import CPU, seeded


def finite_source(n, d, seed=0):
    """Return n standard normal training samples of d dimensions, and as many held-out ones."""
    train, held_out = torch.randn(2, n, d, generator=seeded(seed))
    return TensorSource(train, train[:1], held_out, CPU)


def test_what_is_reported_is_measured_on_the_last_part_alone():
    """The networks separate the first two parts by 3; of the third both sides are the same."""

    def make(n, generator):
        fake = torch.randn(n, 1, generator=generator)
        fake[: n // 2 + n // 5] += 3
        return fake

    found = NeuralDistance(steps=60, n=1000).measure(make, finite_source(1000, 1))
    assert found["neural_distance/js"].value < -0.3  # sure, and wrong
    for tag in ("neural_distance/wasserstein", "neural_distance/wasserstein_penalized"):
        assert abs(found[tag].value) < 0.3
        assert found[tag].n == 300


@pytest.mark.parametrize("seed", [0, 1])
def test_samples_learnt_by_heart_are_no_distance_and_no_reason_to_go_on(seed):
    """50 samples of 20 dimensions are learnt by heart: the last step is sure of what is chance."""

    def make(n, generator):
        return torch.randn(n, 20, generator=generator)

    probe = NeuralDistance(steps=150, check_every=2, n=100, lr=3e-3)
    js = probe.measure(make, finite_source(100, 20, seed))["neural_distance/js"]
    assert -0.1 < js.value < 0.05


def test_the_gradient_norm_is_the_largest_on_real_and_generated_samples_of_the_last_part(
    monkeypatch,
):
    source, generated, calls = finite_source(100, 1), [], []

    def make(n, generator):
        generated.append(torch.randn(n, 1, generator=generator) + 3)
        return generated[-1]

    def norms(self, params, buffers, real, fake, mix):
        calls.append((real, fake, mix))
        tag = "discriminator_estimate/gradient_norm_"
        return {f"{tag}mean": torch.tensor(2.0), f"{tag}max": torch.tensor(5.0)}

    monkeypatch.setattr(Objective, "gradient_norms", norms)
    found = NeuralDistance(steps=4, check_every=1, n=100).measure(make, source)
    norm = found["neural_distance/gradient_norm"]
    ((real, fake, mix),) = calls
    assert (norm.value, norm.n) == (5.0, 30)
    assert torch.equal(fake, generated[0][-30:])
    assert set(real.flatten().tolist()) <= set(source.held_out(100, seeded()).flatten().tolist())
    assert mix.shape == (30,)
