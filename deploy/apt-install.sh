#!/usr/bin/env bash
# Installs the named Debian packages as root or with password-free sudo; else says what to type and ends with 1.
set -euo pipefail

give_up() {
    printf 'penstock: %s\n' "$1" >&2
    exit 1
}

command -v apt-get >/dev/null || give_up "missing here: $*. There is no apt-get; install them the way this system does it."
if [ "$(id -u)" -eq 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n env)
else
    give_up "missing here: $*. Please type: sudo apt-get install $*"
fi

apt_get() {
    "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null >/dev/null
}

printf 'penstock: installing with apt-get: %s\n' "$*" >&2
apt_get update || printf 'penstock: apt-get update failed; trying with the package lists as they are\n' >&2
apt_get install -y --no-install-recommends "$@" || give_up "apt-get could not install: $*"
