"""What a case comes to in a year, from a time that is longer or shorter than one."""

from __future__ import annotations

from collections.abc import Mapping

from controller.lab.study.case import NO_BATTERY, Case, Outcome

DAYS_A_YEAR = 365.25


def cost_a_year(one: Outcome, days: float, *, wear: bool) -> float:
    """At this pace: the days go on, and of the demand charges there are twelve months.

    Without `wear` it is what is paid in cash: wear is the price of the battery, spread over its kWh, and
    whoever sets savings against that price would count it twice.
    """
    by_days = one.cost - one.demand_cost - (0.0 if wear else one.wear_cost)
    return by_days * DAYS_A_YEAR / days + one.demand_a_year


def saved_a_year(outcomes: Mapping[Case, Outcome], case: Case, days: float, *, wear: bool) -> float:
    """What a case costs less a year than no battery."""
    none = outcomes[Case(case.time, 0.0, 0.0, NO_BATTERY)]
    return cost_a_year(none, days, wear=wear) - cost_a_year(outcomes[case], days, wear=wear)
