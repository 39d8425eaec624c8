"""Writes the README's tables from conf/, loss cards and docs/reproduce.json; --check compares."""

import json
import re
import sys
from pathlib import Path

from omegaconf import OmegaConf

from gan_lab import losses
from gan_lab.experiments import registry

ROOT = Path(__file__).resolve().parent.parent


def described(path: Path) -> str:
    """The sentence behind "--" in a config file's first comment, over as many lines as it has."""
    comments = []
    for line in path.read_text().splitlines():
        if not line.startswith("#") or line.startswith("# Use:"):
            if comments:
                break
            continue
        if not line.startswith("# @package"):
            comments.append(line.lstrip("# "))
    text = re.sub(r"^conf/\S+ -- ", "", " ".join(comments))
    return re.sub(r": python -m gan_lab train preset=\w+", ".", text)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def loss_table() -> str:
    rows = []
    for path in sorted((ROOT / "conf/loss").glob("*.yaml")):
        config = OmegaConf.load(path)
        card = getattr(losses, config.loss._target_.rpartition(".")[2]).card
        belongs = config.defaults[0]["override /regularizer"]
        n_critic = str(OmegaConf.to_container(config.trainer)["n_critic"])
        rows.append(
            (
                f"`{path.stem}`",
                f"`{card.discriminator}`",
                f"`{card.generator}`",
                card.divergence,
                ", ".join(f"`{name}`" for name in belongs) or "none",
                "from the data" if "hints" in n_critic else n_critic,
            )
        )
    head = ("`loss=`", "D minimises", "G minimises", "at D's optimum", "regularizer", "n_critic")
    return table(head, rows)


def group_table(group: str) -> str:
    paths = sorted((ROOT / "conf" / group).glob("*.yaml"))
    return table((f"`{group}=`", "what it is"), [(f"`{p.stem}`", described(p)) for p in paths])


def experiment_table() -> str:
    paths = sorted((ROOT / "conf/experiment").glob("*.yaml"))
    return table(
        ("`experiment ...`", "what it shows"), [(f"`{p.stem}`", described(p)) for p in paths]
    )


def claims_table() -> str:
    """The kept result of a whole `reproduce`."""
    result = json.loads((ROOT / "docs/reproduce.json").read_text())
    where = result["environment"]
    versions = where["versions"]
    made = (
        f"Made by `python -m gan_lab reproduce` on {where['hardware']['cores']} cores "
        f"({where['hardware']['cpu']}), torch {versions['torch']}, Python {versions['python']}."
    )
    rows = result["rows"]
    told = f"<details><summary><b>{len(rows)} claims: {registry.counts(rows)}</b></summary>"
    return f"{made}\n\n{told}\n\n{registry.table(rows)}\n\n</details>"


def main() -> int:
    readme = ROOT / "README.md"
    text = before = readme.read_text()
    tables = {
        name: group_table(name) for name in ("regularizer", "data", "network", "measure", "preset")
    }
    tables |= {"experiment": experiment_table(), "claims": claims_table()}
    for name, content in {"loss": loss_table(), **tables}.items():
        pattern = rf"(<!-- table {name} -->\n).*?(<!-- end -->)"
        text, n = re.subn(pattern, lambda m, c=content: m[1] + c + "\n" + m[2], text, flags=re.S)
        if n != 1:
            sys.exit(f"README.md has {n} places for the table '{name}'")
    if "--check" in sys.argv[1:]:
        return int(text != before)
    readme.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
