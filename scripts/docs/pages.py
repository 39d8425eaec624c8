"""Generated sections of the pages, made from conf/, loss cards, --help and docs/*.json.

A page holds a section between two comments, which GitHub does not show:

    <!-- generated: group data -->
    ...
    <!-- end generated -->

The words after the colon name a function of SECTIONS and its arguments.
"""

import contextlib
import importlib
import io
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gan_lab.cli.commands import COMMANDS
from scripts.docs import face

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
_SECTION = re.compile(r"(<!-- generated: ([\w /]+) -->\n).*?(<!-- end generated -->)", re.S)
# Groups that `train` takes, in the order of conf/train.yaml.
GROUPS = (
    *("data", "network", "optim", "loss", "regularizer", "trainer", "evaluator", "metrics"),
    *("neural_distance", "execution", "logger", "preset"),
)


def stale() -> dict[Path, str]:
    """Return page -> new text, for each page whose generated sections are out of date."""
    found = {}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        before = path.read_text()
        after = _SECTION.sub(lambda m: f"{m[1]}{_section(m[2])}\n{m[3]}", before)
        if after != before:
            found[path] = after
    return found


def _section(words: str) -> str:
    name, *arguments = words.split()
    return SECTIONS[name](*arguments)


def describe(path: Path, whole: bool = False) -> str:
    """Return the sentence behind "--" in a config file's comment, or with `whole` the comment."""
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith("#") or (line.startswith("# Use:") and lines and not whole):
            break
        if not re.match(r"# (@package|Use:)|#  +", line):
            lines.append(line.lstrip("# "))
    return re.sub(r"^conf/\S+ -- ", "", " ".join(lines))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def results() -> str:
    """Return the README's table from docs/results.json."""
    head = (
        *("run", "seeds", "steps", "W1, median [least, greatest]", "real data"),
        *("spread / data's", "nearest training / held-out's"),
    )
    rows = []
    for r in json.loads((ROOT / "docs/results.json").read_text()):
        w1 = f"{r['w1']:.3f} [{r['w1_least']:.3f}, {r['w1_most']:.3f}]"
        nearest = f"{r['nearest']:.2f}" if "nearest" in r else "-"
        numbers = (str(r["seeds"]), str(r["steps"]), w1, f"{r['floor']:.3f}")
        rows.append((r["game"], *numbers, f"{r['spread']:.2f}", nearest))
    return table(head, rows)


def results_images(part: str = "all") -> str:
    """Return the table of presets on images from docs/results_images.json; part=end: of MNIST."""
    head = (
        *("`preset=`", "run", "seeds", "steps", "FD, median [range]"),
        *("legible", "coverage", "KL of labels, nats"),
    )
    rows, real = [], {}
    measured = json.loads((ROOT / "docs/results_images.json").read_text())
    most = max((r["steps"] for r in measured), default=0)
    for r in measured:
        if part == "end" and (r["steps"] < most or not r["preset"].startswith("mnist")):
            continue
        low_high = "{:.4f} [{:.4f}, {:.4f}]".format(*r["fd"])
        others = (f"{r['legible'][0]:.2f}", f"{r['coverage'][0]:.2f}", f"{r['kl'][0]:.3f}")
        name = (f"`{r['preset']}`", r["run"], str(r["seeds"]), str(r["steps"]))
        rows.append((*name, low_high, *others))
        data = "Fashion-MNIST" if r["preset"].startswith("fashion") else "MNIST"
        numbers = (f"{r['fd_real']:.4f}", f"{r['legible_real']:.2f}", f"{r['coverage_real']:.2f}")
        real[data] = ("", f"real {data}", *("-",) * 2, *numbers, f"{r['kl_real']:.3f}")
    return table(head, [*rows, *real.values()])


