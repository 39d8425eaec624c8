#!/usr/bin/env bash
# Makes .venv at the project's root and installs gan_lab into it, once for each state of
# pyproject.toml and constraints.txt, which pins the versions; sets root. Sourced by the other
# scripts, it leaves the working directory alone.
# PYTHON chooses the interpreter (3.11 or newer).
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

extra="${1:-}"
stamp="$root/.venv/.installed-${extra:-plain}"
if [ ! -e "$stamp" ] || [ "$root/pyproject.toml" -nt "$stamp" ] \
  || [ "$root/constraints.txt" -nt "$stamp" ]; then
  python="${PYTHON:-python3}"
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "gan_lab needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2
    exit 2
  fi
  echo "making .venv (PyTorch alone is some 5 GB; this takes a few minutes, once)"
  [ -x "$root/.venv/bin/python" ] || "$python" -m venv "$root/.venv"
  "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint "$root/constraints.txt" --editable "$root${extra:+[$extra]}"
  touch "$stamp"
fi
