"""Any configuration either trains two finite steps or is refused in one line, writing nothing."""

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gan_lab.training import memory
from tests.campaigns import fuzz

# Configurations that once ended in another way, without what was beside the point.
FOUND = [
    ["optim._target_=..optim"],
    [""],
    ["data=ring", "data.std=1e300"],
    ["data=ring", "data.radius=1e308"],
    ["data=digits", "data.split_seed=18446744073709551616"],
    ["+loss@foo=minimax"],
    ["hydra.run.dir='a\0b'"],
    ["hydra.run.dir=" + "d" * 300],
    ["n_seeds=1000000000000000"],
    ["network.depth=1000000"],
    ["data=ring", "data.n_modes=1000000000"],
    ["evaluator.n=1000000000"],
    ["trainer.n_preview=1000000000"],
    ["loss=../loss/minimax"],
    ["+hydra.foo=1"],
    ["data=two_moons", "metrics=[kl]", "evaluator.n=4"],
    ["data=two_moons", "metrics=[js]", "metrics.js.k=40", "evaluator.final_n=20"],
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    path = tmp_path_factory.mktemp("materials")
    fuzz.write_materials(path)
    return path


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10**9)


@pytest.mark.parametrize("words", FOUND, ids=[ascii(" ".join(w))[:60] for w in FOUND])
def test_what_was_found_once_is_refused(words, home, workdir):
    assert fuzz.attempt(words, home) == ("refused", "")


def test_a_picture_may_show_no_sample_at_all(home, workdir):
    """Of a generator whose samples all lie outside of it."""
    words = ["data=gaussian_1d", "data.std=0.003", "trainer.steps=2", "trainer.image_every=2"]
    words += ["network.width=8", "neural_distance.steps=0", "metrics=[]", "device=cpu"]
    assert fuzz.attempt(words, home) == ("trained", "")


def any_configuration_trains_or_is_refused(random, home):
    kind, wrong = fuzz.attempt(fuzz.overrides(random), home)
    assert (kind != "fault", wrong) == (True, "")


SPACE = st.randoms(use_true_random=False)
CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@given(random=SPACE)
def test_any_configuration_trains_two_finite_steps_or_is_refused(random, home, workdir):
    any_configuration_trains_or_is_refused(random, home)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=CHECKS)
@given(random=SPACE)
def test_a_search_finds_none_that_does_neither(random, home, workdir):
    any_configuration_trains_or_is_refused(random, home)


@pytest.mark.slow
def test_two_thousand_configurations_train_or_are_refused():
    done = fuzz.campaign()
    assert len(done.faults) == 2000
    assert done.lost == []
    assert done.measured["trained"] > 500  # else hardly anything was tried


def test_a_configuration_is_made_again_by_its_seed_and_index():
    assert fuzz.configuration(3, 17) == fuzz.configuration(3, 17)
    assert len({tuple(fuzz.configuration(3, index)) for index in range(50)}) == 50


def misbehave(seed, index, home):
    """Stands for a configuration: some crash, hang or fail."""
    if index == 1:
        os._exit(3)
    if index == 2:
        time.sleep(300)
    return ("fault", "wrong") if index == 3 else ("trained", "")


@pytest.mark.slow
def test_a_worker_that_crashes_or_hangs_is_a_fault_and_is_replaced(workdir):
    done = fuzz.campaign(6, 0, run=misbehave, limit=5)
    ends = ["", "the worker ended with 3", "hung: the worker was killed", "wrong", "", ""]
    assert [fault.lost.split(" after")[0] for fault in done.faults] == ends
    assert (done.measured["trained"], done.measured["fault"]) == (3, 3)


@pytest.mark.parametrize(
    ("code", "said", "kind", "wrong"),
    [
        (2, "ConfigError: optim.lr=-1 is not a number\n", "refused", "wrote"),
        (2, "ConfigError: one\nConfigError: two\n", "fault", "in other words"),
        (2, "no\n", "fault", "in other words"),
        (1, "RunDiverged: loss/generator is nan\n", "diverged", ""),
        (1, "OSError: no space\n", "fault", "exit code 1"),
        (1, "Traceback (most recent call last)\nKeyError: 3\n", "fault", "a traceback: KeyError"),
        (0, "", "trained", "loss/generator is nan"),
        (0, "noise\n", "fault", "exit code 0"),
    ],
)
def test_every_other_end_is_a_fault(code, said, kind, wrong, tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss/generator": "nan"}\n')
    outcome = fuzz.judge(code, said, tmp_path, {tmp_path / "metrics.jsonl"})
    assert outcome[0] == kind
    assert wrong in outcome[1]
