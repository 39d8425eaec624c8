"""Small runs in processes of their own, and whether two of them are the same run."""

import json
import logging
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir

logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells of each resume
ROOT = Path(__file__).resolve().parents[2]

# A ruler that costs milliseconds, and intervals that do not coincide: what is left open would be
# chosen by the clock.
CHEAP = (
    *("trainer.batch_size=16", "trainer.steps=45", "trainer.checkpoint_every=10"),
    *("trainer.image_every=20", "trainer.landscape_every=8"),
    *(
        "metrics=[wasserstein,neighbours]",
        "neural_distance.steps=0",
        "evaluator.every=6",
        "evaluator.n=16",
    ),
    *("evaluator.final_n=16", "evaluator.n_repeats=2", "evaluator.final_n_repeats=2"),
    *("evaluator.floor_n_repeats=2", "device=cpu", "execution.threads=1"),
)
SEVENTH = (*CHEAP, "trainer.log_every=7")
RING = ("data=ring", "network=mlp", "network.width=8")
GAMES = {
    # A critic that is too slow: the run has events to lose, a sign flip and a divergence.
    "ring wasserstein": (
        *(*RING, *CHEAP, "trainer.log_every=2", "loss=wasserstein", "optim.lr=0.1"),
        *("optim.discriminator_lr=0.0001", "trainer.n_critic=1"),
    ),
    "ring two seeds": (*RING, *SEVENTH, "n_seeds=2", "seed=3"),
    "ring clipping": (*RING, *SEVENTH, "regularizer=[weight_clipping]", "optim=rmsprop"),
    "digits dcgan": ("data=digits", "network=dcgan", "network.width=4", *SEVENTH),
}

_warm = multiprocessing.get_context("forkserver")
_warm.set_forkserver_preload(["gan_lab.cli.train"])


def forked(
    arguments: list[str], log: Path, plant: Callable[[], None] | None = None
) -> multiprocessing.process.BaseProcess:
    """Starts a command in a process that has torch imported already.

    Args:
        arguments: As after `python -m gan_lab`.
        log: Where stdout and stderr are appended.
        plant: Called in the new process before the command.
    """
    process = _warm.Process(target=_child, args=(arguments, log, plant), daemon=True)
    process.start()
    return process


def command(arguments: list[str]) -> list[str]:
    """What a person types."""
    return [sys.executable, "-m", "gan_lab", *arguments]


