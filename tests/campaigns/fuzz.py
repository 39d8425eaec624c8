"""Random configurations: each trains two finite steps or is refused in one line, writing nothing.

`overrides` describes the space once, in terms of `random.Random`: the campaign draws from it with a
seed, and hypothesis with a Random of its own that it can shrink. Left out are what takes half a
minute a run (execution.mode=compiled), what reaches for the network (data.download=true), and
data sets that are not in this repository.
"""

import contextlib
import functools
import json
import os
import re
import resource
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy as np
import yaml
from PIL import Image

from gan_lab.data import classifier
from gan_lab.training import memory
from tests.campaigns.inputs import TimeLimitReached, describe, expand, time_limit
from tests.campaigns.record import Campaign, Fault
from tests.campaigns.runs import FORKSERVER, run_here
from tests.helpers import CONF, names

LIMIT = 60  # seconds of one configuration on a core
_MEMORY = 2 * 10**9  # bytes that a run may add to the process
_WORKERS = 2

_DATA = (
    *("ring", "grid", "gaussian_1d", "mixture_1d", "segments", "swiss_roll", "two_moons"),
    *("checkerboard", "funnels", "digits", "stacked_digits", "mnist_5k", "array", "image_array"),
    "image_folder",
)
_IMAGES = ("digits", "stacked_digits", "mnist_5k", "image_array", "image_folder")
_MATERIALS = ("points.npy", "points.csv", "pictures.npy", "pictures.npz", "pictures")
_TABLE = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
_CHEAP = {key: str(value) for key, value in _TABLE["cheap"].items()}
_PLAUSIBLE = {key: str(values).split() for key, values in _TABLE["plausible"].items()}
_ABSURD, _STRANGE = ([*map(expand, _TABLE[name])] for name in ("absurd", "strange"))


def overrides(random: Random) -> list[str]:
    """The keys of one configuration: mostly plausible, sometimes with an absurd one among them."""
    choices = _choices(random)
    keys, known = dict(choices), _known(choices)
    keys |= {key: value for key, value in _CHEAP.items() if "." not in key or key in known}
    if choices["data"] == "array":
        paths = ("points.npy", "points.npy", "points.csv", "pictures.npy")
        keys["data.path"] = random.choice(paths)
    if choices["data"] == "image_array":
        keys["data.path"] = random.choice(("pictures.npy", "pictures.npy", "pictures.npz"))
    if choices["data"] == "image_folder":
        keys |= {"data.root": "pictures", "data.size": "8"}
    for key in random.sample(sorted(known), random.randint(0, min(6, len(known)))):
        keys[key] = _plausible(random, key, known[key])
    words = [f"{key}={value}" for key, value in keys.items()]
    for _ in range(random.choice((0, 0, 0, 0, 1, 1, 2))):
        _spoil(random, words, sorted(known))
    return words


def configuration(seed: int, index: int) -> list[str]:
    """The configuration of a campaign's seed and index."""
    return overrides(Random(f"{seed}/{index}"))


def _choices(random: Random) -> dict[str, str]:
    choices = {"data": random.choice(_DATA)}
    for group, share in {"loss": 0.8, "network": 0.5, "optim": 0.5, "preset": 0.1}.items():
        if random.random() < share:
            choices[group] = random.choice(names(group))
    if choices["data"] not in _IMAGES and random.random() < 0.9:
        choices["network"] = "mlp"
    if random.random() < 0.4:
        choices["regularizer"] = _some(random, [o for o in names("regularizer") if o != "none"])
    # Inception's want a file of weights, which is not here.
    choices["metrics"] = _some(random, [name for name in names("metrics") if name != "inception"])
    return choices


def _some(random: Random, options: Sequence[str]) -> str:
    return f"[{','.join(random.sample(list(options), random.randint(0, 3)))}]"


def _known(choices: dict[str, str]) -> dict[str, Any]:
    """Keys that belong to the choices, with the defaults of their files."""
    files = {"network": "mlp", "optim": "adam", **choices}
    files |= dict.fromkeys(("trainer", "evaluator", "neural_distance", "execution"), "default")
    known: dict[str, Any] = {"seed": 0, "n_seeds": 1, "device": "cpu"}
    for group, chosen in files.items():
        if group in ("preset", "loss"):
            continue
        for option in chosen.strip("[]").split(","):
            if option and (file := CONF / group / f"{option}.yaml").exists():
                node = yaml.safe_load(file.read_text())
                inside = node.get("data", node) if group == "data" else node
                known |= _leaves(inside, group)
    return {
        k: v for k, v in known.items() if not k.endswith(("_target_", "download", "ignore_memory"))
    }


def _leaves(node: Any, path: str) -> dict[str, Any]:
    if not isinstance(node, dict):
        return {path: node}
    return {k: v for key, each in node.items() for k, v in _leaves(each, f"{path}.{key}").items()}


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


def write_materials(directory: Path) -> None:
    """The files that configurations name: points, pictures."""
    random = np.random.default_rng(0)
    points = random.normal(size=(240, 2)).astype(np.float32)
    np.save(directory / "points.npy", points)
    np.savetxt(directory / "points.csv", points, delimiter=",")
    pictures = random.integers(0, 256, (240, 1, 8, 8), dtype=np.uint8)
    np.save(directory / "pictures.npy", pictures)
    np.savez(directory / "pictures.npz", images=pictures, labels=np.arange(240) % 3)
    (directory / "pictures").mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture[0]).save(directory / "pictures" / f"{i}.png")


