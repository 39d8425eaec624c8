"""Damage to every file of a run directory, to its data and to the cache of classifiers.

A run of 40 steps is stopped at step 31, copied, and one thing in the copy is damaged. A command
then continues from what is whole and says so, or refuses in one line; a resumed run ends as the
uninterrupted one.
"""

import contextlib
import json
import os
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan_lab.cli import dashboard as dashboard_command
from gan_lab.data import classifier
from gan_lab.errors import ConfigError
from gan_lab.runs import checkpoint
from tests.campaigns.record import Campaign, Fault
from tests.campaigns.runs import run_here, start_warm, wait
from tests.helpers import CHEAP, RING, load_checkpoint, rows, signal_at, without_clock

STEPS, STOP = 40, 30
_KEYS = (
    *(*RING, "trainer.log_every=5", "trainer.checkpoint_every=10", "trainer.keep_checkpoints=3"),
    *("trainer.image_every=20", "trainer.landscape_every=20", "metrics=[wasserstein]"),
)
_PICTURES = "pictures.npy"
_IMAGES = (
    *("data=image_array", f"data.path={_PICTURES}", "data.storage=disk", "network=conv"),
    *("network.width=4", "regularizer.gradient_penalty.every=4"),
)
COMMANDS = ("resume", "sample", "evaluate", "fork", "compare", "dashboard")


@dataclass(frozen=True)
class Runs:
    """What is damaged and what is compared with; each exists once and is only copied.

    `stopped` is a run of one seed, stopped at step 31 of 40, with checkpoints of 20, 30 and 31;
    `parent` has two stacked seeds; `others` are finished runs of other configurations; `images` is
    stopped like the first, of a convolutional pair on images that stay on disk in `pictures`, which
    both runs name relative to the working directory.
    """

    stopped: Path
    whole: Path
    others: tuple[Path, ...]
    parent: Path
    parent_whole: Path
    images: Path = Path()
    images_whole: Path = Path()
    pictures: Path = Path()


Damage = Callable[[Path, random.Random, Runs], str]


@dataclass(frozen=True)
class Case:
    """One damage.

    Attributes:
        do: Damages a run directory; returns what it did, in a few words.
        newest: Newest checkpoints that are no more to be had, of three.
        refused: Whether every command that opens a checkpoint has to refuse.
        refused_by: Commands that have to refuse, where not all have.
        any_rows: Whether rows themselves are damaged, which nobody can make again.
    """

    kind: str
    do: Damage
    newest: int = 0
    refused: bool = False
    refused_by: tuple[str, ...] = ()
    stacked: bool = False
    images: bool = False
    any_rows: bool = False


