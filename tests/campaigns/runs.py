"""Small runs in processes of their own, and whether two of them are the same run."""

import contextlib
import io
import json
import logging
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from gan_lab.cli import main as cli
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from tests.helpers import CHEAP, DIGITS, ONE, RING, ROOT, rows, state_digest, without_clock

logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it reports each resume

# Intervals that do not coincide.
INTERVALS = (
    *("trainer.steps=45", "trainer.checkpoint_every=10", "trainer.image_every=20"),
    *("trainer.landscape_every=8", "trainer.log_every=7", "evaluator.every=6"),
)
RING_RUN = (*RING, *INTERVALS)
PICTURES = "pictures.npy"
TRAININGS = {
    # A critic that is too slow: the run has events to lose, a sign flip and a divergence.
    "ring wasserstein": (
        *(*RING_RUN, "trainer.log_every=2", "loss=wasserstein", "optim.lr=0.1"),
        *("optim.discriminator_lr=0.0001", "trainer.n_critic=1"),
    ),
    "ring two seeds": (*RING_RUN, "n_seeds=2", "seed=3"),
    "ring clipping": (*RING_RUN, "regularizer=[weight_clipping]", "optim=rmsprop"),
    "digits dcgan": (*DIGITS, *INTERVALS),
    "mnist conv": (  # a lazy penalty, by the hints of its data
        *("data=mnist_5k", "network=conv", "network.width=2", *CHEAP, *INTERVALS),
        *("data.n_held_out=4000", "data.n_validation=100"),
    ),
    "images on disk": (
        *("data=image_array", f"data.path={{folder}}/{PICTURES}", "data.storage=disk"),
        *("network=conv", "network.width=2", "loss=non_saturating", "regularizer=[r1]"),
        *("regularizer.r1.every=3", *CHEAP, *INTERVALS),
    ),
}


def training(name: str, folder: Path) -> tuple[str, ...]:
    """Return the overrides of one of TRAININGS, whose images are written to a folder."""
    path = folder / PICTURES
    if name == "images on disk" and not path.exists():
        images = np.random.default_rng(0).integers(0, 256, (240, 16, 16), np.uint8)
        np.save(path, images)
    return tuple(word.replace("{folder}", str(folder)) for word in TRAININGS[name])


FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["gan_lab.cli.train", "tests.campaigns.kills"])


def run_here(*arguments: object) -> tuple[int, str, str]:
    """Run the command line in this process; return its exit code, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()


def start_warm(
    arguments: list[str], log: Path, plant: Callable[[], None] | None = None
) -> multiprocessing.process.BaseProcess:
    """Start a command in a process that has torch imported already and calls `plant` before it."""
    process = FORKSERVER.Process(target=_run_child, args=(arguments, log, plant), daemon=True)
    process.start()
    return process


def command(arguments: list[str]) -> list[str]:
    """Return what a person types."""
    return [sys.executable, "-m", "gan_lab", *arguments]


def start_fresh(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start `python -m gan_lab` as a person does; stdout and stderr are appended to a file."""
    with open(log, "ab") as file:
        return subprocess.Popen(command(arguments), cwd=ROOT, env=ONE, stdout=file, stderr=file)


def run_warm(arguments: list[str], log: Path, plant: Callable[[], None] | None = None) -> int:
    """Run a command to its end in a warm process; return the exit code, -9 after kill -9."""
    return wait(start_warm(arguments, log, plant))


def wait(process: multiprocessing.process.BaseProcess) -> int:
    """Wait for the end of a warm process; return its exit code."""
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def next_command(path: Path, overrides: tuple[str, ...]) -> list[str]:
    """Return what continues a run: `resume`, or `train` before its first checkpoint."""
    if checkpoint.available(RunDir(path).checkpoints):
        return ["resume", str(path)]
    return ["train", *overrides, f"hydra.run.dir={path}"]


def saved_step(path: Path) -> int:
    """Return the step of the newest checkpoint; 0 before the first one."""
    return max(checkpoint.available(RunDir(path).checkpoints), default=0)


def _run_child(arguments: list[str], log: Path, plant: Callable[[], None] | None) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.argv = ["gan_lab", *arguments]
    if plant is not None:
        plant()
    sys.exit(cli.main(arguments))


