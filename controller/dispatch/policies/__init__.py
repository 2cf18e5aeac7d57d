"""What is wanted: one function a policy, one table; a policy remembers nothing and knows no limit."""

from __future__ import annotations

from collections.abc import Callable

from controller.dispatch.policies.economic import economic
from controller.dispatch.policies.follow import follow
from controller.dispatch.policies.schedule import schedule
from controller.dispatch.policies.self_consumption import self_consumption
from controller.dispatch.policies.standby import standby
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Site

Policy = Callable[[DispatchConfig, Site, float], float | None]
"""The total battery discharge that is wanted, in W; negative charges. None: what it needs is not there.

The last argument is what was wanted a cycle before: who is on the way to a SoC goes on to its end.
"""

POLICIES: dict[str, Policy] = {
    "self_consumption": self_consumption,
    "economic": economic,
    "schedule": schedule,
    "follow": follow,
    "standby": standby,
}


def wish(config: DispatchConfig, site: Site, before_w: float = 0.0) -> tuple[float, str]:
    """The wanted total battery discharge in W, and the name of the policy that decided.

    That is the policy that was ordered or else the site's, else its fallback, else self-consumption, which
    needs nothing. `before_w` is what was wanted a cycle before.
    """
    for name in (site.orders.policy or config.policy.name, config.policy.fallback):
        wanted_w = POLICIES[name](config, site, before_w)
        if wanted_w is not None:
            return wanted_w, name
    return self_consumption(config, site), "self_consumption"
