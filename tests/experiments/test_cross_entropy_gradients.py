"""Cross entropy beside squared error: the claims hold, and fail where something is broken."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from torch.nn import functional as F

from gan_lab import information
from gan_lab.experiments.claims import FAIL, PASS
from gan_lab.experiments.cross_entropy_gradients import claims, formulas, learning
from tests.experiments.helpers import failing, verdicts
from tests.helpers import CPU


def formula_claims():
    gradients = claims.gradient_claims(formulas.sigmoid_part() | formulas.softmax_part(0))
    precision = claims.precision_claims(formulas.precision_part())
    return [*gradients, *claims.label_claims(formulas.soft_labels_part(0)), *precision]


def test_formulas_labels_slips_and_precision_hold():
    assert {claim.verdict for claim in formula_claims()} == {PASS}


def test_a_forgotten_derivative_of_the_sigmoid_is_found(monkeypatch):
    wrong = information.sigmoid_cross_entropy_with_logits
    monkeypatch.setattr(formulas, "squared_error_of_logits", wrong)
    caught = {"sigmoid_squared_gradient", "squared_steepest", "saturated_ratio"}
    assert failing(formula_claims()) == caught


def test_a_half_in_squared_error_halves_its_gradient(monkeypatch):
    whole = formulas.squared_error_of_logits
    monkeypatch.setattr(formulas, "squared_error_of_logits", lambda x, y: whole(x, y) / 2)
    arrays = formulas.sigmoid_part()
    half = arrays["sigmoid/squared_formula"] / 2
    np.testing.assert_allclose(arrays["sigmoid/squared_gradient"], half, rtol=0, atol=1e-15)


def test_swapping_p_and_q_is_found(monkeypatch):
    right = information.cross_entropy
    monkeypatch.setattr(information, "cross_entropy", lambda p, q: right(q, p))
    assert failing(formula_claims()) >= {"excess_is_kl", "asymmetric"}


def test_a_js_without_its_half_is_found(monkeypatch):
    right = information.js_divergence
    monkeypatch.setattr(information, "js_divergence", lambda *pq, **base: 2 * right(*pq, **base))
    assert failing(formula_claims()) >= {"slip_js_in_nats", "slip_js_in_bits"}


def test_logits_in_place_of_clipping_and_clipping_in_place_of_logits_are_found(monkeypatch):
    logits, clipped = formulas._FORM_OF["logits"], formulas._FORM_OF["clipped"]
    monkeypatch.setitem(formulas._FORM_OF, "clipped", logits)
    caught = {"stuck_at_epsilon", "stuck_at_rounding", "clipped_gradient_is_zero"}
    assert failing(formula_claims()) == {*caught, "clipped_dies_at"}
    monkeypatch.setitem(formulas._FORM_OF, "clipped", clipped)
    monkeypatch.setitem(formulas._FORM_OF, "logits", clipped)
    assert failing(formula_claims()) >= {"logits_gradient_is_right", "logits_right_in_float32"}


@pytest.mark.parametrize("start", [-1.0, 1.5, 4.0, 7.0])
def test_flow_time_is_the_integral(start):
    def sigmoid(z):
        return 1 / (1 + math.exp(-z))

    end = math.log(0.1 / 0.9)
    for name, speed in (
        ("cross_entropy", lambda z: 2 * sigmoid(z)),
        ("squared", lambda z: 4 * sigmoid(z) ** 2 * (1 - sigmoid(z))),
    ):
        wanted, _ = integrate.quad(lambda z, speed=speed: 1 / speed(z), end, start, epsabs=1e-10)
        assert learning.flow_time(np.array(start), 0.1)[name] == pytest.approx(wanted, rel=1e-9)


def test_one_neuron_learns_as_the_flow_says():
    arrays = learning.neuron_part((0, 1), 0.15, 0.1, 20, 20_000)
    assert arrays["neuron/cross_entropy_output"][:, 0] == pytest.approx([0.82, 0.98], abs=0.005)
    found = verdicts(claims.neuron_claims(arrays, 0.15))
    assert FAIL not in found.values()
    assert found["squared_is_slower"] == "inconclusive"  # two seeds have no interval


def test_swapped_losses_are_found(monkeypatch):
    one, other = learning.LOSSES.values()
    monkeypatch.setattr(learning, "LOSSES", {"cross_entropy": other, "squared": one})
    found = failing(claims.neuron_claims(learning.neuron_part((0,), 0.15, 0.1, 20, 20_000), 0.15))
    caught = {"squared_is_slower_everywhere", "cross_entropy_steps", "squared_saturated_delay"}
    assert found >= caught


def test_a_neuron_that_gives_up_fails_the_claims():
    found = failing(claims.neuron_claims(learning.neuron_part((0,), 0.15, 0.1, 5, 700), 0.15))
    assert found >= {"squared_steps", "squared_saturated_delay"}


def fit(*seeds, steps=60):
    return learning.overfitting_part(seeds, 40, 16, steps, 0.01, CPU)


def test_stacked_networks_start_near_ten_equal_guesses_and_learn_as_single_seeds():
    both, alone = fit(3, 0), fit(0)
    for name in (f"fit/{part}_loss" for part in ("train", "choose", "judge")):
        np.testing.assert_allclose(both[name][1], alone[name][0], rtol=1e-4)
    assert alone["fit/train_loss"][0, 0] == pytest.approx(math.log(10), abs=0.2)
    assert alone["fit/train_loss"][0, -1] < 0.2
    assert alone["fit/train_accuracy"][0, -1] == 1


def test_the_digits_to_choose_and_to_judge_are_apart(monkeypatch):
    seen = {}

    def looked(logits, labels):
        seen.setdefault(labels.shape[-1], []).append(labels)
        return F.cross_entropy(logits.movedim(-1, 1), labels, reduction="none")

    monkeypatch.setattr(learning, "_loss", looked)
    fit(0, steps=1)
    choose, judge = seen[250][0], seen[250][1]
    assert not torch.equal(choose, judge)
    together = torch.cat([choose, judge], -1)[0].bincount()
    labels = learning.load_digits(500, 0, CPU).held_out_labels
    assert torch.equal(together, labels.bincount())


def test_held_out_that_keeps_falling_fails_the_claim():
    steps = np.arange(10)
    falling = np.exp(-steps / 5) + 0.01 * np.arange(8)[:, None]
    arrays = {f"fit/{part}_loss": falling for part in ("train", "choose", "judge")}
    arrays["fit/choose_loss"] = np.abs(steps - 4.0) + 0 * falling
    found = verdicts(claims.overfitting_claims(arrays))
    assert found == {"training_keeps_falling": PASS, "held_out_rises": FAIL}
