"""Planning beside the loop: tariffs, forecasts and water values; pure, with numpy.

Start at `plan.py`; `tariff.py` says what a kWh costs and when, `bills.py` what a month came to.
"""
