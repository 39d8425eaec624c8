"""Bad input: what a user may type, hand over or have around, and the one line that answers it.

The cases are data, in inputs.yaml. Each ends with exit code 2 and a line that begins with
ConfigError, before anything is written, or, where the surroundings are odd but do no harm, with the
numbers that a run has anywhere.
"""

import contextlib
import io
import os
import re
import resource
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR
from types import FrameType
from typing import Any
from unittest import mock

import numpy as np
import torch
import yaml
from PIL import Image

import gan_lab
from tests.campaigns.record import ROOT, Campaign, Fault
from tests.campaigns.runs import mount, run_here
from tests.helpers import CHEAP, RING, rows

LIMIT = 20  # seconds of one case on a core

SHORT = ("train", "trainer.steps=2", *RING)
WHOLE = ("train", "trainer.steps=4", *RING)  # the command line of RUN
ON = ("train", "trainer.steps=2", "network=mlp", "network.width=8", *CHEAP)
CONV = ("train", "trainer.steps=2", "data=digits", "network=conv", "network.width=4", *CHEAP)
COMMANDS = ("resume", "sample", "evaluate", "fork")  # what opens a run directory
WORDS = {
    "SHORT": SHORT,
    "WHOLE": WHOLE,
    "SWEEP": ("train", "-m", *SHORT[1:]),
    "ON": ON,
    "CONV": CONV,
    "IMAGES": (*ON, "data=image_array", "data.path=x.npy"),
    "MEDMNIST": (*ON, "data=image_array", "data.path=x.npz"),
    "ARRAY": (*ON, "data=array", "data.path=x.npy"),
    "CSV": (*ON, "data=array", "data.path=x.csv"),
    "FOLDER": (*ON, "data=image_folder", "data.root=pictures", "data.size=8"),
}


@dataclass(frozen=True)
class Case:
    """One bad input, or surroundings in which everything has to work.

    Attributes:
        kind: What is bad: config, choice, data, file, directory, environment, command, sweep, ...
        answer: A part of the line on stderr.
        label: The option of the table that prepares the working directory, for the name.
        prepare: Makes what has to be in the working directory; may return what undoes it.
        environment: Variables that are set (or, with None, are not).
        apart: Whether it needs a process of its own: what counts is read when that begins.
        streams: Where such a process has its streams: number -> a file, or None if it is closed.
        begins: Whether a run directory may stay, of a run that has not made a step.
        works: Whether it is no mistake: `train`, whose numbers have to be those of RUN.
        slow: Whether it is left to the slow tests, as a variant of another case.
    """

    kind: str
    words: Sequence[str]
    answer: str
    label: str = ""
    prepare: Callable[[Path], object] = lambda directory: None
    environment: Mapping[str, str | None] = field(default_factory=dict)
    apart: bool = False
    streams: Mapping[int, str | None] = field(default_factory=dict)
    begins: bool = False
    works: bool = False
    slow: bool = False

    @property
    def name(self) -> str:
        """A short name: what is typed beside the usual, and what is around."""
        typed = [word for word in self.words if word not in {*SHORT[1:], *WHOLE[1:]}]
        around = [f"{key}={value}" for key, value in self.environment.items()]
        around += [f"{number}>{target or '&-'}" for number, target in self.streams.items()]
        return " ".join(filter(None, (*around, *typed, self.label and f"({self.label})")))[:90]


def load_cases() -> list[Case]:
    """Return the cases of inputs.yaml."""
    table = yaml.safe_load(Path(__file__).with_name("inputs.yaml").read_text(encoding="utf-8"))
    return [case for kind, entries in table.items() for e in entries for case in _cases(kind, *e)]


def _cases(
    kind: str, line: str | list[str], answer: str, options: Mapping[str, Any] | None = None
) -> Iterator[Case]:
    """Yield the cases of one entry: one for each command, or each variable, where it says so."""
    keys = {**(options or {})}
    label, prepare = _preparation(keys)
    if kind == "surroundings":
        label, prepare = "file", PREPARATIONS["file"]
        keys |= {"apart": True, "works": True}
    first, *rest = map(expand, line.split() if isinstance(line, str) else line)
    environment = keys.pop("environment", {})
    each = keys.pop("each", False)
    for command in COMMANDS if first == "COMMAND" else (first,):
        words = (*WORDS.get(command, (command,)), *rest)
        for around in [{k: v} for k, v in environment.items()] if each else [environment]:
            name = command if first == "COMMAND" else kind
            yield Case(name, words, answer, label, prepare, around, **keys)


