"""The rooms of the package: import-linter keeps them, by its contracts in pyproject.toml."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gan_lab"
FILES = sorted(PACKAGE.rglob("*.py"))
LINTER = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def contracts(root):
    """Whether the contracts hold below a root, and what the linter says."""
    done = subprocess.run(
        [sys.executable, "-c", LINTER, "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode == 0, done.stdout + done.stderr


def test_rooms_import_downwards_only_and_close_no_circle():
    kept, output = contracts(ROOT)
    assert kept, output


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("engine/rng.py", "from gan_lab.training import loop"),  # upwards
        ("metrics/knn.py", "from gan_lab.losses import Minimax"),  # a metric that sees a loss
        ("losses/hinge.py", "from gan_lab.losses import cross_entropy"),
        ("runs/run_dir.py", "from gan_lab.engine import rng"),  # two rooms of one floor
        ("data/base.py", "from gan_lab.data import toy"),  # a circle
        ("reports/analysis/load.py", "import hydra"),
    ],
)
def test_a_forbidden_import_is_found(file, line, tmp_path):
    ignored = shutil.ignore_patterns("__pycache__", "assets")
    shutil.copytree(PACKAGE, tmp_path / "gan_lab", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = tmp_path / "gan_lab" / file
    planted.write_text(planted.read_text() + f"\n{line}\n")
    kept, output = contracts(tmp_path)
    assert not kept
    assert "BROKEN" in output


def test_eight_files_at_most_stand_outside_of_the_rooms():
    assert len(list(PACKAGE.glob("*.py"))) <= 8


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_code_is_ascii(path):
    assert path.read_text(encoding="utf-8").isascii()


def test_nothing_in_a_step_prints_or_asks_for_a_tensors_value():
    engine = [PACKAGE / "engine" / f"{name}.py" for name in ("objective", "step", "state")]
    rooms = [*(PACKAGE / "losses").glob("*.py"), *(PACKAGE / "regularizers").glob("*.py")]
    for path in [*engine, *rooms]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                assert called not in {"item", "print", "nan_to_num", "tolist"}, path.name


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], [], ["trian"]], ids=str)
def test_the_shell_answers_without_torch_or_hydra(arguments):
    code = (
        "import sys\n"
        "from gan_lab.cli.main import main\n"
        f"main({arguments!r})\n"
        "heavy = {'torch', 'hydra', 'omegaconf', 'numpy', 'matplotlib', 'scipy', 'sklearn'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=60,
    )
    assert done.stderr.splitlines()[-1] == "[]"
    assert done.stdout or arguments == ["trian"]
