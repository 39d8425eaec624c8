"""Parallel segments: the claims hold, and they fail when what they speak of is broken."""

import numpy as np
import pytest
import torch

from gan_lab.engine.rng import stream
from gan_lab.engine.step import update_discriminator_
from gan_lab.experiments import discriminators
from gan_lab.experiments.parallel_segments import claims as judge
from gan_lab.experiments.parallel_segments import trainings
from gan_lab.experiments.parallel_segments.study import ParallelSegments, exact_arrays
from gan_lab.losses import Minimax
from gan_lab.regularizers import WeightClipping, base
from tests.experiments.helpers import swap_generator_losses
from tests.helpers import CPU

DESIGN = trainings.Design()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fit(name, thetas, steps=(1, 5, 25, 100, 1000), seeds=range(5)):
    """The arrays that the claims about one method need."""
    keys = (name, thetas, list(seeds), steps, 2, False, CPU)
    arrays = {"theta": np.array(thetas), "steps": np.array(steps), "asked": np.array(thetas)}
    arrays |= {key: np.array(getattr(DESIGN, key)) for key in ("weight", "bound", "width")}
    for key, value in trainings.gradients_at_shifts(DESIGN, *keys).items():
        own = key in ("estimate", "largest_weight")
        arrays[f"fit/{name}/{key}" if own else f"fit/{key}"] = value
    return arrays


def verdicts(claims):
    return {claim.id: claim.verdict for claim in claims}


def test_minimax_vanishes_and_non_saturating_grows_unless_the_losses_are_swapped(monkeypatch):
    both = ("minimax_vanishes", "non_saturating_grows")
    claims = judge.vanishing(fit("cross_entropy", [1.0]))
    assert verdicts(claims) == dict.fromkeys(both, "pass")
    swap_generator_losses(monkeypatch)
    claims = judge.vanishing(fit("cross_entropy", [1.0]))
    assert verdicts(claims) == dict.fromkeys(both, "fail")


@pytest.mark.slow
def test_the_penalised_critics_slope_is_one_plus_its_bias_unless_norms_span_the_batch(monkeypatch):
    thetas = [0.3, 1.0, 2.0]
    claims = judge.penalty(fit("wasserstein", thetas))
    assert set(verdicts(claims).values()) == {"pass"}
    assert [claim.expected for claim in claims] == pytest.approx([1.015, 1.05, 1.1])
    monkeypatch.setattr(base, "norms", lambda x: torch.linalg.vector_norm(x).expand(len(x)))
    claims = judge.penalty(fit("wasserstein", thetas, steps=(1, 400)))
    assert set(verdicts(claims).values()) == {"fail"}


def test_weights_are_in_the_box_and_gradients_bounded_unless_the_clip_comes_first(monkeypatch):
    def clip_first(network, *rest):
        with torch.no_grad():
            for leaf in network.params.values():
                leaf.clamp_(-DESIGN.bound, DESIGN.bound)
        return update_discriminator_(network, *rest)

    claims = judge.clipping(fit("wasserstein_clip", [1.0], steps=(1, 100)))
    assert set(verdicts(claims).values()) == {"pass"}
    monkeypatch.setattr(discriminators, "update_discriminator_", clip_first)
    monkeypatch.setattr(WeightClipping, "after_step", lambda self, *leaves: leaves)
    claims = judge.clipping(fit("wasserstein_clip", [1.0], steps=(1, 100)))
    assert verdicts(claims)["weights_in_the_box"] == "fail"


def test_a_network_does_not_depend_on_which_others_are_stacked_with_it():
    alone = fit("wasserstein", [1.0], steps=(20,), seeds=[3])
    among = fit("wasserstein", [-1.0, 1.0, 2.0], steps=(20,), seeds=[2, 3])
    a, b = alone["fit/wasserstein/along"][0, 0, 0], among["fit/wasserstein/along"][0, 1, 1]
    assert b == pytest.approx(a, rel=1e-3)
    assert among["fit/wasserstein/along"][0, 1, 0] != pytest.approx(a, rel=1e-3)


