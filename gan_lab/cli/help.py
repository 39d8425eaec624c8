"""What `--help` prints, made from the commands' dataclasses and from conf/, without torch."""

import dataclasses
import textwrap
from collections.abc import Iterable, Sequence

from gan_lab.cli.arguments import examples_of, keys_of, positional_of, usage
from gan_lab.cli.commands import COMMANDS
from gan_lab.config import catalogue

_WIDTH = 100
_TOP = """gan_lab: train GANs and Wasserstein GANs, and measure all of them alike.

  python -m gan_lab COMMAND [DIR ...] [key=value ...]

{commands}

  python -m gan_lab train data=ring loss=minimax steps=300 output=outputs/minimax
  python -m gan_lab train data=ring loss=wasserstein steps=300 output=outputs/wasserstein
  python -m gan_lab compare outputs/minimax outputs/wasserstein
  python -m gan_lab COMMAND --help
"""


def top() -> str:
    """Return the help of the program: a line a command."""
    rows = _rows((name, _sentence(command)) for name, command in COMMANDS.items())
    return _TOP.format(commands="\n".join(rows))


def of_command(name: str, words: Sequence[str] = ()) -> str:
    """Return the help of a command; of `experiment NAME` that of the study."""
    command = COMMANDS[name]
    if name == "experiment":
        studies = catalogue.choices(name)
        if study := next((word for word in words if word in studies), None):
            return _of_study(study)
    lines = [_sentence(command), "", *(f"  {line}" for line in examples_of(command)), ""]
    lines += [f"Usage: {usage(command)}", ""]
    if field := positional_of(command):
        lines += [*_rows([(field.metadata["positional"], field.metadata["about"])]), ""]
    if name == "train":
        lines += [*_rows([*_keys(command), *_pairs(catalogue.keys("train"))]), *_train()]
    else:
        lines += _rows(_keys(command))
    if name == "experiment":
        lines += ["", "Studies:", *_choices(name)]
    return "\n".join(lines) + "\n"


def _of_study(study: str) -> str:
    """Return the help of one study: its keys, and those that all have."""
    run = f"python -m gan_lab experiment {study}"
    lines = [catalogue.sentence("experiment", study), ""]
    lines += [f"  {run} quick=true", f"  {run} --cfg job"]
    lines += ["", "Keys of this study:", *_rows(_pairs(catalogue.keys("experiment", study)))]
    lines += ["", "Keys of every study:", *_rows(_keys(COMMANDS["experiment"]))]
    return "\n".join(lines) + "\n"


def _train() -> Iterable[str]:
    """Yield the choices of a training with their sentences, and the keys with their comments."""
    single = [name for name in catalogue.groups() if catalogue.choices(name) == ["default"]]
    yield from ("", "Choices, group=choice; of regularizer and metrics several: 'metrics=[js,kl]'")
    for group in catalogue.groups():
        if group not in single:
            yield from ("", f"{group}:", *_choices(group))
    yield from ("", "Keys of every training; --cfg job shows those of the other choices too")
    for group in single:
        yield from ("", f"{group}: {catalogue.sentence(group, 'default')}")
        yield from _rows(_pairs(catalogue.keys(group, "default"), f"{group}."))
    yield "\nFlags: --cfg job prints the configuration; -m sweeps over values with commas, on a"
    yield "cluster with hydra/launcher=submitit_slurm hydra.launcher.timeout_min=600"


def _choices(group: str) -> list[str]:
    return _rows((name, catalogue.sentence(group, name)) for name in catalogue.choices(group))


def _pairs(keys: Iterable[catalogue.Key], prefix: str = "") -> list[tuple[str, str]]:
    return [(f"{prefix}{each.name}={each.value}", each.comment) for each in keys]


def _keys(command: type) -> Iterable[tuple[str, str]]:
    """Yield keys with their defaults (n=64, output=DIR, step=...) and meanings."""
    for name, field in keys_of(command).items():
        default = field.default
        value = "..." if default in (None, dataclasses.MISSING, "") else str(default)
        value = value.lower() if isinstance(default, bool) else value
        yield f"{name}={field.metadata['display'] or value}", field.metadata["about"]


def _rows(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return two columns, the second one wrapped."""
    pairs = list(pairs)
    width = min(32, max((len(first) for first, _ in pairs), default=0))
    wrapper = textwrap.TextWrapper(_WIDTH - 2, "  ", " " * (width + 4))
    wrapper.break_long_words = wrapper.break_on_hyphens = False
    texts = [f"{first:<{width}}  {second}".rstrip() for first, second in pairs]
    return [line for text in texts for line in wrapper.wrap(text)]


def _sentence(command: type) -> str:
    return (command.__doc__ or "").splitlines()[0]
