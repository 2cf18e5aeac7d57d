"""Requests and answers of the planner as lines of JSON: the border between the two processes.

The worker is our own program, yet what comes over a pipe is checked like anything from outside.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from controller.planning.inputs import PlanError, Storage
from controller.planning.plan import PlanTable
from controller.planning.request import PlanRequest
from controller.planning.skill import Skill

MOST_BYTES = 8 * 1024 * 1024
_REQUEST = TypeAdapter(PlanRequest)
_CHECKED: dict[str, TypeAdapter[Any]] = {"storage": TypeAdapter(Storage), "skill": TypeAdapter(Skill | None)}
_PLAIN = {"begin_utc_s", "slot_s", "expires_at_utc_s", "soc_from_pct", "soc_to_pct"}


def request_line(request: PlanRequest) -> bytes:
    """One line."""
    return _REQUEST.dump_json(request) + b"\n"


def request_of(line: bytes) -> PlanRequest:
    """PlanError when the line is none."""
    try:
        return _REQUEST.validate_json(line)
    except ValidationError as error:
        raise PlanError(f"not a request for a plan: {error.error_count()} things are wrong") from None


def answer_line(table: PlanTable) -> bytes:
    """One line."""
    told: dict[str, Any] = {}
    for field in fields(table):
        value = getattr(table, field.name)
        told[field.name] = value.tolist() if isinstance(value, np.ndarray) else value
    told["skill"] = None if table.skill is None else asdict(table.skill)
    return json.dumps({**told, "storage": asdict(table.storage)}).encode() + b"\n"


def refusal_line(reason: str) -> bytes:
    """One line for a plan that cannot be made."""
    return json.dumps({"refused": reason}).encode() + b"\n"


def answer_of(line: bytes) -> PlanTable:
    """PlanError for a refusal, and for a line that is no plan."""
    try:
        told = json.loads(line)
        if not isinstance(told, dict):
            raise PlanError("the planner answered with something that is no plan")
        if "refused" in told:
            raise PlanError(str(told["refused"])[:300])
        values: dict[str, Any] = {}
        for field in fields(PlanTable):
            value = told.pop(field.name)
            if field.name in _CHECKED:
                values[field.name] = _CHECKED[field.name].validate_python(value)
            else:
                values[field.name] = float(value) if field.name in _PLAIN else np.array(value, np.float64)
        return PlanTable(**values)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        if isinstance(error, PlanError):
            raise
        raise PlanError("the planner answered with something that is no plan") from None
