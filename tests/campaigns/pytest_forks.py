"""Run pytest in forks of one process, which has imported already what takes longest.

Each line of the input is a JSON list, a file for the output and pytest's arguments; each line of
the output is an exit code.
"""

import json
import os
import sys
from typing import NoReturn

import matplotlib.pyplot
import pytest
import scipy.stats
import tensorboard
import torch

# Nothing of gan_lab: a fork has to import the file that was changed meanwhile.
IMPORTS = (matplotlib.pyplot, scipy.stats, tensorboard, torch)


def run_tests(output: str, arguments: list[str]) -> NoReturn:
    """Run pytest and end the process with its exit code; what it says goes to a file."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    code = 3  # pytest's own for an internal error
    try:
        code = int(pytest.main(arguments))
    finally:
        sys.stdout.flush()
        os._exit(code)


def main() -> None:
    """Serve the input until it ends."""
    for line in sys.stdin:
        output, *arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            run_tests(output, arguments)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