def losses() -> str:
    """Return the table of losses from conf/loss and the loss cards."""
    rows = []
    for path in _files("loss"):
        config = OmegaConf.load(path)
        module, _, name = config.loss._target_.rpartition(".")
        card = getattr(importlib.import_module(module), name).card
        regularizers = config.defaults[0]["override /regularizer"]
        n_critic = str(OmegaConf.to_container(config.trainer)["n_critic"])
        formulas = (f"`{card.discriminator}`", f"`{card.generator}`", card.divergence)
        brings = (
            ", ".join(f"`{each}`" for each in regularizers) or "none",
            "from the data" if "hints" in n_critic else n_critic,
        )
        rows.append((f"`{path.stem}`", *formulas, *brings))
    head = ("`loss=`", "D minimises", "G minimises", "at D's optimum", "regularizer", "n_critic")
    return table(head, rows)


def group(name: str) -> str:
    """Return the choices of one group of conf/ and what each is."""
    head = ("name" if name == "experiment" else f"`{name}=`", "what it is")
    rows = []
    for path in _files(name):
        page = f"{path.stem}.md"
        link = name == "experiment" and (ROOT / "docs/experiments" / page).exists()
        shown = f"[`{path.stem}`]({page})" if link else f"`{path.stem}`"
        rows.append((shown, describe(path, whole=name == "preset")))
    return table(head, rows)


def keys() -> str:
    """Return every key of `train`: its default and its comment, group by group."""
    parts = [_keys_of(CONF / "train.yaml", "Keys of no group")]
    for name in GROUPS:
        parts.append(f"## {name}")
        hints: dict[str, Mapping[str, Any]] = {}
        for path in _files(name):
            parts.append(_keys_of(path, f"{name}={path.stem}", level=3))
            config = OmegaConf.load(path)
            if "hints" in config:
                hints[path.stem] = OmegaConf.to_container(config.hints)  # type: ignore[assignment]
        if name == "data":
            names = [*dict.fromkeys(k for each in hints.values() for k in each if k != "presets")]
            rows = [
                (f"`{data}`", *(f"{each.get(key, '-')}" for key in names))
                for data, each in hints.items()
            ]
            parts += ["### Hints", table(("`data=`", *(f"`hints.{n}`" for n in names)), rows)]
    return "\n\n".join(parts)


def experiment_keys(name: str) -> str:
    """Return the keys of a study's config file."""
    return _keys_table(CONF / "experiment" / f"{name}.yaml")


def cli() -> str:
    """Return the help of the program and of each command."""
    parts = [f"## gan_lab\n\n```text\n{_help([])}\n```"]
    parts += [f"## {name}\n\n```text\n{_help([name])}\n```" for name in COMMANDS]
    return "\n\n".join(parts)


def claims(study: str = "") -> str:
    """Return the rows of the kept `reproduce`: all, or those of one study."""
    from gan_lab.experiments import registry

    kept = json.loads((ROOT / "docs/reproduce.json").read_text())
    rows = kept["rows"]
    if study:
        rows = [row for row in rows if (row["command"] or "").split()[1:2] == [study]]
        if not rows:
            return "None in the kept [run of all claims](claims.md)."
        counts = f"{registry.counts(rows)}, in the kept [run of all claims](claims.md)."
        return f"{counts}\n\n{registry.tables(rows)}"
    where, versions = kept["environment"]["hardware"], kept["environment"]["versions"]
    seeds, commit = kept.get("seeds", [0]), kept["environment"]["git"]["commit"]
    several = f"base seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
    made = (
        f"Measured by `python -m gan_lab reproduce` with {several} at commit {commit[:12]}, on "
        f"{where['cores']} cores ({where['cpu']}), torch {versions['torch']}, Python "
        f"{versions['python']}."
    )
    if len(seeds) > 1:
        made += " A verdict is the worst of those seeds'; numbers that differ are shown of each."
    return f"{made}\n\n**{registry.counts(rows)}.**\n\n{registry.tables(rows)}"


