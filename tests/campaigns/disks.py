"""Runs on disks that fill up or cannot be written to, and in directories that vanish.

The disk is a small file system of its own where that may be mounted; elsewhere a folder below which
writing fails as on a full one.
"""

import contextlib
import errno
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from tests.campaigns.kills import intercept
from tests.campaigns.record import Campaign, Fault
from tests.campaigns.runs import TRAININGS, difference, mount, next_command, run_warm
from tests.helpers import load_checkpoint

TRAINING = "ring wasserstein"
_SIZE = 2 << 20  # bytes of the small file system; a run needs a half


@dataclass(frozen=True)
class Full:
    """Fill the disk at one moment of the process and make room again at another.

    Attributes:
        call, path, nth: See kills.Fuse; 0 for full from the start.
        until: Regular expression of the call that finds room again; empty for none.
    """

    disk: Path
    call: str
    path: str
    nth: int
    until: str = ""

    def __call__(self) -> None:
        """Intercept the calls of this process."""
        n_calls, full, mounted = 0, self.nth == 0, os.path.ismount(self.disk)
        if full and mounted:
            fill(self.disk)

        def monitor(call: str, path: str) -> None:
            nonlocal n_calls, full
            if call == self.call and re.search(self.path, path):
                n_calls += 1
                if n_calls == self.nth:
                    full = True
                    if mounted:
                        fill(self.disk)
            elif full and self.until and re.search(self.until, path):
                full = False
                free(self.disk)
            if full and not mounted and call == "write" and path.startswith(str(self.disk)):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

        intercept(monitor)


def fill(disk: Path) -> None:
    """Fill the small file system."""
    ballast = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
    os.lseek(ballast, 0, os.SEEK_END)
    try:
        while True:
            os.pwrite(ballast, bytes(4096), os.lseek(ballast, 4096, os.SEEK_CUR) - 4096)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(ballast)


def free(disk: Path) -> None:
    """Make room again."""
    (disk / "ballast").unlink(missing_ok=True)


@dataclass(frozen=True)
class Lose:
    """Remove the run's directory at a step, or let nothing more be written to it.

    The latter is what happens where a kernel finds the disk broken.
    """

    path: Path
    nth: int
    remove: bool

    def __call__(self) -> None:
        """Intercept the calls of this process."""
        steps = 0

        def monitor(call: str, path: str) -> None:
            nonlocal steps
            steps += path == "a step"
            if self.remove and path == "a step" and steps == self.nth:
                shutil.rmtree(self.path)
            if not self.remove and steps >= self.nth and path.startswith(str(self.path)):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

        intercept(monitor)


# What stops a run: kind -> the call at which the disk is full, how often it came before.
STOPS = {
    "full at a checkpoint": ("write", r"/\.step_\d+\.pt\.", 2),
    "full at a best checkpoint": ("write", r"/\.best_\d+\.pt\.", 1),
    "full at the last checkpoint": ("write", r"/\.step_00000045\.pt\.", 1),
    "full at the last status": ("enter", "^the report$", 1),
}
# What costs records and nothing else.
COSTS = {
    "full at metrics.jsonl": ("write", r"/metrics\.jsonl$", 7),
    "full at TensorBoard's series": ("write", r"\.series$", 17),
    "full at a picture": ("write", r"/samples/", 4),
    "full at a landscape frame": ("write", r"/landscape/", 3),
}
REFUSALS = ("full before the first file", "read-only")
UNDER_WAY = ("read-only from a step on", "directory removed")
EXPECTED = (
    "At a checkpoint: the older ones stay, no torn file, one line, exit code 1, and once there is "
    "room `resume` ends as the uninterrupted run. At a record: the training goes on, one warning, "
    "and status.json says what was lost. Before the start: one line, exit code 2."
)


def campaign(
    n: int = 0,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
    kinds: Sequence[str] = (*STOPS, *COSTS, *REFUSALS, *UNDER_WAY),
) -> Campaign:
    """Try each kind once; n and seed are not used, since the cases are a list."""
    faults = []
    with mount_disk() as root, tempfile.TemporaryDirectory(prefix="gan_lab_whole_") as folder:
        whole = Path(folder) / "whole"
        assert run_warm(next_command(whole, TRAININGS[TRAINING]), Path(folder) / "log") == 0
        for kind in kinds:
            faults.append(Fault(kind, TRAINING, Case(kind, root, whole).attempt()))
            tell(f"{kind}: {faults[-1].lost or 'survived'}")
        mounted = os.path.ismount(root)
    where = "a file system of 2 MiB" if mounted else "a folder below which writing fails"
    return Campaign("disks", "Full, read-only and removed", EXPECTED, faults, {"disk": where})


