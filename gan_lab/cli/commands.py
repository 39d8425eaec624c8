"""What each command takes: its sentence, lines that work as pasted, words and keys.

A docstring's first line is the sentence of `--help`, its other lines are the examples. The commands
train, resume, fork and experiment leave their values to Hydra; of them only help and completion
read the fields. Nothing heavy is imported.
"""

# ruff: noqa: RUF009 -- `key` and `positional` return dataclasses.field
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_lab.cli.arguments import key, name_of, positional

_SAMPLES = "where to write, or a name.npy or name.png; samples/ of the run unless given"
_RUNS = "runs or a comparison; the newest comparison, or outputs, unless given"
_VERBOSE = "end with the table of all final estimates too; status.json has it in any case"
_DEVICE = "auto, cpu, cuda, cuda:1, mps; that of the training unless given"


def _output(about: str) -> Any:
    return key(None, f"where to write; {about}", display="DIR")


def _step(about: str, *words: str) -> Any:
    names = r"best|before_divergence(_\d+)?"
    return key(None, f"{about}; the newest unless given", words=words, pattern=names)


@dataclass(frozen=True)
class _Training:
    """The keys of train and fork that stand for longer ones."""

    steps: int = key(0, "trainer.steps, the length of the training", display="...")
    lr: float = key(0.0, "optim.lr, the learning rate", display="...")
    batch_size: int = key(0, "trainer.batch_size, samples of one update", display="...")
    n_critic: int = key(0, "trainer.n_critic, discriminator updates a step", display="...")
    output: str | None = _output("hydra.run.dir, and with -m hydra.sweep.dir")
    verbose: bool = key(False, _VERBOSE)


@dataclass(frozen=True)
class Train(_Training):
    """Train a GAN and write a run directory.

    python -m gan_lab train
    python -m gan_lab train data=ring loss=non_saturating steps=500 seed=3
    python -m gan_lab train data=ring loss=wasserstein 'regularizer=[weight_clipping]' optim=rmsprop
    python -m gan_lab train data=ring steps=300 output=outputs/ring
    python -m gan_lab train -m loss=minimax,wasserstein 'seed=range(4)' data=ring steps=300
    python -m gan_lab train -m 'seed=range(8)' stack=4 data=ring steps=300
    python -m gan_lab train preset=wgan_gp_2017 --cfg job
    torchrun --nproc-per-node 2 -m gan_lab train data=ring steps=200
    """

    stack: str | None = key(None, "with -m: seeds that one job stacks, or auto", display="...")
    objective: str | None = key(
        None,
        "with -m: the number that a job returns to Hydra's sweeper, a mean over its seeds; the "
        "headline's, final/divergence/wasserstein of points, unless given",
        display="TAG",
    )


@dataclass(frozen=True)
class Resume:
    """Continue a run from its last checkpoint as if it had not stopped, or extend it.

    python -m gan_lab train data=ring steps=200 output=outputs/ring
    python -m gan_lab resume outputs/ring steps=400
    """

    run: Path = positional("DIR", "a run directory; of several seeds the parent", at_most=1)
    steps: int = key(0, "trainer.steps, the new length of the training", display="...")
    trainer__on_divergence: str = key("", "stop or drop_seed", display="...")
    device: str = key("", "auto, cpu, cuda, cuda:1, mps", display="...")
    execution__threads: int = key(0, "torch's threads on the CPU", display="...")
    execution__mode: str = key("", "auto, eager, compiled, cuda_graph", display="...")
    execution__ignore_memory: bool = key(False, "begin also where memory is short", display="...")
    logger: str = key("", "where records go from here on, [jsonl,tensorboard]", display="...")
    verbose: bool = key(False, _VERBOSE)


@dataclass(frozen=True)
class Fork(_Training):
    """Continue a run's networks under another loss or regularizer, in a new run directory.

    python -m gan_lab train data=ring loss=minimax steps=200 output=outputs/minimax
    python -m gan_lab fork outputs/minimax loss=wasserstein steps=400 output=outputs/forked
    """

    run: Path = positional("DIR", "a run directory, or one seed of it", at_most=1)
    step: int | str | None = key(None, "the checkpoint's, or best; the newest unless given")
    loss: str = key("", "of the fork, and any other key of train; see train --help", display="...")
    steps: int = key(0, "trainer.steps; as many more as the run had unless given", display="...")


