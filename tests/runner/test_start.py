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
from gan_lab.training.run import Run
from gan_lab.cli.main import main
def first(self):
    print("HEAVY", *[name for name in {heavy!r} if name in sys.modules], flush=True)
    sys.exit(0)
Run.train_step = first
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
    command = [sys.executable, "-c", code.format(heavy=HEAVY, arguments=list(arguments))]
    checks = {"capture_output": True, "text": True, "check": False, "timeout": 120}
    done = subprocess.run(command, cwd=ROOT, env=ONE, **checks)
    lines = [line for line in done.stdout.splitlines() if line.startswith("HEAVY")]
    assert lines, done.stderr
    return set(lines[-1].split()[1:])


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["resume", "--help"]], ids=str)
def test_an_answer_of_the_shell_imports_nothing_heavy(arguments):
    assert imported(ANSWER, *arguments) == set()


def test_train_reaches_its_first_step_with_what_it_needs_alone(tmp_path):
    keys = ("trainer.steps=1", "neural_distance.steps=0", "evaluator.floor_n_repeats=2")
    keys += ("device=cpu", f"hydra.run.dir={tmp_path / 'run'}")
    modules = imported(FIRST_STEP, "train", *keys)
    assert {"torch", "hydra", "omegaconf", "numpy", "scipy", "tensorboard"} <= modules
    unwanted = {
        *("torchvision", "sklearn", "pandas", "ot", "joblib", "submitit", "plotly", "tensorflow"),
        *("matplotlib.pyplot", "torch._dynamo", "torch._inductor", "sympy"),
    }
    assert modules & unwanted == set()