def started(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Starts `python -m gan_lab` as a person does; stdout and stderr are appended to a file."""
    with open(log, "ab") as file:
        return subprocess.Popen(
            command(arguments),
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=file,
            stderr=file,
        )


def ended(arguments: list[str], log: Path, plant: Callable[[], None] | None = None) -> int:
    """Runs a command to its end in a warm process; the exit code, -9 after kill -9."""
    process = forked(arguments, log, plant)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def onward(path: Path, choice: tuple[str, ...]) -> list[str]:
    """The command that takes a run on: `resume`, or `train` before its first checkpoint."""
    if checkpoint.available(RunDir(path).checkpoints):
        return ["resume", str(path)]
    return ["train", *choice, f"hydra.run.dir={path}"]


def difference(actual: Path, expected: Path) -> str:
    """The first thing that tells two runs apart, clocks aside; empty if nothing does."""
    if _digest(actual) != _digest(expected):
        return "the last checkpoint differs"
    seeds = [child.path.name for child in RunDir(expected).children()]
    for name in seeds or ["."]:
        mine, yours = RunDir(actual / name), RunDir(expected / name)
        for what, read in _READ.items():
            ours, theirs = read(mine), read(yours)
            if repr(ours) != repr(theirs):  # nan equals nan
                return f"{what} of {name}: {_first(ours, theirs)}"
    mine, yours = RunDir(actual), RunDir(expected)
    for what in (_names, _status):
        if (ours := what(mine)) != (theirs := what(yours)):
            return f"{what.__name__[1:]}: {_first(ours, theirs)}"
    return ""


def saved_step(path: Path) -> int:
    """The step of the newest checkpoint; 0 before the first one."""
    return max(checkpoint.available(RunDir(path).checkpoints), default=0)


def _child(arguments: list[str], log: Path, plant: Callable[[], None] | None) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.argv = ["gan_lab", *arguments]
    from gan_lab.cli import main as cli

    if plant is not None:
        plant()
    sys.exit(cli.main(arguments))


def _digest(path: Path) -> str:
    content = checkpoint.load_latest(RunDir(path).checkpoints).content
    return checkpoint.digest({k: v for k, v in content.items() if k not in ("config", "seconds")})


def _metrics(run: RunDir) -> list[dict[str, Any]]:
    return [_clockless(row) for row in read_metrics(run.metrics)]


def _events(run: RunDir) -> list[dict[str, Any]]:
    return [{k: v for k, v in event.items() if k != "time"} for event in read_metrics(run.events)]


def _writer(run: RunDir) -> dict[str, list[tuple[int, Any]]]:
    """Series, texts and pictures as TensorBoard's page shows them: tag -> (step, value)."""
    everything = dict.fromkeys(("scalars", "images", "text"), 0)
    page = EventMultiplexer(tensor_size_guidance=everything).AddRun(str(run.tensorboard), "run")
    page.Reload()
    found = {
        tag: [(e.step, e.tensor_proto.SerializeToString()) for e in page.Tensors("run", tag)]
        for tag in page.Runs()["run"]["tensors"]
        if not tag.startswith("_hparams_/")
    }
    for tag in ("config", "loss_card", "custom_scalars__config__"):  # said anew at each start
        found[tag] = found.get(tag, [])[-1:]
    return _clockless(found)


def _hparams(run: RunDir) -> dict[str, Any]:
    writer = EventAccumulator(str(run.tensorboard)).Reload()
    read = {
        tag: plugin_data_pb2.HParamsPluginData.FromString(
            writer.SummaryMetadata(tag).plugin_data.content
        )
        for tag in writer.PluginTagToContent(metadata.PLUGIN_NAME)
    }
    start = read[metadata.SESSION_START_INFO_TAG].session_start_info
    return {
        "choices": sorted((name, str(value)) for name, value in start.hparams.items()),
        "status": read[metadata.SESSION_END_INFO_TAG].session_end_info.status,
    }


def _pictures(run: RunDir) -> dict[str, bytes]:
    return {
        str(path.relative_to(run.path)): path.read_bytes()
        for folder in (run.samples, run.landscape)
        for path in sorted(folder.glob("*"))
    }


def _config(run: RunDir) -> str:
    return run.config.read_text()


_READ: dict[str, Callable[[RunDir], Any]] = {
    "metrics": _metrics,
    "events": _events,
    "TensorBoard's series": _writer,
    "TensorBoard's table": _hparams,
    "pictures": _pictures,
    "configuration": _config,
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
    found = {}
    for each in (run, *run.children()):
        status = each.read_status()
        found |= {f"{each.path.name}.{key}": json.dumps(status.get(key)) for key in keys}
    return {key.removeprefix(f"{run.path.name}."): value for key, value in found.items()}


def _clockless(values: dict[str, Any]) -> dict[str, Any]:
    return {tag: value for tag, value in values.items() if not tag.startswith("time/")}


def _first(ours: Any, theirs: Any) -> str:
    """Where two values part, going into what has parts."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = sorted({*ours, *theirs})
        key = next(k for k in keys if repr(ours.get(k)) != repr(theirs.get(k)))
        return f"{key}: {_first(ours.get(key), theirs.get(key))}"
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        pairs = enumerate(zip(ours, theirs, strict=False))
        index = next((i for i, (a, b) in pairs if repr(a) != repr(b)), None)
        if index is None:
            return f"{len(ours)} of them, expected {len(theirs)}"
        return f"{index}: {_first(ours[index], theirs[index])}"
    return f"{repr(ours)[:80]}, expected {repr(theirs)[:80]}"
