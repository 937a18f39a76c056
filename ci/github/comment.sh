#!/usr/bin/env bash
# Writes the plan as a comment on the pull request, or changes the comment that is there.
set -euo pipefail

exec "${INPUT_PYTHON:-python3}" "$GITHUB_ACTION_PATH/ci/github/comment.py" "$RUNNER_TEMP/reconciler-comment.md"
