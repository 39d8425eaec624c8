#!/usr/bin/env bash
# Builds Dockerfile and uses the image as compose.yaml does, where there is no Docker engine: with
# buildah, on a base that debootstrap makes. As root, from a clean clone:
#   ./scripts/check_docker.sh
# VARIANT: cuda (packages of PyPI alone) or cpu (needs download.pytorch.org). TESTS: arguments for
# pytest (the default suite). TMPDIR: 25 GB are needed there for a while. KEEP=1 leaves them there,
# WORK=<that folder> goes on from the layers in it.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
variant="${VARIANT:-cuda}"
for tool in buildah debootstrap docker-compose ip unshare; do
  if ! command -v "$tool" > /dev/null; then
    echo "no $tool: apt-get install buildah debootstrap docker-compose iproute2 util-linux" >&2
    exit 2
  fi
done
[ "$(id -u)" = 0 ] || { echo "debootstrap needs root; run this as root" >&2; exit 2; }

work="${WORK:-$(mktemp -d "${TMPDIR:-/tmp}/gan_lab_docker.XXXXXX")}"
uid=4321 # of nobody: neither in the image nor on the host
mkdir -p "$work/outputs" "$work/tmp"
export TMPDIR="$work/tmp" # buildah writes whole layers there
chown "$uid:$uid" "$work/outputs"

buildah=(buildah --root "$work/storage" --runroot "$work/run" --storage-driver overlay)
store() { "${buildah[@]}" "$@"; }
finish() {
  store rm --all > /dev/null 2>&1 || true
  awk -v under="$work/" 'index($2, under) == 1 { print $2 }' /proc/self/mounts | sort -r \
    | xargs --no-run-if-empty umount --lazy
  if [ -n "${KEEP:-}" ]; then echo "left in $work"; else rm -rf "$work"; fi
}
trap finish EXIT

