"""Random configurations: each trains two finite steps or is refused in one line, writing nothing.

`overrides` describes the space once, in terms of `random.Random`: the campaign draws from it with a
seed, and hypothesis with a Random of its own that it can shrink. Left out are what takes half a
minute a run (execution.mode=compiled), what reaches for the network (data.download=true), and
data sets that are not in this repository.
"""

import contextlib
import functools
import io
import json
import multiprocessing
import os
import re
import resource
import shutil
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

from gan_lab.cli import main as cli
from tests.campaigns.inputs import Hung, limited
from tests.campaigns.record import ROOT, Campaign, Fault

LIMIT = 60  # seconds of one configuration on a core
_MEMORY = 2 * 10**9  # bytes that a run is told to be free, and that it may add to the process
_WORKERS = 2

_CONF = ROOT / "conf"
_DATA = (
    *("ring", "grid", "gaussian_1d", "mixture_1d", "segments", "swiss_roll", "two_moons"),
    *("checkerboard", "digits", "stacked_digits", "array", "image_folder"),
)
_IMAGES = ("digits", "stacked_digits", "image_folder")
# What costs seconds at its default; a drawn value replaces it.
_CHEAP = {
    "trainer.steps": "2",
    "trainer.batch_size": "16",
    "trainer.n_preview": "9",
    "network.width": "8",
    "neural_distance.steps": "0",
    "neural_distance.n": "40",
    "evaluator.every": "1",
    "evaluator.n": "20",
    "evaluator.final_n": "20",
    "evaluator.n_repeats": "2",
    "evaluator.final_n_repeats": "2",
    "evaluator.floor_n_repeats": "2",
    "execution.threads": "1",
    "device": "cpu",
}
_PLAUSIBLE = {
    "trainer.steps": ("1", "2", "3"),
    "trainer.batch_size": ("2", "7", "16", "32"),
    "trainer.n_critic": ("1", "2", "5"),
    "trainer.n_generator": ("1", "2"),
    "trainer.warmup_n_critic": ("1", "3"),
    "trainer.n_preview": ("1", "9", "10"),
    "trainer.ema": ("0", "0.5", "0.999"),
    "trainer.on_divergence": ("stop", "drop_seed"),
    "network.width": ("1", "2", "8", "16"),
    "network.depth": ("1", "2", "4"),
    "network.latent_dim": ("1", "2", "16"),
    "network.packing": ("1", "2", "4"),
    "network.activation": ("relu", "leaky_relu", "elu", "silu", "softplus", "tanh"),
    "network.generator_norm": ("none", "batch", "layer", "instance"),
    "network.discriminator_norm": ("none", "batch", "layer", "instance"),
    "optim.decay": ("constant", "linear", "cosine"),
    "optim.betas": ("[0,0.9]", "[0.5,0.999]", "[0.9,0.9]"),
    "neural_distance.steps": ("0", "2", "20"),
    "neural_distance.batch_size": ("2", "16"),
    "neural_distance.width": ("1", "8"),
    "neural_distance.n": ("20", "40"),
    "neural_distance.check_every": ("1", "20"),
    "trainer.log_every": ("1", "2", "50"),
    "evaluator.n": ("2", "20", "64"),
    "evaluator.final_n": ("2", "20", "64"),
    "evaluator.n_repeats": ("2", "3"),
    "evaluator.final_n_repeats": ("2", "3"),
    "evaluator.floor_n_repeats": ("2", "3"),
    "execution.mode": ("auto", "eager", "cuda_graph"),
    "execution.precision": ("f32", "bf16", "tf32"),
    "execution.threads": ("0", "1"),
    "data.path": ("points.npy", "points.csv", "pictures.npy"),
    "data.root": ("pictures",),
    "data.size": ("4", "8", "16"),
    "data.channels": ("1", "3"),
    "data.key": ("null", "points"),
    "data.means": ("[0]", "[-1,1]", "[0,1,2]"),
    "data.stds": ("[0.1]", "[0.1,1]", "[1,1,1]"),
    "data.weights": ("[1]", "[0.5,0.5]", "[0.2,0.3,0.5]"),
    "data.dim": ("2", "3", "8"),
    "data.cells": ("2", "4", "8"),
    "data.n_held_out": ("1", "20", "500", "1776", "1797"),
    "data.n_validation": ("null", "1", "20", "256", "1500"),
    "device": ("cpu", "auto", "cuda", "cuda:1"),
    "seed": ("0", "7", "18446744073709551616"),
    "n_seeds": ("1", "2", "3"),
}
_NUMBERS = ("0", "1", "2", "-1", "0.5", "1.5", "-0.0", "1e-8", "1e-30", "1e30", "1e308", "-1e308")
_ABSURD = (
    *_NUMBERS,
    *("1e-400", "1e400", "nan", "inf", "-inf", "null", "true", "false", "abc", "''", "' '", "???"),
    *("[]", "[1,2]", "[nan]", "[[1]]", "{}", "{a:1}", "{a:{b:[null]}}", "[a,{b:c}]"),
    *("${seed}", "${nope}", "${optim.lr}", "${oc.env:HOME}", "${nope:1}", "${", "\\${x}", "${seed"),
    *("'a\nb'", "'a\0b'", "a b", "'\u00e9\u4e2d'", "'<b>'", "'", '"', "=", "a=b", "a,b", "../x"),
    *("12345678901234567890123", "1000000000", "2000000", "x" * 5000, "[" * 60 + "]" * 60),
    *("range(3)", "choice(1,2)", "glob(*)", "int(3)", "1e5", "0x10", "1_0", "~", "!!python/none"),
)
_STRANGE = (
    *("foo=1", "+foo=1", "+foo.bar.baz={a:[1]}", "++seed=1", "~seed", "~device", "~hints", "~x"),
    *("~loss", "~optim", "~data", "~network", "~trainer", "~measure", "~regularizer", "~probe"),
    *("+loss=minimax", "+optim=sgd", "+optim.foo=1", "++optim={lr:1}", "optim={lr:1}", "loss=null"),
    *(
        "optim=null",
        "metrics=null",
        "optim._target_=os.system",
        "loss._target_=gan_lab.engine.optimizers.Sgd",
    ),
    *("optim._target_=..optim", "+optim._args_=[1]", "+regularizer.r1.weight=1", "loss@x=hinge"),
    *(
        "+loss@x=hinge",
        "regularizer.r1=3",
        "+measure.x={}",
        "hydra.mode=x",
        "+hydra.x=1",
        "hydra=1",
    ),
    *("hydra.run.dir=", "hydra.run.dir='a b/c'", "hydra.run.dir='a\nb'", "hydra.run.dir='a\0b'"),
    *("hydra.run.dir=points.npy", "hydra.run.dir=" + "d" * 300, "hydra.run.dir=a/../out/x"),
    *("loss=../loss/hinge", "loss=hinge.yaml", "loss=", "=", "==", "+", "~", "", " ", "--", "-x"),
    *(
        "ring",
        "data",
        "optim.lr",
        "optim..lr=1",
        ".=1",
        "optim[0]=1",
        "a b=1",
        "\u00e9=1",
        "hints=1",
    ),
)


