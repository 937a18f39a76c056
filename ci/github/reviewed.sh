#!/usr/bin/env bash
# Finds the plan that was reviewed for the commit at hand, unless an earlier step has put one there.
set -euo pipefail

plan_file=${INPUT_PLAN_FILE:-reconciler-plan.json}
if [ -f "$plan_file" ]; then
  echo "Using $plan_file."
  exit 0
fi
code=0
"${INPUT_PYTHON:-python3}" "$GITHUB_ACTION_PATH/ci/github/reviewed.py" "$plan_file" || code=$?
if [ "$code" != 0 ]; then echo "exit-code=$code" >>"${GITHUB_OUTPUT:?}"; fi
exit "$code"
