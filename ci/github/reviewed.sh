#!/usr/bin/env bash
# Finds the plan that was reviewed for the commit at hand, unless an earlier step has put one there.
set -euo pipefail

plan_file=${INPUT_PLAN_FILE:-reconciler-plan.json}

# A plan that came with the commit itself was made by its author, and nobody reviewed what it does.
came_with_the_commit() {
  if [ -L "$plan_file" ] || ! command -v git >/dev/null; then return 0; fi
  local directory
  directory=$(cd -- "$(dirname -- "$plan_file")" && pwd -P) || return 0
  git -c 'safe.directory=*' --literal-pathspecs -C "$directory" ls-files --error-unmatch \
    -- "$(basename -- "$plan_file")" >/dev/null 2>&1
}

if [ -f "$plan_file" ]; then
  if came_with_the_commit; then
    echo "::error title=reconciler::The plan file is part of the repository. Remove it: the reviewed plan is an artifact."
    echo "exit-code=1" >>"${GITHUB_OUTPUT:?}"
    exit 1
  fi
  echo "Using $plan_file."
  exit 0
fi
code=0
"${INPUT_PYTHON:-python3}" "$GITHUB_ACTION_PATH/ci/github/reviewed.py" "$plan_file" || code=$?
if [ "$code" != 0 ]; then echo "exit-code=$code" >>"${GITHUB_OUTPUT:?}"; fi
exit "$code"