@contextlib.contextmanager
def mount_disk() -> Iterator[Path]:
    """Mount a small file system, or make a folder where nothing may be mounted."""
    with tempfile.TemporaryDirectory(prefix="gan_lab_disk_") as folder:
        mounted = mount(Path(folder), f"size={_SIZE}")
        try:
            yield Path(folder)
        finally:
            if mounted:
                subprocess.run(["umount", folder], capture_output=True)


class Case:
    """One fault of the small file system at `root`; `whole` is the run that met none."""

    def __init__(self, kind: str, root: Path, whole: Path) -> None:
        self.kind, self.root, self.whole = kind, root, whole
        self.path, self.log = root / "run", whole.with_name("lines")
        self.log.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def attempt(self) -> str:
        """Return what went wrong; empty if nothing did."""
        try:
            if self.kind in STOPS:
                return self._stop(Full(self.root, *STOPS[self.kind]))
            if self.kind == "read-only from a step on":
                return self._stop(Lose(self.path, 25, remove=False))
            if self.kind in COSTS:
                return self._cost(*COSTS[self.kind])
            return self._remove() if self.kind == "directory removed" else self._refuse()
        finally:
            free(self.root)

    def _run(self, plant: Callable[[], None] | None = None) -> int:
        return run_warm(next_command(self.path, TRAININGS[TRAINING]), self.log, plant)

    def _stop(self, plant: Callable[[], None]) -> str:
        code, lines = self._run(plant), self._lines()
        free(self.root)
        leftovers = [p.name for p in self.path.rglob(".*.tmp")]
        folder = RunDir(self.path).checkpoints
        files = [*checkpoint.available(folder).values(), *checkpoint.bests(folder).values()]
        damaged = [path.name for path in files if not _loads(path)]
        errors = [line for line in lines if not line.startswith("warning: records ")]
        if code != 1 or len(errors) != 1 or leftovers or damaged:
            return f"exit code {code}, leftovers {leftovers}, damaged {damaged}, said {lines}"
        code = self._run()
        return difference(self.path, self.whole) or (f"resume: exit code {code}" if code else "")

    def _cost(self, call: str, path: str, nth: int) -> str:
        code = self._run(Full(self.root, call, path, nth, until=r"\.pt\."))
        warnings = [line for line in self._lines() if "No space" in line]
        lost = RunDir(self.path).read_status().get("lost") or {}
        if code or len(warnings) != 1 or not lost.get("writes"):
            return f"exit code {code}, lost {lost}, said {self._lines()}"
        states = [load_checkpoint(path)["state"] for path in (self.path, self.whole)]
        same = checkpoint.digest(states[0]) == checkpoint.digest(states[1])
        return "" if same else "the last checkpoint differs"

    def _refuse(self) -> str:
        plant = None
        if self.kind == "read-only":
            self.path.write_text("a file where the directory should be")
        else:
            plant = Full(self.root, "write", "", 0)
        code, lines = self._run(plant), self._lines()
        if self.kind == "read-only":
            self.path.unlink()
        free(self.root)
        if code != 2 or len(lines) != 1 or not lines[0].startswith("ConfigError: "):
            return f"exit code {code}, said {lines}"
        code = self._run()
        return difference(self.path, self.whole) or (f"then exit code {code}" if code else "")

    def _remove(self) -> str:
        code, lines = self._run(Lose(self.path, 25, remove=True)), self._lines()
        if code != 1 or self.path.exists() or "No such file" not in lines[-1]:
            return f"exit code {code}, exists {self.path.exists()}, said {lines}"
        return ""

    def _lines(self) -> list[str]:
        """The lines but for what a run shows in any case."""
        text = self.log.read_text() if self.log.exists() else ""
        usual = (
            r"step \d+|warning: the penalty|run: |picture: |next: |W1 |verdict: |modes |resuming "
        )
        return [line for line in text.splitlines() if line and not re.match(usual, line)]


def _loads(path: Path) -> bool:
    try:
        checkpoint.load(path)
    except checkpoint.CheckpointDamaged:
        return False
    return True