say() { printf '\n== %s\n' "$*"; }
ok() { echo "ok: $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }

say "the base"
base="$(sed -n 's/^ARG BASE=//p' "$root/Dockerfile")"
if ! store from --name probe scratch > /dev/null 2>&1 || ! store mount probe > /dev/null 2>&1; then
  buildah[6]=vfs # a file system under TMPDIR on which overlay does not go: slower, and larger
  store from --name probe scratch > /dev/null
fi
store rm probe > /dev/null
echo "$base, made of Debian's packages; storage: ${buildah[6]}"
if ! store inspect --type image "$base" > /dev/null 2>&1; then
  made="$(store from scratch)"
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-dev,python3-venv "${base##*-}" \
    "$(store mount "$made")" http://deb.debian.org/debian > "$work/debootstrap.log" 2>&1 \
    || { tail -n 5 "$work/debootstrap.log" >&2; fail "debootstrap"; }
  rm -rf "$(store mount "$made")"/var/cache/apt/archives/*.deb
  version="$(chroot "$(store mount "$made")" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
  [[ "$base" == "python:$version-"* ]] || fail "$base, and Debian's Python there is $version"
  store commit --quiet --rm "$made" "docker.io/library/$base" > /dev/null
fi

say "the image, VARIANT=$variant"
# The host's way to PyPI, for the time of the build only: where it asks and whom it trusts.
umask 077
{
  echo "[global]"
  python3 -m pip config list 2> /dev/null \
    | sed -nE "s/^(global|:env:)\.(cert|index-url|extra-index-url|proxy|trusted-host|timeout)='(.*)'$/\2 = \3/p" \
    | grep -v 'file:' | sort -u -t= -k1,1 || true
} > "$work/pip.conf"
umask 022
build() { # stage, name
  store build --isolation chroot --format docker --pull-never --layers --quiet \
    --volume "$work/pip.conf:/etc/pip.conf:ro" --volume /etc/ssl/certs:/etc/ssl/certs:ro \
    --build-arg "VARIANT=$variant" ${1:+--target "$1"} --tag "$2" \
    --build-arg "REVISION=$(git -C "$root" rev-parse HEAD)" "$root" > "$work/build.log" 2>&1 \
    || { tail -n 30 "$work/build.log" >&2; fail "the build of $2"; }
  ok "$2"
}
build "" gan_lab:check
build test gan_lab:test

of_image() { # name, a Python expression of `config`, printed a line an item
  store inspect --type image "$1" | python3 -c 'import json, sys
config = json.load(sys.stdin)["OCIv1"]["config"]
print(*eval(sys.argv[1]), sep="\n")' "$2"
}
of_compose() { # file, a Python expression of `services`, likewise
  docker-compose --project-directory "$root" -f "$root/compose.yaml" ${1:+-f "$root/$1"} \
    --profile run config | python3 -c 'import sys, yaml
services = yaml.safe_load(sys.stdin)["services"]
print(*eval(sys.argv[1]), sep="\n")' "$2"
}
mapfile -t entry < <(of_image gan_lab:check 'config["Entrypoint"]')
mapfile -t train < <(of_compose "" 'services["train"]["entrypoint"]')
mapfile -t reproduce < <(of_compose "" 'services["reproduce"]["entrypoint"]')
mapfile -t server < <(of_compose "" 'services["tensorboard"]["entrypoint"]')
mapfile -t health < <(of_compose "" 'services["tensorboard"]["healthcheck"]["test"][1:]')

say "compose.yaml, as docker-compose $(docker-compose version --short) reads it"
expect() { # what, file, expression, lines
  [ "$(of_compose "$2" "$3")" = "$4" ] || fail "$1: $(of_compose "$2" "$3" | tr '\n' ' ')"
  ok "$1"
}
each='[str({str(s.get("KEY")) for s in services.values()})]'
expect "three services" "" 'sorted(services)' $'reproduce\ntensorboard\ntrain'
expect "TensorBoard is on the loopback only" "" 'services["tensorboard"]["ports"]' \
  127.0.0.1:6006:6006/tcp
expect "it reads outputs and writes none" "" 'services["tensorboard"]["volumes"]' \
  "$root/outputs:/outputs:ro"
expect "no root, by default" "" "${each/KEY/user}" "{'1000:1000'}"
expect "read-only roots" "" "${each/KEY/read_only}" "{'True'}"
expect "no capabilities" "" "${each/KEY/cap_drop}" "{\"['ALL']\"}"
expect "no new privileges" "" "${each/KEY/security_opt}" "{\"['no-new-privileges:true']\"}"
expect "compose.gpu.yaml asks for the GPUs" compose.gpu.yaml \
  'services["train"]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"]' gpu

say "in the container, as uid $uid, without a network"
lab() { # container, command: on outputs, as nobody's uid
  local container="$1" options=(--user "$uid:$uid" --volume "$work/outputs:/outputs${access:-}")
  shift
  unshare --net env --default-signal=INT sh -c 'ip link set lo up && exec "$@"' - \
    "${buildah[@]}" run --isolation chroot "${options[@]}" "$container" -- "$@" < /dev/null
}
here="$(store from --pull-never gan_lab:check)"
mounted="$(store mount "$here")"
touch "$work/began"

user="$(of_image gan_lab:check '[config["User"]]')"
[ "$(store run --isolation chroot "$here" -- id -u < /dev/null)" = "${user%:*}" ] && [ "${user%:*}" != 0 ] \
  || fail "the image's user is '$user'"
ok "without --user it runs as ${user%:*}"
lab "$here" python -c 'import getpass, os, pathlib, pwd, sys
import matplotlib, torch._inductor.codecache
assert {os.getuid(), os.getgid(), *os.getgroups()} == {int(sys.argv[1])}
try:
    sys.exit(f"{pwd.getpwuid(os.getuid())} is in /etc/passwd")
except KeyError:
    getpass.getuser()
for folder in (pathlib.Path.home(), matplotlib.get_configdir(), matplotlib.get_cachedir()):
    (pathlib.Path(folder) / "probe").write_text("")
print("ok: a uid without an entry in /etc/passwd: torch and matplotlib have where to write")' "$uid"
lab "$here" "${entry[@]}" --help | grep -q reproduce || fail "--help"
ok "--help"
code=0
lab "$here" "${train[@]}" loss=no_such_loss 2> "$work/error" > /dev/null || code=$?
[ "$code" = 2 ] && grep -q '^ConfigError: ' "$work/error" && [ -z "$(ls "$work/outputs")" ] \
  || fail "a wrong value gives $code: $(cat "$work/error")"
ok "a wrong value gives 2, and nothing is written: $(grep ConfigError "$work/error" | cut -c1-60)..."
lab "$here" "${train[@]}" data=ring trainer.steps=200 hydra.run.dir=/outputs/run > "$work/train.log" 2>&1 \
  || { tail -n 5 "$work/train.log" >&2; fail "train"; }
[ -e "$work/outputs/run/checkpoints/step_00000200.pt" ] || fail "no checkpoint"
ok "train"

code=0
lab "$here" bash -c '"$@" & until [ -s /outputs/stopped/metrics.jsonl ]; do sleep 1; kill -0 $! || exit; done
  kill -TERM $!; wait $!' - "${train[@]}" data=ring trainer.steps=10000000 hydra.run.dir=/outputs/stopped \
  > "$work/stopped.log" 2>&1 || code=$?
[ "$code" = 143 ] && [ -n "$(find "$work/outputs/stopped/checkpoints" -name 'step_*.pt')" ] \
  || { tail -n 5 "$work/stopped.log" >&2; fail "SIGTERM gives $code"; }
ok "SIGTERM gives 143, with a checkpoint"

access=:ro lab "$here" bash -c "exec 2> /tmp/log
  if touch /outputs/x || $(printf '%q ' "${health[@]}"); then exit 3; fi
  $(printf '%q ' "${server[@]}") &
  for _ in {1..60}; do sleep 2; if $(printf '%q ' "${health[@]}"); then kill \$!; exit; fi; done
  exit 4" || fail "TensorBoard or its health check: $?"
ok "TensorBoard on read-only outputs; its health check fails before it is up and passes then"

lab "$here" "${reproduce[@]}" > "$work/claims.txt" || fail "reproduce: $(tail -n 3 "$work/claims.txt")"
grep -q Claims "$work/claims.txt" || fail "no table"
cat "$work/claims.txt"
ok "reproduce"

say "what was written"
strangers="$(find "$work/outputs" -not -user "$uid" -o -not -group "$uid")"
[ -z "$strangers" ] || fail "not of $uid: $strangers"
ok "all $(find "$work/outputs" -type f | wc -l) files in outputs belong to $uid"
elsewhere="$(find "$mounted" -xdev -newer "$work/began" -not -type d -not -path "$mounted/tmp/*")"
[ -z "$elsewhere" ] || fail "written outside of /outputs and /tmp: $elsewhere"
ok "nothing outside of /outputs and /tmp; in /tmp $(du -sh "$mounted/tmp" | cut -f1)"
[ ! -s "$mounted/etc/pip.conf" ] || fail "the host's pip configuration is in the image"
ok "nothing of the host's pip configuration"
tools="$(lab "$here" python -c 'import importlib.util as found
print(*(name for name in ("pytest", "mypy", "hypothesis", "selenium") if found.find_spec(name)))')"
[ -z "$tools" ] || fail "tools of the developer: $tools"
ok "no tools of the developer's"

say "the sizes"
store inspect --type image gan_lab:check | python3 -c 'import json, pathlib, sys
image = json.load(sys.stdin)["OCIv1"]
stored = json.loads(next(pathlib.Path(sys.argv[1]).glob("*-layers/layers.json")).read_text())
sizes = {layer.get("diff-digest"): layer.get("diff-size") for layer in stored}
sizes = [sizes[layer] for layer in image["rootfs"]["diff_ids"]]
made = [each.get("created_by", "") for each in image["history"] if not each.get("empty_layer")]
for size, command in zip(sizes, made, strict=True):
    print(f"{size / 1e6:8.1f} MB  {command[:80]}")
print(f"{sum(sizes) / 1e6:8.1f} MB  in all, not compressed")' "$work/storage"

say "the tests in the image's test stage, as uid $uid"
there="$(store from --pull-never gan_lab:test)"
mapfile -t tests < <(of_image gan_lab:test 'config["Entrypoint"]')
# shellcheck disable=SC2086 # several arguments
lab "$there" "${tests[@]}" ${TESTS:-}

say "passed; not shown by it"
cat << 'NOT_SHOWN'
an engine of Docker's: HEALTHCHECK's schedule, the read-only root and the tmpfs, init, cap_drop and
no-new-privileges at work, the port on the host (all as compose.yaml states them);
the official python:*-slim as the base; a GPU; the variant that was not built.
NOT_SHOWN