def expand(text: str) -> str:
    """Write out repetitions: `<ab*3>` is ababab."""
    while (repeated := re.sub(r"<([^<>]*)\*(\d+)>", lambda m: m[1] * int(m[2]), text)) != text:
        text = repeated
    return text


def _preparation(keys: dict[str, Any]) -> tuple[str, Callable[[Path], object]]:
    """Take the options that prepare a directory out of `keys`; return their name and function."""
    if name := keys.pop("prepare", None):
        return name, PREPARATIONS[name]
    if name := keys.pop("array", None):
        return name, lambda directory: np.save(directory / "x.npy", ARRAYS[name])
    if (names := keys.pop("arrays", None)) is not None:  # of an .npz
        arrays = {name: ARRAYS[array] for name, array in names.items()}
        return str(names), lambda directory: np.savez(directory / "x.npz", **arrays)
    if files := keys.pop("files", None):
        return ", ".join(files), lambda directory: _write(directory, files)
    return "", lambda directory: None


def _write(directory: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(expand(content).encode("latin-1"))


# Preparations of a directory


def read_only(directory: Path) -> Callable[[], object]:
    """Make a folder where nobody may write: a mount, or by permissions where none is allowed."""
    there = directory / "there"
    there.mkdir()
    if mount(there, "ro"):
        return lambda: subprocess.run(["umount", str(there)], check=True)
    if os.geteuid() == 0:  # permissions do not stop root
        there.rmdir()
        there.symlink_to("/proc")
    else:
        there.chmod(0o555)
    return lambda: None


def read_only_outputs(directory: Path) -> Callable[[], object]:
    """Make the folder that runs go to by default read-only."""
    (directory / "outputs").symlink_to("there")
    return read_only(directory)


def no_room(directory: Path) -> Callable[[], object]:
    """Mount a disk without a free byte; where that is not allowed, limit a file to one byte."""
    (directory / "there").mkdir()
    if mount(directory / "there", "size=64k"):
        with contextlib.suppress(OSError), open(directory / "there" / "ballast", "wb", 0) as file:
            while True:
                file.write(bytes(4096))
        return lambda: subprocess.run(["umount", str(directory / "there")], check=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)


def huge_array(directory: Path) -> None:
    """Write a header that promises an array of 8 TB."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 1), }"
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    (directory / "x.npy").write_bytes(content)


def pickle_in_npz(directory: Path) -> None:
    """Write an archive whose array is a pickle that runs a program."""
    with zipfile.ZipFile(directory / "x.npz", "w") as archive:
        archive.writestr("x.npy", b"cos\nsystem\n(S'touch hacked'\ntR.")


def yaml_bomb(directory: Path) -> None:
    """Write a configuration of 9^8 entries by aliases."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    _write(directory, {"run/config.yaml": "\n".join(lines)})


def images(directory: Path, n: int = 100) -> Path:
    """Write n images of 8 x 8; return the path of the 51st."""
    home = directory / "pictures"
    home.mkdir()
    for i in range(n):
        Image.new("L", (8, 8), i % 256).save(home / f"{i:03d}.png")
    return home / "050.png"


def truncated_image(directory: Path) -> None:
    """Cut one of a hundred images in the middle."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    cut = images(directory)
    Image.fromarray(noise).save(cut)
    cut.write_bytes(cut.read_bytes()[:700])


def deep_image(directory: Path) -> None:
    """Give one of a hundred images 16 bits."""
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(images(directory))


def dead_link(directory: Path) -> None:
    """Replace one of a hundred images by a link to nothing."""
    path = images(directory)
    path.unlink()
    path.symlink_to("nowhere")


PREPARATIONS: dict[str, Callable[[Path], object]] = {
    "empty": lambda directory: (directory / "an_empty_directory").mkdir(),
    "file": lambda directory: (directory / "a_file").write_text("x"),
    "few_images": lambda directory: images(directory, 25),  # fewer than the evaluator needs
    "one_image": lambda directory: images(directory, 1),
    "empty_image": lambda directory: images(directory).write_bytes(b""),
    "text_as_image": lambda directory: images(directory).write_text("Dear Sir or Madam"),
    **{function.__name__: function for function in (read_only, read_only_outputs, no_room)},
    **{function.__name__: function for function in (huge_array, pickle_in_npz, yaml_bomb)},
    **{function.__name__: function for function in (truncated_image, deep_image, dead_link)},
}


POINTS = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
BYTES = np.zeros((300, 1, 8, 8), dtype=np.uint8)


def _with(values: np.ndarray, index: tuple[int, ...], value: float) -> np.ndarray:
    values = values.copy()
    values[index] = value
    return values


ARRAYS: dict[str, Any] = {
    "points": POINTS,
    "nan": _with(POINTS, (7, 1), np.nan),
    "huge": _with(POINTS.astype(np.float64), (3, 0), 1e300),
    "objects": np.array([{"a": 1}, None] * 20, dtype=object),
    "texts": np.array(["a"] * 40),
    "complex": POINTS.astype(np.complex64),
    "cube": POINTS.reshape(100, 3, 2),
    "scalar": np.float32(3),
    "no_rows": POINTS[:0],
    "one_row": POINTS[:1],
    "few_rows": POINTS[:30],
    "bytes": BYTES,
    "channels_last": BYTES.transpose(0, 2, 3, 1),
    "rgba": np.zeros((300, 8, 8, 4), np.uint8),
    "any_axis": np.zeros((300, 4, 4, 4), np.uint8),
    "above_one": BYTES + np.float32(2),
    "constant_column": POINTS * [1, 0],
    "nan_pixel": _with(BYTES.astype(np.float32)[:, 0], (7, 1, 2), np.nan),
    "infinite_pixel": _with(BYTES.astype(np.float32)[:, 0], (7, 1, 2), -np.inf),
    "complex_pixels": BYTES.astype(np.complex64),
    "text_pixels": BYTES.astype(str),
    "fields": np.zeros(300, dtype=[("x", "f4"), ("y", "f4")]),
    "dates": np.zeros((300, 8, 8), dtype="M8[s]"),
    "halves": BYTES.astype(np.float16),
    "columns_first": np.asfortranarray(BYTES),
    "no_images": BYTES[:0],
    "no_pixels": BYTES[..., :0],
    "nine_images": BYTES[:9],
    "few_images": BYTES[:30],
    "pixel": BYTES[..., :1, :1],
    "oblong": np.zeros((300, 8, 12), np.uint8),
    "odd": np.zeros((300, 1, 9, 9), np.uint8),
    "tiny": BYTES[..., :4, :4],
    "labels": np.arange(300) % 3,
    "few_labels": np.arange(299) % 3,
    "nan_labels": _with(np.zeros(300), (7,), np.nan),
    "object_labels": np.array([None, 3] * 150, dtype=object),
    "two_axes": np.zeros((300, 3, 3), np.int64),
}
CASES = load_cases()


def check_case(case: Case, run: Path) -> str:
    """Try a case in a fresh directory; return what is wrong with its end, or an empty text.

    `run` is the finished run that RUN stands for, which has to stay as it is.
    """
    with tempfile.TemporaryDirectory(prefix="gan_lab_inputs_") as name, contextlib.chdir(name):
        undo = case.prepare(Path(name))
        before = _contents(Path(name)), _contents(run)
        try:
            with time_limit(LIMIT), socket.create_server(("127.0.0.1", 0)) as server:
                values = {"RUN": str(run), "PORT": str(server.getsockname()[1])}
                words = [re.sub(r"\b(RUN|PORT)\b", lambda m: values[m[0]], w) for w in case.words]
                code, out, err = (_run_apart if case.apart else _run_here)(words, case)
            after = _contents(Path(name)), _contents(run)
            if case.works:
                return _failure(code, err) or _other_numbers(Path(name), run)
        except BaseException as error:
            return describe(error)
        finally:
            if callable(undo):
                undo()
    has_begun = any(path.endswith(".pt") for path in after[0])
    if after != before and (has_begun or not case.begins):
        return f"wrote {sorted(set(after[0]) - set(before[0]))[:3]}"
    if case.streams:
        return "" if code == 2 else f"exit code {code}"
    if (code, out) != (2, "") or not err.startswith("ConfigError: ") or err.count("\n") != 1:
        return f"exit code {code}, stdout {out[:100]!r}, stderr {err[-300:]!r}"
    return "" if case.answer in err else f"did not say {case.answer!r}: {err[:300]!r}"


def describe(error: BaseException) -> str:
    """Return an error and where it was raised, in one line."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    message = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return f"{message} ({Path(place.filename).name}:{place.lineno})"


def _failure(code: int, err: str) -> str:
    return f"exit code {code}, stderr {err[-300:]!r}" if code or "Traceback" in err else ""


def _other_numbers(directory: Path, run: Path) -> str:
    """Compare the one run below a directory with a finished one; empty if they agree."""
    (path,) = directory.rglob("metrics.jsonl")
    numbers = rows(path.parent)
    return "" if numbers == rows(run) else f"other numbers: {numbers}"[:300]


class TimeLimitReached(BaseException):
    """It took longer than the limit; no handler of the program catches it."""


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TimeLimitReached in the block after some seconds on a core, whatever else runs."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise TimeLimitReached

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _contents(directory: Path) -> dict[str, tuple[int, int]]:
    stats = {p: p.lstat() for p in directory.rglob("*") if p.name not in (".lock", "__pycache__")}
    stats = {p: stat for p, stat in stats.items() if p.suffix != ".pyc"}
    return {
        str(p.relative_to(directory)): (0, 0) if S_ISDIR(s.st_mode) else (s.st_size, s.st_mtime_ns)
        for p, s in stats.items()
    }


def _run_here(words: Sequence[str], case: Case) -> tuple[int, str, str]:
    with mock.patch.dict(os.environ, _environment(case), clear=True):
        return evaluate(words[1]) if words[0] == "python" else run_here(*words)


def evaluate(expression: str) -> tuple[int, str, str]:
    """Evaluate an expression of the library face; return what the command line would have."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            eval(expression, {"gan_lab": gan_lab, "np": np, "torch": torch, "POINTS": POINTS})
        except gan_lab.ConfigError as error:
            text = str(error)  # in one line without help, unlike the command's
            return 2, out.getvalue(), f"{err.getvalue()}ConfigError: {text}\n"
    return 0, out.getvalue(), err.getvalue()


def _run_apart(words: Sequence[str], case: Case) -> tuple[int, str, str]:
    command = shlex.join([sys.executable, "-m", "gan_lab", *words])
    for number, target in case.streams.items():
        command += f" {number}>{target or '&-'}"
    process = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | _environment(case),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
    )
    return process.returncode, process.stdout, process.stderr


def _environment(case: Case) -> dict[str, str]:
    merged: dict[str, str | None] = {**os.environ, **case.environment}
    return {key: value for key, value in merged.items() if value is not None}


def train_whole(path: Path) -> Path:
    """Train a run of 4 steps, for RUN."""
    assert run_here(*WHOLE, f"hydra.run.dir={path}")[0] == 0
    return path


PLACES = (
    *("with space", "o'clock", 'say "it"', "r\u00fcn \u4e2d", "-dash", "a=b", "step=3", "$HOME"),
    *("100%", "[x]", "{a}", "(x", "a,b", "a:b", "#1", "~x", "*", "x\\y", "<b>"),
    'all\'s "r\u00fcn" [1], 100% = $HOME #\u4e2d',
)


def check_place(name: str) -> str:
    """Train, resume, sample, compare, fork and evaluate a run in a directory of this name."""
    run = f"./{name}" if name.startswith("-") else name  # as for any command of a shell
    escaped = name.replace("'", "\\'")  # for Hydra
    for words in (
        [*SHORT, f"hydra.run.dir='{escaped}'"],
        ["resume", run, "trainer.steps=4"],
        ["sample", run, "n=3"],
        ["compare", run, f"output={name} compared"],
        ["fork", run, "loss=hinge", "trainer.steps=6", f"hydra.run.dir='{escaped} fork'"],
        ["evaluate", run],
    ):
        try:
            code, _, err = _run_here(words, Case("place", words, ""))
        except Exception as error:
            return f"{words[0]}: {type(error).__name__}: {error}"[:300]
        if failure := _failure(code, err):
            return f"{words[0]}: {failure}"
    names = sorted(path.name for path in Path.cwd().iterdir())
    expected = sorted([name, f"{name} compared", f"{name} fork"])
    return "" if names == expected else f"there are {names}, expected {expected}"


def campaign(
    n: int = len(CASES), seed: int = 0, tell: Callable[[str], None] = lambda line: None
) -> Campaign:
    """Try the first n cases of the table; with all of them, also directories of odd names."""
    faults = []
    with tempfile.TemporaryDirectory(prefix="gan_lab_run_") as name:
        run = train_whole(Path(name) / "run")
        for case in CASES[:n]:
            lost = check_case(case, run)
            faults.append(Fault(case.kind, case.name, lost))
            if lost:
                tell(f"{case.name}: {lost}")
        for place in PLACES if n >= len(CASES) else ():
            with tempfile.TemporaryDirectory(prefix="gan_lab_") as folder, contextlib.chdir(folder):
                faults.append(Fault("place", place, check_place(place)))
    return Campaign(
        "inputs",
        "Bad input",
        "exit code 2 and one line that says what was wrong, before anything is written; where the "
        "surroundings or a name are merely odd, exit code 0 and the same numbers",
        faults,
    )
