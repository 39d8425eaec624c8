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

from gan_lab import __version__
from gan_lab.cli import help
from gan_lab.cli.commands import COMMANDS
from gan_lab.errors import ConfigError
from gan_lab.runs.safe_io import printable
from gan_lab.signals import Interrupted

_WITHOUT_MPS = (
    "Set PYTORCH_ENABLE_MPS_FALLBACK=1 in the environment, so that the CPU computes what is "
    "missing, or take device=cpu."
)
_TOGETHER = ("train", "resume")  # what several processes can do


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help.top(), end="")
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    name, *rest = arguments
    if name in COMMANDS and {"-h", "--help"} & set(rest):
        print(help.of_command(name, rest), end="")
        return 0
    try:
        command = _command(name)
        if name not in _TOGETHER and os.environ.get("WORLD_SIZE", "1") != "1":
            together = " and ".join(_TOGETHER)
            raise ConfigError(
                f"torchrun started several processes, and {name} is one; {together} train together"
            )
        return command(rest)
    except ConfigError as error:
        _say(f"{type(error).__name__}: {printable(' '.join(str(error).split()))}")
        return 2
    except Interrupted as stop:  # a study, which saves nothing on its way
        _say(f"stopped by {stop}")
        return 128 + stop.signum
    except KeyboardInterrupt:  # before or after the training, which has its own handler
        _say("stopped by SIGINT")
        return 130
    except BrokenPipeError:  # `... | head` closed the pipe: not our failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (NotImplementedError, TypeError) as error:
        if "MPS" not in str(error):
            raise
        why = str(error).split(". ")[0].strip(".")  # torch's first sentence names the operator
        _say(f"{type(error).__name__}: device=mps: {why}. {_WITHOUT_MPS}")
        return 1
    except OSError as error:  # a full disk, most often
        _say(f"{type(error).__name__}: {error}")
        return 1


def entry() -> None:
    """Run `gan_lab` or `python -m gan_lab` as a process of its own, whatever surrounds it."""
    _mend_streams()
    os.environ["MPLBACKEND"] = "agg"  # pictures are files; a notebook's shell names its window
    code = _flush(main(sys.argv[1:]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Python takes a second to leave: nothing is lost
    sys.exit(code)


def _mend_streams() -> None:
    """Open closed streams on /dev/null, and let open ones write every character."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # It takes the lowest free number, the stream's own: else a checkpoint would have it,
            # and what a library prints would go there.
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(nowhere, True)
            setattr(sys, name, os.fdopen(nowhere, "r" if name == "stdin" else "w"))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _flush(code: int) -> int:
    """Flush stdout and stderr, so that a failure of that is reported like any other."""
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
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(COMMANDS)}"
        raise ConfigError(f"unknown command '{name}'; {hint}")
    # The import is the price of a command, so that --help stays free of torch and Hydra.
    try:
        module = importlib.import_module(f"gan_lab.cli.{'train' if name == 'resume' else name}")
    except ValueError as error:  # torch, of one of its variables in the environment
        raise ConfigError(f"{name} cannot begin in this environment: {error}") from error
    command: Callable[[list[str]], int] = getattr(module, name)
    return command


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody can be told; the exit code still can
        print(line, file=sys.stderr)
