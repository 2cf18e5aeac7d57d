#!/usr/bin/env bash
# make-venv.sh LOCK STAMP: makes .venv, installs requirements/LOCK.txt (hashes checked, wheels only) and this
# project into it, and leaves the file STAMP when all went well. Safe to run again after an interruption.
# PYTHON picks the interpreter; without it a sound .venv is kept, or the newest Python from 3.11 on is taken.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=$1
stamp=$2

say() { printf 'penstock: %s\n' "$1" >&2; }

give_up() {
    say "$1"
    exit 1
}

minor_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

makes_venvs() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

choose_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" || give_up "PYTHON=$PYTHON does not run or is older than Python 3.11"
        printf '%s' "$PYTHON"
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3; do
        if is_new_enough "$candidate" && makes_venvs "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
    done
    for candidate in python3.13 python3.12 python3.11 python3; do
        if is_new_enough "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
    done
    give_up "no Python from 3.11 on was found; install one, or name it: make PYTHON=/path/to/python3.12 ..."
}

# A .venv that was copied or moved with the tree still points at its old place, so it is not sound.
is_sound() {
    grep -qF "$(pwd -P)/.venv/bin/" .venv/bin/pip 2>/dev/null || return 1
    .venv/bin/python -m pip --version >/dev/null 2>&1 || return 1
    is_new_enough .venv/bin/python || return 1
    [ -z "${PYTHON:-}" ] || [ "$(minor_version "$PYTHON")" = "$(minor_version .venv/bin/python)" ]
}

if ! is_sound; then
    python=$(choose_python)
    makes_venvs "$python" || deploy/apt-install.sh "python$(minor_version "$python")-venv" \
        || give_up "$python cannot make virtual environments without that package"
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

pip() { .venv/bin/python -m pip --quiet --disable-pip-version-check --no-input "$@"; }

say "installing requirements/$lock.txt"
pip install --require-hashes --only-binary :all: -r "requirements/$lock.txt"
# Nothing is fetched here: setuptools, which this needs, came with the lock.
pip install --no-index --no-deps --no-build-isolation --editable .
rm -f ".venv/$lock-"*
touch "$stamp"
