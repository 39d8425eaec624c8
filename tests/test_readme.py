"""The README's tables are made from the configuration files."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_tables_of_choices_are_those_of_conf():
    script = ROOT / "scripts" / "readme_tables.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, f"run scripts/readme_tables.py; {checked.stderr}"


def test_every_picture_and_page_that_the_readme_links_to_is_there():
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert {"docs/images/compare_losses.png", "docs/events.md"} <= set(links)
    assert [link for link in links if not (ROOT / link).exists()] == []
