"""The laboratory: the same decisions on an emulated house, in real time, in virtual time, or in no time.

The only part of the controller, beside the command line, that may import `simulators`.
"""
