"""FID, KID and IS are names of what Inception's features give, and of nothing else."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAMES = re.compile(r"\b(FID|KID|IS)\b")
# The metric itself; and statements of papers, which are quoted with their own numbers.
HOME = {
    "gan_lab/metrics/features/inception.py",
    "conf/reproduce/unavailable.yaml",
    "docs/experiments/claims.md",
    *(
        f"conf/preset/cifar10_{name}.yaml"
        for name in ("dcgan", "r3gan", "sngan", "wgan_clip", "wgan_gp")
    ),
    *(f"conf/reproduce/{name}.yaml" for name in ("best_and_last", "losses_on_images")),
    *(f"docs/experiments/{name}.md" for name in ("best_and_last", "losses_on_images")),
    "gan_lab/experiments/losses_on_images/claims.py",
}
FOLDERS = {"gan_lab": "*.py", "conf": "*.yaml", "docs": "*.md", "examples": "*.py", "scripts": "*"}
FILES = sorted(
    path for folder, pattern in FOLDERS.items() for path in (ROOT / folder).rglob(pattern)
)
FILES = [path for path in [*FILES, ROOT / "README.md"] if path.is_file()]


def lines_without_inception(text):
    """Lines that say one of the names and not whose features they need."""
    return [line for line in text.splitlines() if NAMES.search(line) and "nception" not in line]


@pytest.mark.parametrize("suffix", [".py", ".yaml", ".md", ".sh"])
def test_the_names_stand_beside_inception_only(suffix):
    found = {
        name: lines
        for path in FILES
        if path.suffix == suffix and (name := path.relative_to(ROOT).as_posix()) not in HOME
        if (lines := lines_without_inception(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_a_line_without_inception_is_found():
    assert lines_without_inception("the FID of digits\nInception's FID\nthis is fine") == [
        "the FID of digits"
    ]
    assert {path.suffix for path in FILES} >= {".py", ".yaml", ".md", ".sh"}
    assert all((ROOT / name).is_file() for name in HOME)
