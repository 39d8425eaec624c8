"""The shell: argv in, exit code out. torch is imported only when a command needs it.

Exit codes: 0 done; 1 failed in the run; 2 the user's input, one line and nothing written; 130 and
143 interrupted by Ctrl-C or SIGTERM after saving.
"""

import difflib
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from gan_lab.errors import ConfigError
from gan_lab.signals import Interrupted

# Name -> the module that holds the function of that name, what it does, an example.
_COMMANDS: dict[str, tuple[str, str, str]] = {
    "train": (
        "commands",
        "trains one game and writes a run directory",
        "train data=ring loss=minimax",
    ),
    "resume": ("commands", "continues a run as if it had not stopped, or extends it", "resume DIR"),
    "sample": ("sample_command", "writes images or arrays from a checkpoint", "sample DIR n=100"),
    "evaluate": (
        "evaluate_command",
        "the ruler and the probe on checkpoints",
        "evaluate DIR step=all",
    ),
    "compare": (
        "compare_command",
        "groups runs by what differs: intervals over seeds, paired differences, one page to share",
        "compare outputs/train/sweep/DIR",
    ),
    "dashboard": (
        "dashboard_command",
        "TensorBoard on 127.0.0.1 with the comparison's charts",
        "dashboard",
    ),
    "fork": (
        "fork_command",
        "continues a run's networks under another loss or regularizer",
        "fork DIR loss=wasserstein",
    ),
    "experiment": (
        "experiment_command",
        "one study: its claims checked, its figures drawn; experiment --help lists them",
        "experiment parallel_segments quick=true",
    ),
    "reproduce": (
        "reproduce_command",
        "published and derived claims, measured again: pass, fail or inconclusive",
        "reproduce list=true",
    ),
    "divergence": (
        "divergence_command",
        "entropy, KL, JS, TV and W1 of two discrete distributions",
        "divergence p=[0.5,0.5] q=[0.9,0.1]",
    ),
    "selfcheck": (
        "selfcheck_command",
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
        print(f"stopped by {stop}", file=sys.stderr)
        return 128 + stop.signum
    except KeyboardInterrupt:  # before or after the training, which has its own handler
        return 130
    except BrokenPipeError:  # `... | head` closed the pipe: not our failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, most often
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


def entry() -> None:
    """The console script `gan_lab`."""
    sys.exit(main(sys.argv[1:]))


def _command(name: str) -> Callable[[list[str]], int]:
    if name not in _COMMANDS:
        close = difflib.get_close_matches(name, _COMMANDS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(_COMMANDS)}"
        raise ConfigError(f"unknown command '{name}'; {hint}")
    # The import is the price of a command, so that --help stays free of torch and Hydra.
    module = importlib.import_module(f"gan_lab.{_COMMANDS[name][0]}")
    command: Callable[[list[str]], int] = getattr(module, name)
    return command


def _refused(error: ConfigError) -> int:
    message = " ".join(str(error).split())
    print(f"{type(error).__name__}: {message}", file=sys.stderr)
    return 2
