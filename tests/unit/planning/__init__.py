"""Planning: what its tests share is in `sites.py` and `clocks.py`."""
