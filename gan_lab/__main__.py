"""python -m gan_lab COMMAND ..."""

import sys

from gan_lab.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
