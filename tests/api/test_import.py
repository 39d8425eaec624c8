"""`import gan_lab` is lazy, cheap, and gives what its stub promises."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gan_lab
from tests.helpers import ONE, ROOT

HEAVY = ("torch", "hydra", "omegaconf", "numpy", "pandas", "matplotlib", "scipy", "rich", "yaml")
# What an issue asked for, line by line, on a run of a second.
BLOCK = """
import gan_lab

cheap = {"trainer.batch_size": 16, "neural_distance.steps": 0, "evaluator.final_n": 16}
cheap = {key.replace(".", "__"): value for key, value in cheap.items()}
run = gan_lab.train(data="ring", loss="wasserstein", steps=6, seed=0, **cheap)
samples = run.samples(64)
assert type(samples).__module__ == "numpy" and samples.shape == (64, 2)
assert not run.generator.training and not run.discriminator.training
assert run.metrics.index[-1] == 6
assert run.evaluate()["wasserstein"].n == 16
again = gan_lab.load(run.path)
assert (again.samples(64) == samples).all()
other = gan_lab.train(data="ring", loss="minimax", steps=6, seed=0, **cheap)
comparison = gan_lab.compare([run, other])
assert len(comparison.table) > 0
comparison.save("page.html")
print(gan_lab.measure(samples.repeat(4, 0), samples.repeat(4, 0), metrics="wasserstein,js"))
for step, run in gan_lab.steps(data="ring", loss="wasserstein", steps=6, **cheap):
    pass
assert step == 6
"""


def python(code, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env={**ONE, "PYTHONPATH": str(ROOT)},
        **kwargs,
    ).stdout


def test_importing_costs_next_to_nothing_and_no_library():
    # Processor time, which other processes do not add to.
    code = (
        "import sys, time\nbefore = time.process_time()\nimport gan_lab\n"
        "print(time.process_time() - before)\n"
        f"print(*({HEAVY!r} & sys.modules.keys()))".replace(repr(HEAVY), repr(set(HEAVY)))
    )
    answers = [python(code).splitlines() for _ in range(3)]
    assert min(float(seconds) for seconds, _ in answers) < 0.05
    assert [modules for _, modules in answers] == ["", "", ""]


@pytest.mark.slow
def test_the_block_of_the_readme_runs_in_a_fresh_process(tmp_path):
    printed = python(BLOCK, cwd=tmp_path)
    assert "divergence/wasserstein" in printed
    assert (tmp_path / "page.html").stat().st_size > 1e6
    homes = sorted(path.name for path in (tmp_path / "outputs/train").iterdir())
    assert homes == ["ring_minimax", "ring_wasserstein"]


def test_every_public_name_is_there_and_no_other():
    for name in gan_lab.__all__:
        assert getattr(gan_lab, name) is not None
        assert name in dir(gan_lab)
    with pytest.raises(AttributeError, match="'gan_lab' has no attribute 'trian'"):
        gan_lab.trian  # noqa: B018


def test_the_stub_has_the_names_of_the_package():
    stub = ast.parse(Path(gan_lab.__file__).with_suffix(".pyi").read_text())
    imports = [
        alias for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    assert {alias.asname for alias in imports} == set(gan_lab.__all__)
    assert all(alias.name == alias.asname for alias in imports)
