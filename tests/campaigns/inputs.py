"""Bad input: what a user may type, hand over or have around, and the one line that answers it.

Each case ends with exit code 2 and a line that begins with ConfigError, before anything is written,
or, where the surroundings are odd but do no harm, with the numbers that a run has anywhere.
A word RUN stands for a finished run of 4 steps, which the case must leave as it is, and PORT for a
port that another program listens on.
"""

import contextlib
import dataclasses
import io
import json
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
from unittest import mock

import numpy as np
from PIL import Image

from gan_lab.cli import main as cli
from gan_lab.loggers.jsonl import read_metrics
from tests.campaigns.cheap import CHEAP, RING
from tests.campaigns.record import ROOT, Campaign, Fault

LIMIT = 20  # seconds of one case on a core

SHORT = ("train", "trainer.steps=2", *RING)
WHOLE = ("train", "trainer.steps=4", *RING)  # what RUN was told


@dataclass(frozen=True)
class Case:
    """One bad input, or surroundings in which all has to work.

    Attributes:
        kind: What is bad: config, choice, data, file, directory, environment, command, sweep, ...
        words: The command line.
        said: A part of the line on stderr.
        prepare: What has to be there first, in the working directory; it may return what takes
            that away again.
        environment: Variables that are set (or, with None, are not).
        apart: Whether it takes a process of its own: what counts is read when that begins.
        streams: Where such a process has its streams: number -> a file, or None if it is closed.
        works: Whether it is no mistake: `train`, whose numbers have to be those of RUN.
        slow: Whether it is left to the slow tests, being a variant of another case.
    """

    kind: str
    words: Sequence[str]
    said: str
    prepare: Callable[[Path], object] = lambda directory: None
    environment: Mapping[str, str | None] = field(default_factory=dict)
    apart: bool = False
    streams: Mapping[int, str | None] = field(default_factory=dict)
    works: bool = False
    slow: bool = False

    @property
    def name(self) -> str:
        """A short name: what is typed beside the usual, and what is around."""
        typed = [word for word in self.words if word not in {*SHORT[1:], *WHOLE[1:]}]
        around = [f"{key}={value}" for key, value in self.environment.items()]
        around += [f"{number}>{target or '&-'}" for number, target in self.streams.items()]
        made = getattr(self.prepare, "__name__", "").removeprefix("<lambda>")
        return " ".join(filter(None, (*around, *typed, made and f"({made})")))[:90]


def alone(environment: Mapping[str, str | None], *words: str, slow: bool = True) -> Case:
    """Surroundings in which a training works, in a process of its own."""
    return Case(
        "surroundings", (*WHOLE, *words), "", _file, environment, apart=True, works=True, slow=slow
    )


def keys(kind: str, *pairs: tuple[str, str]) -> list[Case]:
    """Cases of `train` on a ring with one more word each."""
    return [Case(kind, (*SHORT, word), said) for word, said in pairs]


# What is there before


def _empty(directory: Path) -> None:
    (directory / "an_empty_directory").mkdir()


def _file(directory: Path) -> None:
    (directory / "a_file").write_text("x")


def read_only(directory: Path) -> Callable[[], object]:
    """A folder where nobody may write: a mount, or where that is not allowed, its permissions."""
    there = directory / "there"
    there.mkdir()
    if _mounted(there, "ro"):
        return lambda: subprocess.run(["umount", str(there)], check=True)
    if os.geteuid() == 0:  # whom permissions do not stop
        there.rmdir()
        there.symlink_to("/proc")
    else:
        there.chmod(0o555)
    return lambda: None


def read_only_outputs(directory: Path) -> Callable[[], object]:
    """The same where runs go by themselves."""
    (directory / "outputs").symlink_to("there")
    return read_only(directory)


