#!/bin/sh
# npm test: everything that is missing is installed, then the whole suite runs; arguments go to vitest.
set -eu
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null 2>&1 || { echo 'slipway: the tests make mounts, cgroups and containers, which need root. Run npm test as root, or install sudo.' >&2; exit 1; }
  exec sudo --preserve-env env PATH="$PATH" sh cli/test.sh "$@"
fi
sh cli/set-up.sh test
export PATH="$PWD/node_modules/.bin:$PATH"
exec vitest run "$@"
