"""Estimates against known W1: what is measured of them, and claims that can fail."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gan_lab.cli.reproduce import rows_of_the_registry
from gan_lab.data.funnels import Funnels
from gan_lab.experiments.claims import CHECK
from gan_lab.experiments.w1_benchmark import critics, neural, samples
from gan_lab.experiments.w1_benchmark.claims import all_claims, bound, debiased_distance, has_neural
from gan_lab.experiments.w1_benchmark.study import W1Benchmark
from gan_lab.metrics.neural_distance import NeuralDistance
from tests.experiments.helpers import failing, small_lab
from tests.helpers import CPU

PAIRS = ("2/4", "16/4", "128/4")
TRAINING = critics.Training([0, 1], CPU, 20, 32, 8, 0.01, 0.01, 256)


class TrueCritics:
    """Stands for critics: `scale` times the true potential of each pair, turned by no angle."""

    def __init__(self, pairs, scale):
        self.pairs, self.scale = pairs, scale

    def logits(self, x):
        """Return scale f(x)."""
        return torch.stack(
            [self.scale * p.potential(each) for p, each in zip(self.pairs, x, strict=True)]
        )

    def input_gradient(self, x):
        """Return scale grad f(x)."""
        each = zip(self.pairs, x, strict=True)
        return torch.stack([self.scale * p.potential_gradient(points) for p, points in each])


@pytest.mark.parametrize("scale", [1.0, -3.0])
def test_the_true_potential_is_judged_as_w1_with_slope_one_and_cosine_one(scale):
    pairs = [Funnels(8, 4, seed) for seed in (0, 1)]
    found = critics._judge(TrueCritics(pairs, scale), pairs, TRAINING, "test")
    truth = np.array([pair.wasserstein(2**14).value for pair in pairs])
    assert np.abs(found["value"] - scale * truth).max() < 4 * found["error"].max()
    np.testing.assert_allclose(found["gradient_norm"], abs(scale), rtol=1e-5)
    np.testing.assert_allclose(found["cosine"], np.sign(scale), rtol=1e-5)


def test_critics_learn_the_same_side_by_side_as_alone():
    training = replace(TRAINING, steps=3)
    kinds = ("clip", "penalty", "lipschitz")
    together = critics.critics_of_pair(kinds, 2, 4, training)
    for kind in kinds:
        alone = critics.critics_of_pair((kind,), 2, 4, training)
        assert set(alone) == {name for name in together if name.startswith(f"{kind}/")}
        for name, values in alone.items():
            np.testing.assert_array_equal(together[name], values, err_msg=name)
    assert sorted(kind for kinds in critics.TOGETHER for kind in kinds) == sorted(critics.KINDS)


def test_samples_of_a_pair_are_measured_beside_its_truth():
    found = samples.samples_of_pair(2, 4, 400, [0, 1])
    assert found["certificate"].max() < 1e-12
    assert bool((found["truth_low"] < found["truth"]).all())
    assert found["exact"] == pytest.approx(found["truth"], rel=0.2)
    assert bool((found["real"] < 0.4 * found["exact"]).all())
    assert bool((found["sliced"] < found["exact"]).all())


def test_the_batch_grows_with_the_dimension_up_to_a_factor():
    study = W1Benchmark(batch_size=100, batch_growth=8)
    assert [study.batch_of(d) for d in (2, 8, 16, 64, 128)] == [100, 100, 200, 800, 800]
    assert W1Benchmark(batch_size=100, batch_growth=1).batch_of(128) == 100


@pytest.mark.slow
def test_a_small_study_has_every_claim_picture_and_note(tmp_path):
    size = {"steps": 20, "batch_size": 32, "width": 8, "lr": 0.01, "n_judge": 256, "n_samples": 64}
    neural = {"neural_pairs": ("2/4", "16/4"), "neural_steps": 2, "neural_n": 400}
    study = W1Benchmark(PAIRS, **size, **neural)
    arrays = study.measure(small_lab(tmp_path, 2))
    claims = study.claims(arrays)
    ids = [claim.id for claim in claims]
    assert len(set(ids)) == len(ids) == 16
    checks = {"certificate", "lipschitz_is_a_lower_bound", "neural_bound_is_a_lower_bound"}
    assert {claim.id for claim in claims if claim.kind == CHECK} == checks
    passed = {claim.id for claim in claims if claim.verdict == "pass"}
    assert passed >= {*checks, "divided_value_is_a_lower_bound"}
    drawn = {"estimates", "bounds", "neural_distance", "authors", "plane"}
    assert set(study.figures(arrays)) == drawn
    assert len(study.notes(arrays)) == 7
    assert has_neural(arrays).tolist() == [True, True, False]
    assert arrays["one_sided/value"].shape == (3, 2)
    assert arrays.keys() == perfect().keys()
    assert {array.dtype.kind for array in arrays.values()} <= set("fiubU")


def perfect():
    """Return what a study measures, with every estimate right: value, slope and cosine."""
    truth = np.array([[0.9, 0.8], [2.0, 1.9], [1.1, 1.2]])
    arrays = {"pairs": np.array(PAIRS), "n_samples": np.array(64)}
    arrays |= dict.fromkeys(("samples/truth", "samples/exact", "samples/sliced"), truth)
    arrays |= {"samples/truth_low": 0.99 * truth, "samples/truth_high": 1.01 * truth}
    arrays |= {"samples/certificate": 0 * truth, "samples/sliced_real": 0 * truth}
    arrays |= {"samples/real": 0 * truth, "samples/fake": 0 * truth}
    surface = critics.plane().sum(1).numpy()
    arrays |= {
        "plane/surface": surface,
        "plane/real": np.ones((9, 2)),
        "plane/fake": np.eye(9)[:, :2],
    }
    for kind in critics.KINDS:
        arrays |= {f"{kind}/value": truth, f"{kind}/error": 0.01 * truth}
        arrays |= dict.fromkeys((f"{kind}/gradient_norm", f"{kind}/cosine"), np.ones((3, 2)))
        arrays[f"{kind}/surface"] = surface
    for name in ("bound", "value"):
        arrays |= {f"neural/{name}": truth}
        arrays |= {f"neural/{name}_low": 0.98 * truth, f"neural/{name}_high": 1.02 * truth}
    return arrays


def test_claims_of_what_is_not_w1_fail_where_all_is():
    assert failing(all_claims(perfect())) == {
        *("clip_follows_its_bound", "spectral_is_far_below", "sample_w1_is_not_w1"),
        *("sample_w1_is_its_own", "debiased_is_not_w1", "sliced_is_not_w1"),
    }


def test_claims_of_what_is_near_fail_where_it_is_not():
    bad = perfect()
    bad |= {
        "lipschitz/value": 1.05 * bad["samples/truth"],
        "one_sided/value": 1.3 * bad["samples/truth"],
        "samples/exact": 1.3 * bad["samples/truth"],
        "samples/certificate": 0.01 + bad["samples/certificate"],
    }
    assert failing(all_claims(bad)) >= {
        *("lipschitz_is_a_lower_bound", "divided_value_is_a_lower_bound", "one_sided_is_near"),
        *("sample_w1_is_near_in_the_plane", "certificate", "gradient_is_farther_than_value"),
    }
    bad["lipschitz/value"] = 0.5 * bad["samples/truth"]
    assert "lipschitz_bound_is_near" in failing(all_claims(bad))


def test_claims_of_the_neural_distance_fail_where_it_is_wrong():
    truth = perfect()["samples/truth"]
    wrong = {
        "neural_bound_is_a_lower_bound": {"neural/bound_low": 1.05 * truth},
        "neural_bound_is_near": {"neural/bound": truth * np.array([[1], [0.85], [1]])},
        "neural_bound_is_near_in_high_dimension": {
            "neural/bound": truth * np.array([[1], [1], [0.75]])
        },
        "neural_value_is_near": {"neural/value": truth * np.array([[1], [1.15], [1]])},
    }
    right = failing(all_claims(perfect()))
    assert not any(id.startswith("neural") for id in right)
    for id, arrays in wrong.items():
        assert failing(all_claims(perfect() | arrays)) - right == {id}


def test_the_neural_distance_is_claimed_of_the_pairs_where_it_was_measured_alone():
    arrays = perfect()
    for name in [name for name in arrays if name.startswith("neural/")]:
        arrays[name] = np.where([[True], [False], [False]], arrays[name], np.nan)
    claims = {claim.id: claim for claim in all_claims(arrays)}
    assert claims["neural_bound_is_near"].statement.endswith("up to 2-D")
    assert claims["neural_bound_is_near"].verdict == "pass"
    assert "neural_bound_is_near_in_high_dimension" not in claims
    old = {name: array for name, array in arrays.items() if not name.startswith("neural/")}
    assert not any(claim.id.startswith("neural") for claim in all_claims(old))
    study = W1Benchmark(PAIRS, neural_pairs=("2/4",))
    assert len(study.notes(old)) == 6  # a study from before can be drawn again
    assert "neural_distance" not in study.figures(old)


def test_the_neural_distance_of_a_pair_is_the_evaluators():
    design = NeuralDistance(2, n=400)
    found = neural.neural_distance_of_pair(2, 4, 3, design, CPU)
    pair = Funnels(2, 4, 3)
    expected = design.measure(pair.sample_uniform, pair.open(CPU))
    bound_w1 = expected["neural_distance/wasserstein"]
    value = expected["neural_distance/wasserstein_penalized"]
    assert (found["bound"], found["bound_low"]) == (bound_w1.value, bound_w1.low)
    assert (found["value"], found["value_high"]) == (value.value, value.high)


def test_each_row_of_the_registry_is_a_claim_with_its_expectation():
    rows = [row for row in rows_of_the_registry() if row.study == "w1_benchmark"]
    claims = {claim.id: claim for claim in all_claims(perfect())}
    assert {row.claim for row in rows} == claims.keys()
    for row in rows:
        claim = claims[row.claim]
        expectation = (claim.relation, claim.expected, claim.tolerance)
        assert (row.relation, row.expected, row.tolerance) == expectation, row.id


def test_a_bound_divides_by_the_largest_norm_but_for_orthonormal_layers():
    arrays = perfect()
    twice = {
        **arrays,
        **{f"{k}/gradient_norm": 2 + 0 * arrays[f"{k}/value"] for k in critics.KINDS},
    }
    for kind, factor in (("clip", 0.5), ("one_sided", 0.5), ("lipschitz", 1.0)):
        expected = factor * arrays[f"{kind}/value"] / arrays["samples/truth"]
        np.testing.assert_allclose(bound(twice, kind), expected)
    arrays |= {"samples/real": 0.2 + 0 * arrays["samples/exact"], "samples/fake": np.ones((3, 2))}
    own = (arrays["samples/real"] + arrays["samples/fake"]) / 2
    expected = (arrays["samples/exact"] - own) / arrays["samples/truth"]
    np.testing.assert_allclose(debiased_distance(arrays), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("pairs", "says"),
    [(("2/4",), "lacks 128/4"), (("2-4", "128/4"), "'2-4'"), (("1/4", "2/4"), "data.dim")],
)
def test_wrong_pairs_are_named(pairs, says):
    with pytest.raises(ValueError, match=says):
        W1Benchmark(pairs)


@pytest.mark.parametrize("pairs", [("8/4",), ("2/4", "3/4")])
def test_the_neural_distance_is_measured_on_pairs_of_the_study(pairs):
    with pytest.raises(ValueError, match="neural_pairs"):
        W1Benchmark(PAIRS, neural_pairs=pairs)
