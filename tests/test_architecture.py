"""The layers of the design: imports go down, or stay in a layer along an arrow that is named here.

L4 shell     argv, Hydra, exit codes
L3 programs  what a person runs
L2 engine    mutation, devices, files
L1 parts     data, networks, the game, the ruler, randomness
L0 maths     torch only, nothing of gan_lab
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gan_lab"
# A unit is a module or a sub-package directly under gan_lab.
LAYERS = {
    0: {"checks", "errors", "information", "losses", "regularizers"},
    1: {
        *("data", "networks", "estimators", "streams", "schedule", "settings", "game", "optim"),
        *("events", "arithmetic", "matmul", "perceptron"),
    },
    2: {
        *("state", "gradients", "by_hand", "step", "build"),
        *("cuda_graph", "memory"),
        "execution",
        "governor",
        "distributed",
        *("checkpoint", "content", "provenance"),
        *("named", "reading"),
        "accumulator",
        "board",
        *("recording", "status"),
        "run_dir",
        "signals",
        "progress",
    },
    3: {
        *("run", "setup"),
        "journal",
        *("dropped", "evaluation"),
        "light",
        *("best", "clocks", "pacing", "postmortem"),
        "trainer",
        "session",
        "fork",
        "probe",
        "experiments",
        "reports",
        "reproduce",
        "selfcheck",
    },
    4: {
        *("config", "stored", "commands", "divergence_command", "evaluate_command"),
        *("selfcheck_command", "experiment_command", "reproduce_command", "hydra_shell", "cli"),
        *("compare_command", "dashboard_command", "fork_command", "sample_command", "sweep"),
        "resolvers",
        "__main__",
    },
}
LEVEL = {unit: level for level, units in LAYERS.items() for unit in units}
# Who may import whom within a layer; a new arrow is a decision, so it is written down here.
ARROWS = {
    "game": {"arithmetic", "networks"},
    "perceptron": {"matmul", "networks"},
    "gradients": {"distributed", "state"},
    "by_hand": {"gradients", "state"},
    "build": {*("by_hand", "cuda_graph", "distributed", "execution"), "gradients", "state", "step"},
    "optim": {"schedule"},
    "settings": {"schedule"},
    "streams": {"data", "schedule"},
    "estimators": {"data", "streams"},
    "cuda_graph": {"gradients", "state", "step"},
    "step": {"gradients", "state"},
    "memory": {"step"},
    "accumulator": {"distributed"},
    "checkpoint": {"content", "run_dir"},
    "provenance": {"checkpoint"},
    "board": {"run_dir"},
    "recording": {"board", "reading", "run_dir"},
    "status": {"progress", "recording", "run_dir"},
    "run_dir": {"reading"},
    "setup": {"probe", "run"},
    "light": {"setup"},
    "evaluation": {"setup"},
    "best": {"evaluation", "setup"},
    "clocks": {"setup"},
    "journal": {"dropped", "evaluation", "light", "reports", "setup"},
    "pacing": {"setup"},
    "postmortem": {"evaluation", "setup"},
    "trainer": {
        *("best", "clocks", "dropped", "evaluation", "journal", "pacing", "postmortem", "setup"),
    },
    "session": {"clocks", "setup", "trainer"},
    "fork": {"clocks", "session", "setup"},
    "fork_command": {"commands", "config", "stored"},
    "compare_command": {"stored"},
    "sample_command": {"stored"},
    "experiments": {"journal", "probe", "reports", "session", "setup", "trainer"},
    "reproduce": {"experiments", "reports", "session", "setup", "trainer"},
    "selfcheck": {"probe", "reports"},
    "__main__": {"cli"},
    "cli": {
        *("commands", "divergence_command", "evaluate_command", "experiment_command"),
        *("reproduce_command", "selfcheck_command"),
        *("compare_command", "dashboard_command", "fork_command", "sample_command"),
    },
    "evaluate_command": {"stored"},
    "config": {"resolvers"},
    "stored": {"config"},
    "commands": {"config", "hydra_shell", "resolvers", "stored", "sweep"},
    "experiment_command": {"config", "hydra_shell", "stored"},
    "hydra_shell": {"config"},
    "sweep": {"hydra_shell"},
    "reproduce_command": {"config", "experiment_command"},
}
FREE = {"__init__", "errors", "checks"}  # the version, errors and argument checks: open to all
MAX_LINES = 300

FILES = sorted(PACKAGE.rglob("*.py"))


def unit_of(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path):
    """The modules of gan_lab that a file imports anywhere in it, as dotted names below gan_lab."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "gan_lab"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            if node.module == "gan_lab":
                found |= {f"gan_lab.{alias.name}" for alias in node.names}
            elif node.module and node.module.split(".")[0] == "gan_lab":
                found.add(node.module)
    names = {name.removeprefix("gan_lab").removeprefix(".") or "__init__" for name in found}
    return {"__init__" if name.startswith("__version__") else name for name in names}


