"""What the YAML files under conf/ offer, for help and completion: needs neither torch nor Hydra."""

import re
from pathlib import Path
from typing import NamedTuple

# What is typed most, in train, resume and fork.
SHORT_NAMES = {
    "steps": "trainer.steps",
    "lr": "optim.lr",
    "batch_size": "trainer.batch_size",
    "n_critic": "trainer.n_critic",
}


class Key(NamedTuple):
    """A key of a YAML file with the value and the comment on its line."""

    name: str
    value: str
    comment: str


def config_dir() -> Path:
    """Return where the YAML files are: inside a wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    wheel = package / "conf"
    return wheel if wheel.is_dir() else package.parent / "conf"


def groups() -> list[str]:
    """Return the config groups of `train`, in the order of conf/train.yaml."""
    import yaml  # only here and below: `--help` and `--version` need no package

    defaults = yaml.safe_load((config_dir() / "train.yaml").read_text())["defaults"]
    names = [next(iter(entry)) for entry in defaults if isinstance(entry, dict)]
    return [name for name in names if not name.startswith("override ")]


def choices(group: str) -> list[str]:
    """Return the choices of a config group."""
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))


def sentence(group: str, choice: str) -> str:
    """Return what a choice's file says of itself: the text after ` -- ` on its first comment."""
    lines = (config_dir() / group / f"{choice}.yaml").read_text().splitlines()
    return next((line.partition(" -- ")[2] for line in lines if " -- " in line), "")


def keys(*path: str) -> list[Key]:
    """Return the keys of a YAML file that have a value on their line, `_target_` left out."""
    text = (config_dir().joinpath(*path)).with_suffix(".yaml").read_text()
    matches = re.finditer(r"^([a-z]\w*):[ ]+([^#\n]+?)(?:[ ]+# (.*))?$", text, re.M)
    return [Key(m[1], *_value_and_comment(m[2], m[3] or "")) for m in matches]


def _value_and_comment(value: str, comment: str) -> tuple[str, str]:
    """Return a value and its comment without interpolations, which only YAML reads."""
    if match := re.fullmatch(r"\$\{full_or_quick:(.+)\}", value):
        import yaml

        full, quick = yaml.safe_load(f"[{match[1]}]")
        return str(full).replace(" ", ""), f"{comment} (quick: {quick})".strip()
    if value.startswith("${"):
        return "...", comment or "by default what suits the data"
    return value.replace(", ", ","), comment
