"""The pure core: one frozen picture of the site in, one decision out.

No clock, no file, no random number, no `await`: what a function needs is an argument. So a year runs in
seconds, and a recorded day replays to the same bits. Start at `step.py`.
"""
