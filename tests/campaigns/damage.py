"""Damage to every file of a run directory, and what each command makes of it.

A run of 40 steps is stopped at step 31, copied, and one thing in the copy is damaged. A command
then goes on from what is whole and says so, or refuses in one line; what `resume` brings to its end
equals the run that nobody stopped.
"""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gan_lab.cli import dashboard as dashboard_command
from gan_lab.cli import main as cli
from gan_lab.console import ProgressLine
from gan_lab.errors import ConfigError
from gan_lab.runs import checkpoint
from tests.campaigns.record import Campaign, Fault

STEPS, STOP = 40, 30
_KEYS = (
    *("data=ring", "network=mlp", "network.width=8", "device=cpu", "execution.threads=1"),
    *("trainer.batch_size=16", "trainer.log_every=5", "trainer.checkpoint_every=10"),
    *("trainer.keep_checkpoints=3", "trainer.image_every=20", "trainer.landscape_every=20"),
    *("metrics=[wasserstein]", "neural_distance.steps=0", "evaluator.every=5", "evaluator.n=16"),
    *("evaluator.final_n=16", "evaluator.n_repeats=2", "evaluator.final_n_repeats=2"),
    "evaluator.floor_n_repeats=2",
)
COMMANDS = ("resume", "sample", "evaluate", "fork", "compare", "dashboard")
_SAYS_SO = "warning: passed over"


@dataclass(frozen=True)
class Runs:
    """What is damaged and what is compared with; each exists once and is only copied.

    Attributes:
        stopped: A run of one seed, stopped at step 31 of 40, with checkpoints of 20, 30 and 31.
        whole: The same, not stopped.
        others: Finished runs of other configurations.
        parent: Two stacked seeds, stopped likewise.
        parent_whole: The same, not stopped.
    """

    stopped: Path
    whole: Path
    others: tuple[Path, ...]
    parent: Path
    parent_whole: Path


@dataclass(frozen=True)
class Case:
    """One damage.

    Attributes:
        kind: A row of the table.
        do: Damages the run directory it is given; returns what it did, in a few words.
        newest: Newest checkpoints that are no more to be had, of three.
        refused: Whether every command that opens a checkpoint has to refuse.
        stacked: Whether it is done to the run of two seeds.
        any_rows: Whether rows themselves are damaged, which nobody can make again.
    """

    kind: str
    do: Callable[[Path, random.Random, Runs, Path], str]
    newest: int = 0
    refused: bool = False
    stacked: bool = False
    any_rows: bool = False


