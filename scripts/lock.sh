#!/usr/bin/env bash
# Renews constraints.txt: the newest versions that pyproject.toml allows, of every package and of
# what it needs, as pip resolves them for an empty environment. Nothing is installed but pip.
#   ./scripts/lock.sh && git diff constraints.txt
# PYTHON: an interpreter of the lowest version that pyproject.toml allows (python3.11), so that
# what is pinned is there for the later ones too.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3.11}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip
# From Python 3.12 on torch asks for setuptools, which 3.11 alone would not name.
"$work/venv/bin/python" -m pip install --quiet --dry-run --report "$work/report.json" \
  "${root}[dev,cluster,export,inception,docs]" setuptools
"$work/venv/bin/python" - "$work/report.json" > "$work/constraints.txt" << 'PROGRAM'
import json
import sys

print("# Made by scripts/lock.sh: what the image, scripts/setup.sh and CI install.")
for entry in sorted(
    json.load(open(sys.argv[1]))["install"], key=lambda entry: entry["metadata"]["name"].lower()
):
    if "dir_info" not in entry["download_info"]:  # gan_lab itself
        print(f"{entry['metadata']['name']}=={entry['metadata']['version']}")
PROGRAM
cp "$work/constraints.txt" "$root/constraints.txt"
