#!/usr/bin/env bash
# Asks PyPI for known vulnerabilities of every version in constraints.txt; 1 where there is one.
#   ./scripts/audit.sh
# PYTHON: any interpreter that pip-audit runs on (python3). Arguments go to pip-audit.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
"$work/venv/bin/pip-audit" --requirement "$root/constraints.txt" --no-deps --disable-pip --strict \
  --progress-spinner off "$@"