def test_the_gradient_by_the_shift_is_that_of_the_mean_loss():
    # Finite differences of the mean generator loss over the same samples, in float64.
    design = trainings.Design(width=8)
    networks = design.discriminators(design.method("cross_entropy"), 2, [0], CPU)
    for leaf in networks.network.params.values():
        leaf.data = leaf.data.double()
    x = torch.rand(1, 7, 2, dtype=torch.float64)
    pull = networks.generator_gradient(x, x, Minimax()).mean(1)[0]
    for axis, shift in enumerate(1e-6 * torch.eye(2, dtype=torch.float64)):
        logits = (networks.logits(at) for at in (x + shift, x - shift))
        up, down = (Minimax().generator(at, at).mean() for at in logits)
        assert pull[axis].item() == pytest.approx(((up - down) / 2e-6).item(), rel=1e-6)


@pytest.mark.parametrize("dim", [2, 7])
def test_directions_are_orthonormal_and_random_for_each_seed(dim):
    pairs = [trainings.directions(seed, dim, True, CPU) for seed in (0, 1)]
    for pair in pairs:
        torch.testing.assert_close(pair @ pair.T, torch.eye(2), atol=1e-6, rtol=0)
    assert not torch.allclose(*pairs)
    assert torch.equal(trainings.directions(0, dim, False, CPU), torch.eye(2, dim))


def test_shifts_that_learn_begin_at_their_starts_for_every_loss():
    design, keys = trainings.Design(width=8), ([0.5, 2.0], [0, 1], 1, 3, 0.05, CPU)
    paths = trainings.learn_shifts(design, "cross_entropy", *keys)
    assert set(paths) == {"minimax", "non_saturating"}
    for path in paths.values():
        assert path.shape == (4, 2, 2, 2)
        np.testing.assert_array_equal(path[0, :, :, 0], [[0.5, 0.5], [2.0, 2.0]])
    assert not np.array_equal(paths["minimax"][1], paths["non_saturating"][1])


def test_heights_are_the_same_for_every_shift_and_differ_between_seeds():
    batches = trainings.Batches([0, 1], 4, 2, CPU)
    u = batches.uniforms()
    assert u.shape == (3, 2, 4)
    assert not torch.equal(u[:, 0], u[:, 1])
    again = torch.rand(trainings._BLOCK, 3, 4, generator=stream(0, "segments/heights"))
    assert torch.equal(u[:, 0], again[0])


def test_the_exact_act_knows_infinity_and_the_jump_at_zero():
    arrays = exact_arrays((0, 1, 2, 3, 4))
    zero = np.flatnonzero(arrays["exact/theta"] == 0)
    js, kl = arrays["exact/0.0"][:2]
    assert js[zero] == kl[zero] == 0
    assert np.isinf(np.delete(kl, zero)).all()
    assert set(verdicts(judge.exact_claims(arrays)).values()) == {"pass"}
    arrays["exact/table"] *= 1 + 1e-6
    arrays["exact/sample_floor"] *= 1.15
    broken = verdicts(judge.exact_claims(arrays))
    assert broken["exact_table"] == broken["sample_floor"] == "fail"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_thetas": 1}, "n_thetas=1"),
        ({"steps": (5, 1)}, "steps="),
        ({"steps": ()}, "steps="),
        ({"dims": (1,)}, "dims="),
        ({"starts": (0.0,)}, "starts="),
        ({"sigma": 0.0}, "sigma=0.0"),
        ({"moves": 3}, "moves=3"),
        ({"others": ("minimax",)}, "others="),
        ({"activation": "step"}, "activation="),
    ],
)
def test_wrong_keys_are_refused_by_name(wrong, message):
    with pytest.raises(ValueError, match=message):
        ParallelSegments(**wrong)


def test_the_shifts_at_which_claims_are_made_are_always_among_those_measured():
    for n in (2, 5, 9, 41):
        thetas = ParallelSegments(n_thetas=n).thetas
        assert {0.3, 1.0, 2.0} <= set(thetas)
        assert sorted(-theta for theta in thetas) == thetas
    assert len(ParallelSegments().thetas) == 41


def test_a_rate_that_falls_to_zero_leaves_no_jitter_in_the_penalised_slope():
    jitter = []
    for falls in (False, True):
        design = trainings.Design(width=32, lr=0.003, activation="leaky_relu", falls=falls)
        keys = ("wasserstein", [1.0], list(range(3)), (400,), 2, False, CPU)
        slope = trainings.gradients_at_shifts(design, *keys)["wasserstein/along"]
        jitter.append(np.abs(slope - 1.05).max())
    assert jitter[1] < 0.005 < jitter[0]
