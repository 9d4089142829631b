#!/bin/sh
# npm run check: types, lint, format, dead code, import arrows. All of them run; the first failure is the exit code.
cd "$(dirname "$0")/.." || exit 1
export PATH="$PWD/node_modules/.bin:$PATH"
status=0
step() {
  name=$1; shift
  if "$@"; then printf 'ok    %s\n' "$name"; else printf 'FAIL  %s\n' "$name"; status=1; fi
}
step types tsc -p .
step 'types of the dashboard' tsc -p dashboards
step lint oxlint --type-aware --quiet
step format biome check .
step 'dead code' knip --no-progress
step 'import arrows' vitest run --project unit test/architecture.test.ts --reporter=dot
exit $status
