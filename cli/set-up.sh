#!/bin/sh
# Makes this machine able to run Slipway: Debian packages by name, npm packages, the dashboard. Safe to run again.
# usage: cli/set-up.sh run|test     (test adds what only the tests need)
set -eu
purpose=${1:-run}
cd "$(dirname "$0")/.."

fail() { printf 'slipway: %s\n' "$*" >&2; exit 1; }

# command:package, for every program that is called by name
wanted='runc:runc redis-server:redis-server docker-registry:docker-registry git:git ip:iproute2 nft:nftables
  busybox:busybox-static igzip:isal unshare:util-linux setpriv:util-linux xz:xz-utils bzip2:bzip2'
[ "$purpose" = test ] && wanted="$wanted skopeo:skopeo debootstrap:debootstrap chromium:chromium getfattr:attr ssh-agent:openssh-client
  pgrep:procps mkfs.ext4:e2fsprogs"

missing=''
for pair in $wanted; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done

if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || fail "these packages are missing and need root to install:$missing. Run the same command as root or with sudo."
  command -v apt-get >/dev/null 2>&1 || fail "these programs are missing and this is no Debian or Ubuntu:$missing. Install them with your package manager, then run the same command again."
  printf 'slipway: installing%s\n' "$missing"
  # A package's own service is not ours to start: redis-server would take a port, docker-registry as well.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT INT TERM
  fi
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086
  apt-get install -y -q --no-install-recommends $missing >/dev/null 2>&1 ||
    { apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends $missing >/dev/null; } ||
    fail "apt-get could not install:$missing. Its message is above; mend that, then run the same command again."
fi

lock=$(cksum <package-lock.json)
if [ "$(cat node_modules/.slipway-lock 2>/dev/null || true)" != "$lock" ]; then
  command -v npm >/dev/null 2>&1 || fail 'npm is missing. Install Node.js 20 or later with npm, then run the same command again.'
  printf 'slipway: installing npm packages\n'
  npm ci --no-audit --no-fund --loglevel=error || fail 'npm ci failed; its message is above.'
  printf '%s' "$lock" >node_modules/.slipway-lock
fi

[ -x node_modules/.bin/node ] || fail "no Node.js 26 came with the npm packages for $(uname -m): only x86_64 and aarch64 have one."
export PATH="$PWD/node_modules/.bin:$PATH"

if [ ! -e dashboards/dist/index.html ] ||
  [ -n "$(find dashboards core/domain package-lock.json -newer dashboards/dist/index.html -type f \
    -not -path 'dashboards/dist/*' -not -path 'dashboards/screenshots/*' | head -n 1)" ]; then
  printf 'slipway: building the dashboard\n'
  vite build dashboards --logLevel warn || fail 'the dashboard could not be built; the message is above.'
fi