class Canary:
    """Unpickled, it makes a directory: code in a file has run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def campaign(
    n: int = 400, seed: int = 0, tell: Callable[[str], None] = lambda text: None
) -> Campaign:
    """Damages n copies of run directories, each kind of damage in turn.

    Args:
        n: How many; with fewer than two of each kind only `resume` and one more command are tried.
        seed: Of what is chosen at random: bits, lengths, places.
        tell: Shows one line of progress.
    """
    rng, faults = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder, _inside(Path(folder)):
        runs = made(Path(folder) / "runs")
        kinds = cases()
        for i in range(n):
            case, copy = kinds[i % len(kinds)], Path(folder) / "copy"
            some = COMMANDS if n >= 2 * len(kinds) else ("resume", COMMANDS[1 + i % 5])
            what, lost = tried(case, runs, copy, rng, some)
            faults.append(Fault(case.kind, f"{i} (seed {seed}): {what}", lost))
            tell(f"{i + 1} of {n}: {case.kind}: {what}{f': LOST {lost}' if lost else ''}")
    return Campaign(
        "damage",
        "One thing in a run directory damaged, then every command",
        "goes on from the newest whole checkpoint and says so, or refuses in one line with exit "
        "code 2; a resumed run ends with the weights and rows of the run that was not stopped; no "
        "code in a file runs (a log is text without a checksum: a digit that a flipped bit made of "
        "another one stays)",
        faults,
    )


def made(home: Path) -> Runs:
    """Trains what the campaign copies."""
    other = {
        "width": ("network.width=16",),
        "network": ("network=mlp", "network.depth=2"),
        "loss": ("loss=minimax",),
        "regularizer": ("regularizer=[r1]",),
        "optimiser": ("optim=rmsprop",),
        "seeds": ("n_seeds=2",),
        "data": ("data=grid",),
    }
    for name, keys in other.items():
        _trained(home / name, *keys, steps=1)
    with _stopped_at(STOP):
        _trained(home / "stopped", code=143)
        _trained(home / "parent", "n_seeds=2", "seed=3", code=143)
    return Runs(
        home / "stopped",
        _trained(home / "whole"),
        tuple(home / name for name in other),
        home / "parent",
        _trained(home / "parent_whole", "n_seeds=2", "seed=3"),
    )


def tried(
    case: Case, runs: Runs, copy: Path, rng: random.Random, commands: tuple[str, ...] = COMMANDS
) -> tuple[str, str]:
    """One damage to a fresh copy for each command: what was done, and what was lost by it."""
    lost, state, what = [], rng.getstate(), ""
    canary = copy.parent / "canary"
    for command in commands:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(runs.parent if case.stacked else runs.stopped, copy)
        rng.setstate(state)  # the same damage for each command
        what = case.do(copy, rng, runs, canary)
        wrong = _wrong(command, case, runs, copy)
        if canary.exists():
            canary.rmdir()
            wrong = f"code in a file ran; {wrong}"
        lost += [f"{command}: {wrong}"] if wrong else []
    shutil.rmtree(copy, ignore_errors=True)
    return what, "; ".join(lost)


def said(*arguments: object) -> tuple[int, str, str]:
    """The command line in this process: exit code, stdout, stderr. A traceback is code -1."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except (Exception, SystemExit) as error:
            err.write(f"{type(error).__name__}: {error}")
            code = -1
    return code, out.getvalue(), err.getvalue()


def _wrong(command: str, case: Case, runs: Runs, copy: Path) -> str:
    """What a command did that it must not, in a few words; empty where nothing."""
    if command == "dashboard":
        with contextlib.suppress(ConfigError):
            dashboard_command._tab(dashboard_command._served(copy))
        return ""
    output = copy.parent / "output"
    shutil.rmtree(output, ignore_errors=True)
    damaged = [row for home in (copy, *copy.glob("seed_*")) for row in _legible(home)]
    more = {
        "sample": ("n=4", f"output={output / 'made'}"),
        "fork": ("loss=hinge", f"trainer.steps={STEPS}", f"hydra.run.dir={output}"),
        "compare": (f"output={output}",),
    }
    code, out, err = said(command, copy, *more.get(command, ()))
    errors = [line for line in err.splitlines() if not line.startswith("warning: ")]
    if code not in (0, 2):
        return f"exit code {code}: {' | '.join(errors)[-300:]}"
    if code == 2 and len(errors) != 1:
        return f"{len(errors)} lines of error: {' | '.join(errors)[-300:]}"
    if command == "compare":
        return ""
    if case.refused and code == 0:
        return "was not refused"
    if code == 0 and 0 < case.newest < 3 and _SAYS_SO not in out + err:
        return "took an older checkpoint and did not say so"
    if 0 < case.newest < 3 and code == 2:
        return f"refused: {errors[0][:200]}"
    if command == "resume" and code == 0:
        whole = runs.parent_whole if case.stacked else runs.whole
        return _difference(copy, whole, case.any_rows, damaged)
    return ""


