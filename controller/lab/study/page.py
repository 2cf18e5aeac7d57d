"""The study as one page for a customer: what it costs, what it saves, when it pays, how long it carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from math import ceil

from controller.lab.figures import COLOURS, Line, Panel, bars, heat_map, stacked
from controller.lab.report import Data, Heading, Part, Plot, Table, Words, page
from controller.lab.study.case import CURVE_POINTS, NO_BATTERY, ORACLE, SURVIVED_H, Case, Outcome
from controller.lab.study.shown import amounts, energies, money_places, peaks, saving, share_pct, shares
from controller.lab.study.survival import LONGEST_H
from controller.lab.study.yearly import saved_a_year

MOST_TICKS = 12
NEARLY_A_YEAR = 350.0
"""Days: less says little about a year."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What the page says beside the figures."""

    site: str
    currency: str
    tariff: str
    days: Mapping[str, float]
    cost_fixed: float = 0.0
    cost_per_kwh: float = 0.0
    life_years: float = 15.0
    notes: tuple[str, ...] = ()
    settings: str = ""
    step_min: Mapping[str, float] = field(default_factory=dict)
    """Over how long the powers of each time are means."""
    window_min: Mapping[str, float] = field(default_factory=dict)
    """The billing windows of the demand charges, by their names."""

    @property
    def priced(self) -> bool:
        """Whether it is known what a battery costs."""
        return self.cost_fixed > 0.0 or self.cost_per_kwh > 0.0

    def price(self, case: Case) -> float:
        """Of the battery of this case, installed."""
        return self.cost_fixed + self.cost_per_kwh * case.capacity_wh / 1000.0


