#!/bin/sh
# npm start: everything that is missing is installed, then the whole service runs in the foreground.
set -eu
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null 2>&1 || { echo 'slipway: mounts, cgroups and containers need root. Run npm start as root, or install sudo.' >&2; exit 1; }
  exec sudo --preserve-env env PATH="$PATH" sh cli/start.sh "$@"
fi
sh cli/set-up.sh run
exec ./slipway up "$@"
