"""The shell: argv in, exit code out. torch is imported only when a command needs it.

Exit codes: 0 done; 1 failed in the run; 2 the user's input, one line and nothing written; 130 and
143 interrupted by Ctrl-C or SIGTERM after saving.
"""

import contextlib
import difflib
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence

from gan_lab.errors import ConfigError
from gan_lab.signals import Interrupted

# Name -> the module that holds the function of that name, what it does, an example.
_COMMANDS: dict[str, tuple[str, str, str]] = {
    "train": (
        "train",
        "trains one game and writes a run directory",
        "train data=ring loss=minimax",
    ),
    "resume": ("train", "continues a run as if it had not stopped, or extends it", "resume DIR"),
    "sample": ("sample", "writes images or arrays from a checkpoint", "sample DIR n=100"),
    "evaluate": (
        "evaluate",
        "the ruler and the probe on checkpoints",
        "evaluate DIR step=all",
    ),
    "compare": (
        "compare",
        "groups runs by what differs: intervals over seeds, paired differences, one page to share",
        "compare outputs/train/sweep/DIR",
    ),
    "dashboard": (
        "dashboard",
        "TensorBoard on 127.0.0.1 with the comparison's charts",
        "dashboard",
    ),
    "fork": (
        "fork",
        "continues a run's networks under another loss or regularizer",
        "fork DIR loss=wasserstein",
    ),
    "experiment": (
        "experiment",
        "one study: its claims checked, its figures drawn; experiment --help lists them",
        "experiment parallel_segments quick=true",
    ),
    "reproduce": (
        "reproduce",
        "published and derived claims, measured again: pass, fail or inconclusive",
        "reproduce list=true",
    ),
    "divergence": (
        "divergence",
        "entropy, KL, JS, TV and W1 of two discrete distributions",
        "divergence p=[0.5,0.5] q=[0.9,0.1]",
    ),
    "selfcheck": (
        "selfcheck",
        "every estimator and the probe against closed forms",
        "selfcheck quick=true",
    ),
}

_TOGETHER = ("train", "resume")  # what several processes can do
_OWN_HELP = ("train", "experiment", "divergence")

_HELP = """gan_lab: GANs and Wasserstein GANs with one clock and one ruler.

  python -m gan_lab COMMAND [DIR ...] [key=value ...]

{commands}

  python -m gan_lab train --help        lists every choice and key
  python -m gan_lab train --cfg job     shows the configuration that would run
  python -m gan_lab train -m seed=0,1,2 sweeps
"""


def main(arguments: Sequence[str]) -> int:
    """Runs one command and returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        width = max(len(example) for _, _, example in _COMMANDS.values())
        rows = [f"  {example:<{width}}  {what}" for _, what, example in _COMMANDS.values()]
        print(_HELP.format(commands="\n".join(rows)), end="")
        return 0
    if arguments[0] == "--version":
        from gan_lab import __version__

        print(__version__)
        return 0
    name, *rest = arguments
    if name in _COMMANDS and name not in _OWN_HELP and {"-h", "--help"} & set(rest):
        _, what, example = _COMMANDS[name]
        print(f"python -m gan_lab {example}\n{what}")
        return 0
    try:
        command = _command(name)
        if name not in _TOGETHER and os.environ.get("WORLD_SIZE", "1") != "1":
            raise ConfigError(
                f"torchrun started several processes, and {name} is one; {' and '.join(_TOGETHER)} "
                f"train together"
            )
        return command(rest)
    except ConfigError as error:
        return _refused(error)
    except Interrupted as stop:  # a study, which saves nothing on its way
        _say(f"stopped by {stop}")
        return 128 + stop.signum
    except KeyboardInterrupt:  # before or after the training, which has its own handler
        _say("stopped by SIGINT")
        return 130
    except BrokenPipeError:  # `... | head` closed the pipe: not our failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, most often
        _say(f"{type(error).__name__}: {error}")
        return 1


def entry() -> None:
    """`gan_lab` and `python -m gan_lab`: a process of its own, whatever surrounds it."""
    _mend_streams()
    os.environ["MPLBACKEND"] = "agg"  # pictures are files; a notebook's shell names its window
    code = _flushed(main(sys.argv[1:]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Python takes a second to leave: nothing is lost
    sys.exit(code)


def _mend_streams() -> None:
    """Gives closed streams somewhere to lead, and open ones a way to write every character."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # It takes the lowest free number, the stream's own: else a checkpoint would have it,
            # and what a library prints would go there.
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(nowhere, True)
            setattr(sys, name, os.fdopen(nowhere, "r" if name == "stdin" else "w"))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _flushed(code: int) -> int:
    """Writes out what is held back, so that a failure of that is told like any other."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if not (code or isinstance(error, BrokenPipeError)):
                _say(f"{type(error).__name__}: {error}")
                code = 1
    return code


def _command(name: str) -> Callable[[list[str]], int]:
    if name not in _COMMANDS:
        close = difflib.get_close_matches(name, _COMMANDS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(_COMMANDS)}"
        raise ConfigError(f"unknown command '{name}'; {hint}")
    # The import is the price of a command, so that --help stays free of torch and Hydra.
    try:
        module = importlib.import_module(f"gan_lab.cli.{_COMMANDS[name][0]}")
    except ValueError as error:  # torch, of one of its variables in the environment
        raise ConfigError(f"{name} cannot begin in this environment: {error}") from error
    command: Callable[[list[str]], int] = getattr(module, name)
    return command


def _refused(error: ConfigError) -> int:
    message = " ".join(str(error).split())
    # What is quoted may hold the terminal's own commands.
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in message)
    _say(f"{type(error).__name__}: {shown}")
    return 2


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody can be told; the exit code still can
        print(line, file=sys.stderr)
