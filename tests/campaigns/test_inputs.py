"""The table of bad input: each case is answered in one line, and nothing is written."""

import re

import pytest

from gan_lab.training.validate import warnings
from tests.campaigns import inputs
from tests.campaigns.inputs import CASES, Case
from tests.helpers import run_config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that nobody changes."""
    return inputs.train_whole(tmp_path_factory.mktemp("finished") / "run")


def test_the_table_covers_every_kind_and_command():
    assert len(CASES) >= 250
    commands = {"resume", "sample", "evaluate", "compare", "dashboard", "fork", "experiment"}
    commands |= {"reproduce", "divergence", "selfcheck"}
    kinds = {case.kind for case in CASES}
    assert kinds >= commands | {"key", "choice", "value", "size", "combination", "file"}
    assert kinds >= {"directory", "deletion", "class", "grammar", "sweep", "environment"}


PARAMETERS = [
    pytest.param(case, id=ascii(case.name)[:60], marks=[pytest.mark.slow] if case.slow else [])
    for case in CASES
]


@pytest.mark.parametrize("case", PARAMETERS)
def test_bad_input_is_refused_and_writes_nothing_and_odd_surroundings_change_no_number(
    case, run, workdir
):
    assert inputs.check_case(case, run) == ""


SLOW_PLACES = [pytest.param(name, marks=pytest.mark.slow) for name in inputs.PLACES[:-1]]


@pytest.mark.parametrize("name", ["-dash", inputs.PLACES[-1], *SLOW_PLACES])
def test_a_run_lives_in_a_directory_of_any_name(name, workdir):
    assert inputs.check_place(name) == ""


def test_processes_of_their_own_are_few():
    assert sum(case.apart and not case.slow for case in CASES) < 10


@pytest.mark.parametrize(
    ("case", "answer"),
    [
        (Case("", ["train", "optim.lr=-1"], "optim.lr=-2"), "did not say"),
        (Case("", ["--version"], ""), "exit code 0"),
        (Case("", inputs.SHORT, ""), "wrote"),
        (Case("", inputs.SHORT, "", works=True), "other numbers"),
        (Case("", ["trian"], "", works=True), "exit code 2"),
    ],
)
def test_another_answer_is_noticed(case, answer, run, workdir):
    assert answer in inputs.check_case(case, run)


def test_a_traceback_is_noticed(run, workdir, monkeypatch):
    monkeypatch.setattr("gan_lab.cli.main.main", lambda words: {}["key"])
    assert "KeyError: 'key' (test_inputs.py" in inputs.check_case(Case("", ["train"], ""), run)


WARNINGS = {
    "loss=wasserstein regularizer=[spectral_norm]": "spectral_norm alone barely moves",
    "loss=wasserstein regularizer=none": "without a regularizer that bounds",
    "loss=wasserstein regularizer=[instance_noise]": "without a regularizer that bounds",
    "regularizer=[weight_clipping]": "weight_clipping with momentum is unstable",
    "regularizer=[weight_clipping] optim=sgd optim.momentum=0.5": "with momentum",
    "loss=wasserstein": "",
    "loss=hinge regularizer=[spectral_norm]": "",
    "loss=wasserstein_clip": "",
    "regularizer=[weight_clipping] optim=adam optim.betas=[0,0.9]": "",
}


@pytest.mark.parametrize(("choice", "answer"), WARNINGS.items(), ids=list(WARNINGS))
def test_what_will_go_wrong_and_nothing_else_is_warned_of_in_one_sentence(choice, answer):
    sentences = warnings(run_config(*inputs.RING, *choice.split()))
    assert len(sentences) == bool(answer)
    for warning in sentences:
        assert answer in warning
        assert re.search(r"; (add|scale|prefer) ", warning)
