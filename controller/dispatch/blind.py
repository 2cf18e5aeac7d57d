"""A meter whose power is not that of the site: its CTs came off, and an offset and noise are left of it.

Such a power stays where it is whatever the battery does. So it does for a controller that follows a load
which rises steadily: it lacks the same each second. What tells them apart is a question. Once the battery has
moved far while the PCC stood within a narrow band, it is moved a little beside what is wanted, and then as
far as that was. An honest meter shows both, unless the load changes its pace by as much in the same
second, and that twice; with a blind one the PCC stays in its band. The second is large because somebody else
may hold the PCC where it is, as a heater that takes what the sun leaves: within a second or two it undoes
what a battery does, and the more that is, the better it is seen until then.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

from controller.dispatch.delay import LATER_BY_S
from controller.dispatch.limited import Limited
from controller.dispatch.plausible import ASK_W, question_w
from controller.dispatch.response import Response, patience_s
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Missing, Site
from drivers.fact import fact

BLIND = "the meter at the PCC does not see the battery move; has a CT come off?"
BAND_PART = 0.4
"""The PCC stands while it is off by no more than this part of a small question, to either side."""
LEAST_BAND_W = BAND_PART * ASK_W
FAR_PART, FAR_W = 0.1, 500.0
"""That the batteries moved by max(10 % of their rating, 500 W) meanwhile is a reason to ask."""


@fact
class Blind:
    """The PCC has stood around `around_w` since the batteries faced `load_w`, by what the meter showed.

    Once they face far more or less the meter is asked, from `asked_at_s` on; `load_w` is then what they faced
    at that time. `found` says that it is blind, until it shows another power.
    """

    around_w: float = inf
    load_w: float = 0.0
    asked_at_s: float | None = None
    found: bool = False


SEES = Blind()


def still_blind(before: Blind, observed: Site | Missing) -> tuple[Blind, Site | Missing]:
    """What is known of a meter that was found to be blind, and what can be trusted of its reading."""
    if isinstance(observed, Missing):
        return before, observed
    if _stands(before, observed.pcc_import_w, observed.rated_w):
        return before, Missing(BLIND, lost=True)
    return SEES, observed


def _stands(before: Blind, pcc_import_w: float, rated_w: float) -> bool:
    """Whether the PCC is still within the band."""
    off_w, band_w = pcc_import_w - before.around_w, BAND_PART * question_w(rated_w, 0.0)
    return -band_w <= off_w <= band_w


def ask_blind(
    config: DispatchConfig, before: Blind, site: Site, response: Response, limited: Limited, rated_w: float
) -> tuple[Blind, bool]:
    """What is known after this reading, and whether the power was moved to ask the meter.

    While the PCC stands, what the load seems to have moved is what batteries and PV have, at the meter's own
    instant. A reading that is no news says nothing of it.
    """
    load_w, pcc_import_w = response.net_load_w, site.pcc_import_w
    if site.is_news:
        if not -LEAST_BAND_W <= pcc_import_w - before.around_w <= LEAST_BAND_W and not _stands(
            before, pcc_import_w, rated_w
        ):  # a load in doubt is not what they face
            return (SEES if response.unconfirmed else Blind(pcc_import_w, load_w)), False
        if before.asked_at_s is None and -FAR_W < load_w - before.load_w < FAR_W:
            return before, False
    elif before.asked_at_s is None:
        return before, False
    return _asked(config, before, site, response, limited, rated_w)


def _asked(
    config: DispatchConfig, before: Blind, site: Site, response: Response, limited: Limited, rated_w: float
) -> tuple[Blind, bool]:
    """Ask the meter where there is room to move, and judge what it has shown meanwhile.

    Where there is none for the second question, that the first one ends is a question as well.
    """
    moved_w, far_w = abs(response.net_load_w - before.load_w), max(FAR_PART * rated_w, FAR_W)
    small_w = question_w(rated_w, config.policy.deadband_w)
    if before.asked_at_s is None:
        if moved_w >= far_w and limited.ask(small_w):
            return Blind(before.around_w, response.net_load_w, site.taken_at_s), True
        return before, False
    # Half of what the latest meter that is looked for needs.
    phase_s = (patience_s(config.meter, response.cadence_s) + LATER_BY_S[-1]) / 2.0
    asked_for_s = site.taken_at_s - before.asked_at_s
    found = asked_for_s >= 2.0 * phase_s and moved_w > BAND_PART * question_w(rated_w, 0.0)
    if found and site.is_news:
        return replace(before, found=True), False
    if asked_for_s // phase_s % 2.0 == 1.0:
        return before, limited.ask(max(far_w, small_w))
    if limited.ask(small_w):
        return before, True
    return Blind(before.around_w, response.net_load_w), False
