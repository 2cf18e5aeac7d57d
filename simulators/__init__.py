"""The physical site for when no real one is there: plant physics, traces, devices on a wire, virtual time.

Imports `drivers` and nothing else of ours. Start reading at `site.py`, which puts load, PV, batteries and
grid on one bus; `emulator.py` turns a profile and that plant into a device on a real socket.
"""
