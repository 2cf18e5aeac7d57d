"""The study as one page for a customer: what it costs, what it saves, when it pays, how long it carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from controller.lab.figures import Line, Panel, bars, heat_map, stacked
from controller.lab.report import Data, Heading, Part, Plot, Table, Words, page
from controller.lab.study.case import CURVE_POINTS, NO_BATTERY, ORACLE, SURVIVED_H, Case, Outcome
from controller.lab.study.shown import saving, share_pct
from controller.lab.study.yearly import saved_a_year


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
        parts += [Heading(f"{time}: {frame.days[time]:.0f} days"), *_answer(frame, outcomes, mine)]
        parts += [_table(frame, outcomes, mine), _bill(frame, outcomes, mine)]
        parts += _payback(frame, outcomes, mine)
        best = _best(outcomes, mine)
        parts += [_peaks(outcomes, mine, best), _duration(outcomes, mine, best)]
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
    "held then."
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
    words = (
        f"On {frame.tariff}, {best.name} costs least: it saves {saved:,.2f} {frame.currency} over this time, "
        f"{a_year:,.0f} {frame.currency} a year at that pace"
    )
    words += f", {share:.0f} % of what perfect foresight could." if share is not None else "."
    parts: list[Part] = [Words(words, "good" if saved > 0 else "bad")]
    parts += _worth(frame, outcomes, cases)
    if one.autonomy_median_h is not None:
        parts.append(
            Words(
                "Had the grid failed at any moment, it would have carried the whole house for "
                f"{one.autonomy_median_h:.1f} hours in the middle case and {one.autonomy_least_h:.1f} in the "
                "worst."
            )
        )
    return parts


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
        words = (
            f"None of these pays for itself within {frame.life_years:g} years. Nearest is {buy.name}: it "
            f"costs {money} and brings {gain + price:,.0f} in that time."
        )
        return [Words(words, "bad")]
    words = (
        f"To buy, {buy.name} is best: its price of {money} is back after {price / a_year:.1f} years; over "
        f"{frame.life_years:g} it leaves {gain:,.0f} {frame.currency} (without interest)."
    )
    return [Words(words, "good")]


def _table(frame: Frame, outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> Table:
    money = ("battery and policy", f"cost ({frame.currency})", "saving", "of perfect foresight")
    headings = (*money, "import", "export", "full cycles", "highest peak", "limit violations")
    rows, tones = [], []
    best = _best(outcomes, cases)
    for case in cases:
        one, share = outcomes[case], share_pct(outcomes, case)
        none = case.policy == NO_BATTERY
        rows.append(
            (
                case.name,
                f"{one.cost:,.2f}",
                "" if none else f"{saving(outcomes, case):,.2f}",
                "" if share is None else f"{share:.1f} %",
                f"{one.import_kwh:,.0f} kWh",
                f"{one.export_kwh:,.0f} kWh",
                "" if none else f"{one.full_cycles:.0f}",
                f"{max(one.monthly_peak_w) / 1000.0:.2f} kW",
                "" if case.policy in (NO_BATTERY, ORACLE) else f"{one.violations}",
            )
        )
        tones.append("good" if case == best else "quiet" if case.policy in (NO_BATTERY, ORACLE) else "")
    return Table(headings, rows, tones)


def _bill(frame: Frame, outcomes: Mapping[Case, Outcome], cases: Sequence[Case]) -> Plot:
    names = [case.name for case in cases]
    series: dict[str, Sequence[float]] = {
        "energy": [outcomes[case].energy_cost for case in cases],
        "demand": [outcomes[case].demand_cost for case in cases],
        "fixed": [outcomes[case].fixed_cost for case in cases],
        "wear": [outcomes[case].wear_cost for case in cases],
        "export credit": [-outcomes[case].export_credit for case in cases],
    }
    shown = {name: values for name, values in series.items() if any(values)}
    figure = bars("The bill and its parts", frame.currency, names, shown)
    figure.update_layout(barmode="relative", height=520)
    figure.update_xaxes(automargin=True, tickangle=-35)
    return Plot(figure, "What each case pays for; credit for exported energy points down.")


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
        caption = (
            f"At {frame.cost_fixed:,.0f} + {frame.cost_per_kwh:,.0f} {frame.currency} per kWh, without "
            "interest; a gap is a case that never does."
        )
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


def _peaks(outcomes: Mapping[Case, Outcome], cases: Sequence[Case], best: Case) -> Plot:
    none = outcomes[next(case for case in cases if case.policy == NO_BATTERY)]
    one = outcomes[best]
    figure = bars(
        "Highest import of each month",
        "kW",
        none.months,
        {
            NO_BATTERY: [watts / 1000.0 for watts in none.monthly_peak_w],
            best.name: [watts / 1000.0 for watts in one.monthly_peak_w],
        },
    )
    return Plot(figure, "Mean of each step of the data; what a demand charge looks at.")


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