def overrides(random: Random) -> list[str]:
    """The keys of one configuration: mostly plausible, sometimes with an absurd one among them."""
    keys: dict[str, str] = {}
    choices = _choices(random)
    for group, choice in choices.items():
        keys[group] = choice
    known = _known(choices)
    keys |= {key: value for key, value in _CHEAP.items() if "." not in key or key in known}
    if choices["data"] == "array":
        keys["data.path"] = random.choice(
            ("points.npy", "points.npy", "points.csv", "pictures.npy")
        )
    if choices["data"] == "image_folder":
        keys |= {"data.root": "pictures", "data.size": "8"}
    for key in random.sample(sorted(known), random.randint(0, min(6, len(known)))):
        keys[key] = _plausible(random, key, known[key])
    words = [f"{key}={value}" for key, value in keys.items()]
    for _ in range(random.choice((0, 0, 0, 0, 1, 1, 2))):
        _spoil(random, words, sorted(known))
    return words


def made(seed: int, index: int) -> list[str]:
    """The configuration of a campaign's seed and index."""
    return overrides(Random(f"{seed}/{index}"))


def _choices(random: Random) -> dict[str, str]:
    found = {"data": random.choice(_DATA)}
    options = {group: sorted(p.stem for p in (_CONF / group).glob("*.yaml")) for group in _GROUPS}
    for group, share in _GROUPS.items():
        if random.random() < share:
            found[group] = random.choice(options[group])
    if found["data"] not in _IMAGES and random.random() < 0.9:
        found["network"] = "mlp"
    if random.random() < 0.4:
        found["regularizer"] = _some(random, [o for o in _names("regularizer") if o != "none"])
    found["metrics"] = _some(random, _names("metrics"))
    return found


_GROUPS = {"loss": 0.8, "network": 0.5, "optim": 0.5, "preset": 0.1}


def _names(group: str) -> list[str]:
    return sorted(path.stem for path in (_CONF / group).glob("*.yaml"))


def _some(random: Random, names: Sequence[str]) -> str:
    return f"[{','.join(random.sample(list(names), random.randint(0, 3)))}]"