def claims_count() -> str:
    """Return the README's sentence on the registry, with the counts of the kept `reproduce`."""
    from gan_lab.cli.reproduce import rows_of_the_registry
    from gan_lab.experiments.claims import split_checks

    kept = json.loads((ROOT / "docs/reproduce.json").read_text())["rows"]
    n_claims, n_checks = map(len, split_checks(kept))
    n_measured = sum(row.runs(everything=False) for row in rows_of_the_registry())
    return (
        "- Papers make claims about gradients, modes and distances:\n"
        f"  [{n_claims} claims and {n_checks} checks](docs/experiments/claims.md), published or "
        "derived, are written down with their\n"
        "  expected numbers and what would make each fail; one command measures "
        f"{n_measured} of them."
    )


def join_claims(directories: Sequence[str]) -> None:
    """Write docs/reproduce.json from outputs of `reproduce`, one a base seed."""
    from gan_lab.experiments import registry
    from gan_lab.runs.run_dir import to_json

    results = [json.loads((Path(each) / "result.json").read_text()) for each in directories]
    joined = to_json(registry.join(results), indent=2)
    (ROOT / "docs/reproduce.json").write_bytes(joined)


def question(study: str) -> str:
    """Return a study's question and source, from its class."""
    target = OmegaConf.load(CONF / "experiment" / f"{study}.yaml")._target_
    module, _, name = target.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    return f"**Question.** {found.question}\n\n**Source.** {found.reference}."


def library() -> str:
    """Return the names of the face with their arguments and examples, from the docstrings."""
    return face.page(table)


SECTIONS: dict[str, Callable[..., str]] = {
    "library": library,
    "results": results,
    "results_images": results_images,
    "losses": losses,
    "group": group,
    "keys": keys,
    "experiment": experiment_keys,
    "cli": cli,
    "claims": claims,
    "claims_count": claims_count,
    "question": question,
}


def _files(group_name: str) -> list[Path]:
    return sorted((CONF / group_name).glob("*.yaml"))


def _keys_of(path: Path, title: str, level: int = 2) -> str:
    text = path.read_text()
    use = re.search(r"^# Use: (.*)$", text, re.M)
    about = describe(path, whole=True)
    parts = [f"{'#' * level} {title}", about[:1].upper() + about[1:]]
    rows = _keys_table(path)
    if use and level > 2:
        parts.append(f"Use: `{use[1]}`")
    return "\n\n".join([*parts, *([rows] if rows else [])])


def _keys_table(path: Path) -> str:
    """Return key, default and comment of each value in a config file, without its hints."""
    rows, above = [], []
    inside = ""
    for line in path.read_text().splitlines():
        match = re.match(r"^( *)([\w./ ]+):(?: +(.*?))?(?: +# ?(.*))?$", line)
        if not match or line.lstrip().startswith(("#", "-")):
            continue
        indent, key, value, comment = len(match[1]) // 2, match[2], match[3] or "", match[4] or ""
        if value.startswith("#"):
            value, comment = "", value.lstrip("# ")
        above[indent:] = [key]
        inside = above[0]
        if inside in ("hints", "defaults", "hydra") or key == "_target_" or not value:
            continue
        prefix = _prefix(path)
        name = ".".join([*([prefix] if prefix else []), *above])
        rows.append((f"`{name}`", f"`{value}`", comment))
    return table(("key", "default", "meaning"), rows) if rows else ""


def _prefix(path: Path) -> str:
    """Return what stands before a file's keys: nothing in a file of the package _global_."""
    is_global = path.parent == CONF or path.read_text().startswith("# @package _global_")
    return "" if is_global else path.parent.name


def _help(words: Sequence[str]) -> str:
    """Return what `python -m gan_lab WORDS --help` prints, 100 columns wide."""
    from gan_lab.cli.main import main

    printed = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.redirect_stdout(printed):
            code = main([*words, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    if code:
        raise SystemExit(f"gan_lab {' '.join(words)} --help: exit code {code}")
    lines = [line.rstrip() for line in printed.getvalue().strip("\n").splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip()
