"""Penstock: reads a meter and battery inverters, decides every second what the batteries do, says why.

Sign rule, everywhere: positive power feeds the site, and the name says the direction:
`load_w = pcc_import_w + pv_generation_w + sum(battery_discharge_w)`. Charging and exporting are negative.

Start reading at `dispatch/step.py` (one picture of the site in, one decision out), then `loop.py` (the
scan cycle around it), then `__main__.py` (the command line that builds the objects).
"""

__version__ = "0.1.0"