def _known(choices: dict[str, str]) -> dict[str, Any]:
    """Keys that belong to the choices, with the defaults of their files."""
    files = {"network": "mlp", "optim": "adam", **choices}
    files |= dict.fromkeys(("trainer", "evaluator", "neural_distance", "execution"), "default")
    known: dict[str, Any] = {"seed": 0, "n_seeds": 1, "device": "cpu"}
    for group, chosen in files.items():
        if group in ("preset", "loss"):
            continue
        for option in chosen.strip("[]").split(","):
            if option and (file := _CONF / group / f"{option}.yaml").exists():
                node = yaml.safe_load(file.read_text())
                inside = node.get("data", node) if group == "data" else node
                known |= _leaves(inside, f"{group}.")
    return {
        key: value for key, value in known.items() if not key.endswith(("_target_", "download"))
    }


def _leaves(node: dict[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.items():
        nested = isinstance(value, dict)
        found |= _leaves(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def _plausible(random: Random, key: str, default: Any) -> str:
    if key in _PLAUSIBLE:
        return random.choice(_PLAUSIBLE[key])
    if isinstance(default, bool):
        return random.choice(("true", "false"))
    if isinstance(default, int):
        return str(random.choice((0, *(1, 2, 3, 20) * 4)))
    if isinstance(default, float) or str(default).startswith("${hints"):
        return f"{random.choice((1, 3)) * 10.0 ** random.randint(-4, 1):g}"
    return random.choice(("null", "1", "2"))


def _spoil(random: Random, words: list[str], known: Sequence[str]) -> None:
    """Makes one of the words absurd, or adds a strange one."""
    how = random.choice(("value", "value", "value", "key", "sign", "delete", "strange"))
    at = random.randrange(len(words))
    key, _, value = words[at].partition("=")
    if how == "value":
        key = random.choice(known)
        words[:] = [word for word in words if word.partition("=")[0] != key]
        words.append(f"{key}={random.choice(_ABSURD)}")
    elif how == "key":
        cut = random.randrange(len(key) + 1)
        words[at] = f"{key[:cut]}{random.choice(('', 'x', '_', '.', 'S'))}{key[cut + 1 :]}={value}"
    elif how == "sign":
        words[at] = random.choice(("+", "++", "~")) + words[at]
    elif how == "delete":
        words[at] = f"~{key}"
    else:
        words.insert(at, random.choice(_STRANGE))


def materials(directory: Path) -> None:
    """The files that configurations name: points, pictures."""
    random = np.random.default_rng(0)
    points = random.normal(size=(240, 2)).astype(np.float32)
    np.save(directory / "points.npy", points)
    np.savetxt(directory / "points.csv", points, delimiter=",")
    pictures = random.integers(0, 256, (240, 1, 8, 8), dtype=np.uint8)
    np.save(directory / "pictures.npy", pictures)
    (directory / "pictures").mkdir()
    from PIL import Image

    for i, picture in enumerate(pictures):
        Image.fromarray(picture[0]).save(directory / "pictures" / f"{i}.png")


def tried(words: Sequence[str], home: Path) -> tuple[str, str]:
    """Runs one configuration in an empty directory below `home`, which holds the materials.

    Returns:
        What became of it ("trained", "refused", "diverged" or "fault"), and what is wrong with
        that; empty where nothing is.
    """
    directory = Path(tempfile.mkdtemp(dir=home))
    for file in ("points.npy", "points.csv", "pictures.npy", "pictures"):
        (directory / file).symlink_to(home / file)
    before = _files(directory)
    out, err = io.StringIO(), io.StringIO()
    back, start = Path.cwd(), _resident()
    os.chdir(directory)
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            limited(LIMIT),
        ):
            code = cli.main(["train", *words])
        kind, wrong = judged(code, err.getvalue(), directory, _files(directory) - before)
    except Hung:
        kind, wrong = "fault", f"hung: no end after {LIMIT} s"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        message = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        kind, wrong = "fault", f"{message} ({Path(place.filename).name}:{place.lineno})"
    finally:
        os.chdir(back)
        shutil.rmtree(directory, ignore_errors=True)
    grown = _resident() - start
    if not wrong and grown > _MEMORY:
        kind, wrong = "fault", f"grew by {grown / 1e9:.1f} GB"
    return kind, wrong


def judged(code: int, said: str, directory: Path, written: set[Path]) -> tuple[str, str]:
    """What an exit code, stderr and the files that a run left come to; see `tried`."""
    told = re.compile(r"warning: |step \d+(, seed [\d, ]+)?: ")  # and events, which are results
    lines = [line for line in said.splitlines() if not told.match(line)]
    if "Traceback" in said:
        return "fault", f"a traceback: {lines[-1][:200]}"
    if code == 2:
        if len(lines) != 1 or not said.startswith("ConfigError: ") or len(lines[0]) < 25:
            return "fault", f"refused in other words: {said[:200]!r}"
        return "refused", f"refused, but wrote {sorted(written)[0]}" if written else ""
    if code == 1 and len(lines) == 1 and lines[0].startswith("RunDiverged: "):
        return "diverged", ""
    if code != 0 or lines:
        return "fault", f"exit code {code}, said {said[-200:]!r}"
    found = sorted(directory.rglob("metrics.jsonl"))
    if not found:
        return "fault", "exit code 0 without metrics"
    return "trained", next(filter(None, map(_not_finite, found)), "")


def _not_finite(file: Path) -> str:
    for line in file.read_text().splitlines():
        for tag, value in json.loads(line).items():
            if tag.startswith(("loss/", "gradient/", "weights/")) and isinstance(value, str):
                return f"{tag} is {value}"
    return ""


def _files(directory: Path) -> set[Path]:
    return {path.relative_to(directory) for path in directory.rglob("*")}


def _resident() -> int:
    """Bytes of this process in memory."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


Trial = Callable[[int, int, Path], tuple[str, str]]


def trial(seed: int, index: int, home: Path) -> tuple[str, str]:
    """Tries the configuration of a seed and an index, in a worker."""
    _confine()
    return tried(made(seed, index), home)


@functools.cache
def _confine() -> None:
    """What this process may have, so that what is accepted does not depend on the machine."""
    from gan_lab.training import memory

    memory.free = lambda device: _MEMORY
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY:  # else there is a limit already
        resource.setrlimit(resource.RLIMIT_AS, (size + 16 * 10**9, hard))


def work(connection: Any, run: Trial, seed: int, indices: Sequence[int], home: str) -> None:
    """A worker: tries its share and tells the parent each result."""
    for index in indices:
        connection.send((index, *run(seed, index, Path(home))))


def campaign(
    n: int = 2000,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
    run: Trial = trial,
    limit: float = 10 * LIMIT,
    first: int = 0,
) -> Campaign:
    """Tries n configurations; each is made again by `made(seed, index)`.

    Args:
        n: How many.
        seed: Of all.
        tell: Shows a line of progress.
        run: What is done with each; a worker that it ends or that does not end is replaced.
        limit: Seconds after which a worker is killed; it raises by itself before.
        first: Index to begin with.
    """
    results: dict[int, tuple[str, str]] = {}
    with tempfile.TemporaryDirectory(prefix="gan_lab_fuzz_") as home:
        materials(Path(home))

        def shift(which: int) -> None:
            left = list(range(first + which, first + n, _WORKERS))
            while left:
                _supervise(run, seed, left, home, limit, results, tell)

        threads = [threading.Thread(target=shift, args=(each,)) for each in range(_WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    faults = [
        Fault("random configuration", f"seed {seed}, index {index}", wrong)
        for index, (_, wrong) in sorted(results.items())
    ]
    kinds = Counter(kind for kind, _ in results.values())
    return Campaign(
        "fuzz",
        "Random configurations over all groups, two steps each",
        "trains two finite steps, or is refused with exit code 2, one line and nothing written",
        faults,
        {"seed": seed, **kinds},
    )


_SHIFT = 100  # configurations of one worker before a fresh one follows


def _supervise(
    run: Trial,
    seed: int,
    left: list[int],
    home: str,
    limit: float,
    results: dict[int, tuple[str, str]],
    tell: Callable[[str], None],
) -> None:
    """Lets a fresh worker try what is left, until its shift is over, it crashes or it hangs."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(theirs, run, seed, left[:_SHIFT], home))
    process.start()
    theirs.close()
    wrong = ""
    for _ in range(len(left[:_SHIFT])):
        try:
            if not ours.poll(limit):
                wrong = f"hung: the worker was killed after {limit:.0f} s"
                break
            index, *result = ours.recv()
        except EOFError:
            process.join()
            wrong = f"the worker ended with {process.exitcode}"
            break
        results[index] = (result[0], result[1])
        if result[1]:
            tell(f"index {index}: {result[1]}")
        if len(results) % 50 == 0:
            tell(f"{len(results)}: {dict(Counter(kind for kind, _ in results.values()))}")
        left.remove(index)
    if wrong:
        process.kill()
        results[left.pop(0)] = ("fault", wrong)
    process.join()


def main(arguments: Sequence[str]) -> int:
    """`python -m tests.campaigns.fuzz N SEED [FIRST]`: the faults, by seed and index."""
    n, seed, first = (*map(int, arguments), *(2000, 0, 0)[len(arguments) :])
    done = campaign(n, seed, lambda line: print(line, flush=True), first=first)
    for fault in done.lost:
        index = int(fault.what.rpartition(" ")[2])
        print(f"{fault.what}: {fault.lost}\n    {made(seed, index)}")
    print(done.rows(), done.measured)
    return 1 if done.lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
