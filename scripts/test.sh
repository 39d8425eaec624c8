#!/usr/bin/env bash
# Sets everything up, then lint, types and tests; arguments go to pytest.
#   ./scripts/test.sh
#   ./scripts/test.sh -m slow tests/runner/test_resume.py
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" dev
cd "$root"
.venv/bin/ruff check gan_lab tests scripts
.venv/bin/ruff format --check gan_lab tests scripts
.venv/bin/mypy
.venv/bin/lint-imports --no-logo
# One worker a core, one thread a worker: small networks gain nothing from a second thread.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
exec .venv/bin/python -m pytest --numprocesses auto --dist worksteal "$@"
