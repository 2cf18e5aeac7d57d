#!/usr/bin/env bash
# Installs the programs beside Python that the tests talk to, where that is allowed. Says so where it is not;
# the tests that need them then fail, each with a clear sentence.
set -euo pipefail
cd "$(dirname "$0")/.."
# On Debian the broker lies where only root looks.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

missing=()
command -v mosquitto >/dev/null || missing+=(mosquitto)
command -v mosquitto_sub >/dev/null || missing+=(mosquitto-clients)
command -v mbpoll >/dev/null || missing+=(mbpoll)
command -v openssl >/dev/null || missing+=(openssl)
[ ${#missing[@]} -gt 0 ] || exit 0

if deploy/apt-install.sh "${missing[@]}"; then
    case " ${missing[*]} " in
        *" mosquitto "*)
            printf '%s\n' \
                "penstock: where systemd runs, the package mosquitto also starts a broker of its own on port 1883." \
                "penstock: the tests do not use it; to be rid of it: sudo systemctl disable --now mosquitto" >&2
            ;;
    esac
else
    printf 'penstock: the tests go on, and those that need one of these will fail: %s\n' "${missing[*]}" >&2
fi