def mount(folder: Path, option: str) -> bool:
    """Mount a small file system; return whether that is allowed here."""
    command = ["mount", "-t", "tmpfs", "-o", option, "none", str(folder)]
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True).returncode == 0
    return False


def difference(actual: Path, expected: Path) -> str:
    """Return the first difference of two runs, clocks aside; empty if there is none."""
    if state_digest(actual) != state_digest(expected):
        return "the last checkpoint differs"
    seeds = [child.path.name for child in RunDir(expected).children()]
    for name in seeds or ["."]:
        for what, read in _CONTENT.items():
            ours, theirs = read(RunDir(actual / name)), read(RunDir(expected / name))
            if repr(ours) != repr(theirs):  # nan equals nan
                return f"{what} of {name}: {_first_difference(ours, theirs)}"
    for what, read in (("names", _names), ("status", _status)):
        if (ours := read(RunDir(actual))) != (theirs := read(RunDir(expected))):
            return f"{what}: {_first_difference(ours, theirs)}"
    return ""


def _events(run: RunDir) -> list[dict[str, Any]]:
    return [{k: v for k, v in event.items() if k != "time"} for event in read_metrics(run.events)]


def _series(run: RunDir) -> dict[str, list[tuple[int, Any]]]:
    """Series, texts and pictures as TensorBoard's page shows them: tag -> (step, value)."""
    everything = dict.fromkeys(("scalars", "images", "text"), 0)
    page = EventMultiplexer(tensor_size_guidance=everything).AddRun(str(run.tensorboard), "run")
    page.Reload()
    values = {
        tag: [(e.step, e.tensor_proto.SerializeToString()) for e in page.Tensors("run", tag)]
        for tag in page.Runs()["run"]["tensors"]
        if not tag.startswith("_hparams_/")
    }
    for tag in ("config", "loss_card", "custom_scalars__config__"):  # written at each start
        values[tag] = values.get(tag, [])[-1:]
    return without_clock(values)


def _hparams(run: RunDir) -> dict[str, Any]:
    writer = EventAccumulator(str(run.tensorboard)).Reload()
    start, end = (
        plugin_data_pb2.HParamsPluginData.FromString(writer.SummaryMetadata(t).plugin_data.content)
        for t in (metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG)
    )
    choices = start.session_start_info.hparams.items()
    status = end.session_end_info.status
    return {"choices": sorted((k, str(v)) for k, v in choices), "status": status}


def _pictures(run: RunDir) -> dict[str, bytes]:
    return {
        str(path.relative_to(run.path)): path.read_bytes()
        for folder in (run.samples, run.landscape)
        for path in sorted(folder.glob("*"))
    }


_CONTENT: dict[str, Callable[[RunDir], Any]] = {
    "metrics": lambda run: rows(run.path),
    "events": _events,
    "TensorBoard's series": _series,
    "TensorBoard's table": _hparams,
    "pictures": _pictures,
    "configuration": lambda run: run.config.read_text(),
}


def _names(run: RunDir) -> dict[str, int]:
    """Every file there is, but for TensorBoard's, of which each start makes one."""
    return {
        str(path.relative_to(run.path)): 1
        for path in run.path.rglob("*")
        if path.is_file() and path.suffix != ".series"
    }


def _status(run: RunDir) -> dict[str, Any]:
    """What status.json says of the outcome, of the run and of each seed."""
    keys = ("state", "step", "steps", "error", "signal", "seeds", "final", "best", "lost")
    runs = {"": run, **{f"{child.path.name}.": child for child in run.children()}}
    return {
        prefix + key: json.dumps(each.read_status().get(key))
        for prefix, each in runs.items()
        for key in keys
    }


def _first_difference(ours: Any, theirs: Any) -> str:
    """Where two values differ first, down to their parts."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = sorted({*ours, *theirs})
        key = next(k for k in keys if repr(ours.get(k)) != repr(theirs.get(k)))
        return f"{key}: {_first_difference(ours.get(key), theirs.get(key))}"
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        pairs = enumerate(zip(ours, theirs, strict=False))
        index = next((i for i, (a, b) in pairs if repr(a) != repr(b)), None)
        if index is None:
            return f"{len(ours)} of them, expected {len(theirs)}"
        return f"{index}: {_first_difference(ours[index], theirs[index])}"
    return f"{repr(ours)[:80]}, expected {repr(theirs)[:80]}"
