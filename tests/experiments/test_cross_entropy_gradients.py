"""Cross entropy beside squared error: the claims hold, and fail where something is broken."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate
from torch.nn import functional as F

from gan_lab import information
from gan_lab.experiments.claims import FAIL, PASS
from gan_lab.experiments.cross_entropy_gradients import formulas, learning
from gan_lab.experiments.cross_entropy_gradients.claims import (
    gradient_claims,
    label_claims,
    neuron_claims,
    overfitting_claims,
    precision_claims,
)
from gan_lab.experiments.cross_entropy_gradients.study import CrossEntropyGradients
from tests.helpers import CPU


def verdicts(claims):
    return {claim.id: claim.verdict for claim in claims}


def failing(claims):
    return {claim.id for claim in claims if claim.verdict == FAIL}


def test_formulas_hold():
    arrays = formulas.sigmoid_part() | formulas.softmax_part(0)
    assert set(verdicts(gradient_claims(arrays)).values()) == {PASS}


def test_a_forgotten_derivative_of_the_sigmoid_is_found(monkeypatch):
    monkeypatch.setattr(
        formulas, "squared_error_of_logits", information.sigmoid_cross_entropy_with_logits
    )
    arrays = formulas.sigmoid_part() | formulas.softmax_part(0)
    assert failing(gradient_claims(arrays)) == {
        *("sigmoid_squared_gradient", "squared_steepest", "saturated_ratio"),
    }


def test_a_half_in_squared_error_halves_its_gradient(monkeypatch):
    whole = formulas.squared_error_of_logits
    monkeypatch.setattr(formulas, "squared_error_of_logits", lambda x, y: whole(x, y) / 2)
    arrays = formulas.sigmoid_part()
    half = arrays["sigmoid/squared_formula"] / 2
    np.testing.assert_allclose(arrays["sigmoid/squared_gradient"], half, rtol=0, atol=1e-15)


def test_labels_and_slips_hold():
    assert set(verdicts(label_claims(formulas.soft_labels_part(0))).values()) == {PASS}


def test_swapping_p_and_q_is_found(monkeypatch):
    right = information.cross_entropy
    monkeypatch.setattr(information, "cross_entropy", lambda p, q: right(q, p))
    found = failing(label_claims(formulas.soft_labels_part(0)))
    assert {"excess_is_kl", "asymmetric"} <= found


def test_a_js_without_its_half_is_found(monkeypatch):
    right = information.js_divergence
    monkeypatch.setattr(
        information, "js_divergence", lambda p, q, base=None: 2 * right(p, q, base=base)
    )
    found = failing(label_claims(formulas.soft_labels_part(0)))
    assert {"slip_js_in_nats", "slip_js_in_bits"} <= found


def test_precision_claims_hold():
    assert set(verdicts(precision_claims(formulas.precision_part())).values()) == {PASS}


def test_logits_in_place_of_clipping_would_be_found(monkeypatch):
    monkeypatch.setitem(formulas._FORM_OF, "clipped", information.sigmoid_cross_entropy_with_logits)
    found = failing(precision_claims(formulas.precision_part()))
    assert found == {
        *("stuck_at_epsilon", "stuck_at_rounding", "clipped_gradient_is_zero"),
        "clipped_dies_at",
    }


def test_clipping_in_place_of_logits_would_be_found(monkeypatch):
    monkeypatch.setitem(formulas._FORM_OF, "logits", formulas._FORM_OF["clipped"])
    found = failing(precision_claims(formulas.precision_part()))
    assert {"logits_gradient_is_right", "logits_right_in_float32"} <= found


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
    claims = neuron_claims(arrays, 0.15)
    assert failing(claims) == set()
    assert verdicts(claims)["squared_is_slower"] == "inconclusive"  # two seeds have no interval


def test_swapped_losses_are_found(monkeypatch):
    one, other = learning.LOSSES.values()
    monkeypatch.setattr(learning, "LOSSES", {"cross_entropy": other, "squared": one})
    found = failing(neuron_claims(learning.neuron_part((0,), 0.15, 0.1, 20, 20_000), 0.15))
    assert {
        "squared_is_slower_everywhere",
        "cross_entropy_steps",
        "squared_saturated_delay",
    } <= found


def test_a_neuron_that_gives_up_fails_the_claims():
    found = failing(neuron_claims(learning.neuron_part((0,), 0.15, 0.1, 5, 700), 0.15))
    assert {"squared_steps", "squared_saturated_delay"} <= found


def fit(seeds, **changed):
    return learning.overfitting_part(
        seeds, **{"n_train": 40, "width": 16, "steps": 60, "learning_rate": 0.01} | changed,
        device=CPU,
    )  # fmt: skip


def test_stacked_networks_are_those_of_single_seeds():
    both, alone = fit((3, 4)), fit((4,))
    for name in ("train", "choose", "judge"):
        np.testing.assert_allclose(
            both[f"fit/{name}_loss"][1], alone[f"fit/{name}_loss"][0], rtol=1e-4
        )


def test_networks_start_near_ten_equal_guesses_and_learn():
    arrays = fit((0,))
    assert arrays["fit/train_loss"][0, 0] == pytest.approx(math.log(10), abs=0.2)
    assert arrays["fit/train_loss"][0, -1] < 0.2
    assert arrays["fit/train_accuracy"][0, -1] == 1


def test_the_digits_to_choose_and_to_judge_are_apart(monkeypatch):
    seen = {}

    def looked(logits, labels):
        seen.setdefault(labels.shape[-1], []).append(labels)
        return F.cross_entropy(logits.movedim(-1, 1), labels, reduction="none")

    monkeypatch.setattr(learning, "_loss", looked)
    fit((0,), steps=1)
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
    assert verdicts(overfitting_claims(arrays)) == {
        "training_keeps_falling": PASS,
        "held_out_rises": FAIL,
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", 1.5),
        ("threshold", 0.5),
        ("n_train", 2000),
        ("fit_steps", 0),
        ("width", 1.5),
    ],
)
def test_a_bad_key_is_named(key, value):
    with pytest.raises(ValueError, match=rf"CrossEntropyGradients\.{key}={value}"):
        CrossEntropyGradients(**{key: value})