def study_page(frame: Frame, outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> str:
    """HTML of the whole study."""
    parts: list[Part] = []
    for time in dict.fromkeys(case.time for case in cases):
        mine = [case for case in cases if case.time == time]
        since = _day(outcomes[_best(outcomes, mine)].first_day)
        parts += [
            Heading(f"{time}: {frame.days[time]:.0f} days from {since}"),
            *_answer(frame, outcomes, mine),
        ]
        parts += [_table(frame, outcomes, mine), *_bill(frame, outcomes, mine)]
        parts += _payback(frame, outcomes, mine)
        best = _best(outcomes, mine)
        parts += [*_peaks(frame, outcomes, mine, best), _duration(outcomes, mine, best)]
        parts += [_soc(outcomes[best]), *_survival(outcomes, mine, best)]
    parts += [Heading("How this was computed"), Words(_METHOD)]
    parts += [Words(note, "quiet") for note in frame.notes]
    if frame.settings:
        parts.append(Data("Site file", frame.settings))
    return page(f"{frame.site}: what is a battery worth?", parts)


_METHOD = (
    "Every case runs the controller's own decisions, the ones it makes on site, on a model of battery and "
    "inverter with its losses, through the whole measured time. The bill is that of the tariff named above; "
    "wear is what the site file says a kWh discharged costs. Perfect foresight knows every load, sun and "
    "price in advance: no controller can save more with the same battery. The outage figures ask, for every "
    "instant as the beginning of one, how long the battery would have carried the whole house with what it "
    "held then. The size of a case is that of all batteries together, shared as in the site file."
)


def _controlled(cases: Sequence[Case]) -> list[Case]:
    return [case for case in cases if case.policy not in (NO_BATTERY, ORACLE)]


def _best(outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> Case:
    """The controlled case that costs least."""
    return min(_controlled(cases), key=lambda case: outcomes[case].cost)


def _answer(frame: Frame, outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> list[Part]:
    """The sentence one reads first."""
    best = _best(outcomes, cases)
    one, saved = outcomes[best], saving(outcomes, best)
    a_year = saved_a_year(outcomes, best, frame.days[best.time], wear=True)
    share = share_pct(outcomes, best)
    money = f"{saved:,.2f} {frame.currency}"
    if saved > 0.0:
        words = (
            f"On {frame.tariff}, the bill is lowest with {best.name}: it saves {money} over this time, "
            f"{a_year:,.0f} {frame.currency} a year at that pace"
        )
        words += f", {share:.0f} % of what perfect foresight could" if share is not None else ""
        words += ". What the battery itself costs is not in this."
    else:
        words = (
            f"On {frame.tariff}, none of these saves anything. Nearest is {best.name}: with wear it costs "
            f"{-saved:,.2f} {frame.currency} more than no battery."
        )
    parts: list[Part] = [Words(words, "good" if saved > 0 else "bad")]
    parts += _worth(frame, outcomes, cases)
    if frame.days[best.time] < NEARLY_A_YEAR:
        words = (
            f"These are {frame.days[best.time]:.0f} days: other months have another sun and load, so take "
            "what is said here of years as a hint, and give a whole year to rely on."
        )
        parts.append(Words(words, "bad"))
    if one.autonomy_median_h is not None:
        parts.append(
            Words(
                f"Had the grid failed at any moment, {best.name} would have carried the whole house for "
                f"{_lasted(one.autonomy_median_h, one.autonomy_least_h or 0.0)}."
            )
        )
    return parts


def _day(iso: str) -> str:
    day = date.fromisoformat(iso)
    return f"{day.day} {day:%B %Y}"


def _lasted(median_h: float, least_h: float) -> str:
    if least_h >= LONGEST_H:
        return "a week and more"
    middle = "a week and more" if median_h >= LONGEST_H else f"{median_h:.1f} hours"
    return f"{middle} in the middle case and {least_h:.1f} hours in the worst"


def _worth(frame: Frame, outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> list[Part]:
    """Which battery to buy, if any, once its price is known."""
    if not frame.priced:
        return []
    gains = {}
    for case in _controlled(cases):
        a_year = saved_a_year(outcomes, case, frame.days[case.time], wear=False)
        gains[case] = a_year * frame.life_years - frame.price(case)
    buy = max(gains, key=lambda case: gains[case])
    price, gain = frame.price(buy), gains[buy]
    a_year = (gain + price) / frame.life_years
    money = f"{price:,.0f} {frame.currency}"
    if gain <= 0.0:
        words = f"At these prices of batteries none pays for itself within {frame.life_years:g} years."
        if a_year > 0.0:
            words += (
                f" Nearest is {buy.name}: to buy it costs {money}, and it saves {gain + price:,.0f} by then."
            )
        return [Words(words, "bad")]
    words = (
        f"To buy, {buy.name} is best: its price of {money} is back after {price / a_year:.1f} years; over "
        f"{frame.life_years:g} years it leaves {gain:,.0f} {frame.currency} (without interest)."
    )
    return [Words(words, "good")]


def _table(frame: Frame, outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> Table:
    peak = f"highest import, kW ({_minutes(frame.step_min.get(cases[0].time, 15.0))})"
    money = (f"cost, {frame.currency}", f"saving, {frame.currency}", "of perfect foresight")
    others = ("import, kWh", "export, kWh", "full cycles", peak, "limit violations")
    headings = ("battery and policy", *money, *others)
    found, places = [outcomes[case] for case in cases], money_places(outcomes, cases)
    none = [case.policy == NO_BATTERY for case in cases]
    bound = [case.policy in (NO_BATTERY, ORACLE) for case in cases]
    columns = [
        _names(cases),
        amounts([one.cost for one in found], places),
        amounts(
            [None if no else saving(outcomes, case) for no, case in zip(none, cases, strict=True)], places
        ),
        shares(outcomes, cases),
        energies([one.import_kwh for one in found]),
        energies([one.export_kwh for one in found]),
        amounts([None if no else one.full_cycles for no, one in zip(none, found, strict=True)], 0),
        peaks([max(one.monthly_peak_w) for one in found]),
        ["" if no else f"{one.violations}" for no, one in zip(bound, found, strict=True)],
    ]
    best = _best(outcomes, cases)
    tones = ["good" if case == best else "quiet" if no else "" for case, no in zip(cases, bound, strict=True)]
    return Table(headings, list(zip(*columns, strict=True)), tones)


def _names(cases: Sequence[Case]) -> list[str]:
    """For the first column of a table, each on one line."""
    return [case.name.replace(" ", "\N{NO-BREAK SPACE}") for case in cases]


def _minutes(length_min: float) -> str:
    return f"{length_min:g} min"


_EMPTIER = "emptier at the end"


def _bill(frame: Frame, outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> list[Part]:
    """What the cost of each case is made of: as numbers, and drawn."""
    found = [outcomes[case] for case in cases]
    series: dict[str, Sequence[float]] = {
        "energy": [one.energy_cost for one in found],
        "demand": [one.demand_cost for one in found],
        "fixed": [one.fixed_cost for one in found],
        "wear": [one.wear_cost for one in found],
        _EMPTIER: [one.stored_cost for one in found],
        "export credit": [-one.export_credit for one in found],
    }
    parts = {name: values for name, values in series.items() if any(values)}
    names, costs = [case.name for case in cases], [one.cost for one in found]
    figure = bars("The bill and its parts", frame.currency, names, parts)
    figure.add_scatter(name="cost", x=names, y=costs, mode="markers", marker=_COST_MARK)
    figure.update_layout(barmode="relative", height=520)
    figure.update_xaxes(automargin=True, tickangle=-35)
    caption = "What the cost of each case is made of; credit for exported energy points down."
    if _EMPTIER in parts:
        caption += (
            f" {_EMPTIER.capitalize()}: what the battery holds less than at the beginning, at the median "
            "price of import, for it has to be filled again."
        )
    places = money_places(outcomes, cases)
    columns = [_names(cases), *(amounts(values, places) for values in parts.values()), amounts(costs, places)]
    headings = ("battery and policy", *parts, f"cost, {frame.currency}")
    tones = ["quiet" if case.policy in (NO_BATTERY, ORACLE) else "" for case in cases]
    return [Plot(figure, caption), Table(headings, list(zip(*columns, strict=True)), tones)]


_COST_MARK = {"symbol": "diamond", "size": 9, "color": "#111827"}


def _payback(frame: Frame, outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> list[Part]:
    """Sizes against the years until they have paid; without a price, what they may cost."""
    lines = []
    for policy in dict.fromkeys(case.policy for case in _controlled(cases)):
        for power_w in dict.fromkeys(case.power_w for case in _controlled(cases)):
            mine = [case for case in _controlled(cases) if (case.policy, case.power_w) == (policy, power_w)]
            mine.sort(key=lambda case: case.capacity_wh)
            x = [case.capacity_wh / 1000.0 for case in mine]
            yearly = [saved_a_year(outcomes, case, frame.days[case.time], wear=False) for case in mine]
            prices = [frame.price(case) for case in mine]
            if frame.priced:
                y = [
                    price / a_year if a_year > 0.0 else None
                    for price, a_year in zip(prices, yearly, strict=True)
                ]
            else:
                y = [a_year * frame.life_years / kwh for a_year, kwh in zip(yearly, x, strict=True)]
            if any(value is not None for value in y):
                lines.append(Line(f"{policy}, {power_w / 1000:g} kW", x, y))
    if not lines:
        return []
    if frame.priced:
        title, unit = "Years until it has paid for itself", "years"
        caption = f"At {_priced(frame)}, without interest; a gap is a case that never does."
    else:
        title, unit = "What a kWh of battery may cost", f"{frame.currency} per kWh"
        caption = (
            f"Installed price at which it has just paid for itself after {frame.life_years:g} years, without "
            "interest. Give --price-per-kwh to see years instead."
        )
    figure = stacked([Panel(title, unit, lines)], x_title="capacity, kWh")
    figure.update_traces(mode="lines+markers")
    figure.update_layout(height=380, hovermode="closest")
    return [Plot(figure, caption)]


def _priced(frame: Frame) -> str:
    per_kwh = f"{frame.cost_per_kwh:,.0f} {frame.currency} per kWh"
    return f"{frame.cost_fixed:,.0f} {frame.currency} + {per_kwh}" if frame.cost_fixed else per_kwh


def _peaks(frame: Frame, outcomes: Mapping[Case, Outcome], cases: Sequence[Case], best: Case) -> list[Part]:
    """What each demand charge has measured; without one the highest of the steps that are shown."""
    none = outcomes[next(case for case in cases if case.policy == NO_BATTERY)]
    shown = {NO_BATTERY: none, best.name: outcomes[best]}
    parts: list[Part] = []
    for charge in dict.fromkeys(name for _, name, _ in none.demand_peaks):
        by_month = {
            name: {month: kw for month, charged, kw in one.demand_peaks if charged == charge}
            for name, one in shown.items()
        }
        months = list(by_month[NO_BATTERY])
        series = {name: [found[month] for month in months] for name, found in by_month.items()}
        caption = (
            f"The highest mean over {_minutes(frame.window_min.get(charge, 15.0))} of the clock among those "
            "that this demand charge counts. It may bill more: a minimum, or earlier months."
        )
        parts.append(
            _monthly(f"Highest import of each month: demand charge {charge}", months, series, caption)
        )
    if parts:
        return parts
    series = {name: [watts / 1000.0 for watts in one.monthly_peak_w] for name, one in shown.items()}
    caption = f"The highest mean over {_minutes(frame.step_min.get(best.time, 15.0))}."
    return [_monthly("Highest import of each month", none.months, series, caption)]


def _monthly(title: str, months: Sequence[str], series: dict[str, list[float]], caption: str) -> Plot:
    figure = bars(title, "kW", months, dict(series))
    for name, colour in zip(series, ("load", "battery"), strict=True):
        figure.update_traces(marker_color=COLOURS[colour], selector={"name": name})
    return Plot(figure, caption)


def _duration(outcomes: Mapping[Case, Outcome], cases: Sequence[Case], best: Case) -> Plot:
    x = [100.0 * place / (CURVE_POINTS - 1) for place in range(CURVE_POINTS)]
    none = outcomes[next(case for case in cases if case.policy == NO_BATTERY)]
    lines = [
        Line(NO_BATTERY, x, [watts / 1000.0 for watts in none.duration_w], "load", dashed=True),
        Line(best.name, x, [watts / 1000.0 for watts in outcomes[best].duration_w], "battery"),
    ]
    figure = stacked([Panel("Load duration at the meter", "kW", lines)], x_title="share of the time, %")
    figure.update_layout(height=360, hovermode="closest")
    return Plot(
        figure, "Import above zero, export below: for which share of the time it was at least so much."
    )


def _soc(one: Outcome) -> Plot:
    hours = list(range(24))
    by_hour = [[day[hour] for day in one.soc_by_day] for hour in hours]
    first = date.fromisoformat(one.first_day)
    days = [(first + timedelta(days=day)).isoformat() for day in range(len(one.soc_by_day))]
    figure = heat_map(f"State of charge, {one.case.name}", "%", days, hours, by_hour)
    figure.update_traces(zmin=0.0, zmax=100.0)
    figure.update_xaxes(tickvals=days[:: max(ceil(len(days) / MOST_TICKS), 1)], tickformat="%d %b<br>%Y")
    figure.update_yaxes(title_text="hour of the day")
    return Plot(figure, "Dark is empty, bright is full: when the battery is used, and when it waits.")


def _survival(outcomes: Mapping[Case, Outcome], cases: Sequence[Case], best: Case) -> list[Part]:
    """Every battery with the best policy, and the best battery with every policy."""
    lines = [
        Line(case.name, SURVIVED_H, outcomes[case].survived_pct)
        for case in _controlled(cases)
        if outcomes[case].survived_pct
        and (case.policy == best.policy or replace(case, policy=best.policy) == best)
    ]
    if not lines:
        return []
    figure = stacked([Panel("Would it have carried the house?", "% of all moments", lines)], x_title="hours")
    figure.update_traces(mode="lines+markers")
    figure.update_layout(height=400, hovermode="closest")
    figure.update_yaxes(range=[0, 102])
    caption = (
        "The chance that an outage beginning at any moment of this time would have been bridged for so long."
    )
    return [Plot(figure, caption)]
