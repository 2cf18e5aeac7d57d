"""What is wanted: one function a policy, one table; a policy remembers nothing and knows no limit."""

from __future__ import annotations

from collections.abc import Callable

from controller.dispatch.policies.self_consumption import self_consumption
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Site

Policy = Callable[[DispatchConfig, Site], float]
"""The total battery discharge that is wanted, in W; negative charges."""

POLICIES: dict[str, Policy] = {"self_consumption": self_consumption}
