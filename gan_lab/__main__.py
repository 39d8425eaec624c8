"""python -m gan_lab COMMAND ..."""

import os
import sys


def _leave_working_directory() -> None:
    """Remove the working directory, which `-m` puts first, from the path.

    It may be a stranger's run, and a torch.py in it would be run instead of torch. Where gan_lab
    itself lies in it, it stays. `import_object` finds a class of the user's own there all the same.
    """
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # it was removed, and holds nothing
        return
    if os.path.realpath(os.path.dirname(os.path.dirname(__file__))) != here:
        sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != here]
        os.environ["PYTHONSAFEPATH"] = "1"  # for the workers of a sweep or a study


if __name__ == "__main__":
    _leave_working_directory()
    from gan_lab.cli.main import entry

    entry()