def edges():
    """(file, importing unit, imported unit) for all that crosses units."""
    for path in FILES:
        ours = unit_of(path)
        for name in imports(path):
            theirs = name.split(".")[0]
            if theirs != ours and theirs not in FREE:
                yield path.relative_to(PACKAGE).as_posix(), ours, theirs


def reachable(start):
    """All units that a unit imports, directly or through others."""
    graph = {}
    for _, ours, theirs in edges():
        graph.setdefault(ours, set()).add(theirs)
    seen, todo = set(), [start]
    while todo:
        for unit in graph.get(todo.pop(), set()) - seen:
            seen.add(unit)
            todo.append(unit)
    return seen


def test_the_tree_was_found():
    assert len(FILES) > 30
    assert {"losses", "regularizers", "game", "step", "trainer"} <= {unit_of(p) for p in FILES}
    assert ("game.py", "game", "losses") in set(edges())


def test_every_module_has_a_layer():
    units = {unit_of(path) for path in FILES} - {"__init__"}
    missing = sorted(units - LEVEL.keys())
    assert missing == [], f"give {missing} a layer in {__file__}, as DESIGN section 3 has it"


def test_imports_go_down_or_along_a_named_arrow():
    wrong = [
        f"{path} (L{LEVEL[ours]}) imports {theirs} (L{LEVEL[theirs]})"
        for path, ours, theirs in edges()
        if ours in LEVEL
        and theirs in LEVEL
        and (
            LEVEL[theirs] > LEVEL[ours]
            or (LEVEL[theirs] == LEVEL[ours] and theirs not in ARROWS.get(ours, set()))
        )
    ]
    assert wrong == []


def test_arrows_stay_in_their_layer_and_close_no_circle():
    for ours, targets in ARROWS.items():
        assert {LEVEL[theirs] for theirs in targets} == {LEVEL[ours]}, ours
    left = dict(ARROWS)
    while left:
        ready = [unit for unit, targets in left.items() if not (targets & left.keys())]
        assert ready, f"a circle among {sorted(left)}"
        for unit in ready:
            del left[unit]


@pytest.mark.parametrize("unit", ["information", "losses", "regularizers"])
def test_the_maths_imports_nothing_of_gan_lab_but_itself(unit):
    for path in (PACKAGE / unit).glob("*.py"):
        for name in imports(path):
            assert name.split(".")[0] in {unit, "errors", "checks"}, (
                f"{path.name} imports gan_lab.{name}"
            )


@pytest.mark.parametrize("path", sorted((PACKAGE / "losses").glob("*.py")), ids=lambda p: p.stem)
def test_a_loss_imports_no_other_loss(path):
    if path.stem not in ("__init__", "base"):
        assert imports(path) <= {"losses.base", "errors"}


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "regularizers").glob("*.py")), ids=lambda p: p.stem
)
def test_a_regularizer_imports_no_other_regularizer(path):
    if path.stem not in ("__init__", "base"):
        assert imports(path) <= {"regularizers.base", "errors", "checks"}


def test_estimators_never_import_a_loss_or_the_game():
    # That is what keeps runs of different losses comparable. Not even through another module.
    assert reachable("estimators") & {"losses", "regularizers", "game", "step", "state"} == set()


def test_reports_never_import_what_trains():
    # A picture can be redone from disk.
    assert reachable("reports") & {"trainer", "setup", "journal", "session", "step"} == set()


def test_only_the_shell_knows_hydra():
    shell = LAYERS[4]
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            tops = {name.split(".")[0] for name in names}
            if "hydra" in tops:
                assert unit_of(path) in shell, f"{path.name} imports hydra"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_no_file_is_longer_than_a_person_reads_at_once(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_code_is_ascii(path):
    assert path.read_text(encoding="utf-8").isascii()


def test_nothing_in_a_step_prints_or_asks_for_a_tensors_value():
    for name in ("game.py", "step.py", "state.py", "losses", "regularizers"):
        root = PACKAGE / name
        for path in [root] if root.is_file() else sorted(root.glob("*.py")):
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
        cwd=PACKAGE.parent,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        check=True,
        timeout=60,
    )
    assert done.stderr.splitlines()[-1] == "[]"
    assert done.stdout or arguments == ["trian"]
