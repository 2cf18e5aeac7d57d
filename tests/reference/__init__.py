"""Our models beside the reference ones of the United States' National Renewable Energy Laboratory (NREL).

`make reference` runs both (`python -m tests.reference`, with nrel-pysam), says how far apart they are, and
writes what the quick suite compares with. A module with `run(folder)` does that for one subject.
"""
