#!/usr/bin/env bash
# Runs the tests with the lowest versions that pyproject.toml allows, in an environment of its own
# (some 7 GB in a temporary folder, removed at the end); arguments go to pytest.
#   ./tests/campaigns/check_bounds.sh
#   KEEP=1 ./tests/campaigns/check_bounds.sh tests/losses
# PYTHON: an interpreter of the lowest version that pyproject.toml allows (python3.11).
# TMPDIR: where the folder is made. KEEP=1 leaves it there.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
python="${PYTHON:-python3.11}"
lowest="$(sed -n 's/^requires-python = ">=\(.*\)"/\1/p' "$root/pyproject.toml")"
if ! "$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$lowest')" 2> /dev/null; then
  echo "the lowest versions are those of Python $lowest; set PYTHON=/path/to/python$lowest" >&2
  exit 2
fi

work="$(mktemp -d "${TMPDIR:-/tmp}/gan_lab_bounds.XXXXXX")"
[ -n "${KEEP:-}" ] || trap 'rm -rf "$work"' EXIT
"$python" - "$root/pyproject.toml" > "$work/lowest.txt" << 'PROGRAM'
import re, sys, tomllib
project = tomllib.load(open(sys.argv[1], "rb"))["project"]
for requirement in project["dependencies"] + project["optional-dependencies"]["dev"]:
    name, version = re.fullmatch(r"([\w.-]+)>=([\d.]+)(?:,<[\d.]+)?", requirement).groups()
    print(f"{name}=={version}")
PROGRAM
echo "the lowest versions:" "$(tr "\n" " " < "$work/lowest.txt")"

"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  --requirement "$work/lowest.txt"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  --editable "$root"
cd "$root"
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
# torch 2.9 itself imports sympy when it fills a parameter on the meta device: a slower start, no
# other difference.
"$work/venv/bin/python" -m pytest -p no:cacheprovider --numprocesses auto --dist worksteal \
  --deselect "tests/runner/test_start.py::test_train_reaches_its_first_step_without[sympy]" "$@"
