"""python -m gan_lab COMMAND ..."""

from gan_lab.cli import entry

if __name__ == "__main__":
    entry()
