"""The one error of a run that cannot go on, and the exit codes that tell errors apart."""

EXIT_FAILED = 1
EXIT_BAD_FILE = 78
"""A file was refused at the door (`EX_CONFIG` of sysexits.h): trying again changes nothing."""


class RunError(Exception):
    """What stopped the run and what to do about it; shown to the operator as it stands, exit code 1."""
