"""Planning beside the loop: tariffs, forecasts and water values; pure, with numpy. Start at `plan.py`."""
