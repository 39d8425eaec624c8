"""The self-check passes, and finds an error of 10 % planted in any one estimator."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.cli import selfcheck as selfcheck_command
from gan_lab.data.toy import Gaussian1d
from gan_lab.errors import ConfigError
from gan_lab.information import closed_forms
from gan_lab.metrics import (
    diversity,
    histogram,
    kernel,
    knn,
    metrics,
    mode_coverage,
    neural_distance,
    wasserstein,
)
from gan_lab.metrics.features import frechet, kernel_distance, manifold, scores
from gan_lab.reports.plots.samples import encode_png
from gan_lab.reports.plots.style import house_style
from gan_lab.selfcheck import Case, cases, check, expectations, images
from gan_lab.selfcheck.bias import bias_cases
from gan_lab.selfcheck.page import selfcheck_page, sight
from gan_lab.selfcheck.picture import bias_figure
from gan_lab.selfcheck.samples import CPU, mixture_truth
from tests.figures import problems

CASES = cases(quick=True)


def scaled(function, factor, key=None):
    """The function with its result, or one entry of it, multiplied."""

    def planted(*args, **kwargs):
        result = function(*args, **kwargs)
        if key is None:
            return result * factor
        value = result[key]
        if isinstance(value, float):
            return {**result, key: value * factor}
        ends = {name: getattr(value, name) * factor for name in ("value", "low", "high")}
        return {**result, key: dataclasses.replace(value, **ends)}

    return planted


def plant_density(monkeypatch, factor):
    prepare = metrics.KullbackLeibler.prepare
    monkeypatch.setattr(
        metrics.KullbackLeibler,
        "prepare",
        lambda self, source: scaled(prepare(self, source), factor, "divergence/kl_fake_real"),
    )


def in_module(module, name, key=None):
    def plant(monkeypatch, factor):
        monkeypatch.setattr(module, name, scaled(getattr(module, name), factor, key))

    return plant


def in_manifold(name):
    def plant(monkeypatch, factor):
        right = manifold.manifold_metrics

        def planted(*args, **kwargs):
            result = right(*args, **kwargs)
            return dataclasses.replace(result, **{name: getattr(result, name) * factor})

        monkeypatch.setattr(manifold, "manifold_metrics", planted)

    return plant


def plant_kernel_distance(monkeypatch, factor):
    right = kernel_distance.kernel_distance

    def planted(*args, **kwargs):
        value, error = right(*args, **kwargs)
        return value * factor, error

    monkeypatch.setattr(kernel_distance, "kernel_distance", planted)


PLANTS = {
    "W1 exact": in_module(wasserstein, "exact_wasserstein"),
    "sliced W1": in_module(wasserstein, "sliced_wasserstein"),
    "KL nearest neighbours": in_module(knn, "knn_kl"),
    "KL exact density": plant_density,
    "entropy nearest neighbours": in_module(knn, "knn_entropy"),
    "JS nearest neighbours": in_module(knn, "knn_js"),
    "JS histogram": in_module(histogram, "histogram_js"),
    "energy distance": in_module(kernel, "energy_distance"),
    "MMD^2": in_module(kernel, "mmd_squared"),
    "median distance": in_module(kernel, "median_distance"),
    "pairwise distance": in_module(diversity, "mean_pairwise_distance"),
    "nearest training distance": in_module(diversity, "mean_nearest_distance"),
    "FD": in_module(frechet, "relative_frechet_distance"),
    "kernel distance": plant_kernel_distance,
    **{name: in_manifold(name) for name in ("precision", "recall", "density", "coverage")},
    "classifier score": in_module(scores, "classifier_score"),
    "modes covered": in_module(mode_coverage, "mode_statistics", "modes/covered"),
    "high quality": in_module(mode_coverage, "mode_statistics", "modes/high_quality"),
    "KL of modes": in_module(mode_coverage, "mode_statistics", "modes/kl"),
    "probe JS": in_module(neural_distance.NeuralDistance, "measure", "neural_distance/js"),
    "probe W1": in_module(neural_distance.NeuralDistance, "measure", "neural_distance/wasserstein"),
    "probe W1 penalized": in_module(
        neural_distance.NeuralDistance, "measure", "neural_distance/wasserstein_penalized"
    ),
}


def failures(rows):
    return [(r.estimator, r.case, r.seed, r.estimate, r.band) for r in rows if not r.passed]


def of(estimator):
    return [case for case in CASES if case.estimator == estimator]


def caught(estimator, seed):
    """Whether any case finds the error; the first is enough."""
    return any(failures(check([case], seed)) for case in of(estimator))


def test_every_estimator_has_a_planted_error():
    assert {case.estimator for case in CASES} == PLANTS.keys()


def test_cases_have_names_of_their_own_and_a_reason():
    names = [(case.estimator, case.name) for case in CASES]
    assert len(set(names)) == len(names)
    assert all(case.reason for case in CASES)
    assert {d for d in (1, 2, 16) if any(f"{d}-D" in name for _, name in names)} == {1, 2, 16}


@pytest.fixture
def rewind(monkeypatch):
    """Train each neural distance of a check once: after a rewind its results come again."""
    results, position = [], 0
    measure = neural_distance.NeuralDistance.measure

    def measure_once(*arguments):
        nonlocal position
        position += 1
        if position > len(results):
            results.append(measure(*arguments))
        return results[position - 1]

    def rewind():
        nonlocal position
        position = 0

    monkeypatch.setattr(neural_distance.NeuralDistance, "measure", measure_once)
    return rewind


@pytest.mark.parametrize("estimator", PLANTS)
def test_a_right_estimator_passes_and_ten_percent_are_caught(estimator, monkeypatch, rewind):
    assert failures(check(of(estimator), 0)) == []
    for factor in (0.9, 1.1):
        rewind()
        with monkeypatch.context() as patch:
            PLANTS[estimator](patch, factor)
            assert caught(estimator, 0), factor


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_full_set_passes_on_five_seeds(seed):
    assert failures(check(cases(quick=False), seed)) == []


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.9, 1.1])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("estimator", PLANTS)
def test_ten_percent_are_caught_on_five_seeds(estimator, seed, factor, monkeypatch):
    PLANTS[estimator](monkeypatch, factor)
    assert caught(estimator, seed)


@pytest.mark.slow
def test_the_bias_follows_the_expectation_up_to_4096_samples():
    rows = check(bias_cases(), 0)
    assert failures(rows) == []
    assert {row.n for row in rows} == {64, 128, 256, 512, 1024, 2048, 4096}


@pytest.fixture
def two_cases(monkeypatch):
    """The command with next to nothing to do."""
    few = [case for case in CASES if case.estimator in ("modes covered", "pairwise distance")]
    sizes = [case for case in bias_cases(quick=True) if case.estimator == "W1 exact, 1-D"]
    infinite = [case for case in CASES if math.isinf(case.truth)]
    monkeypatch.setattr(selfcheck_command.checks, "cases", lambda quick: few + infinite)
    monkeypatch.setattr(selfcheck_command, "bias_cases", lambda quick: sizes)
    spoilt = [images._row("FD", "blur", images.SEES, images.DRAWS, 0)]
    spoilt += [images._row("FD", "copies", images.BLIND, 9, 0)]
    monkeypatch.setattr(selfcheck_command, "image_rows", lambda: spoilt)


def test_the_command_prints_a_table_and_writes_json_and_a_picture(two_cases, workdir, capsys):
    assert selfcheck_command.selfcheck(["quick=true", "n_seeds=2", "output=out"]) == 0
    shown = capsys.readouterr().out
    for word in (
        "modes covered",
        "2-D collapse to a point",
        "pass 2/2",
        "n = 1024",
        "inf to inf",
        "blind 9/20",
    ):
        assert word in shown
    result = json.loads((workdir / "out/result.json").read_text(), parse_constant=pytest.fail)
    assert result["passed"] is True
    assert shown.split()[-1].endswith("out/index.html")
    assert {row["seed"] for row in result["rows"]} == {0, 1}
    infinite = next(row for row in result["rows"] if row["case"] == "2-D collapse to a point")
    assert (infinite["truth"], infinite["estimate"], infinite["bias"]) == ("inf", "inf", 0)
    keys = {"case", "estimator", "truth", "estimate", "low", "high", "n", "bias", "band", "passed"}
    assert keys <= infinite.keys()
    picture = np.asarray(Image.open(workdir / "out/figures/bias.png"))
    assert picture.std() > 5

    page = (workdir / "out/index.html").read_text()
    counts = next(line for line in shown.splitlines() if " checks: " in line)
    assert "biased as documented, 0 failed" in counts
    assert f'<span class="badge good">{counts.strip()}</span>' in page
    assert page.count("data:image/png;base64") == 1


def line(bias, expected_bias):
    """The check of an estimator of 0 that gives a constant, with next to no noise."""

    def once(generator):
        return bias + 1e-3 * float(torch.randn((), generator=generator))

    case = Case("a case", "an estimator", "nats", 0.0, expected_bias, "theory", 64, 20, once)
    return check([case], 0)[0]


@pytest.mark.parametrize(
    ("bias", "expected_bias", "verdict"),
    [
        (0.0, (0.0, 0.0), "pass"),
        (0.1, (0.1, 0.1), "biased as documented"),
        (-0.1, (-0.2, 0.0), "biased as documented"),
        (0.0, (-0.2, 0.0), "pass"),  # the bias that a theorem allows does not show
        (0.1, (0.0, 0.0), "FAIL"),
        (0.1, (-0.2, 0.0), "FAIL"),
    ],
)
def test_a_known_bias_is_called_documented_and_an_unknown_one_a_failure(
    bias, expected_bias, verdict
):
    row = line(bias, expected_bias)
    assert row.verdict == verdict
    page = selfcheck_page([row], [row], [], encode_png(np.zeros((2, 2, 3), np.uint8)))
    assert f"<td>{verdict}</td>" in page
    assert ('class="badge bad"' in page) == (verdict == "FAIL")


def test_a_cell_says_how_often():
    row = images._row("FD", "blur", images.SEES, 19, 0)
    assert (sight(row), row.verdict) == ("sees 19/20", "pass")
    row = images._row("FD", "copies", images.BLIND, 9, 0)
    assert (sight(row), row.verdict) == ("blind 9/20", "biased as documented")
    row = images._row("FD", "copies", images.BLIND, 18, 0)
    assert (sight(row), row.verdict) == ("FAIL 18/20", "FAIL")
    row = images._row("FD", "blur", images.SEES, 17, 0)
    assert (sight(row), row.verdict) == ("FAIL 17/20", "FAIL")
    picture = encode_png(np.zeros((2, 2, 3), np.uint8))
    page = selfcheck_page([], [], [], picture, [row])
    assert "<td>FAIL 17/20</td>" in page
    assert 'class="badge bad"' in page


def test_the_figure_of_bias_can_be_read():
    names = {
        "data units": ["W1 exact, 1-D", "W1 exact, 2-D"],
        "nats": ["JS histogram"] * 2,
        "1": [],
    }
    rows = [
        dataclasses.replace(line(0.1 / n, (0.1 / n,) * 2), estimator=f"{name} {i}", unit=unit, n=n)
        for unit, each in names.items()
        for i, name in enumerate(each * 3)
        for n in (64, 256, 1024, 4096)
    ]
    with house_style():
        assert problems(bias_figure(rows)) == []


def test_the_command_fails_and_names_what_is_wrong(two_cases, workdir, capsys, monkeypatch):
    PLANTS["pairwise distance"](monkeypatch, 1.1)
    assert selfcheck_command.selfcheck(["quick=true"]) == 1
    shown = capsys.readouterr().out
    assert "FAIL pairwise distance: 2-D Gaussian" in shown
    assert "FAIL modes covered" not in shown
    (result,) = (workdir / "outputs/selfcheck").glob("*/result.json")
    assert json.loads(result.read_text())["passed"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quick"], "takes key=value, got 'quick'"),
        (["quick=maybe"], "quick=maybe is neither true nor false"),
        (["n_seeds=0"], "n_seeds=0 is not a whole number >= 1"),
        (["n_seeds=1.5"], "n_seeds=1.5 is not"),
        (["seed=3"], "unknown key 'seed'; did you mean 'n_seeds'"),
        (["quick=true", "quick=true"], "quick is given twice"),
        (["output="], "output= has no value"),
        (["output=file/inside"], "file is a file"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(arguments, message, workdir):
    (workdir / "file").write_text("")
    with pytest.raises(ConfigError, match=message) as refused:
        selfcheck_command.selfcheck(arguments)
    assert "\n" not in str(refused.value)
    assert sorted(path.name for path in workdir.iterdir()) == ["file"]


def test_expectations_agree_with_closed_forms_where_both_are_known():
    # n^-1/2 sqrt(2) sqrt(2/pi) integral sqrt(F (1 - F)) for large n.
    assert expectations.wasserstein_floor(4096) * 64 == pytest.approx(1.8034, rel=0.01)
    assert expectations.mean_norm(1) == pytest.approx(math.sqrt(2 / math.pi), abs=1e-14)
    assert expectations.mean_norm(2) == pytest.approx(math.sqrt(math.pi / 2), abs=1e-14)
    folded = closed_forms.gaussians(0.0, 1.0, 1.5, 2.0).wasserstein  # E|1.5 + Z|
    assert expectations.mean_norm(1, 1.5) == pytest.approx(folded, abs=1e-12)
    assert expectations.energy(3, 0.0, 1.0) == pytest.approx(0, abs=1e-14)
    assert expectations.mmd_squared(3, 0.0, 1.0, 0.7) == pytest.approx(0, abs=1e-14)
    p, q = expectations.cells(400, 1, 1.0, 1.0)
    truth = closed_forms.smoothed_segments(1.0, 1.0).js
    assert expectations.discrete_js(p, q) == pytest.approx(truth, rel=2e-3)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert mixture_truth()["js"] == pytest.approx(0.375, abs=1e-3)


def test_the_neural_distance_does_not_stick_to_the_wrong_sign_on_a_line():
    # With a two-sided penalty these very batches left the critic at slope -1: W1 = -1.6.
    source = Gaussian1d().open(CPU)
    found = neural_distance.NeuralDistance(n=4096).measure(
        lambda n, g: Gaussian1d(3.0).sample(n, g), source
    )
    assert 2.9 < found["neural_distance/wasserstein"].value < 3.1
    assert 2.9 < found["neural_distance/wasserstein_penalized"].value < 3.3
