"""What may the sun give? The caps of a cycle, and what they say of batteries and inverters."""

from __future__ import annotations

from controller.dispatch.curtailment import Caps, binds, closed_loop, heard_only, uncapped
from controller.dispatch.decision import Memory
from controller.dispatch.limits import INFINITE_W, export_in_force_w
from controller.dispatch.orders import NO_ORDERS
from controller.dispatch.pv_trim import EXACT_PV, PvTrim, learn_pv
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.shortfall import NO_SHORTFALL, Shortfall, shortfall
from controller.dispatch.site import Site

EXPORT_COSTS = "the price for export is negative"
TAKE_LESS = "batteries take no more than {:.0f} W of the {:.0f} W they may"
GIVE = "batteries discharge {:.0f} W whatever they are ordered"

OPENS_PART, OPENS_W = 0.1, 50.0
"""Caps open by this part of the batteries' rating beyond what they take, at least 50 W ..."""
CAUGHT_UP_W = 50.0
"""... once they take what was opened before, but for so much."""


def hold_sun(
    config: DispatchConfig, memory: Memory, site: Site, policy: str, charge_w: float, setpoint_w: float
) -> tuple[Caps, str, Shortfall, PvTrim]:
    """Caps for what house, batteries, which may charge `charge_w` (>= 0), and export limit cannot take.

    `setpoint_w` is what is ordered of all of them now. With the caps why, and what is known of batteries that
    take less and of inverters that are not exact. By the policy that goes by prices nothing is exported while
    that costs.
    """
    if not config.pvs:
        return (), "", NO_SHORTFALL, EXACT_PV
    costs = policy == "economic" and site.prices is not None and site.prices.export_per_kwh < 0.0
    orders, export_w = site.orders, config.export_limit_w
    if costs:
        export_w = 0.0
    elif orders is not NO_ORDERS:
        export_w = export_in_force_w(config, orders, site.now_s)
    before_w = memory.pv_caps_w
    heard = heard_only(site, before_w)
    trim = learn_pv(memory.pv_trim, *heard)
    short = shortfall(config, memory.shortfall, site, export_w, binds(*heard), memory.setpoint_w)
    takes_w = charge_w if short.takes_w is None else min(charge_w, short.takes_w)
    caps_w = closed_loop(
        site, export_w, takes_w, before_w, trim.trim_w, _opens_to_w(site, export_w, setpoint_w)
    )
    notes: list[str] = []
    if costs and caps_w != uncapped(len(caps_w)):
        notes.append(EXPORT_COSTS)
    if takes_w < charge_w:
        notes.append(TAKE_LESS.format(takes_w, charge_w) if takes_w >= 0.0 else GIVE.format(-takes_w))
    return caps_w, "; ".join(notes), short, trim


def _opens_to_w(site: Site, export_limit_w: float | None, setpoint_w: float) -> float:
    """How far caps may open in one cycle: no further than they are while more is exported than may be.

    Batteries see the sun only once it shines on the meter, so caps open step by step, each waiting for them.
    """
    if export_limit_w is None:
        return INFINITE_W
    given_w = rated_w = 0.0
    for one in site.batteries:
        given_w += one.battery_discharge_w
        rated_w += one.max_charge_w
    room_w = site.net_load_w - max(given_w, setpoint_w) + export_limit_w
    if room_w < -CAUGHT_UP_W:
        return 0.0
    return site.pv_generation_w + room_w + max(OPENS_PART * rated_w, OPENS_W)
