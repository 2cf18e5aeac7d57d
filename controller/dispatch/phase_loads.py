"""What each phase would import with every battery at rest, at the meter's own instant.

The load of all phases together is known without this (`response.py`). But power that batteries move between
phases leaves that sum alone, and PV that moves is in it too. So where phases have fuses the recent past of
each battery is kept, and what it gave on its phase when the meter measured is taken off again: as an
interval, as there. A load that still lies inside it has not changed.
"""

from __future__ import annotations

from controller.dispatch.delay import Samples
from controller.dispatch.response import Response, envelope, measured_between, remembered, span_s
from controller.dispatch.settings import DispatchConfig
from controller.dispatch.site import Site
from drivers.fact import fact


@fact
class PhaseLoads:
    """`given` are (time, W) of each battery of the config, oldest first, empty of one that is silent.

    `loads_w` are of each phase, with what silent batteries give; empty while the meter does not show phases.
    """

    given: tuple[Samples, ...] = ()
    loads_w: tuple[float, ...] = ()


NO_PHASES = PhaseLoads()


def place_of(config: DispatchConfig, index: int) -> int:
    """The phase a battery stands on, from 1 on; 0 where it moves every phase alike."""
    return 0 if config.phases == 1 else config.batteries[index].phase or 0


def follow_phases(
    config: DispatchConfig, before: PhaseLoads, site: Site, responses: tuple[Response, Response]
) -> PhaseLoads:
    """What is known after this cycle; nothing where no phase has a fuse of its own.

    `responses` are what was remembered of the meter before and after these readings.
    """
    if config.fuse_a is None or config.phases == 1:
        return NO_PHASES
    given = _given(config, before, site, responses)
    imports_w = site.phase_import_w
    if len(imports_w) != config.phases:
        return PhaseLoads(given)
    known = before.given or ((),) * len(given)
    loads_w = before.loads_w
    for index, now in enumerate(given):
        past = known[index]
        if loads_w and bool(past) is not bool(now):  # It was heard again: less it is no load; or fell silent.
            more_w = now[-1][1] if now else -past[-1][1]
            loads_w = tuple(
                [load_w + more_w * _share(config, index, phase) for phase, load_w in _of(loads_w)]
            )
    if loads_w and not site.is_news:
        return PhaseLoads(given, loads_w)
    phases = config.phases
    low_w, high_w = [0.0] * (phases + 1), [0.0] * (phases + 1)  # place 0: alike on every phase
    for index, one in enumerate(given):
        least_w, most_w = _between_w(config, one, site, responses)
        place = config.batteries[index].phase or 0
        low_w[place] += least_w
        high_w[place] += most_w
    even_low_w, even_high_w = low_w[0] / phases, high_w[0] / phases
    found: list[float] = []
    for phase, import_w in _of(imports_w):
        from_w = import_w + even_low_w + low_w[phase]
        to_w = import_w + even_high_w + high_w[phase]
        load_w = loads_w[phase - 1] if loads_w else 0.5 * (from_w + to_w)
        found.append(from_w if load_w < from_w else to_w if load_w > to_w else load_w)
    return PhaseLoads(given, tuple(found))


def _of(powers_w: tuple[float, ...]) -> enumerate[float]:
    """Each with its phase, from 1 on."""
    return enumerate(powers_w, 1)


def _share(config: DispatchConfig, index: int, phase: int) -> float:
    """How much of what a battery gives flows in this phase."""
    place = place_of(config, index)
    return 1.0 / config.phases if place == 0 else 1.0 if place == phase else 0.0


def _given(
    config: DispatchConfig, before: PhaseLoads, site: Site, responses: tuple[Response, Response]
) -> tuple[Samples, ...]:
    given: list[Samples] = [()] * len(config.batteries)
    past_s, now_s = span_s(config.meter, responses[0]), responses[1].samples[-1][0]
    for one in site.batteries:
        samples = before.given[one.index] if before.given else ()
        given[one.index] = remembered(samples, (now_s, one.battery_discharge_w), past_s)
    return tuple(given)


def _between_w(
    config: DispatchConfig, samples: Samples, site: Site, responses: tuple[Response, Response]
) -> tuple[float, float]:
    """The least and the most that one battery gave when the meter measured what it shows now."""
    if not samples:
        return 0.0, 0.0
    earlier, now = responses
    if not site.is_news or now.value is None:
        return samples[-1][1], samples[-1][1]
    return envelope(samples, *measured_between(config.meter, earlier, now.value, now.cadence_s))
