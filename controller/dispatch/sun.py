"""What may the sun give? The caps of a cycle, and what they say of batteries and inverters."""

from __future__ import annotations

from controller.dispatch.curtailment import Caps, binds, closed_loop, uncapped
from controller.dispatch.decision import Memory
from controller.dispatch.limits import export_in_force_w
from controller.dispatch.orders import NO_ORDERS
from controller.dispatch.pv_trim import EXACT_PV, PvTrim, learn_pv
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.shortfall import NO_SHORTFALL, Shortfall, shortfall
from controller.dispatch.site import Site

EXPORT_COSTS = "the price for export is negative"
TAKE_LESS = "batteries take no more than {:.0f} W of the {:.0f} W they may"
GIVE = "batteries discharge {:.0f} W although they should not"


def hold_sun(
    config: DispatchConfig, memory: Memory, site: Site, policy: str, charge_w: float
) -> tuple[Caps, str, Shortfall, PvTrim]:
    """Caps for what house, batteries, which may charge `charge_w` (>= 0), and export limit cannot take.

    With them why, and what is known of batteries that take less and of inverters that are not exact. By the
    policy that goes by prices nothing is exported while that costs.
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
    trim = learn_pv(memory.pv_trim, site, before_w)
    short = shortfall(config, memory.shortfall, site, export_w, binds(site, before_w))
    takes_w = charge_w if short.takes_w is None or charge_w <= short.takes_w else short.takes_w
    caps_w = closed_loop(site, export_w, takes_w, before_w, trim.trim_w)
    notes: list[str] = []
    if costs and caps_w != uncapped(len(caps_w)):
        notes.append(EXPORT_COSTS)
    if takes_w < charge_w:
        notes.append(TAKE_LESS.format(takes_w, charge_w) if takes_w >= 0.0 else GIVE.format(-takes_w))
    return caps_w, "; ".join(notes), short, trim
