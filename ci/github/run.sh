#!/usr/bin/env bash
# Runs one command of reconciler as a step. The command itself writes what it found to summary and outputs; this adds
# its exit code, and lets the step succeed where there are changes.
set -euo pipefail

: "${GITHUB_OUTPUT:?}" "${RUNNER_TEMP:?}"
command=${INPUT_COMMAND:-}
plan_file=${INPUT_PLAN_FILE:-reconciler-plan.json}
comment=$RUNNER_TEMP/reconciler-comment.md
rm -f "$comment"

words=()
if [ -n "${INPUT_CONFIG:-}" ]; then words+=("--config=$INPUT_CONFIG"); fi
if [ -n "${INPUT_ENV:-}" ]; then words+=("--env=$INPUT_ENV"); fi

account=()
if [ -n "${INPUT_API_BASE:-}" ]; then account+=("--api-base=$INPUT_API_BASE"); fi

allow=()
while IFS= read -r word; do
  word=${word%$'\r'}
  if [ -n "$word" ]; then allow+=("--allow=$word"); fi
done <<<"${INPUT_ALLOW:-}"

# A name that git does not know would be looked for as a path, and any change may add one: paths are written as such.
base=()
if [ -n "${INPUT_BASE:-}" ]; then
  case $INPUT_BASE in
  /* | ./* | ../*) ;;
  *)
    if [ -e "$INPUT_BASE" ] && ! git rev-parse --verify --quiet --end-of-options \
      "$INPUT_BASE^{commit}" >/dev/null 2>&1; then
      echo "::error title=reconciler::The base is no revision that was fetched. Fetch it; a path begins with ./"
      echo "exit-code=64" >>"$GITHUB_OUTPUT"
      exit 64
    fi
    ;;
  esac
  base+=("--base=$INPUT_BASE")
fi
if [ "${INPUT_IMPACT:-}" = true ]; then base+=(--impact); fi

has_key() {
  [ -n "${STRIPE_API_KEY:-}${STRIPE_SECRET_KEY:-}${STRIPE_API_KEY_FILE:-}${STRIPE_SECRET_KEY_FILE:-}" ]
}

# A step's summary is its own file, but for what an earlier line of the same step wrote there.
summary=${GITHUB_STEP_SUMMARY:-/dev/null}
before=0
if [ -f "$summary" ]; then before=$(wc -c <"$summary"); fi

code=0
case $command in
validate)
  reconciler validate "${words[@]}" || code=$?
  ;;
plan)
  rm -f "$plan_file"
  if ! has_key && [ -n "${INPUT_SNAPSHOT:-}" ]; then
    echo "There is no key: planning from the snapshot."
    reconciler plan "${words[@]}" "${allow[@]}" "${base[@]}" --detailed-exitcode --snapshot="$INPUT_SNAPSHOT" || code=$?
  else
    reconciler plan "${words[@]}" "${account[@]}" "${allow[@]}" "${base[@]}" --detailed-exitcode \
      --out="$plan_file" || code=$?
  fi
  if [ -f "$plan_file" ]; then echo "plan-file=$plan_file" >>"$GITHUB_OUTPUT"; fi
  if [ -f "$summary" ]; then tail -c "+$((before + 1))" "$summary" >"$comment"; fi
  ;;
apply)
  reconciler apply "$plan_file" "${words[@]}" "${account[@]}" "${allow[@]}" --no-input || code=$?
  ;;
drift)
  reconciler drift "${words[@]}" "${account[@]}" --detailed-exitcode || code=$?
  ;;
snapshot)
  reconciler snapshot "${words[@]}" "${account[@]}" --out="${INPUT_SNAPSHOT:-stripe.snapshot.json}" || code=$?
  ;;
*)
  echo "::error title=reconciler::The input command is validate, plan, apply, drift or snapshot."
  code=64
  ;;
esac

echo "exit-code=$code" >>"$GITHUB_OUTPUT"
case $code:$command in 2:plan | 2:drift) exit 0 ;; esac
exit "$code"
