"""`penstock commission`: small safe steps on the real installation, before the controller goes live.

Start at `procedure.py`: it looks (`looking.py`), moves each battery a little (`steps.py`), and draws its
conclusions (`plausible.py`, `evidence.py` and `identify.py`, all pure). `bench.py` is the only file that
orders anything, and releases everything whatever happens.
"""
