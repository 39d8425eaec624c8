#!/usr/bin/env bash
# Set everything up and build the site from README.md, CONTRIBUTING.md, CHANGELOG.md and docs/ into
# outputs/docs; warnings are errors. Arguments go to sphinx-build.
#   ./scripts/docs.sh
#   ./scripts/docs.sh -E && open outputs/docs/index.html
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" docs
cd "$root"
.venv/bin/python -m scripts.docs --check
.venv/bin/python -m sphinx -W --keep-going -q -c docs "$@" . outputs/docs
echo "the site: $root/outputs/docs/index.html"