@dataclass
class Canary:
    """Unpickled, it makes a directory: code in a file has run."""

    path: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def campaign(
    n: int = 400, seed: int = 0, tell: Callable[[str], None] = lambda text: None
) -> Campaign:
    """Damage n copies of run directories, each kind of damage in turn.

    With fewer than two of each kind only `resume` and one more command are tried.
    """
    rng, faults = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        runs = with_images(train_runs(Path(folder) / "runs"), Path(folder) / "runs")
        kinds = [*cases(), *image_cases()]
        for i in range(n):
            case, copy = kinds[i % len(kinds)], Path(folder) / "copy"
            some = COMMANDS if n >= 2 * len(kinds) else ("resume", COMMANDS[1 + i % 5])
            what, lost = attempt(case, runs, copy, rng, some)
            faults.append(Fault(case.kind, f"{i} (seed {seed}): {what}", lost))
            tell(f"{i + 1} of {n}: {case.kind}: {what}{f': LOST {lost}' if lost else ''}")
        faults += cache_faults(Path(folder) / "cached", rng, n // 100, tell)
    return Campaign(
        "damage",
        "One thing in a run directory damaged, then every command",
        "goes on from the newest whole checkpoint and says so, or refuses in one line with exit "
        "code 2; a resumed run ends with the weights and rows of the run that was not stopped; no "
        "code in a file runs (a log is text without a checksum: a digit that a flipped bit made of "
        "another one stays). A damaged cache of classifiers costs a training of one: the same "
        "numbers, and a warning",
        faults,
    )


def train_runs(home: Path) -> Runs:
    """Train what the campaign copies."""
    other = {"width": ("network.width=16",), "network": ("network=mlp", "network.depth=2")}
    other |= {"loss": ("loss=minimax",), "regularizer": ("regularizer=[r1]",)}
    other |= {"optimiser": ("optim=rmsprop",), "seeds": ("n_seeds=2",), "data": ("data=grid",)}
    seeds = ("n_seeds=2", "seed=3")
    others = tuple(_train(home / name, *keys, steps=1) for name, keys in other.items())
    with pytest.MonkeyPatch.context() as patch:
        signal_at(patch, STOP)
        stopped = _train(home / "stopped", code=143)
    with pytest.MonkeyPatch.context() as patch:
        signal_at(patch, STOP)
        parent = _train(home / "parent", *seeds, code=143)
    wholes = _train(home / "whole"), _train(home / "parent_whole", *seeds)
    return Runs(stopped, wholes[0], others, parent, wholes[1])


def with_images(runs: Runs, home: Path) -> Runs:
    """Train what `image_cases` copies."""
    pictures = home / _PICTURES
    np.save(pictures, np.random.default_rng(0).integers(0, 256, (240, 16, 16), np.uint8))
    with contextlib.chdir(home):
        with pytest.MonkeyPatch.context() as patch:
            signal_at(patch, STOP)
            images = _train(home / "images", *_IMAGES, code=143)
        images_whole = _train(home / "images_whole", *_IMAGES)
    return replace(runs, images=images, images_whole=images_whole, pictures=pictures)


def attempt(
    case: Case, runs: Runs, copy: Path, rng: random.Random, commands: tuple[str, ...] = COMMANDS
) -> tuple[str, str]:
    """Do one damage to a fresh copy for each command; return what was done and what was lost."""
    lost, state, what = [], rng.getstate(), ""
    canary = copy.parent / "canary"
    for command in commands:
        shutil.rmtree(copy, ignore_errors=True)
        source = runs.parent if case.stacked else runs.images if case.images else runs.stopped
        shutil.copytree(source, copy)
        if case.images:
            pictures = copy.parent / _PICTURES  # a folder or a pipe after such a damage
            pictures.rmdir() if pictures.is_dir() else pictures.unlink(missing_ok=True)
            shutil.copy(runs.pictures, pictures)
        rng.setstate(state)  # the same damage for each command
        what = case.do(copy, rng, runs)
        wrong = _wrong(command, case, runs, copy)
        if canary.exists():
            canary.rmdir()
            wrong = f"code in a file ran; {wrong}"
        lost += [f"{command}: {wrong}"] if wrong else []
    shutil.rmtree(copy, ignore_errors=True)
    return what, "; ".join(lost)


def run_command(*arguments: object) -> tuple[int, str, str]:
    """Run the command line in this process; return exit code (-1: an exception), stdout, stderr."""
    try:
        return run_here(*arguments)
    except (Exception, SystemExit) as error:
        return -1, "", f"{type(error).__name__}: {error}"


def _wrong(command: str, case: Case, runs: Runs, copy: Path) -> str:
    """Return what a command did wrong, in a few words; empty where nothing."""
    if command == "dashboard":
        with contextlib.suppress(ConfigError):
            directory = dashboard_command._log_directory(copy)
            with tempfile.TemporaryDirectory() as home:
                dashboard_command._state(dashboard_command._named_logs(directory, Path(home)))
        return ""
    output = copy.parent / "output"
    shutil.rmtree(output, ignore_errors=True)
    damaged = [row for home in (copy, *copy.glob("seed_*")) for row in _parsable_rows(home)]
    more = {
        "sample": ("n=4", f"output={output / 'made'}"),
        "fork": ("loss=hinge", f"trainer.steps={STEPS}", f"hydra.run.dir={output}"),
        "compare": (f"output={output}",),
    }
    code, out, err = run_command(command, copy, *more.get(command, ()))
    errors = [line for line in err.splitlines() if not line.startswith("warning: ")]
    if code not in (0, 2):
        return f"exit code {code}: {' | '.join(errors)[-300:]}"
    if code == 2 and len(errors) != 1:
        return f"{len(errors)} lines of error: {' | '.join(errors)[-300:]}"
    if command == "compare":
        return ""
    if (case.refused or command in case.refused_by) and code == 0:
        return "was not refused"
    if 0 < case.newest < 3 and code == 2:
        return f"refused: {errors[0][:200]}"
    if 0 < case.newest < 3 and "warning: passed over" not in out + err:
        return "took an older checkpoint and did not say so"
    if command == "resume" and code == 0:
        whole = runs.parent_whole if case.stacked else runs.whole
        whole = runs.images_whole if case.images else whole
        return _difference(copy, whole, case.any_rows, damaged)
    return ""


def _difference(run: Path, whole: Path, any_rows: bool, damaged: list[dict[str, Any]]) -> str:
    """Return how a resumed run differs from the whole one, apart from rows that were damaged."""
    steps = max(checkpoint.available(run / "checkpoints"), default=0)
    if steps != STEPS:  # a flipped bit in trainer.steps, which is free to change
        return "" if any_rows else f"ends at step {steps}"
    if state_digest(run) != state_digest(whole):
        return "other weights or moments than without the stop"
    for directory in [d.relative_to(whole) for d in sorted(whole.glob("seed_*"))] or [Path()]:
        now, then = rows(run / directory), rows(whole / directory)
        if not any_rows and now != then:
            steps_lost = sorted(set(map(str, then)) - set(map(str, now)))
            return f"other rows than without the stop, {len(steps_lost)} of {len(then)}"
        if not all(row in then or row in damaged for row in now):
            return "a row that the whole run has not"
    return ""


def state_digest(run: Path) -> str:
    """Return a digest of weights and moments, without what is recorded of the run."""
    content = load_checkpoint(run)
    return checkpoint.digest({key: content[key] for key in ("step", "state")})


def _parsable_rows(run: Path) -> Iterator[dict[str, Any]]:
    """The rows that a damaged metrics.jsonl still has."""
    path = run / "metrics.jsonl"
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(row := json.loads(line), dict):
                yield without_clock(row)


def _train(path: Path, *keys: str, code: int = 0, steps: int = STEPS) -> Path:
    actual, _, err = run_command(
        "train", *_KEYS, *keys, f"trainer.steps={steps}", f"hydra.run.dir={path}"
    )
    if actual != code:
        raise RuntimeError(f"train ended with {actual}: {err}")
    return path


# What is damaged: functions of the run directory, randomness and the other runs. Code that a file
# runs makes a directory named canary beside the run.


def _newest(run: Path, n: int) -> list[Path]:
    return list(checkpoint.available(run / "checkpoints").values())[-n:]


def _truncate(path: Path, rng: random.Random) -> str:
    data = path.read_bytes()
    length = rng.randrange(len(data))
    path.write_bytes(data[:length])
    return f"cut at {length} of {len(data)} bytes"


def _empty(path: Path, rng: random.Random) -> str:
    path.write_bytes(b"")
    return "emptied"


def _put(path: Path, how: str) -> str:
    """Put something else where a file or a folder was."""
    {
        "a file": lambda: path.write_bytes(b"file"),
        "a folder": path.mkdir,
        "a link to nothing": lambda: path.symlink_to("nowhere"),
        "a pipe": lambda: os.mkfifo(path),
        "empty": path.mkdir,
        "missing": lambda: None,
    }[how]()
    return how


def _flip_bits(path: Path, rng: random.Random) -> str:
    data = bytearray(path.read_bytes())
    bits = [rng.randrange(8 * len(data)) for _ in range(rng.choice((1, 1, 8)))]
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    return f"bits {bits} flipped"


def _fill_with_noise(path: Path, rng: random.Random) -> str:
    path.write_bytes(rng.randbytes(rng.choice((1, 100, 5000))))
    return "random bytes"


def _replace_by_zip(path: Path, rng: random.Random) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped.txt", "not a tensor")
        archive.writestr("archive/data.pkl", b"not a pickle")
    return "a zip of something else"


def _replace(path: Path, rng: random.Random, *, how: str) -> str:
    path.unlink()
    return _put(path, how)


def _replace_by_foreign(path: Path, rng: random.Random) -> str:
    torch.save({"model": {"weight": torch.zeros(3)}, "epoch": 3}, path)
    return "another program's checkpoint"


_FILE = (_truncate, _empty, _flip_bits, _fill_with_noise)
Change = Callable[[Path, random.Random], str]


def _checkpoints(run: Path, rng: random.Random, runs: Runs, *, change: Change, n: int) -> str:
    return ", ".join(f"{path.name} {change(path, rng)}" for path in _newest(run, n))


def _code_in_checkpoint(run: Path, rng: random.Random, runs: Runs) -> str:
    (path,) = _newest(run, 1)
    torch.save({"format": 2, "sha256": "", "content": Canary(run.parent / "canary")}, path)
    return f"{path.name} runs code when unpickled"


def _swap(run: Path, rng: random.Random, runs: Runs) -> str:
    other = rng.choice(runs.others)
    shutil.copy(_newest(other, 1)[0], _newest(run, 1)[0])
    return f"the newest from the run '{other.name}'"


def _change_leaves(run: Path, rng: random.Random, runs: Runs) -> str:
    """A checkpoint of this configuration, whole by its digest, whose leaves are not its own."""
    (path,) = _newest(run, 1)
    content = checkpoint.load(path)
    params = content["state"][rng.choice(("generator", "discriminator"))]["params"]
    name = rng.choice(list(params))
    change = rng.choice(("gone", "one number", "float64", "no tensor", "one too many", "step"))
    tensor = params[name]
    leaves = {"one number": tensor.flatten()[:1], "float64": tensor.double(), "no tensor": None}
    if change == "gone":
        del params[name]
    elif change == "step":
        del content["step"]
    elif change == "one too many":
        params["more"] = tensor
    else:
        params[name] = leaves[change]
    checkpoint.save(path, content)
    return f"{path.name}: {name} {change}"


def _file(run: Path, rng: random.Random, runs: Runs, *, name: str) -> str:
    path, change = rng.choice(sorted(run.glob(name))), rng.choice(_FILE)
    return f"{path.relative_to(run)} {change(path, rng)}"


def _remove(run: Path, rng: random.Random, runs: Runs, *, name: str) -> str:
    path = rng.choice(sorted(run.glob(name)))
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return f"{path.relative_to(run)} removed"


def _write(run: Path, rng: random.Random, runs: Runs, *, name: str, texts: Sequence[str]) -> str:
    text = rng.choice(texts)
    (run / name).write_text(text)
    return f"{name} is {text[:40]!r}"


def _lines(run: Path, rng: random.Random, runs: Runs, *, name: str) -> str:
    path, lines = run / name, (run / name).read_bytes().splitlines(keepends=True)
    how = rng.choice(("torn", "garbage", "zeros", "twice", "no step", "strange step", "deep"))
    at = rng.randrange(len(lines)) if lines else 0
    if how == "torn" and lines:
        lines[-1] = lines[-1][: rng.randrange(1, len(lines[-1]))]
    elif how == "twice":
        lines[at:at] = lines[at : at + 1]
    else:
        new = {"garbage": rng.randbytes(40).replace(b"\n", b""), "no step": b'{"seed": 0}'}
        new |= {"strange step": b'{"step": "x"}', "zeros": b"\0" * 512, "deep": b"[" * 100_000}
        lines.insert(at, new.get(how, b"") + b"\n")
    path.write_bytes(b"".join(lines))
    return f"{name}: {how} at line {at + 1}"


def _landscape_with_code(run: Path, rng: random.Random, runs: Runs) -> str:
    for path in run.glob("landscape/*.npz"):
        array = np.empty(1, object)
        array[0] = Canary(run.parent / "canary")
        np.savez(path, x=array, logit=array, real=array, fake=array, arrow=array)
    return "every landscape frame runs code when unpickled"


def _checkpoints_folder(run: Path, rng: random.Random, runs: Runs, *, how: str) -> str:
    shutil.rmtree(run / "checkpoints")
    return f"checkpoints/ is {_put(run / 'checkpoints', how)}"


_STRANGE_STATUS = ("[]", "1", "null", "{}", '{"overrides": 5}', "[" * 100_000, '{"seeds": 5}')
_STRANGE_CONFIGS = (
    *("[1, 2]", "text", "1", "null", "{}", "? [a]\n: b\n", "a: &a [1]\nb: *a\n", "!!python/none x"),
    "!!python/object/apply:os.mkdir ['canary']",
    "a: ${oc.env:HOME}\n",
)


def cases() -> list[Case]:
    """Return every kind of damage, the frequent ones several times."""
    result = []
    changes = {"cut": _truncate, "emptied": _empty, "flipped": _flip_bits}
    changes |= {"garbage": _fill_with_noise, "zipped": _replace_by_zip}
    for name, change in (changes | {"foreign": _replace_by_foreign}).items():
        for n in (1, 2, 3):
            newest = 0 if change is _flip_bits else n  # a bit may lie where nothing reads it
            do = partial(_checkpoints, change=change, n=n)
            result.append(Case(f"checkpoint: {name}", do, newest, refused=newest == 3))
    for how in ("a folder", "a pipe", "a link to nothing"):
        do = partial(_checkpoints, change=partial(_replace, how=how), n=1)
        result.append(Case("checkpoint: a folder, a pipe or a dead link", do, 1))
    for how in ("a file", "a link to nothing", "empty", "missing"):
        do = partial(_checkpoints_folder, how=how)
        result.append(Case("checkpoints folder", do, 3, refused=True))

    def add(n: int, kind: str, do: Damage, **keys: bool) -> None:
        result.extend([Case(kind, do, **keys)] * n)

    file, lines, remove, write = (partial(partial, f) for f in (_file, _lines, _remove, _write))
    result.append(Case("checkpoint: code in it", _code_in_checkpoint, 1))
    add(3, "checkpoint: another run's", _swap, refused=True)
    add(3, "checkpoint: whole, but other leaves", _change_leaves, refused=True)
    add(3, "config.yaml", file(name="config.yaml"), any_rows=True)
    strange = write(name="config.yaml", texts=_STRANGE_CONFIGS)
    add(1, "config.yaml: strange", strange, refused=True)
    add(1, "config.yaml: missing", remove(name="config.yaml"), refused=True)
    add(2, "status.json", file(name="status.json"))
    add(1, "status.json: strange", write(name="status.json", texts=_STRANGE_STATUS))
    add(4, "metrics.jsonl", lines(name="metrics.jsonl"), any_rows=True)
    add(1, "metrics.jsonl", file(name="metrics.jsonl"), any_rows=True)
    add(1, "metrics.jsonl: missing", remove(name="metrics.jsonl"), any_rows=True)
    add(3, "events.jsonl", lines(name="events.jsonl"))
    add(3, "TensorBoard files", file(name="tensorboard/*"))
    add(1, "TensorBoard files: missing", remove(name="tensorboard"))
    add(2, "landscape frames", file(name="landscape/*.npz"))
    add(1, "landscape frames: code in them", _landscape_with_code)
    add(1, "pictures", file(name="samples/*.png"))
    add(2, "best checkpoint", file(name="checkpoints/best_*.pt"))
    add(1, "best checkpoint: missing", remove(name="checkpoints/best_*.pt"))
    stacked = {"stacked": True, "any_rows": True}
    add(2, "one seed's directory: missing", remove(name="seed_*"), **stacked)
    add(1, "one seed's config.yaml", file(name="seed_*/config.yaml"), stacked=True)
    add(1, "one seed's metrics.jsonl", file(name="seed_*/metrics.jsonl"), **stacked)
    return result


def _data_file(run: Path, rng: random.Random, runs: Runs, *, change: Change) -> str:
    path = run.parent / _PICTURES
    return f"{path.name} {change(path, rng)}"


def _other_images(path: Path, rng: random.Random) -> str:
    images = np.load(path, allow_pickle=False)
    images[rng.randrange(len(images))] ^= 255
    np.save(path, images)
    return "with one image inverted"


def _other_images_at_the_same_time(path: Path, rng: random.Random) -> str:
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    what = _other_images(path, rng)
    os.utime(path, ns=times)
    return f"{what} and the old time of modification"


def _fewer_images(path: Path, rng: random.Random) -> str:
    np.save(path, np.load(path, allow_pickle=False)[:-1])
    return "without its last image"


def image_cases() -> list[Case]:
    """Return the damages to a run of images on disk, and to their file."""
    changes = {"cut": _truncate, "emptied": _empty, "garbage": _fill_with_noise}
    result = [
        Case(f"checkpoint of images: {name}", partial(_checkpoints, change=change, n=1), 1, False)
        for name, change in changes.items()
    ]
    result = [replace(case, images=True) for case in result]
    changes["zipped"] = _replace_by_zip
    changes |= {how: partial(_replace, how=how) for how in ("a folder", "a pipe", "missing")}
    for name, change in changes.items():
        do = partial(_data_file, change=change)
        result.append(Case(f"images on disk: {name}", do, refused=True, images=True))
    # Whole files of other images: what trains or measures refuses them, and the rest may go on.
    changes = {"another image": _other_images, "one fewer": _fewer_images}
    changes["another image, same time"] = _other_images_at_the_same_time
    for name, change in changes.items():
        do, refused_by = partial(_data_file, change=change), ("resume", "evaluate", "fork")
        case = Case(f"images on disk: {name}", do, refused_by=refused_by, images=True)
        result.append(case)
    return result


# The cache of classifiers: functions of its one file.


def _code_in_classifier(path: Path, rng: random.Random) -> str:
    torch.save({"weights": Canary(path.parents[3] / "canary")}, path)
    return "runs code when unpickled"


def _lock_is_a_folder(path: Path, rng: random.Random) -> str:
    path.unlink()
    path.with_suffix(".lock").unlink(missing_ok=True)
    path.with_suffix(".lock").mkdir()
    return "missing, and its lock a folder"


def _cache_is_a_file(path: Path, rng: random.Random) -> str:
    shutil.rmtree(path.parent)
    path.parent.write_text("x")
    return "in a folder that is a file"


def _renamed(path: Path, rng: random.Random) -> str:
    """Put a whole file of a classifier of other data under this one's name."""
    content = torch.load(path, weights_only=True)
    content["weights"]["outputs.bias"] += 1
    content["digest"] = classifier._weights_digest(content["weights"])
    content["data_digest"] = "0" * 32
    torch.save(content, path)
    return "of other data under this name"


def _read_only_cache(path: Path, rng: random.Random) -> str:
    shutil.rmtree(path.parent)
    path.parent.symlink_to("/proc")  # permissions do not stop root
    return "in a folder where nothing may be written"


def _stale(path: Path, rng: random.Random) -> str:
    path.rename(path.with_name("0" * 32 + ".pt"))
    return "of another version"


CACHE_DAMAGES: dict[str, Change] = {
    **{"cut": _truncate, "emptied": _empty, "flipped": _flip_bits, "garbage": _fill_with_noise},
    **{"zipped": _replace_by_zip, "foreign": _replace_by_foreign},
    "code in it": _code_in_classifier,
    "a folder": partial(_replace, how="a folder"),
    "a pipe": partial(_replace, how="a pipe"),
    "a link to nothing": partial(_replace, how="a link to nothing"),
    "missing": partial(_replace, how="missing"),
    **{"lock is a folder": _lock_is_a_folder, "cache is a file": _cache_is_a_file},
    **{
        "read-only": _read_only_cache,
        "renamed": _renamed,
        "stale": _stale,
        "two processes": _stale,
    },
}
_CLASSIFIED = (
    *("train", "data=image_array", "data.path=classes.npz", "network=conv", "network.width=4"),
    *(*CHEAP, "metrics=[features,modes]", "metrics.features.k=3", "trainer.steps=3"),
)


def cache_faults(
    home: Path, rng: random.Random, n: int = 1, tell: Callable[[str], None] = lambda text: None
) -> list[Fault]:
    """Damage the cache of classifiers n times in each way, and train a run that needs one."""
    home.mkdir()
    faults, draw = [], np.random.default_rng(0)
    with contextlib.chdir(home), pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "_STEPS", 3)
        images = draw.integers(0, 256, (240, 16, 16), np.uint8)
        np.savez("classes.npz", images=images, labels=np.arange(240) % 3)
        patch.setenv("XDG_CACHE_HOME", str(home / "sound"))
        assert run_command(*_CLASSIFIED, "hydra.run.dir=whole")[0] == 0
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        for kind, change in list(CACHE_DAMAGES.items()) * n:
            shutil.rmtree(home / "cache", ignore_errors=True)
            shutil.rmtree(home / "run", ignore_errors=True)
            shutil.copytree(home / "sound", home / "cache")
            (file,) = classifier.cache_directory().glob("*.pt")
            what = change(file, rng)
            if kind == "two processes":
                lost = _two_processes(home)
            else:
                code, _, err = run_command(*_CLASSIFIED, "hydra.run.dir=run")
                lost = f"exit code {code}: {err[-300:]}" if code or "Traceback" in err else ""
            if not lost and rows("run") != rows("whole"):
                lost = "other numbers"
            if (home / "canary").exists():
                lost = "code in a file ran"
            faults.append(Fault(f"classifier: {kind}", what, lost))
            tell(f"classifier: {kind}: {what}{f': LOST {lost}' if lost else ''}")
    return faults


def _two_processes(home: Path) -> str:
    """Train two runs at once that need the same classifier; return what went wrong."""
    log = home / "log"
    log.unlink(missing_ok=True)  # else the trainings of earlier cases count
    both = [
        start_warm([*_CLASSIFIED, f"hydra.run.dir={home / name}"], log, partial(_few_steps, home))
        for name in ("run", "other")
    ]
    codes = [wait(process) for process in both]
    text = log.read_text()
    n_trainings = text.count("training the classifier")
    same = rows(home / "run") == rows(home / "other") if codes == [0, 0] else False
    shutil.rmtree(home / "other", ignore_errors=True)
    if codes != [0, 0] or not same or n_trainings != 1:
        return f"exit codes {codes}, {n_trainings} trainings: {text[-300:]}"
    return ""


def _few_steps(home: Path) -> None:
    """Prepare a process of its own: its directory, and a classifier of three steps."""
    classifier._STEPS = 3
    os.chdir(home)
    os.environ["XDG_CACHE_HOME"] = str(home / "cache")
