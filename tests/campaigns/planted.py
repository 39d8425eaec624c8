"""Bugs planted on purpose, one at a time: each has to make a test fail.

A bug of planted.yaml is a text of one file and what stands there instead, a mistake that somebody
could make. The script copies the package, plants one and runs the tests that should see it.
"""

import contextlib
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.campaigns.record import ROOT, Campaign, Fault

_COPIES = ("gan_lab", "conf", "tests")
_FAILURE = re.compile(r"^FAILED (\S+?::\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Bug:
    """A mistake of one line.

    Attributes:
        area: The row of the table that it belongs to.
        bug: What is wrong, in a few words.
        file: Relative to the repository.
        old: What stands there, once.
        new: What is planted in its place.
        tests: Files, or tests of a file, that should see it.
    """

    area: str
    bug: str
    file: str
    old: str
    new: str
    tests: Sequence[str]

    def plant(self, text: str) -> str:
        """Return the text of its file with the bug in it.

        Raises:
            LookupError: What it changes does not stand there once.
        """
        if (n := text.count(self.old)) != 1:
            raise LookupError(
                f"{self.bug!r} changes {self.old!r}, which stands {n} times in {self.file}; bring "
                "planted.yaml up to date"
            )
        return text.replace(self.old, self.new)


def bugs() -> list[Bug]:
    """Return all bugs of planted.yaml, in its order."""
    text = (Path(__file__).parent / "planted.yaml").read_text()
    return [Bug(**each) for each in yaml.safe_load(text)]


def campaign(
    n: int | None = None, seed: int = 0, tell: Callable[[str], None] = lambda line: None
) -> Campaign:
    """Plant n bugs, or all, and run the tests of each.

    Raises:
        RuntimeError: A test fails without a bug, or pytest cannot run.
        LookupError: The line of a bug is no longer there.
    """
    chosen = bugs()
    if n is not None and n < len(chosen):
        indices = sorted(random.Random(seed).sample(range(len(chosen)), n))
        chosen = [chosen[index] for index in indices]
    for bug in chosen:  # before the tests, which take minutes
        bug.plant((ROOT / bug.file).read_text(encoding="utf-8"))
    faults, rows = [], []
    with copy_of_package() as root, Suite(root) as suite:
        if failure := suite.first_failure(list(dict.fromkeys(t for b in chosen for t in b.tests))):
            raise RuntimeError(f"{failure} fails without a bug; mend it before bugs are planted")
        for bug in chosen:
            with planted(bug, root):
                test = suite.first_failure(bug.tests)
            lost = "" if test else f"no test of {', '.join(bug.tests)} fails"
            faults.append(Fault(bug.area, bug.bug, lost))
            rows.append({"bug": bug.bug, "file": bug.file, "seen by": test})
            tell(f"{bug.bug}: {lost or test}")
    return Campaign(
        name="planted",
        title="Bugs planted in the code",
        expected=(
            "Each is a mistake of one line, planted alone in a copy of the package. It is survived "
            "where a test fails, and lost where none does"
        ),
        faults=faults,
        measured={"Each bug and the first test that fails": rows},
    )


@contextlib.contextmanager
def copy_of_package() -> Iterator[Path]:
    """Copy the package, its configuration and its tests to a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in _COPIES:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", root)
        yield root


@contextlib.contextmanager
def planted(bug: Bug, root: Path) -> Iterator[None]:
    """Plant a bug in a copy of the package within the block."""
    path = root / bug.file
    text = path.read_text(encoding="utf-8")
    _write(path, bug.plant(text))
    try:
        yield
    finally:
        _write(path, text)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    # Python knows it by its second and size, which may be those of the other text.
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


class Suite:
    """Runs tests of a copy of the package; a context manager, whose process ends with it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaigns.pytest_forks"],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Suite":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def first_failure(self, tests: Sequence[str]) -> str:
        """Run some tests until one fails; return it, empty if all pass.

        Raises:
            RuntimeError: They cannot be run, which says nothing of a bug.
        """
        output = self._root / "output.txt"
        options = ("-x", "-q", "--tb=no", "-rf", "-p", "no:cacheprovider")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([str(output), *options, *tests]), file=self._process.stdin, flush=True)
        code, text = self._process.stdout.readline().strip(), output.read_text()
        if code == "0":
            return ""
        match = _FAILURE.search(text)
        if code != "1" or match is None:
            raise RuntimeError(f"pytest {' '.join(tests)} ended with {code}:\n{text[-4000:]}")
        return match[1]
