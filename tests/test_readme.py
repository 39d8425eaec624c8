"""The README's tables are made from the configuration files."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_tables_of_choices_are_those_of_conf():
    script = ROOT / "scripts" / "readme_tables.py"
    checked = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, f"run scripts/readme_tables.py; {checked.stderr}"