def _difference(run: Path, whole: Path, any_rows: bool, damaged: list[dict[str, Any]]) -> str:
    """How a run that was resumed differs from the whole one, the rows apart that were damaged."""
    steps = max(checkpoint.available(run / "checkpoints"), default=0)
    if steps != STEPS:  # a flipped bit in trainer.steps, which is free to change
        return "" if any_rows else f"ends at step {steps}"
    if trained(run) != trained(whole):
        return "other weights, moments or randomness than without the stop"
    for directory in [d.relative_to(whole) for d in sorted(whole.glob("seed_*"))] or [Path()]:
        now, then = rows(run / directory), rows(whole / directory)
        if not any_rows and now != then:
            steps_lost = sorted(set(map(str, then)) - set(map(str, now)))
            return f"other rows than without the stop, {len(steps_lost)} of {len(then)}"
        if not all(row in then or row in damaged for row in now):
            return "a row that the whole run has not"
    return ""


def trained(run: Path) -> str:
    """A digest of all that decides how a run goes on."""
    content = checkpoint.load_latest(run / "checkpoints").content
    return checkpoint.digest({key: content[key] for key in ("step", "state", "streams")})


def rows(run: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without the clock."""
    lines = (run / "metrics.jsonl").read_text().splitlines() if run.is_dir() else []
    return [_timeless(json.loads(line)) for line in lines]


def _legible(run: Path) -> Iterator[dict[str, Any]]:
    """The rows that a damaged metrics.jsonl still has."""
    path = run / "metrics.jsonl"
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(row := json.loads(line), dict):
                yield _timeless(row)


def _timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {tag: value for tag, value in row.items() if not tag.startswith("time/")}


def _trained(path: Path, *keys: str, code: int = 0, steps: int = STEPS) -> Path:
    found, _, err = said("train", *_KEYS, *keys, f"trainer.steps={steps}", f"hydra.run.dir={path}")
    if found != code:
        raise RuntimeError(f"train ended with {found}: {err}")
    return path


@contextlib.contextmanager
def _stopped_at(step: int) -> Iterator[None]:
    """Inside, a training gets SIGTERM when it has made so many steps."""
    at = ProgressLine.at

    def and_stop(self: ProgressLine, now: int) -> None:
        at(self, now)
        if now == step:
            os.kill(os.getpid(), signal.SIGTERM)

    ProgressLine.at = and_stop  # type: ignore[method-assign]
    try:
        yield
    finally:
        ProgressLine.at = at  # type: ignore[method-assign]


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    threads = torch.get_num_threads()
    with contextlib.chdir(folder):
        yield
    torch.set_num_threads(threads)


# What is damaged: functions of the run directory, randomness, the other runs and the canary.


def _newest(run: Path, n: int) -> list[Path]:
    return list(checkpoint.available(run / "checkpoints").values())[-n:]


def _cut(path: Path, rng: random.Random) -> str:
    data = path.read_bytes()
    length = rng.randrange(len(data))
    path.write_bytes(data[:length])
    return f"cut at {length} of {len(data)} bytes"


def _emptied(path: Path, rng: random.Random) -> str:
    path.write_bytes(b"")
    return "emptied"


def _flipped(path: Path, rng: random.Random) -> str:
    data = bytearray(path.read_bytes())
    bits = [rng.randrange(8 * len(data)) for _ in range(rng.choice((1, 1, 8)))]
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    return f"bits {bits} flipped"


def _garbage(path: Path, rng: random.Random) -> str:
    path.write_bytes(rng.randbytes(rng.choice((1, 100, 5000))))
    return "random bytes"


def _zipped(path: Path, rng: random.Random) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped.txt", "not a tensor")
        archive.writestr("archive/data.pkl", b"not a pickle")
    return "a zip of something else"


def _a_folder(path: Path, rng: random.Random) -> str:
    path.unlink()
    path.mkdir()
    return "a folder"


def _a_pipe(path: Path, rng: random.Random) -> str:
    path.unlink()
    os.mkfifo(path)
    return "a pipe"


def _a_dead_link(path: Path, rng: random.Random) -> str:
    path.unlink()
    path.symlink_to("nowhere")
    return "a link to nothing"


def _foreign(path: Path, rng: random.Random) -> str:
    torch.save({"model": {"weight": torch.zeros(3)}, "epoch": 3}, path)
    return "another program's checkpoint"


_FILE = (_cut, _emptied, _flipped, _garbage)
Change = Callable[[Path, random.Random], str]


def _checkpoints(
    run: Path, rng: random.Random, runs: Runs, canary: Path, *, change: Change, n: int
) -> str:
    return ", ".join(f"{path.name} {change(path, rng)}" for path in _newest(run, n))


def _with_code(run: Path, rng: random.Random, runs: Runs, canary: Path) -> str:
    (path,) = _newest(run, 1)
    torch.save({"format": 2, "sha256": "", "content": Canary(canary)}, path)
    return f"{path.name} runs code when unpickled"


def _swapped(run: Path, rng: random.Random, runs: Runs, canary: Path) -> str:
    other = rng.choice(runs.others)
    shutil.copy(_newest(other, 1)[0], _newest(run, 1)[0])
    return f"the newest from the run '{other.name}'"


def _misfit(run: Path, rng: random.Random, runs: Runs, canary: Path) -> str:
    """A checkpoint of this configuration, whole by its digest, whose leaves are not its own."""
    (path,) = _newest(run, 1)
    content = checkpoint.load(path)
    params = content["state"][rng.choice(("generator", "discriminator"))]["params"]
    name = rng.choice(list(params))
    change = rng.choice(("gone", "one number", "float64", "no tensor", "one too many", "step"))
    if change == "gone":
        del params[name]
    elif change == "step":
        del content["step"]
    elif change == "one too many":
        params["more"] = params[name]
    else:
        tensor = params[name]
        params[name] = {
            "one number": tensor.flatten()[:1],
            "float64": tensor.double(),
            "no tensor": None,
        }[change]
    checkpoint.save(path, content)
    return f"{path.name}: {name} {change}"


def _file(run: Path, rng: random.Random, runs: Runs, canary: Path, *, name: str) -> str:
    found = sorted(run.glob(name))
    path, change = rng.choice(found), rng.choice(_FILE)
    return f"{path.relative_to(run)} {change(path, rng)}"


def _gone(run: Path, rng: random.Random, runs: Runs, canary: Path, *, name: str) -> str:
    path = rng.choice(sorted(run.glob(name)))
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return f"{path.relative_to(run)} removed"


def _written(
    run: Path, rng: random.Random, runs: Runs, canary: Path, *, name: str, texts: tuple[str, ...]
) -> str:
    text = rng.choice(texts)
    (run / name).write_text(text)
    return f"{name} is {text[:40]!r}"


def _lines(run: Path, rng: random.Random, runs: Runs, canary: Path, *, name: str) -> str:
    path, lines = run / name, (run / name).read_bytes().splitlines(keepends=True)
    how = rng.choice(("torn", "garbage", "zeros", "twice", "no step", "strange step", "deep"))
    at = rng.randrange(len(lines)) if lines else 0
    if how == "torn" and lines:
        lines[-1] = lines[-1][: rng.randrange(1, len(lines[-1]))]
    elif how == "twice":
        lines[at:at] = lines[at : at + 1]
    else:
        new = {
            "garbage": rng.randbytes(40).replace(b"\n", b"") + b"\n",
            "zeros": b"\0" * 512 + b"\n",
            "no step": b'{"seed": 0}\n',
            "strange step": b'{"step": "x"}\n',
            "deep": b"[" * 100_000 + b"\n",
        }
        lines.insert(at, new.get(how, b"\n"))
    path.write_bytes(b"".join(lines))
    return f"{name}: {how} at line {at + 1}"


def _frame_with_code(run: Path, rng: random.Random, runs: Runs, canary: Path) -> str:
    for path in run.glob("landscape/*.npz"):
        array = np.empty(1, object)
        array[0] = Canary(canary)
        np.savez(path, x=array, logit=array, real=array, fake=array, arrow=array)
    return "every landscape frame runs code when unpickled"


def _checkpoints_folder(
    run: Path, rng: random.Random, runs: Runs, canary: Path, *, how: str
) -> str:
    shutil.rmtree(run / "checkpoints")
    if how == "a file":
        (run / "checkpoints").write_bytes(b"file")
    elif how == "a link to nothing":
        (run / "checkpoints").symlink_to("nowhere")
    elif how == "empty":
        (run / "checkpoints").mkdir()
    return f"checkpoints/ is {how}"


_STRANGE_CONFIGS = (
    *("[1, 2]", "text", "1", "null", "{}", "? [a]\n: b\n", "a: &a [1]\nb: *a\n", "!!python/none x"),
    "!!python/object/apply:os.mkdir ['canary']",
    "a: ${oc.env:HOME}\n",
)


def cases() -> list[Case]:
    """Every kind of damage, the frequent ones several times."""
    found = []
    for change in (_cut, _emptied, _flipped, _garbage, _zipped, _foreign):
        for n in (1, 2, 3):
            # A flipped bit may lie where nothing reads it.
            newest = 0 if change is _flipped else n
            found.append(
                Case(
                    f"checkpoint: {change.__name__.strip('_')}",
                    partial(_checkpoints, change=change, n=n),
                    newest,
                    refused=newest == 3,
                )
            )
    for change in (_a_folder, _a_pipe, _a_dead_link):
        kind = "checkpoint: a folder, a pipe or a dead link"
        found.append(Case(kind, partial(_checkpoints, change=change, n=1), 1))
    found += [
        Case("checkpoint: code in it", _with_code, 1),
        *[Case("checkpoint: another run's", _swapped, refused=True)] * 3,
        *[Case("checkpoint: whole, but other leaves", _misfit, refused=True)] * 3,
        *[
            Case("checkpoints folder", partial(_checkpoints_folder, how=how), 3, refused=True)
            for how in ("a file", "a link to nothing", "empty", "missing")
        ],
        *[Case("config.yaml", partial(_file, name="config.yaml"), any_rows=True)] * 3,
        Case(
            "config.yaml: strange",
            partial(_written, name="config.yaml", texts=_STRANGE_CONFIGS),
            refused=True,
        ),
        Case("config.yaml: missing", partial(_gone, name="config.yaml"), refused=True),
        *[Case("status.json", partial(_file, name="status.json"))] * 2,
        Case(
            "status.json: strange",
            partial(
                _written,
                name="status.json",
                texts=("[]", "1", "null", "{}", '{"overrides": 5}', "[" * 100_000, '{"seeds": 5}'),
            ),
        ),
        *[Case("metrics.jsonl", partial(_lines, name="metrics.jsonl"), any_rows=True)] * 4,
        Case("metrics.jsonl", partial(_file, name="metrics.jsonl"), any_rows=True),
        Case("metrics.jsonl: missing", partial(_gone, name="metrics.jsonl"), any_rows=True),
        *[Case("events.jsonl", partial(_lines, name="events.jsonl"))] * 3,
        *[Case("TensorBoard files", partial(_file, name="tensorboard/*"))] * 3,
        Case("TensorBoard files: missing", partial(_gone, name="tensorboard")),
        *[Case("landscape frames", partial(_file, name="landscape/*.npz"))] * 2,
        Case("landscape frames: code in them", _frame_with_code),
        Case("pictures", partial(_file, name="samples/*.png")),
        *[Case("best checkpoint", partial(_file, name="checkpoints/best_*.pt"))] * 2,
        Case("best checkpoint: missing", partial(_gone, name="checkpoints/best_*.pt")),
        *[
            Case(
                "one seed's directory: missing",
                partial(_gone, name="seed_*"),
                stacked=True,
                any_rows=True,
            )
        ]
        * 2,
        Case("one seed's config.yaml", partial(_file, name="seed_*/config.yaml"), stacked=True),
        Case(
            "one seed's metrics.jsonl",
            partial(_file, name="seed_*/metrics.jsonl"),
            stacked=True,
            any_rows=True,
        ),
    ]
    return found