@dataclass(frozen=True)
class Sample:
    """Write what a checkpoint's generator makes: an array and, of images, a picture.

    python -m gan_lab train data=ring steps=200 output=outputs/ring
    python -m gan_lab sample outputs/ring n=100
    python -m gan_lab sample outputs/ring step=best seed=1 output=outputs/points
    python -m gan_lab sample outputs/ring interpolate=8
    python -m gan_lab train data=digits steps=200 output=outputs/digits
    python -m gan_lab sample outputs/digits n=500 images=outputs/digits_png
    python -m gan_lab train data=digits network.conditional=true steps=200 output=outputs/classes
    python -m gan_lab sample outputs/classes class=3
    """

    run: Path = positional("DIR", "a run directory, or one seed of it", at_most=1)
    n: int | None = key(None, "number of samples", at_least=1, display="64")
    class_: int | None = key(
        None, "of a conditional run, from 0; unless given a row of each, or with n as in the data"
    )
    interpolate: int | None = key(
        None, "instead, K paths of K samples between random z", at_least=2, at_most=64, display="K"
    )
    images: str | None = key(
        None, "instead of the array, a PNG file a sample into an empty or new folder", display="DIR"
    )
    seed: int = key(0, "of the noise that the generator gets")
    step: int | str | None = _step("the checkpoint's, or best", "best")
    average: bool = key(True, "the averaged generator; false: the generator of that step")
    output: str | None = key(None, _SAMPLES, display="DIR")
    device: str | None = key(None, _DEVICE)


@dataclass(frozen=True)
class Export:
    """Write a checkpoint's averaged generator alone to a file for other programs.

    python -m gan_lab train data=ring steps=200 output=outputs/ring
    python -m gan_lab export outputs/ring format=torch_export
    python -m gan_lab export outputs/ring output=outputs/ring.pt2 format=torch_export step=best
    """

    run: Path = positional("DIR", "a run directory, or one seed of it", at_most=1)
    format: str = key(
        "safetensors",
        "safetensors (the weights), torch_export or onnx (the program, for any number of z)",
        words=("safetensors", "torch_export", "onnx"),
    )
    seed: int | None = key(None, "of the training, where it had several; the first unless given")
    step: int | str | None = _step("the checkpoint's, or best", "best")
    output: str | None = key(
        None, "the file, or the folder for it; export/ of the run unless given", display="FILE"
    )


@dataclass(frozen=True)
class Evaluate:
    """Measure checkpoints by all metrics and the neural distance, as at the end of a training.

    python -m gan_lab train data=ring steps=200 output=outputs/ring
    python -m gan_lab evaluate outputs/ring step=all
    python -m gan_lab evaluate outputs/ring step=best output=outputs/best
    python -m gan_lab evaluate outputs/ring n=64,128,500
    """

    runs: tuple[Path, ...] = positional("DIR ...", "run directories, or seeds of them")
    step: int | str | None = _step("the checkpoint's, best, or all", "all", "best")
    n: str | None = key(
        None,
        "instead, the metrics alone at each number of samples, FD extrapolated to infinite n",
        display="N,N,...",
    )
    output: str | None = _output("evaluation/ of each run unless given")
    device: str | None = key(None, _DEVICE)


@dataclass(frozen=True)
class Compare:
    """Compare runs by what differs: intervals over seeds, paired differences, one page to share.

    python -m gan_lab train -m loss=minimax,wasserstein seed=0,1 data=ring output=outputs/two
    python -m gan_lab compare outputs/two output=outputs/compare/two
    python -m gan_lab compare 'outputs/two/*_wasserstein_*' title=Wasserstein
    """

    runs: tuple[str, ...] = positional(
        "DIR ...", "directories with runs in or below them, or a pattern in quotes"
    )
    output: str | None = _output("outputs/compare/TIME unless given")
    title: str = key("", "of the page; the groups and the data unless given")


