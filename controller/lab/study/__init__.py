"""Studies: what a battery is worth, in closed loop, against no battery and against perfect foresight.

`asked.py` checks what is asked for before a long run starts, `case.py` runs one battery with one policy
through the whole time, `work.py` spreads the cases over cores or machines, `survival.py` asks how long each
would carry an outage, `shown.py` and `page.py` say what came of it. `benchmark.py` puts controllers side by
side.
"""
