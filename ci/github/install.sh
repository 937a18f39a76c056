#!/usr/bin/env bash
# Installs reconciler into an environment of its own and puts it on the PATH of the steps that follow.
set -euo pipefail

: "${RUNNER_TEMP:?}" "${GITHUB_PATH:?}" "${GITHUB_ACTION_PATH:?}"
python=${INPUT_PYTHON:-python3}
source=${INPUT_INSTALL:-$GITHUB_ACTION_PATH}
home=$RUNNER_TEMP/reconciler

# -I: nothing that lies in the checkout is imported in the place of a module.
if ! "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "::error title=reconciler::Python 3.11 or newer is needed; name one with the input python."
  exit 1
fi
"$python" -I -m venv "$home"
"$home/bin/python" -I -m pip install --quiet --disable-pip-version-check "$source"
echo "$home/bin" >>"$GITHUB_PATH"
"$home/bin/reconciler" --version
