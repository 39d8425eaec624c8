#!/usr/bin/env bash
# Sets everything up and trains WGAN-GP on 28 x 28 handwritten digits; arguments go to `train`.
#   ./scripts/train.sh
#   ./scripts/train.sh data=ring loss=non_saturating
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" ""
exec "$root/.venv/bin/python" -m gan_lab train "$@"
