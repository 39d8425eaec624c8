"""What a command imports before it does its work: seconds of every start, so not by accident."""

import subprocess
import sys

import pytest

from tests.helpers import ONE, ROOT

# Imported, printed where `mark()` is called, and only those of interest.
HEAVY = (
    *("torch", "torchvision", "torch._dynamo", "torch._inductor", "sympy", "triton"),
    *("sklearn", "pandas", "scipy", "scipy.optimize", "scipy.stats", "ot", "joblib", "submitit"),
    *("matplotlib", "matplotlib.pyplot", "plotly", "PIL", "tensorboard", "tensorflow"),
    *("hydra", "omegaconf", "rich", "numpy", "yaml"),
)
FIRST_STEP = """
import sys
from gan_lab.training.loop import Trainer
from gan_lab.cli.main import main
step = Trainer._step
def first(self):
    print("HEAVY", *[name for name in {heavy!r} if name in sys.modules], flush=True)
    sys.exit(0)
Trainer._step = first
main({arguments!r})
"""
ANSWER = """
import sys
from gan_lab.cli.main import main
main({arguments!r})
print("HEAVY", *[name for name in {heavy!r} if name in sys.modules])
"""


def imported(code, *arguments):
    """Which of the heavy modules a process has at the end of its code."""
    program = code.format(heavy=HEAVY, arguments=list(arguments))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=ONE,
        check=False,
        timeout=120,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("HEAVY")]
    assert lines, done.stderr
    return set(lines[-1].split()[1:])


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["resume", "--help"]], ids=str)
def test_an_answer_of_the_shell_imports_nothing_heavy(arguments):
    assert imported(ANSWER, *arguments) == set()


@pytest.fixture(scope="module")
def at_first_step(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "run"
    keys = (
        "trainer.steps=1",
        "neural_distance.steps=0",
        "evaluator.floor_n_repeats=2",
        "device=cpu",
    )
    return imported(FIRST_STEP, "train", *keys, f"hydra.run.dir={path}")


@pytest.mark.parametrize(
    "module",
    [
        *("torchvision", "sklearn", "pandas", "ot", "joblib", "submitit", "plotly", "tensorflow"),
        *("matplotlib.pyplot", "torch._dynamo", "torch._inductor", "sympy"),
    ],
)
def test_train_reaches_its_first_step_without(at_first_step, module):
    assert module not in at_first_step


def test_train_reaches_its_first_step_with_what_it_needs(at_first_step):
    assert {"torch", "hydra", "omegaconf", "numpy", "scipy", "tensorboard"} <= at_first_step
