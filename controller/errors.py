"""The one error of a run that cannot go on: a sentence for the operator, exit code 1."""


class RunError(Exception):
    """What stopped the run and what to do about it; shown to the operator as it stands."""