@dataclass(frozen=True)
class Dashboard:
    """Show runs or a comparison in TensorBoard on this machine, until Ctrl-C.

    python -m gan_lab dashboard
    python -m gan_lab dashboard outputs port=6007 open=false
    """

    directory: Path | None = positional("[DIR]", _RUNS, what="directory", at_least=0, at_most=1)
    output: str | None = key(None, "the same as DIR: where a command wrote", display="DIR")
    port: int | None = key(
        None, "0 is any free port; 6006 or the next that is free unless given", at_most=65535
    )
    host: str = key("127.0.0.1", "the address to listen on; another lets others read the runs")
    open: bool | None = key(None, "open a browser; true where there is a screen unless given")


@dataclass(frozen=True)
class Experiment:
    """Run one study: measure, check its claims, draw its figures.

    python -m gan_lab experiment cross_entropy_gradients quick=true
    python -m gan_lab experiment parallel_segments quick=true output=outputs/segments
    python -m gan_lab experiment outputs/segments
    python -m gan_lab experiment -m dirac_gan learning_rate=0.1,0.2
    """

    name: str = positional("NAME", "a study, or the directory of a result to draw again", at_most=1)
    quick: bool = key(False, "a small scale, under half a minute; some claims stay open")
    seed: int = key(0, "of everything random; with n_seeds: seed, seed + 1, ...")
    n_seeds: int = key(5, "number of seeds", at_least=1)
    device: str = key("auto", "auto (a GPU where there is one), cpu, cuda, cuda:1")
    workers: int = key(0, "processes for independent work; 0 = one a core")
    figures: str = key("png", "svg or pdf: every figure in that format besides PNG at 150 dpi")
    output: str | None = _output("hydra.run.dir, and with -m hydra.sweep.dir")


@dataclass(frozen=True)
class Reproduce:
    """Measure published and derived claims again: pass, fail or inconclusive.

    python -m gan_lab reproduce list=true
    python -m gan_lab reproduce cross_entropy_gradients output=outputs/claims
    python -m gan_lab reproduce seed=100 output=outputs/claims_100
    """

    names: tuple[str, ...] = positional(
        "[ID ...]", "claims or studies; all that are quick and offline unless given", at_least=0
    )
    list: bool = key(False, "only print the claims")
    all: bool = key(False, "also what takes minutes or hours")
    seed: int = key(0, "base seed of every study")
    output: str | None = _output(
        "outputs/reproduce/TIME unless given; studies done there are kept, after a kill too"
    )


@dataclass(frozen=True)
class Divergence:
    """Print entropy, cross entropy, KL, JS, total variation and W1 of two discrete distributions.

    python -m gan_lab divergence 'p=[0.5,0.5]' 'q=[0.9,0.1]'
    python -m gan_lab divergence 'p=[0.5,0.5]' 'q=[0.9,0.1]' 'x=[0,10]'
    python -m gan_lab divergence 'p=[1/3,2/3]' 'q=[1/2,1/2]' format=json
    """

    p: str = key(..., "probabilities that sum to 1: decimals or fractions such as 1/3")
    q: str = key(..., "probabilities, as many")
    x: str | None = key(None, "positions of the entries for W1; 0, 1, ..., n-1 unless given")
    format: str = key(
        "table", 'table or json; in JSON an infinity is the string "inf"', words=("table", "json")
    )


@dataclass(frozen=True)
class Selfcheck:
    """Check every metric and the neural distance against closed forms.

    python -m gan_lab selfcheck quick=true
    python -m gan_lab selfcheck n_seeds=2 output=outputs/selfcheck/two
    """

    quick: bool = key(False, "fewer samples, no coverage of the intervals")
    n_seeds: int | None = key(
        None, "number of seeds; 5, and 1 with quick=true, unless given", at_least=1, at_most=1000
    )
    output: str | None = _output("outputs/selfcheck/TIME unless given")


@dataclass(frozen=True)
class Completion:
    """Print the shell's completion of commands, keys, choices and directories for `gan_lab`.

    eval "$(python -m gan_lab completion bash)"
    python -m gan_lab completion zsh > _gan_lab
    """

    shell: str = positional("bash|zsh", "the shell", what="shell, bash or zsh", at_most=1)


COMMANDS: dict[str, type] = {
    name_of(each): each
    for each in (
        *(Train, Resume, Fork, Sample, Export, Evaluate, Compare, Dashboard),
        *(Experiment, Reproduce, Divergence, Selfcheck, Completion),
    )
}