def attempt(words: Sequence[str], home: Path) -> tuple[str, str]:
    """Runs one configuration in an empty directory below `home`, which holds the materials.

    Returns:
        Its end ("trained", "refused", "diverged" or "fault"), and what is wrong with that or "".
    """
    directory = Path(tempfile.mkdtemp(dir=home))
    for file in _MATERIALS:
        (directory / file).symlink_to(home / file)
    before = _files(directory)
    _, start = _memory()
    try:
        with contextlib.chdir(directory), time_limit(LIMIT), _quick_classifiers(home):
            code, _, err = run_here("train", *words)
        kind, wrong = judge(code, err, directory, _files(directory) - before)
    except TimeLimitReached:
        kind, wrong = "fault", f"hung: no end after {LIMIT} s"
    except BaseException as error:
        kind, wrong = "fault", describe(error)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    grown = _memory()[1] - start
    if not wrong and grown > _MEMORY:
        kind, wrong = "fault", f"grew by {grown / 1e9:.1f} GB"
    return kind, wrong


@contextlib.contextmanager
def _quick_classifiers(home: Path) -> Iterator[None]:
    """Train the evaluator's classifiers in two steps, and keep them in a cache of their own."""
    with (
        mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(home.absolute() / "cache")}),
        mock.patch.object(classifier, "_STEPS", 2),
    ):
        yield


def judge(code: int, said: str, directory: Path, written: set[Path]) -> tuple[str, str]:
    """What an exit code, stderr and the files that a run left come to; see `attempt`."""
    result = re.compile(  # events, and what is said of a classifier, too
        r"warning: |training the classifier|its classes |step \d+(, seed [\d, ]+)?: "
    )
    lines = [line for line in said.splitlines() if not result.match(line)]
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
    files = sorted(directory.rglob("metrics.jsonl"))
    if not files:
        return "fault", "exit code 0 without metrics"
    numbers = [
        item
        for file in files
        for line in file.read_text().splitlines()
        for item in json.loads(line).items()
    ]
    own = ("loss/", "gradient/", "weights/")
    wrong = (f"{tag} is {v}" for tag, v in numbers if tag.startswith(own) and isinstance(v, str))
    return "trained", next(wrong, "")


def _files(directory: Path) -> set[Path]:
    return {path.relative_to(directory) for path in directory.rglob("*")}


def _memory() -> list[int]:
    """Bytes of this process: all that it mapped, and what is in memory."""
    try:
        sizes = Path("/proc/self/statm").read_text().split()
    except OSError:
        return [0, 0]
    return [int(pages) * os.sysconf("SC_PAGE_SIZE") for pages in sizes[:2]]


Trial = Callable[[int, int, Path], tuple[str, str]]


def trial(seed: int, index: int, home: Path) -> tuple[str, str]:
    """Tries the configuration of a seed and an index, in a worker."""
    _confine()
    return attempt(configuration(seed, index), home)


@functools.cache
def _confine() -> None:
    """What this process may have, so that what is accepted does not depend on the machine."""
    memory.free_bytes = lambda device: _MEMORY // 2  # twice as much is refused
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY:  # else there is a limit already
        resource.setrlimit(resource.RLIMIT_AS, (_memory()[0] + 16 * 10**9, hard))


def work(run: Trial, seed: int, home: Path, connection: Any, indices: Sequence[int]) -> None:
    """A worker: tries its share and tells the parent each result."""
    for index in indices:
        connection.send((index, *run(seed, index, home)))


def campaign(
    n: int = 2000,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
    run: Trial = trial,
    limit: float = 10 * LIMIT,
) -> Campaign:
    """Tries n configurations; each is made again by `configuration(seed, index)`.

    Args:
        n, seed, tell: As of every campaign.
        run: What is done with each; a worker that it ends or that does not end is replaced.
        limit: Seconds after which a worker is killed; it raises by itself before.
    """
    results: dict[int, tuple[str, str]] = {}

    def record(index: int, kind: str, wrong: str) -> None:
        results[index] = kind, wrong
        if wrong:
            tell(f"index {index}: {wrong}")
        if len(results) % 50 == 0:
            tell(f"{len(results)}: {dict(Counter(kind for kind, _ in list(results.values())))}")

    def shift(which: int, home: Path) -> None:
        todo = list(range(which, n, _WORKERS))
        while todo:
            _supervise(functools.partial(work, run, seed, home), todo, limit, record)

    with tempfile.TemporaryDirectory(prefix="gan_lab_fuzz_") as folder:
        write_materials(Path(folder))
        with ThreadPoolExecutor(_WORKERS) as threads:
            list(threads.map(lambda which: shift(which, Path(folder)), range(_WORKERS)))
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
    work: Callable[..., None], todo: list[int], limit: float, record: Callable[..., None]
) -> None:
    """Lets a fresh worker go on, until its shift is over, it crashes or it hangs."""
    ours, theirs = FORKSERVER.Pipe(duplex=False)
    process = FORKSERVER.Process(target=work, args=(theirs, todo[:_SHIFT]))
    process.start()
    theirs.close()
    for _ in todo[:_SHIFT]:
        try:
            if not ours.poll(limit):
                process.kill()
                record(todo.pop(0), "fault", f"hung: the worker was killed after {limit:.0f} s")
                break
            record(*ours.recv())
            todo.pop(0)
        except EOFError:
            process.join()
            record(todo.pop(0), "fault", f"the worker ended with {process.exitcode}")
            break
    process.join()