def no_room(directory: Path) -> Callable[[], object]:
    """A disk without a free byte, or where nothing may be mounted, no file beyond a byte."""
    (directory / "there").mkdir()
    if _mounted(directory / "there", "size=64k"):
        with contextlib.suppress(OSError), open(directory / "there" / "ballast", "wb", 0) as file:
            while True:
                file.write(bytes(4096))
        return lambda: subprocess.run(["umount", str(directory / "there")], check=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _mounted(there: Path, option: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", option, "none", str(there)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def array(values: object, name: str = "x.npy") -> Callable[[Path], None]:
    """Saves an array, objects by pickling them."""

    def saved_array(directory: Path) -> None:
        np.save(directory / name, np.asarray(values), allow_pickle=True)

    return saved_array


def text(content: str | bytes, name: str) -> Callable[[Path], None]:
    """Writes a file."""

    def written(directory: Path) -> None:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        raw = content.encode() if isinstance(content, str) else content
        (directory / name).write_bytes(raw)

    return written


def _claims(directory: Path) -> None:
    """A header that promises an array of 8 TB."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 1), }"
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    (directory / "x.npy").write_bytes(
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    )


def _pickled(directory: Path) -> None:
    with zipfile.ZipFile(directory / "x.npz", "w") as archive:
        archive.writestr("x.npy", b"cos\nsystem\n(S'touch hacked'\ntR.")


def _pictures(directory: Path, n: int = 100, size: tuple[int, int] = (8, 8)) -> Path:
    home = directory / "pictures"
    home.mkdir()
    for i in range(n):
        Image.new("L", size, i % 256).save(home / f"{i:03d}.png")
    return home


def few_images(directory: Path) -> None:
    """Fewer than the ruler needs."""
    _pictures(directory, 25)


def one_image(directory: Path) -> None:
    """One."""
    _pictures(directory, 1)


def truncated_image(directory: Path) -> None:
    """A hundred, one of which ends in the middle."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    cut = _pictures(directory) / "050.png"
    Image.fromarray(noise).save(cut)
    cut.write_bytes(cut.read_bytes()[:700])


def empty_image(directory: Path) -> None:
    """A hundred, one of which has no bytes."""
    (_pictures(directory) / "050.png").write_bytes(b"")


def text_as_image(directory: Path) -> None:
    """A hundred, one of which is a letter."""
    (_pictures(directory) / "050.png").write_text("Dear Sir or Madam")


def deep_image(directory: Path) -> None:
    """A hundred, one of which has 16 bits."""
    deep = np.full((8, 8), 40_000, dtype=np.uint16)
    Image.fromarray(deep).save(_pictures(directory) / "050.png")


def image_elsewhere(directory: Path) -> None:
    """A hundred, one of which is a link to nothing."""
    gone = _pictures(directory) / "050.png"
    gone.unlink()
    gone.symlink_to("nowhere")


def texts_only(directory: Path) -> None:
    """A folder without an image."""
    text("no image", "pictures/readme.txt")(directory)


def images_of_another(directory: Path) -> None:
    """A folder whose name is a file's."""
    text("x", "pictures")(directory)


POINTS = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
HOLED = POINTS.copy()
HOLED[7, 1] = np.nan
ENDLESS = POINTS.astype(np.float64)
ENDLESS[3, 0] = 1e300
BYTES = np.zeros((300, 1, 8, 8), dtype=np.uint8)
ARRAY = ("data=array", "data.path=x.npy")
CSV = ("data=array", "data.path=x.csv")
FOLDER = ("data=image_folder", "data.root=pictures", "data.size=8")


def on(*words: str) -> tuple[str, ...]:
    """`train` on other data than a ring."""
    return ("train", "trainer.steps=2", "network=mlp", "network.width=8", *CHEAP, *words)


def _csv(content: str, said: str) -> Case:
    return Case("file", on(*CSV), said, text(content, "x.csv"))


def _npy(values: object, said: str, *words: str) -> Case:
    return Case("file", on(*ARRAY, *words), said, array(values))


def run_with(content: str | bytes) -> Callable[[Path], None]:
    """A run directory whose configuration has this content."""
    return text(content, "run/config.yaml")


def _bomb() -> str:
    rows = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    rows += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    return "\n".join(rows)


TARGET = "_target_"
CASES = [
    # commands
    Case("command", ["trian"], "unknown command 'trian'; did you mean 'train'"),
    Case("command", ["xyz"], "unknown command 'xyz'; known are train, resume, sample"),
    Case("command", [""], "unknown command ''"),
    Case("command", ["TRAIN"], "unknown command 'TRAIN'"),
    Case("command", ["data=ring"], "unknown command 'data=ring'"),
    Case("command", ["a\nb"], "unknown command 'a b'"),
    # keys
    *(
        Case("key", ["train", word], said)
        for word, said in [
            ("optim.lrr=1", "unknown key 'optim.lrr'; did you mean 'optim.lr'?"),
            ("+optim.lrr=1", "unknown key 'optim.lrr'; did you mean 'optim.lr'?"),
            ("++optim.lrr=1", "unknown key 'optim.lrr'; did you mean 'optim.lr'?"),
            ("trainer.n_crtic=3", "did you mean 'trainer.n_critic'?"),
            ("+trainer.n_crtic=3", "did you mean 'trainer.n_critic'?"),
            ("optm.lr=1", "unknown key 'optm.lr'; did you mean 'optim.lr'?"),
            ("foo=1", "unknown key 'foo'; known are data,"),
            ("+foo=1", "unknown key 'foo'; known are data,"),
            ("+foo.bar=1", "unknown key 'foo'; known are data,"),
            ("Optim.LR=1", "unknown key 'Optim.LR'; did you mean 'optim.lr'?"),
            ("data.SPLIT_SEED=1", "unknown key 'data.SPLIT_SEED'; did you mean 'data.split_seed'?"),
            ("data.foo=1", "unknown key 'data.foo'; known are data.n_held_out, data.n_val"),
            ("+hints.foo=1", "unknown key 'hints.foo'; known are hints.batch_size"),
            ("sed=1", "unknown key 'sed'; did you mean 'seed'?"),
            ("hydra.foo=1", "hydra.foo=1 is of no use"),
            ("+hydra.foo=1", "+hydra.foo=1 is of no use"),
            ("regularizer.gradient_penalty.weigth=1", "'regularizer.gradient_penalty.weight'?"),
            ("metrics.kl.kk=1", "unknown key 'metrics.kl.kk'"),
            ("+metrics.x=3", "metrics.x needs a _target_"),
            ("+optim._args_=[1]", "unknown key 'optim._args_'"),
            ("loss@foo=minimax", "unknown key 'loss@foo'"),
            ("+loss@foo=minimax", "@foo"),
            ("optim/adam=3", "unknown key 'optim/adam'"),
        ]
    ),
    # choices
    *(
        Case("choice", ["train", word], said)
        for word, said in [
            ("loss=wasserstien", "loss=wasserstien is unknown; take one of hinge, least_squ"),
            ("data=rng", "data=rng is unknown; take one of array, checkerboard"),
            ("optim=adamw", "optim=adamw is unknown; take one of adam, rmsprop, sgd"),
            ("regularizer=[gp]", "regularizer=gp is unknown; take one of dragan, gradient_pen"),
            ("regularizer=gp", "regularizer=gp is unknown; take one of dragan, gradient_pen"),
            ("metrics=[fid]", "metrics=fid is unknown; take one of js, kernel"),
            ("preset=x", "preset=x is unknown; take one of dcgan_2016"),
            ("hydra/launcher=nope", "nope"),
            ("hydra.mode=MULTIRUN", "hydra.mode=MULTIRUN is of no use: a sweep is -m"),
            ("hydra.job.chdir=true", "hydra.job.chdir=true is of no use"),
            ("hydra.output_subdir=x", "hydra.output_subdir=x is of no use"),
            ("hydra.verbose=true", "hydra.verbose=true is of no use"),
            ("++hydra.job.env_set.X=3", "hydra.job.env_set.X=3 is of no use"),
            ("hydra.searchpath=[x]", "hydra.searchpath=[x] is of no use"),
            ("hydra/job_logging=default", "hydra/job_logging=default is of no use"),
            ("optim=3", "group"),
            ("optim=null", "group"),
            ("+loss=minimax", "Multiple values for loss"),
            ("loss=minimax,hinge", "multirun"),
            ("loss=/etc/passwd", "loss=/etc/passwd is unknown"),
            ("loss=../loss/minimax", "loss=../loss/minimax is unknown"),
            ("loss=minimax.yaml", "loss=minimax.yaml is unknown"),
        ]
    ),
    # values
    *keys(
        "value",
        ("optim.lr=-1", "optim.lr=-1 is not a number in (0, inf)"),
        ("optim.lr=0", "optim.lr=0 is not a number in (0, inf)"),
        ("optim.lr=nan", "optim.lr=nan is not finite"),
        ("optim.lr=inf", "optim.lr=inf is not finite"),
        ("optim.lr=1e400", "optim.lr=inf is not finite"),
        ("optim.lr=abc", "optim.lr='abc' is no number"),
        ("optim.lr='a\nb'", "optim.lr='a\\nb' is no number"),
        ("optim.lr=true", "optim.lr=True is no number"),
        ("optim.lr=null", "optim.lr=null is no number"),
        ("optim.lr={a:1}", "optim.lr={'a': 1} is no number"),
        ("optim.discriminator_lr=0", "optim.discriminator_lr=0 is not a number"),
        ("optim.decay=step", "optim.decay='step' is unknown; take one of constant, linear"),
        ("optim.eps=0", "optim.eps=0 is not a number in (0, inf)"),
        ("optim.betas=[0.5]", "optim.betas=[0.5] needs two numbers"),
        ("optim.betas=[0.5,1]", "optim.betas=1 is not a number in [0, 1)"),
        ("optim.betas=[-0.5,0.9]", "optim.betas=-0.5 is not a number in [0, 1)"),
        ("optim.betas=[nan,0.5]", "optim.betas=nan"),
        ("optim.betas=0.5", "optim.betas=0.5 is no list"),
        ("trainer.n_critic=0", "trainer.n_critic=0 is not a whole number >= 1"),
        ("trainer.n_critic=1.5", "trainer.n_critic=1.5 is no whole number"),
        ("trainer.n_critic=true", "trainer.n_critic=True is no whole number"),
        ("trainer.steps=0", "trainer.steps=0 is not a whole number >= 1"),
        ("trainer.log_every=0", "trainer.log_every=0 is not a whole number >= 1"),
        ("trainer.batch_size=1", "trainer.batch_size=1 is not a whole number >= 2"),
        ("trainer.ema=1", "trainer.ema=1 is not a number in [0, 1)"),
        ("trainer.keep_checkpoints=0", "trainer.keep_checkpoints=0 is not a whole number"),
        ("evaluator.n=1", "evaluator.n=1 is not a whole number >= 2"),
        ("evaluator.budget=0", "evaluator.budget=0 is not a number in (0, 1)"),
        ("neural_distance.steps=-1", "neural_distance.steps=-1 is not a whole number >= 0"),
        ("data.std=-1", "data.std must be a finite number above 0"),
        ("data.std=nan", "data.std=nan is not finite"),
        ("data.radius=1e300", "data.radius must be of a size from 1e-12 to 1e+12"),
        ("data.std=1e-300", "data.std must be of a size from 1e-12 to 1e+12"),
        ("data.n_modes=0", "data.n_modes must be a whole number of at least 1"),
        ("network.activation=x", "network.activation='x' is unknown; take one of"),
        ("execution.mode=fast", "execution.mode='fast' is unknown; take one of auto"),
        ("execution.precision=f16", "execution.precision='f16' is unknown; take one of"),
        ("device=gpu", "device='gpu' is unknown; take auto, cpu, cuda or cuda:N"),
        ("device=cpu:1", "device='cpu:1' is unknown; take auto, cpu, cuda or cuda:N"),
        ("device=cuda:99", "device='cuda:99' was asked for, but"),
        ("trainer.on_divergence=x", "trainer.on_divergence='x' is unknown; take one of stop"),
        ("seed=-1", "seed=-1 is not a whole number >= 0"),
        ("seed=abc", "seed='abc' is not a whole number >= 0"),
        ("seed=1e3", "seed=1000.0 is not a whole number >= 0"),
        ("n_seeds=0", "n_seeds=0 is not a whole number >= 1"),
    ),
    # sizes
    *keys(
        "size",
        ("trainer.batch_size=1000000000", "are free on cpu; lower trainer.batch_size"),
        ("network.width=1000000", "are free on cpu; lower network.width"),
        ("network.width=100000000000000", "network.width=100000000000000 is more than"),
        ("network.depth=1000000", "network.depth=1000000 is more than 1000, the most"),
        ("n_seeds=1000000", "for 1000000 seeds"),
        ("n_seeds=1000000000000000", "n_seeds=1000000000000000 is more than"),
        ("trainer.steps=100000000000000000000", "trainer.steps=100000000000000000000 is more"),
        ("trainer.n_critic=1000000000", "are free on cpu"),
        ("data.n_modes=1000000000", "data.n_modes must be at most 10000"),
        ("execution.threads=100000", "execution.threads=100000 is more than"),
        ("evaluator.n=1000000000", "evaluator.n"),
        ("evaluator.final_n=1000000000", "evaluator.final_n"),
        ("evaluator.n_repeats=1000000000", "evaluator.n_repeats=1000000000 is more than"),
        ("trainer.n_preview=1000000000", "trainer.n_preview=1000000000 is more than"),
    ),
    # what does not go together
    Case(
        "combination",
        (*SHORT, "network.discriminator_norm=batch"),
        "'gradient_penalty' needs a discriminator whose samples are independent",
    ),
    Case(
        "combination",
        (*SHORT, "network.packing=2"),
        "'gradient_penalty' needs a discriminator whose samples are independent",
    ),
    Case("combination", (*SHORT, "loss=hinge", "network.packing=3"), "no multiple of network.pack"),
    Case("combination", ["train", "data=ring", "network=dcgan"], "DCGAN needs square images"),
    Case("combination", ["train", "data=digits", "data.n_held_out=1797"], "change data.n_held_out"),
    Case("combination", ["train", "data=digits", "data.n_held_out=5000"], "5000 would be held out"),
    Case("combination", ["train", "data=digits", "data.n_validation=1297"], "data.n_validation"),
    Case("combination", (*SHORT, "execution.precision=tf32"), "needs a CUDA device"),
    Case("combination", (*SHORT, "execution.mode=cuda_graph"), "needs a CUDA device"),
    *(
        Case("combination", ["train", "data=mixture_1d", word], said)
        for word, said in [
            ("data.weights=[0.5,0.5]", "data.weights must be as long as data.means (3)"),
            ("data.weights=[0.5,0.5,0.5]", "data.weights must be of sum 1"),
            ("data.means=[]", "data.means must be a list of one or more finite numbers"),
            ("data.stds=[0.2,0.2,-1]", "data.stds must be positive in every entry"),
        ]
    ),
    Case("combination", ["train", "data=checkerboard", "data.cells=3"], "data.cells must be even"),
    # data files
    Case("file", ["train", "data=array"], "data.path is not set; say data.path=..."),
    Case("file", ["train", "data=image_folder"], "data.root is not set; say data.root=..."),
    Case(
        "file", ["train", "data=array", "data.path=no.npy"], "must be an existing file, got 'no.n"
    ),
    Case("file", ["train", "data=array", "data.path=a_file"], "a .npy, .npz or .csv file", _file),
    Case(
        "file", ["train", "data=array", "data.path=an_empty_directory"], "an existing file", _empty
    ),
    Case("file", ["train", "data=array", f"data.path={'a' * 5000}.npy"], "an existing file"),
    Case("file", ["train", "data=array", "data.path='a\0b.npy'"], "an existing file"),
    Case(
        "file", ["train", "data=image_folder", "data.root=no"], "data.root must be an existing fold"
    ),
    Case("file", ["train", "data=image_folder", "data.root='a\0b'"], "must be an existing folder"),
    Case("file", ["train", "data=image_folder", f"data.root={'a' * 5000}"], "an existing folder"),
    Case("file", ["train", "data=mnist", "data.root=no"], "set data.download=true to fetch it"),
    _npy(HOLED, "nan at index (7, 1)"),
    _npy(ENDLESS, "1e+300 at index (3, 0)"),
    _npy(np.array([{"a": 1}, None] * 20, dtype=object), "holds Python objects"),
    _npy(np.array(["a"] * 40), "not real numbers"),
    _npy(POINTS.astype(np.complex64), "holds complex64, not real numbers"),
    _npy(POINTS.reshape(100, 3, 2), "has shape (100, 3, 2)"),
    _npy(np.float32(3), "has shape ()"),
    _npy(POINTS[:0], "has shape (0, 2); at least 10 rows"),
    _npy(POINTS[:1], "has shape (1, 2); at least 10 rows"),
    _npy(POINTS[:30], "but the ruler and the probe need 20 of each"),
    _npy(BYTES.transpose(0, 2, 3, 1), "looks like [N, H, W, 1]; put the channels second"),
    _npy(np.zeros((300, 8, 8, 4), np.uint8), "looks like [N, H, W, RGBA]; put the channels sec"),
    _npy(np.zeros((300, 4, 4, 4), np.uint8), "of which any axis may be the channels"),
    _npy(BYTES + np.float32(2), "scale them to [-1, 1]"),
    _npy(POINTS * [1, 0], "is constant", "data.standardize=true"),
    _npy(BYTES, "data.standardize must be false for images", "data.standardize=true"),
    _npy(POINTS, "data.key must be null", "data.key=x"),
    _npy(POINTS, "data.held_out_share must be a number between", "data.held_out_share=1"),
    _npy(POINTS, "300 would be held out", "data.held_out_share=0.9999"),
    _npy(POINTS, "data.split_seed must be at most", "data.split_seed=18446744073709551616"),
    Case("file", on(*ARRAY), "cannot be read", _claims),
    Case("file", on(*ARRAY), "no numpy file", text(b"\x00\x01garbage" * 50, "x.npy")),
    Case("file", on(*ARRAY), "cannot be read", text(b"", "x.npy")),
    Case("file", on("data=array", "data.path=x.npz"), "holds no array as 'x'", _pickled),
    Case("file", on("data=array", "data.path=x.npz"), "cannot be read", text("PK\3\4", "x.npz")),
    _csv("", "at least 10 rows are needed"),
    _csv("x,y\n" + "1,2\n" * 50 + "3\n", "line 52: 1 cells, but the first line has 2"),
    _csv("x,y\n" + "1,2\n" * 50 + "3,four\n", "line 52: cell 2 is 'four', not a number"),
    _csv("x,y\n" + "1,2\n" * 50 + "3,nan\n", "nan at index (50, 1)"),
    _csv("x;y\n" + "1;2\n" * 50, "line 2: cells are separated by semicolons ('1;2')"),
    _csv("x;y\n" + "1,5;2,5\n" * 50, "separated by semicolons and numbers have decimal commas"),
    _csv("x y\n" + "1.5 2.5\n" * 50, "line 2: cells are separated by spaces"),
    _csv("x,y\n" + '"1,5","2,5"\n' * 50, "cell 1 is '1,5', a decimal comma"),
    _csv(",x,y\n" + "0,1,2\n" * 50, "as over the index that pandas writes"),
    _csv("x,y\n" + "1,2\n" * 50 + ",3\n", "line 52: cell 1 is '', not a number"),
    Case("file", on(*CSV), "it is UTF-16 text", text(("1,2\n" * 50).encode("utf-16"), "x.csv")),
    Case("file", on(*CSV), "no UTF-8 text (byte 0xf6)", text(b"Gr\xf6sse,y\n1,2\n", "x.csv")),
    Case("file", on(*CSV), "cannot be read", text(b"1,2\n" * 50 + b"\xff\xfe,3\n", "x.csv")),
    Case("file", on(*FOLDER), "webp) and not only .txt, got 'pictures'", texts_only),
    Case("file", on(*FOLDER), "data.root must be an existing folder", images_of_another),
    Case("file", on(*FOLDER), "050.png cannot be read", image_elsewhere),
    Case("file", ["train", "data=image_folder", "data.root="], "must be the name of a folder"),
    Case("file", ["train", "data=mnist", "data.root="], "must be the name of a folder"),
    Case("file", on(*FOLDER), "050.png cannot be read", truncated_image),
    Case("file", on(*FOLDER), "050.png cannot be read", empty_image),
    Case("file", on(*FOLDER), "050.png cannot be read", text_as_image),
    Case("file", on(*FOLDER), "050.png has more than 8 bits", deep_image),
    Case("file", on(*FOLDER), "but the ruler and the probe need 20 of each", few_images),
    Case("file", on(*FOLDER), "1 samples", one_image),
    Case("file", on(*FOLDER, "data.size=3"), "data.size must be a whole number of at", one_image),
    Case("file", on(*FOLDER, "data.size=100000"), "data.size must be at most 1024", one_image),
    Case("file", on(*FOLDER, "data.channels=2"), "data.channels must be one of 3, 1", one_image),
    # where a run is to go
    Case("directory", (*SHORT, "hydra.run.dir=a_file"), "a_file cannot be made", _file),
    Case("directory", (*SHORT, "hydra.run.dir=a_file/run"), "a_file/run cannot be made", _file),
    *keys(
        "directory",
        ("hydra.run.dir=", "hydra.run.dir is empty"),
        ("hydra.run.dir=null", "hydra.run.dir"),
        ("hydra.run.dir=[a]", "hydra.run.dir"),
        ("hydra.run.dir=~/x", "cannot read 'hydra.run.dir=~/x'"),
        ("hydra.run.dir='~/x'", "hydra.run.dir=~/x would be a directory named ~; write"),
        ("hydra.run.dir=${nope}", "hydra.run.dir: Interpolation key 'nope' not found"),
        ("hydra.run.dir='a\nb'", "hydra.run.dir"),
        ("hydra.run.dir='a\0b'", "hydra.run.dir"),
        ("hydra.run.dir=" + "a" * 5000, "File name too long"),
        ("hydra.run.dir=" + "/".join(["a" * 200] * 30), "File name too long"),
        ("hydra.run.dir=/dev/null/x", "/dev/null/x cannot be made"),
        ("hydra.run.dir=/proc/x", "hydra.run.dir"),
    ),
    Case("directory", (*SHORT, "hydra.run.dir=RUN"), "holds a run already. Continue it with"),
    # where nothing can be written
    *(
        Case("read-only", words, "there", read_only)
        for words in [
            (*SHORT, "hydra.run.dir=there/run"),
            ("train", "-m", *SHORT[1:], "seed=0,1", "hydra.sweep.dir=there/runs"),
            ["sample", "RUN", "output=there/samples"],
            ["compare", "RUN", "output=there/page"],
            ["selfcheck", "output=there/page"],
            ["experiment", "dirac_gan", "hydra.run.dir=there/study"],
            ["reproduce", "dirac_gan", "output=there/page"],
            ["fork", "RUN", "loss=hinge", "hydra.run.dir=there/run"],
        ]
    ),
    Case("read-only", SHORT, "outputs/train", read_only_outputs),
    Case("no room", (*SHORT, "hydra.run.dir=there"), "nothing can be written to run dir", no_room),
    # deletions
    *(
        Case("deletion", ["train", word], said)
        for word, said in [
            ("~optim.lr", "optim.lr is not set; say optim.lr=..."),
            ("~trainer.steps", "trainer.steps is not set; say trainer.steps=..."),
            ("~optim", "optim needs a _target_"),
            ("~loss", "loss needs a _target_"),
            ("~seed", "seed=null is not a whole number"),
            ("~device", "device='None' is unknown"),
            ("~hints", "hints"),
            ("~nothing", "'nothing' does not exist"),
            ("~hydra", "Could not delete 'hydra'"),
            ("~", "Could not delete"),
        ]
    ),
    # classes
    *(
        Case("class", ["train", word], said)
        for word, said in [
            ("optim._target_=os.system", "optim._target_='os.system' is no Optimizer"),
            ("optim._target_=gan_lab.losses.Hinge", "is no Optimizer"),
            ("loss._target_=gan_lab.engine.optimizers.Adam", "is no AdversarialLoss"),
            ("optim._target_=nope.Nope", "cannot be imported"),
            ("optim._target_=..optim", "cannot be imported"),
            ("optim._target_=", "optim._target_='' cannot be imported"),
            ("optim._target_=3", "optim needs a _target_"),
        ]
    ),
    # grammar
    *(
        Case("grammar", ["train", *words], said)
        for words, said in [
            (["ring"], "train takes key=value, got 'ring'"),
            (["data", "ring"], "train takes key=value, got 'data'"),
            (["RUN"], "train takes key=value, got"),
            ([""], "train takes key=value, got ''"),
            (["loss="], "loss= is unknown"),
            (["data.std=["], "cannot read 'data.std=['"),
            (["data.name='abc"], "cannot read 'data.name='abc'"),
            (['data.name="abc'], "cannot read 'data.name=\"abc'"),
            (["loss==minimax"], "cannot read 'loss==minimax'"),
            (["optim.betas[0]=0.5"], "cannot read 'optim.betas[0]=0.5'"),
            (["optim.l\u00fc=1"], "cannot read 'optim.l"),
            (["a b=1"], "cannot read 'a b=1'"),
            (["=3"], "ConfigError"),
            (["optim.lr=${nope}"], "Interpolation key 'nope' not found"),
            (["optim.lr=${nope:1}"], "Unsupported interpolation type nope"),
            (["optim.lr=${optim.lr}"], "Recursive interpolation detected"),
            (["optim.lr=${optim.eps}", "optim.eps=${optim.lr}"], "Recursive interpolation"),
            (["optim.lr=${oc.env:NOT_SET}"], "Environment variable 'NOT_SET' not found"),
            (["--foo"], "unrecognized arguments: --foo"),
            (["--config-name=foo"], "unrecognized arguments: --config-name=foo"),
            (["--config-dir=/tmp"], "unrecognized arguments: --config-dir=/tmp"),
            (["--cfg", "foo"], "invalid choice: 'foo'"),
            (["--cfg", "job", "optim.lrr=1"], "did you mean 'optim.lr'?"),
        ]
    ),
    # sweeps: refused before the first job
    Case("sweep", ["train", "-m", *SHORT[1:], "optim.lr=1e-3,-1"], "optim.lr=-1 is not a number"),
    Case("sweep", ["train", "-m", *SHORT[1:], "loss=minimax,nope"], "loss=nope is unknown"),
    Case("sweep", ["train", "-m", *SHORT[1:], "seed=0,1", "+foo=1"], "unknown key 'foo'"),
    Case("sweep", ["train", "-m", *SHORT[1:], "seed=range(3", "stack=3"], "cannot read"),
    Case("sweep", ["train", "-m", *SHORT[1:], "seed=range(5)", "stack=2"], "are no rows of 2"),
    Case(
        "sweep", ["train", "-m", *SHORT[1:], "seed=range(4)", "stack=x"], "are no rows of a number"
    ),
    *(
        Case("sweep", ["train", "-m", *SHORT[1:], "seed=range(4)", word], "are no rows of a number")
        for word in ("stack=\u00b2", "stack=" + "9" * 5000)
    ),
    Case("sweep", ["train", "-m", *SHORT[1:], "seed=0,\u00b2", "stack=2"], "cannot read"),
    Case("sweep", ["train", "-m", *SHORT[1:], "hydra.sweep.dir="], "hydra.sweep.dir is empty"),
    Case("sweep", ["train", "-m", *SHORT[1:], "hydra.sweep.dir=a_file"], "cannot be made", _file),
    Case("sweep", ["train", "-m", *SHORT[1:], "stack=2"], "needs seed=range(...)"),
    # resume
    Case("resume", ["resume"], "resume takes one run directory, got 0"),
    Case("resume", ["resume", "nowhere"], "nowhere is no directory"),
    Case("resume", ["resume", "a\0b"], "is no directory"),
    Case("resume", ["resume", "x" * 5000], "is no directory"),
    Case("resume", ["resume", "a_file"], "a_file is no directory", _file),
    Case("resume", ["resume", "an_empty_directory"], "an_empty_directory holds no run", _empty),
    Case("resume", ["resume", "RUN", "RUN"], "takes one run directory, got 2"),
    Case("resume", ["resume", "RUN", "-m"], "resume takes no '-m'"),
    Case("resume", ["resume", "RUN"], "is complete at step 4; to extend it say trainer.steps=8"),
    Case("resume", ["resume", "RUN", "trainer.steps=2"], "is complete at step 4"),
    Case("resume", ["resume", "RUN", "trainer.steps=abc"], "trainer.steps='abc' is no whole"),
    Case("resume", ["resume", "RUN", "trainer.steps=["], "cannot read the values of resume"),
    Case("resume", ["resume", "RUN", "trainer.steps"], "takes one run directory, got 2"),
    Case("resume", ["resume", "RUN", "optim.lr=1"], "cannot change 'optim.lr'"),
    Case("resume", ["resume", "RUN", "loss=hinge"], "cannot change 'loss'"),
    Case("resume", ["resume", "RUN", "trainer.on_divergence=x"], "on_divergence='x' is unknown"),
    *(
        Case(command, [command, "run"], said, run_with(content))
        for command in ("resume", "sample", "evaluate", "fork")
        for content, said in [
            ("a: [1", "cannot be read"),
            ("- 1\n- 2\n", "is not a configuration"),
            ("", TARGET),
            (b"\x00\x01\xff\xfe" * 40, "cannot be read"),
            (b"\xff\xfe\x00", "cannot be read"),
            ("optim: !!python/object/apply:os.system ['touch hacked']\n", "cannot be read"),
            ("a: &a [*a]\n", "run"),
            (_bomb(), "run"),
            ("a: ${b}\nb: ${a}\n", "run"),
            ("a: b: c\n", "cannot be read"),
        ]
    ),
    # sample
    Case("sample", ["sample"], "sample takes one run directory, got 0"),
    Case("sample", ["sample", "nowhere"], "nowhere is no directory"),
    Case("sample", ["sample", "an_empty_directory"], "an_empty_directory holds no run", _empty),
    Case("sample", ["sample", "a_file"], "a_file is no directory", _file),
    Case("sample", ["sample", "RUN", "n=0"], "n=0 is not a whole number >= 1"),
    Case("sample", ["sample", "RUN", "n=abc"], "n=abc is not a whole number >= 1"),
    Case("sample", ["sample", "RUN", "n=100000000000"], "are free on cpu; take n="),
    Case("sample", ["sample", "RUN", "n=100000000000000000000000"], "are free on cpu; take n="),
    Case("sample", ["sample", "RUN", "seed=-1"], "seed=-1 is not a whole number >= 0"),
    Case("sample", ["sample", "RUN", "step=3"], "no checkpoint of step 3. Choose one of its steps"),
    Case("sample", ["sample", "RUN", "step="], "step= has no value; give one, or leave step out"),
    Case("sample", ["sample", "RUN", "output="], "output= has no value"),
    Case("sample", ["sample", "RUN", "step=worst"], "step=worst is not a whole number"),
    Case("sample", ["sample", "RUN", "average=2"], "average=2 is neither true nor false"),
    Case("sample", ["sample", "RUN", "nn=2"], "unknown key 'nn'; did you mean 'n'?"),
    Case("sample", ["sample", "RUN", "device=gpu"], "device='gpu' is unknown"),
    Case("sample", ["sample", "RUN", "output=a_file/x"], "a_file is a file", _file),
    Case("sample", ["sample", "RUN", "output=" + "x" * 5000], "output="),
    Case("sample", ["sample", "RUN", "output='a\0b'"], "cannot read the values"),
    # evaluate
    Case("evaluate", ["evaluate"], "evaluate takes run directories, got 0"),
    Case("evaluate", ["evaluate", "nowhere"], "nowhere is no directory"),
    Case("evaluate", ["evaluate", "an_empty_directory"], "holds no", _empty),
    Case("evaluate", ["evaluate", "RUN", "nowhere"], "nowhere is no directory"),
    Case("evaluate", ["evaluate", "RUN", "step=worst"], "step=worst is neither a whole number"),
    Case("evaluate", ["evaluate", "RUN", "step="], "step= has no value; give one, or leave"),
    Case("evaluate", ["evaluate", "RUN", "device="], "device= has no value"),
    Case("evaluate", ["evaluate", "RUN", "step=-1"], "step=-1 is neither a whole number"),
    Case("evaluate", ["evaluate", "RUN", "step=3"], "no checkpoint of step 3"),
    Case("evaluate", ["evaluate", "RUN", "foo=3"], "unknown key 'foo'"),
    Case("evaluate", ["evaluate", "RUN", "device=3"], "device="),
    Case("evaluate", ["evaluate", "RUN", "device=[a]"], "device="),
    # compare
    Case("compare", ["compare"], "compare takes run directories, got 0"),
    Case("compare", ["compare", "nowhere"], "nowhere is no directory"),
    Case("compare", ["compare", "nowhere/*"], "no directory with runs matches 'nowhere/*'"),
    Case("compare", ["compare", "an_empty_directory"], "an_empty_directory", _empty),
    Case("compare", ["compare", "RUN", "foo=1"], "unknown key 'foo'"),
    Case("compare", ["compare", "RUN", "output="], "output is empty"),
    Case(
        "compare", ["compare", "RUN", "output=~/x"], "would be a directory named ~; write output="
    ),
    Case("compare", ["compare", "RUN", "output=a_file"], "output=", _file),
    Case("compare", ["compare", "RUN", "output=RUN"], "is a run"),
    Case("compare", ["compare", "RUN", "output=a\0b"], "output="),
    Case("compare", ["compare", "RUN", "output=" + "x" * 5000], "output="),
    # dashboard
    Case("dashboard", ["dashboard"], "outputs is no directory"),
    Case("dashboard", ["dashboard", "nowhere"], "nowhere is no directory"),
    Case("dashboard", ["dashboard", "an_empty_directory"], "holds no TensorBoard log", _empty),
    Case("dashboard", ["dashboard", "a_file"], "a_file is no directory", _file),
    Case("dashboard", ["dashboard", "a\0b"], "is no directory"),
    Case("dashboard", ["dashboard", "x" * 5000], "is no directory"),
    Case("dashboard", ["dashboard", "RUN", "port=99999"], "port=99999 is no whole number from 0"),
    Case("dashboard", ["dashboard", "RUN", "port=PORT"], "Leave it away or name another"),
    Case("dashboard", ["dashboard", "RUN", "port=" + "9" * 5000], "is no whole number from 0"),
    Case("dashboard", ["dashboard", "RUN", "port=abc"], "port=abc is no whole number from 0"),
    Case(
        "dashboard", ["dashboard", "RUN", "host=203.0.113.1"], "it cannot be listened on. Leave it"
    ),
    Case("dashboard", ["dashboard", "RUN", "open=maybe"], "open=maybe is neither true nor false"),
    Case("dashboard", ["dashboard", "RUN", "bind_all=true"], "unknown key 'bind_all'"),
    Case("dashboard", ["dashboard", "RUN", "RUN"], "dashboard takes one directory, got 2"),
    Case("dashboard", ["dashboard", "RUN", "--bind_all"], "dashboard takes no '--bind_all'"),
    # fork
    Case("fork", ["fork"], "fork takes one run directory, got 0"),
    Case("fork", ["fork", "nowhere", "loss=hinge"], "nowhere is no directory"),
    Case("fork", ["fork", "x" * 5000, "loss=hinge"], "is no directory"),
    Case("fork", ["fork", "RUN", "loss=nope"], "loss=nope is unknown"),
    Case("fork", ["fork", "RUN", "step=x"], "step=x is neither a whole number >= 0 nor best"),
    Case("fork", ["fork", "RUN", "step=" + "9" * 5000], "is neither a whole number >= 0 nor best"),
    Case("fork", ["fork", "RUN", "step=3"], "no checkpoint of step 3"),
    Case("fork", ["fork", "RUN", "data=digits"], "data"),
    Case("fork", ["fork", "RUN", "network.width=9"], "network"),
    Case("fork", ["fork", "RUN", "foo=1"], "unknown key 'foo'"),
    Case("fork", ["fork", "RUN", "hydra.run.dir=RUN"], "holds a run already"),
    Case("fork", ["fork", "RUN", "hydra.mode=MULTIRUN"], "hydra.mode=MULTIRUN is of no use"),
    Case("fork", ["fork", "RUN", "hydra.run.dir='a\0b'", "trainer.steps=9"], "hydra.run.dir"),
    # experiment
    Case("experiment", ["experiment"], "experiment takes one name, got 0"),
    Case("experiment", ["experiment", "nope"], "experiment=nope is unknown; take one of"),
    Case("experiment", ["experiment", "dirac_gan", "quick=3"], "quick=3 is neither true nor false"),
    Case("experiment", ["experiment", "dirac_gan", "seed=-1"], "seed=-1 is not a whole number"),
    Case("experiment", ["experiment", "dirac_gan", "n_seeds=0"], "n_seeds=0 is not a whole number"),
    Case("experiment", ["experiment", "dirac_gan", "foo=1"], "unknown key 'foo'"),
    Case("experiment", ["experiment", "dirac_gan", "hydra.run.dir="], "hydra.run.dir is empty"),
    Case(
        "experiment", ["experiment", "dirac_gan", "hydra.run.dir=a_file"], "cannot be made", _file
    ),
    Case("experiment", ["experiment", "dirac_gan", "hydra.run.dir='a\0b'"], "hydra.run.dir"),
    Case("experiment", ["experiment", "dirac_gan", "--foo"], "unrecognized arguments: --foo"),
    Case("experiment", ["experiment", "dirac_gan", "device=gpu"], "device='gpu' is unknown"),
    # reproduce
    Case("reproduce", ["reproduce", "nope"], "nope"),
    Case("reproduce", ["reproduce", "foo=1"], "unknown key 'foo'"),
    Case("reproduce", ["reproduce", "list=maybe"], "list=maybe is neither true nor false"),
    Case("reproduce", ["reproduce", "output="], "output is empty"),
    Case("reproduce", ["reproduce", "--fast"], "reproduce takes no '--fast'"),
    Case("reproduce", ["reproduce", "dirac_gan", "output=a_file"], "output=a_file", _file),
    Case("reproduce", ["reproduce", "dirac_gan", "output=a\0b"], "output="),
    # divergence
    Case("divergence", ["divergence"], "p is missing"),
    Case("divergence", ["divergence", "p=[0.5,0.5]"], "q is missing"),
    Case("divergence", ["divergence", "p=[0.5,0.6]", "q=[1,0]"], "p"),
    Case("divergence", ["divergence", "p=[1.5,-0.5]", "q=[1,0]"], "p"),
    Case("divergence", ["divergence", "p=[nan,1]", "q=[1,0]"], "p[0]=nan is not finite"),
    Case("divergence", ["divergence", "p=[1/0,1]", "q=[1,0]"], "p[0]=1/0 is no number"),
    Case("divergence", ["divergence", "p=[]", "q=[1,0]"], "p=[] is no list of numbers"),
    Case("divergence", ["divergence", "p=0.5", "q=[1,0]"], "p=0.5 is no list of numbers"),
    Case("divergence", ["divergence", "p=[1,0]", "q=[1]"], "have 2 and 1 entries"),
    Case("divergence", ["divergence", "p=[1,0]", "q=[1,0]", "x=[0]"], "x has 1 positions for 2"),
    Case("divergence", ["divergence", "p=[1,0]", "p=[1,0]", "q=[1,0]"], "p is given twice"),
    Case("divergence", ["divergence", "p=[1,0]", "q=[1,0]", "format=xml"], "format=xml is unknown"),
    Case("divergence", ["divergence", "ring"], "divergence takes key=value, got 'ring'"),
    # selfcheck
    Case("selfcheck", ["selfcheck", "fast"], "selfcheck takes key=value, got 'fast'"),
    Case("selfcheck", ["selfcheck", "foo=1"], "unknown key 'foo'"),
    Case("selfcheck", ["selfcheck", "quick=maybe"], "quick=maybe is neither true nor false"),
    Case("selfcheck", ["selfcheck", "seeds=0"], "seeds=0 is not a whole number >= 1"),
    Case("selfcheck", ["selfcheck", "seeds=" + "9" * 5000], "is not a whole number >= 1"),
    Case("selfcheck", ["selfcheck", "seeds=5000"], "is more than 1000, the most"),
    Case("selfcheck", ["selfcheck", "output="], "output is empty"),
    Case("selfcheck", ["selfcheck", "output=a_file/x"], "a_file is a file", _file),
    Case("selfcheck", ["selfcheck", "output=a\0b"], "output="),
    Case("selfcheck", ["selfcheck", "output=" + "x" * 5000], "output="),
    # environment
    Case("environment", SHORT, "WORLD_SIZE", environment={"WORLD_SIZE": "x"}),
    Case("environment", SHORT, "WORLD_SIZE", environment={"WORLD_SIZE": "0"}),
    Case("environment", SHORT, "RANK", environment={"WORLD_SIZE": "2", "RANK": None}),
    Case(
        "environment",
        SHORT,
        "RANK",
        environment={
            "WORLD_SIZE": "2",
            "RANK": "5",
            "LOCAL_RANK": "0",
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": "29500",
        },
    ),
    Case(
        "environment",
        ["sample", "RUN"],
        "torchrun started several processes",
        environment={"WORLD_SIZE": "2", "RANK": "0"},
    ),
    Case(
        "environment",
        (*SHORT, "device=cuda"),
        "sees no CUDA device; take device=cpu or device=auto",
        environment={"CUDA_VISIBLE_DEVICES": ""},
        apart=True,
    ),
    Case(
        "environment",
        SHORT,
        "train cannot begin in this environment",
        environment={"TORCH_LOGS": "junk"},
        apart=True,
        slow=True,
    ),
    Case("environment", ["trian"], "", apart=True, streams={1: None, 2: None}),
    Case("environment", ["trian"], "", apart=True, streams={2: "/dev/full"}),
]

# What is odd and does no harm: all of it at once, and each alone.
NO_CACHE = {"HOME": "a_file", "MPLCONFIGDIR": "a_file", "TMPDIR": "nowhere"}
NO_SENSE = {
    "OMP_NUM_THREADS": "abc",
    "CUDA_VISIBLE_DEVICES": "junk",
    "GAN_LAB_SWEEP": "junk",
    "GAN_LAB_PLUGINS": "%%,;",
    "LOCAL_WORLD_SIZE": "abc",
    "HYDRA_FULL_ERROR": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
NO_SCREEN = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "1", "LINES": "-3"}
ASCII = {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
ELSEWHERE = "hydra.run.dir='r\u00fcn \u4e2d'"
CASES += [
    alone(NO_CACHE | NO_SENSE | NO_SCREEN | ASCII, ELSEWHERE, "trainer.image_every=2", slow=False),
    *(
        alone({key: value}, "trainer.image_every=2")
        for key, value in (NO_CACHE | NO_SENSE | NO_SCREEN).items()
    ),
    alone({"HOME": None, "PATH": None}, "trainer.image_every=2"),
    alone({"PYTHONWARNINGS": "error", "FORCE_COLOR": "1", "COLUMNS": "abc"}),
    alone(ASCII, ELSEWHERE),
    alone({"LC_ALL": "C.UTF-8"}, ELSEWHERE),
    *(
        dataclasses.replace(alone({}, slow=len(streams) < 3), streams=streams)
        for streams in (
            {0: None, 1: None, 2: None},
            {0: None},
            {1: None},
            {2: None},
            {2: "/dev/full"},
        )
    ),
]


# Running them


def checked(case: Case, run: Path) -> str:
    """What is wrong with how a case ends, in a fresh directory; empty where nothing is.

    Args:
        case: What is tried.
        run: The finished run that RUN stands for.
    """
    with tempfile.TemporaryDirectory(prefix="gan_lab_inputs_") as name, _inside(Path(name)):
        undo = case.prepare(Path(name))
        before = _contents(Path(name)), _contents(run)
        try:
            with limited(LIMIT), socket.create_server(("127.0.0.1", 0)) as busy:
                port = str(busy.getsockname()[1])
                stands = {"RUN": str(run), "PORT": port}
                words = [re.sub(r"\bRUN\b|\bPORT\b", lambda m: stands[m[0]], w) for w in case.words]
                code, out, err = _apart(words, case) if case.apart else _here(words, case)
            after = _contents(Path(name)), _contents(run)
            if case.works:
                return _odd(code, err) or _other_numbers(Path(name), run)
        except BaseException as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{type(error).__name__}: {error}"[:200]
            return f"{told} ({Path(place.filename).name}:{place.lineno})"
        finally:
            if callable(undo):
                undo()
    if after != before:
        return f"wrote {sorted(set(after[0]) - set(before[0]))[:3]}"
    if case.streams:
        return "" if code == 2 else f"exit code {code}"
    if (code, out) != (2, "") or not err.startswith("ConfigError: ") or err.count("\n") != 1:
        return f"exit code {code}, stdout {out[:100]!r}, stderr {err[-300:]!r}"
    return "" if case.said in err else f"did not say {case.said!r}: {err[:300]!r}"


def _odd(code: int, err: str) -> str:
    return f"exit code {code}, stderr {err[-300:]!r}" if code or "Traceback" in err else ""


def _other_numbers(directory: Path, run: Path) -> str:
    """How the one run below a directory differs from a finished one; empty if it does not."""
    (found,) = directory.rglob("metrics.jsonl")
    ours, theirs = _numbers(found), _numbers(run / "metrics.jsonl")
    return "" if ours == theirs else f"other numbers: {ours}"[:300]


def _numbers(path: Path) -> list[dict[str, object]]:
    rows = read_metrics(path)
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]


class Hung(BaseException):
    """It took longer than the limit; no handler of the program catches it."""


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raises Hung in the block after some seconds on a core, however busy the machine is."""

    def ring(signum: int, frame: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def _inside(directory: Path) -> Iterator[None]:
    back = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(back)


def _contents(directory: Path) -> dict[str, tuple[int, int]]:
    found = {str(p.relative_to(directory)): p.lstat() for p in directory.rglob("*")}
    return {
        name: (0, 0) if S_ISDIR(stat.st_mode) else (stat.st_size, stat.st_mtime_ns)
        for name, stat in found.items()
        if Path(name).name != ".lock"
    }


def _here(words: Sequence[str], case: Case) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, _environment(case.environment), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = cli.main(list(words))
    return code, out.getvalue(), err.getvalue()


def _apart(words: Sequence[str], case: Case) -> tuple[int, str, str]:
    command = shlex.join([sys.executable, "-m", "gan_lab", *words])
    for number, target in case.streams.items():
        command += f" {number}>{target or '&-'}"
    there = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | _environment(case.environment)
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        env=there,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=120,
    )
    return ended.returncode, ended.stdout, ended.stderr


def _environment(variables: Mapping[str, str | None]) -> dict[str, str]:
    merged: dict[str, str | None] = {**os.environ, **variables}
    return {key: value for key, value in merged.items() if value is not None}


def trained(path: Path) -> Path:
    """A finished run of 4 steps, for RUN."""
    with contextlib.redirect_stdout(io.StringIO()):
        assert cli.main([*WHOLE, f"hydra.run.dir={path}"]) == 0
    return path


PLACES = (
    *("with space", "o'clock", 'say "it"', "r\u00fcn \u4e2d", "-dash", "a=b", "step=3", "$HOME"),
    *("100%", "[x]", "{a}", "(x", "a,b", "a:b", "#1", "~x", "*", "x\\y", "<b>"),
    'all\'s "r\u00fcn" [1], 100% = $HOME #\u4e2d',
)


def lived(name: str) -> str:
    """What is wrong with a run in a directory of this name: trained, resumed, sampled, compared,
    forked, evaluated; empty where nothing is. It is made in the working directory.
    """
    run = f"./{name}" if name.startswith("-") else name  # as for any command of a shell
    for words in (
        [*SHORT, f"hydra.run.dir={_quoted(name)}"],
        ["resume", run, "trainer.steps=4"],
        ["sample", run, "n=3"],
        ["compare", run, f"output={name} compared"],
        ["fork", run, "loss=hinge", "trainer.steps=6", f"hydra.run.dir={_quoted(name + ' fork')}"],
        ["evaluate", run],
    ):
        try:
            code, _, err = _here(words, Case("place", words, ""))
        except Exception as error:
            return f"{words[0]}: {type(error).__name__}: {error}"[:300]
        if odd := _odd(code, err):
            return f"{words[0]}: {odd}"
    made = sorted(path.name for path in Path.cwd().iterdir())
    expected = sorted([name, f"{name} compared", f"{name} fork"])
    return "" if made == expected else f"made {made}, expected {expected}"


def _quoted(name: str) -> str:
    """As Hydra reads it."""
    return "'" + name.replace("'", "\\'") + "'"


def campaign(
    n: int = len(CASES), seed: int = 0, tell: Callable[[str], None] = lambda line: None
) -> Campaign:
    """Tries the first n cases of the table."""
    faults = []
    with tempfile.TemporaryDirectory(prefix="gan_lab_run_") as name:
        run = trained(Path(name) / "run")
        for case in CASES[:n]:
            lost = checked(case, run)
            faults.append(Fault(case.kind, case.name, lost))
            if lost:
                tell(f"{case.name}: {lost}")
        for place in PLACES if n >= len(CASES) else ():
            with tempfile.TemporaryDirectory(prefix="gan_lab_") as folder, _inside(Path(folder)):
                faults.append(Fault("place", place, lived(place)))
    return Campaign(
        "inputs",
        "Bad input",
        "exit code 2 and one line that says what was wrong, before anything is written; where the "
        "surroundings or a name are merely odd, exit code 0 and the same numbers",
        faults,
    )


def main() -> int:
    """`python -m tests.campaigns.inputs`: what is answered in any other way."""
    done = campaign(tell=lambda line: print(line, flush=True))
    print(json.dumps(done.rows(), indent=1))
    return 1 if done.lost else 0


if __name__ == "__main__":
    sys.exit(main())
