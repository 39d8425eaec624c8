#!/usr/bin/env bash
# Set everything up, train minimax, non-saturating, WGAN with clipping and WGAN-GP on the ring and
# on 28 x 28 digits over five seeds, compare them and show the page. Arguments go to `train`.
#   ./scripts/compare_losses.sh
#   SEEDS=8 ./scripts/compare_losses.sh steps=800
# SEEDS: runs of each loss (5). OUT: where everything goes (outputs/compare_losses/<time>).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" ""
seeds="${SEEDS:-5}"
out="${OUT:-$root/outputs/compare_losses/$(date +%Y-%m-%d_%H-%M-%S)}"
lab=("$root/.venv/bin/python" -m gan_lab)
losses="loss=minimax,non_saturating,wasserstein_clip,wasserstein"

sweep() { # a run that diverges is a result: only an interrupt or a wrong argument ends the script
  local code=0
  "${lab[@]}" train -m "$losses" "$@" || code=$?
  [ "$code" -le 1 ] || exit "$code"
}

echo "ring: 4 losses, $seeds seeds stacked in each run"
sweep data=ring "n_seeds=$seeds" steps=2000 output="$out/ring" "$@"
echo "mnist_5k: 4 losses x $seeds seeds, one process a core"
sweep data=mnist_5k "seed=range($seeds)" steps=1500 output="$out/mnist_5k" "$@"
"${lab[@]}" compare "$out/ring" "$out/mnist_5k" output="$out/comparison" \
  title="Four losses, $seeds seeds each"

page="$out/comparison/index.html"
if [ -t 1 ] && [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xdg-open > /dev/null; then
  xdg-open "$page" > /dev/null 2>&1 &
elif [ -t 1 ] && [ "$(uname)" = Darwin ]; then
  open "$page"
else
  echo "open $page in a browser"
fi
