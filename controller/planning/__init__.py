"""Planning: tariffs, forecasts and water values, pure and beside the loop; numpy is allowed here.

`tariff.py` says what a kWh costs and when, `bills.py` what a month came to.
"""
