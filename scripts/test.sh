#!/usr/bin/env bash
# Set everything up, then lint, check types and test; arguments go to pytest.
#   ./scripts/test.sh
#   ./scripts/test.sh fast
#   ./scripts/test.sh -m slow tests/runner/test_resume.py
# fast: lint and the tests of losses, regularizers, metrics, step and configuration, in a minute.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" dev
cd "$root"
.venv/bin/ruff check gan_lab tests scripts
.venv/bin/ruff format --check gan_lab tests scripts
if [ "${1:-}" = fast ]; then
  shift
  set -- -m "fast and not slow and not gpu" "$@"
else
  .venv/bin/mypy
fi
.venv/bin/lint-imports --no-logo
# One worker a core, one thread a worker: small networks gain nothing from a second thread.
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
exec .venv/bin/python -m pytest --numprocesses auto --dist worksteal "$@"
