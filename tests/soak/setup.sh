#!/usr/bin/env bash
# Fetches the programs that only `make soak` talks to: Home Assistant into .venv/soak/ha (it wants Python 3.13;
# HA_PYTHON names one that is not on the path), MQTT.js into .venv/soak/js. Says so where that is not possible;
# the tests that need them then fail, each with a clear sentence.
set -uo pipefail
cd "$(dirname "$0")/../.."
home_assistant=2025.4.4
mqtt_js=5.16.0
mkdir -p .venv/soak/js

say() { printf 'penstock: %s\n' "$1" >&2; }

if ! .venv/soak/ha/bin/python -c 'import homeassistant' 2>/dev/null; then
    python=${HA_PYTHON:-python3.13}
    if "$python" -m venv .venv/soak/ha 2>/dev/null; then
        say "fetching Home Assistant $home_assistant, which takes a few minutes"
        .venv/soak/ha/bin/python -m pip install --quiet "homeassistant==$home_assistant" "paho-mqtt==2.2.0" 2>/dev/null ||
            say "Home Assistant cannot be installed here; its test will fail"
    else
        say "no Python 3.13 for Home Assistant (HA_PYTHON=...); its test will fail"
    fi
fi
if [ ! -d .venv/soak/js/node_modules/mqtt ]; then
    if command -v npm >/dev/null; then
        npm install --silent --no-audit --no-fund --prefix .venv/soak/js "mqtt@$mqtt_js" >/dev/null ||
            say "MQTT.js cannot be installed here; its test will fail"
    else
        say "npm is not installed; the test with MQTT.js will fail"
    fi
fi
