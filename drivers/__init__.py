"""What energy devices are, and how to talk to them: imports nothing of ours.

`device.py` holds the vocabulary (readings, orders, the device protocols), `profile.py` reads a device
profile, and `modbus` makes a device from a profile and a `link`. Signs and scales of vendors end
in the profile: every number that leaves this package is in W, Wh, %, V, A, Hz, with positive power
feeding the site.
"""
