"""Gradients at frozen generators: against formulas, and claims that fail when a loss is wrong."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.func import functional_call

from gan_lab.experiments.vanishing_gradients import fit
from gan_lab.experiments.vanishing_gradients.claims import GRADIENTS, decades_lost, noise_exponents
from gan_lab.experiments.vanishing_gradients.study import VanishingGradients
from gan_lab.training.build import build
from tests.experiments.helpers import small_lab, swap_generator_losses
from tests.helpers import CPU, run_config

DIGITS = {"datasets": ("digits",), "n_batches": 2}


def test_arrays_have_every_stage_seed_and_moment_and_suffice_for_pictures_and_notes(tmp_path):
    small = {"widths": (8,), "stages": (2, 4), "n_steps": 12, "n_looks": 4, "batch_size": 8}
    study = VanishingGradients(**DIGITS, **small)
    arrays = study.measure(small_lab(tmp_path))
    for name in GRADIENTS:
        for part in ("norm", "deviation"):
            values = arrays[f"digits/{name}/{part}"]
            assert values.shape == (2, 2, len(study.looks))
            assert ((values > 0) & np.isfinite(values)).all()
    assert arrays["digits/samples"].shape == (2, 256, 1, 8, 8)
    figures = study.figures(arrays)
    assert {"gradient_norms", "decades_lost", "discriminators", "generators"} < set(figures)
    assert study.notes(arrays)
    assert study.curves(arrays)


def frozen(n_seeds=2, logit=0.0):
    """Measurements at one-stage generators; the discriminators' last bias is a given logit."""
    keys = ["data=ring", "network.width=6", "network.depth=1", "device=cpu", "loss=non_saturating"]
    chosen = run_config(*keys, f"n_seeds={n_seeds}", "seed=3", "trainer.batch_size=4")
    source = chosen.data.open(CPU)
    run = build(chosen, source)
    g = {name: leaf.detach() for name, leaf in run.state.generator.params.items()}
    keys = (chosen.loss, (), chosen.optim, chosen.seeds, CPU)
    fresh = fit.Discriminators(chosen.network, source.shape, *keys)
    with torch.no_grad():
        last = [name for name in fresh.network.params if name.endswith("bias")][-1]
        fresh.network.params[last].fill_(logit)
    job = fit.Fit(chosen, [0], 3, "cpu")
    template = chosen.network.generator(source.shape).to("meta")
    return fit.Measurements(job, source, fresh, template, g, 1), fresh, template, g


def analytic(measurements, fresh, template, g, index, weight):
    """Norm of sum_i weight(logit_i) d logit_i / d g / N over all z, by autograd on one seed."""
    leaves = {name: leaf[index].double().requires_grad_(True) for name, leaf in g.items()}
    d = {name: leaf[index].detach().double() for name, leaf in fresh.network.params.items()}
    z = measurements.z[:, index].flatten(0, 1)
    fakes = functional_call(template, leaves, z)
    logits = functional_call(fresh.objective.discriminator, d, fakes)
    total = (weight(logits.detach()) * logits).mean()
    flat = torch.cat([x.flatten() for x in torch.autograd.grad(total, list(leaves.values()))])
    return float(flat.norm())


@pytest.mark.parametrize("logit", [0.0, -40.0])
def test_norms_are_those_of_the_losses_derivatives_also_where_float32_would_lose_them(logit):
    measurements, fresh, template, g = frozen(logit=logit)
    measurements.add()
    arrays = measurements.arrays()
    by_logit = {"minimax": lambda x: -torch.sigmoid(x), "non_saturating": lambda x: x.sigmoid() - 1}
    for i, (name, weight) in itertools.product(range(2), by_logit.items()):
        expected = analytic(measurements, fresh, template, g, i, weight)
        assert arrays[f"{name}/norm"][0, i, 0] == pytest.approx(expected, rel=1e-9)
    if logit < 0:
        assert 0 < arrays["minimax/norm"].max() < 1e-15  # e^-40 = 4e-18


def test_a_mean_over_n_samples_of_a_light_tail_spreads_as_n_to_the_minus_one_half():
    measurements, *_ = frozen()
    measurements.add()
    arrays = {"batches": np.array(fit.BATCHES)}
    arrays["ring/discriminator/spread"] = measurements.arrays()["spread"]
    # A fresh discriminator is nearly linear; 2 directions of 2048 samples leave 8 means of 256.
    assert noise_exponents(arrays, "ring").mean() == pytest.approx(-0.5, abs=0.2)


def arrays_of(first, settled, last):
    """Arrays in which gradients go from `first` by `settled` to `last`: 5 seeds, 2 stages."""
    arrays = {"data": np.array(["digits"]), "stages": np.array([1, 2])}
    arrays["steps"] = np.array([0, 10, 25, 100])
    for name in GRADIENTS:
        norms = [first[name], settled[name], settled[name], last[name]]
        arrays[f"digits/{name}/norm"] = np.broadcast_to(norms, (2, 5, 4))
    return arrays


def verdicts(arrays):
    return {claim.id: claim.verdict for claim in VanishingGradients().claims(arrays)}


def test_claims_tell_a_gradient_that_vanishes_from_one_that_does_not():
    ones = dict.fromkeys(GRADIENTS, 1.0)
    middle = {**ones, "non_saturating": 100.0}
    good = {"minimax": 1e-4, "non_saturating": 300.0, "wasserstein": 0.5}
    assert set(verdicts(arrays_of(ones, middle, good)).values()) == {"pass"}
    swapped = {"minimax": 3.0, "non_saturating": 1e-4, "wasserstein": 1e-2}
    assert set(verdicts(arrays_of(ones, ones, swapped)).values()) == {"fail"}
    grown = arrays_of(ones, ones, {**good, "non_saturating": 260.0, "wasserstein": 30.0})
    settles = {"non_saturating_settles": "fail", "wasserstein_settles": "fail"}
    grows = {"minimax_vanishes": "pass", "non_saturating_grows": "pass"}
    assert verdicts(grown) == {**grows, **settles}
    none_left = arrays_of(ones, ones, {"minimax": 0.0, "non_saturating": 1.0, "wasserstein": 1.0})
    assert decades_lost(none_left, "digits", "minimax").min() == math.inf


def test_with_the_two_losses_swapped_the_measured_claims_fail(monkeypatch, tmp_path):
    monkeypatch.setattr(fit, "_N_PROJECTIONS", 512)  # tails do not matter here
    short = {"widths": (32,), "stages": (30,), "n_steps": 150, "n_looks": 4, "lr": 1e-2}
    study = VanishingGradients(**DIGITS, **short)
    right = verdicts(study.measure(small_lab(tmp_path / "a", 5)))
    assert right["minimax_vanishes"] == right["non_saturating_grows"] == "pass"
    swap_generator_losses(monkeypatch)
    wrong = verdicts(study.measure(small_lab(tmp_path / "b", 5)))
    assert wrong["minimax_vanishes"] == wrong["non_saturating_grows"] == "fail"


@pytest.mark.parametrize(
    "wrong",
    [{"datasets": ()}, {"widths": (8,)}, {"stages": (5, 3)}, {"n_steps": 3}, {"n_batches": 1}],
    ids=str,
)
def test_wrong_keys_are_refused(wrong):
    with pytest.raises(ValueError, match=f"VanishingGradients.{next(iter(wrong))}="):
        VanishingGradients(**wrong)
