# Shared by the scripts beside it; sourced, never run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
jobs=$(nproc)

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
usage_error() { printf '%s: %s (see --help)\n' "${0##*/}" "$*" >&2; exit 2; }
[[ -t 1 && -z ${NO_COLOR:-} ]] || say() { printf '==> %s\n' "$*"; }

# The comment that opens a script is its help.
print_help() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# configure PRESET [CMAKE-ARGUMENT…]: says only what is left out; everything when it fails.
configure() {
  local preset=$1 log
  shift
  mkdir -p "$root/build"
  log=$root/build/configure-$preset.log
  say "configure ($preset)"
  (cd "$root" && cmake --preset "$preset" "$@") >"$log" 2>&1 || { cat "$log" >&2; die "configuring failed"; }
  sed -n 's/^-- \(.* left out: .*\)/\1/p' "$log"
}

build_targets() {  # PRESET [TARGET…]
  local preset=$1 targets=()
  shift
  (($# == 0)) || targets=(--target "$@")
  say "build ($preset)${*:+: $*}"
  # With link-time optimisation the whole program is compiled again at the end.
  [[ $preset != release ]] || say "linking at the end takes minutes and is silent"
  (cd "$root" && cmake --build --preset "$preset" -j "$jobs" "${targets[@]}")
}
