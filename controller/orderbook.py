"""What was ordered from outside and is in force: each order with its end, and the settings that stay.

A setpoint or a limit always has an end. Policy, reserve and stop are settings: they stay until changed,
unless the command says how long; when such a time is over, the setting that stays counts again, not the
command before. Nothing here can widen what the site file allows: that is clamped, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

from controller.commands import (
    ClearFault,
    Command,
    Inject,
    Limits,
    Operator,
    Policy,
    Reserve,
    Setpoint,
    Start,
    Stop,
)
from controller.dispatch.modes import Mode
from controller.dispatch.orders import NO_ORDERS, Order, Orders
from controller.dispatch.settings import DispatchConfig
from controller.loop import Cycle
from controller.messages import OrdersMessage, Result, Value

FOREVER_S = 1e12
"""The end of what has none: finite, so that a journal can hold it."""

Values = dict[str, float | str | bool]
Bound = tuple[str, float, float]
"""A limit by name, and the range it leaves."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a command; `in_force` is what it set."""

    result: Result
    reason: str = ""
    limited_by: str = ""
    in_force: Mapping[str, Value] = field(default_factory=dict)
    ends_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """What a command set, until `ends_at_s` on the loop's clock."""

    values: Values
    ends_at_s: float = FOREVER_S


Injector = Callable[[str | None, str | None, Mapping[str, float | bool | str], float], str]
"""Device, fault (None: end them), its parameters, for how many seconds: why it cannot be, or no text."""


def nobody(name: str) -> None:
    """Nobody wants to know that an order has ended."""


class OrderBook:
    """All orders of one site; `ended` is told the name of each that reaches its end."""

    def __init__(
        self,
        config: DispatchConfig,
        policies: tuple[str, ...],
        ended: Callable[[str], None] = nobody,
        inject: Injector | None = None,
    ) -> None:
        self._config = config
        self._policies = policies
        self.ended = ended
        self._inject = inject
        self.leases: dict[str, Lease] = {}
        self.settings: dict[str, Values] = {}
        self._orders: Orders | None = NO_ORDERS
        self._clear_fault = False
        self._cycle: Cycle | None = None

    def note(self, cycle: Cycle) -> None:
        """A listener of the loop: what batteries allow and the mode are asked when a command comes."""
        self._cycle = cycle

    def orders(self, now_s: float) -> Orders:
        """The orders in force at this beat; the same object as long as nothing changes."""
        for name in [name for name, lease in self.leases.items() if now_s >= lease.ends_at_s]:
            del self.leases[name]
            self._orders = None
            self.ended(name)
        if self._clear_fault:
            self._orders = None
        if self._orders is None:
            self._orders = self._collected()
        return self._orders

    def changed(self) -> None:
        """Somebody else has put orders in: collect them anew."""
        self._orders = None

    def clears_fault(self) -> bool:
        """Whether the fault is to be forgotten at this beat; asked once after `orders`, on every beat."""
        asked, self._clear_fault = self._clear_fault, False
        if asked:
            self._orders = None
        return asked

    def carry_out(self, command: Command, ends_at_s: float | None) -> Verdict:
        """Put a command into force until `ends_at_s`, or until changed; a refusal changes nothing."""
        verdict = self._carried_out(command)
        if verdict.result == "refused" or isinstance(command, ClearFault | Inject):
            return verdict
        starts = isinstance(command, Start) or (isinstance(command, Stop) and not command.stop)
        name = "stop" if starts else command.name
        self.leases.pop(name, None)
        self._orders = None
        if starts:
            self.settings.pop(name, None)
            return verdict
        values = {key: value for key, value in verdict.in_force.items() if value is not None}
        if ends_at_s is None:
            self.settings[name] = values
        elif values:
            self.leases[name] = Lease(values, ends_at_s)
        return verdict

    def message(self, at: str | None, now_s: float) -> OrdersMessage:
        """What is in force, for the world."""
        setpoint, limits = self._values("setpoint"), self._values("limits")
        policy, operator = self._config.policy, self._values("operator")
        return OrdersMessage(
            at=at,
            policy=str(self._values("policy").get("policy", policy.name)),
            reserve_pct=float(self._values("reserve").get("reserve_pct", policy.reserve_pct)),
            stopped=bool(self._values("stop")),
            battery_discharge_w=_number(setpoint, "battery_discharge_w"),
            pcc_import_w=_number(setpoint, "pcc_import_w"),
            import_limit_w=_number(limits, "import_limit_w"),
            export_limit_w=_number(limits, "export_limit_w"),
            max_charge_w=_number(limits, "max_charge_w"),
            max_discharge_w=_number(limits, "max_discharge_w"),
            operator_import_w=_number(operator, "import_limit_w"),
            operator_export_w=_number(operator, "export_limit_w"),
            ends_in_s={name: round(one.ends_at_s - now_s, 1) for name, one in self.leases.items()},
        )

    def _values(self, name: str) -> Values:
        lease = self.leases.get(name)
        return self.settings.get(name, {}) if lease is None else lease.values

    def _collected(self) -> Orders:
        def order(name: str, key: str) -> Order | None:
            value = _number(self._values(name), key)
            if value is None:
                return None
            return Order(value, self.leases[name].ends_at_s if name in self.leases else FOREVER_S)

        setpoint = self._values("setpoint")
        found = Orders(
            stop=bool(self._values("stop")) or self._clear_fault,
            policy="follow" if setpoint else str(self._values("policy").get("policy", "")),
            operator_import_w=order("operator", "import_limit_w"),
            operator_export_w=order("operator", "export_limit_w"),
            import_limit_w=order("limits", "import_limit_w"),
            export_limit_w=order("limits", "export_limit_w"),
            max_charge_w=order("limits", "max_charge_w"),
            max_discharge_w=order("limits", "max_discharge_w"),
            reserve_pct=order("reserve", "reserve_pct"),
            follow_battery_w=order("setpoint", "battery_discharge_w"),
            follow_pcc_w=order("setpoint", "pcc_import_w"),
        )
        return NO_ORDERS if found == NO_ORDERS else found

    def _carried_out(self, command: Command) -> Verdict:
        match command:
            case Setpoint():
                return self._setpoint(command)
            case Limits() | Operator():
                return self._limits(command)
            case Reserve(reserve_pct=None):
                return Verdict("applied", in_force={"reserve_pct": None})
            case Reserve():
                floor = ("reserve", self._config.policy.reserve_pct, 100.0)
                return _clamped("reserve_pct", command.reserve_pct, [floor], "%")
            case Policy():
                return self._policy(command.policy)
            case Stop(stop=True):
                return Verdict("applied", in_force={"stop": True})
            case Stop() | Start():
                if not self._values("stop"):
                    return Verdict("refused", "the site is not stopped")
                return Verdict("applied", in_force={"stop": None})
            case ClearFault():
                if self._cycle is None or self._cycle.decision.mode is not Mode.FAULT:
                    return Verdict("refused", "there is no fault to clear")
                self._clear_fault = True
                return Verdict("applied")
            case Inject():
                return self._injected(command)
            case _:
                raise AssertionError(f"{command.name} is in COMMANDS and not here")

    def _policy(self, policy: str | None) -> Verdict:
        if policy is None or policy in self._policies:
            return Verdict("applied", in_force={"policy": policy})
        able = f"this site can do {', '.join(self._policies)}"
        return Verdict("refused", f"{policy} needs something that the site file does not have; {able}")

    def _injected(self, command: Inject) -> Verdict:
        if self._inject is None:
            return Verdict("refused", "this site is no simulation")
        refused = self._inject(command.device, command.fault, command.parameters, command.valid_for_s)
        if refused:
            return Verdict("refused", refused)
        return Verdict("applied", in_force={"device": command.device, "fault": command.fault})

    def _setpoint(self, command: Setpoint) -> Verdict:
        if self._values("stop"):
            return Verdict("refused", "the site is stopped; send start first")
        limits = self._values("limits")
        if command.battery_discharge_w is not None:
            bounds = [
                ("rating", -self._rating_w("charge"), self._rating_w("discharge")),
                ("order", -_most(limits, "max_charge_w"), _most(limits, "max_discharge_w")),
            ]
            return _clamped("battery_discharge_w", command.battery_discharge_w, bounds, "W")
        if command.pcc_import_w is not None:
            operator = self._values("operator")
            bounds = [
                ("export_limit", -_or_inf(self._config.export_limit_w), inf),
                ("import_limit", -inf, _or_inf(self._config.import_limit_w)),
                ("operator_export", -_most(operator, "export_limit_w"), inf),
                ("operator_import", -inf, _most(operator, "import_limit_w")),
                ("order", -_most(limits, "export_limit_w"), _most(limits, "import_limit_w")),
            ]
            return _clamped("pcc_import_w", command.pcc_import_w, bounds, "W")
        return Verdict("applied", in_force={"battery_discharge_w": None, "pcc_import_w": None})

    def _limits(self, command: Limits | Operator) -> Verdict:
        """Each limit no looser than the site's own: it would not hold, and nobody shall believe it does."""
        bounds = {
            "import_limit_w": ("import_limit", _or_inf(self._config.import_limit_w)),
            "export_limit_w": ("export_limit", _or_inf(self._config.export_limit_w)),
            "max_charge_w": ("rating", self._rating_w("charge")),
            "max_discharge_w": ("rating", self._rating_w("discharge")),
        }
        verdicts = [
            _clamped(key, value, [(name, 0.0, most_w)], "W")
            for key, (name, most_w) in bounds.items()
            if (value := getattr(command, key, None)) is not None
        ]
        clamped = [one for one in verdicts if one.result == "clamped"]
        return Verdict(
            "clamped" if clamped else "applied",
            "; ".join(one.reason for one in clamped),
            clamped[0].limited_by if clamped else "",
            {key: value for one in verdicts for key, value in one.in_force.items()},
        )

    def _rating_w(self, way: str) -> float:
        """What all batteries together can: by the site file, or else by what they said last.

        A BMS that allows nothing at the moment may allow more before the order ends: `limited_by` of the
        state tells of that.
        """
        readings = self._cycle.snapshot.batteries if self._cycle is not None else ()
        whole_w = 0.0
        for index, settings in enumerate(self._config.batteries):
            reading = readings[index] if readings else None
            said_w = None if reading is None else getattr(reading, f"max_{way}_w")
            most_w = getattr(settings, f"max_{way}_w")
            whole_w += most_w if most_w is not None else said_w or inf
        return whole_w


def _clamped(key: str, asked: float | None, bounds: list[Bound], unit: str) -> Verdict:
    """The value nearest to what was asked for inside all bounds; the last bound that moved it is named."""
    assert asked is not None, "asked for only with a value"
    value, limited_by = asked, ""
    for name, lower, upper in bounds:
        nearest = min(max(value, lower), upper)
        if nearest != value:
            value, limited_by = nearest, name
    if not limited_by:
        return Verdict("applied", in_force={key: value})
    reason = f"{key}: asked for {asked:g} {unit}, {limited_by} allows {value:g} {unit}"
    return Verdict("clamped", reason, limited_by, {key: value})


def _number(values: Values, key: str) -> float | None:
    value = values.get(key)
    return value if isinstance(value, float) else None


def _most(values: Values, key: str) -> float:
    return _or_inf(_number(values, key))


def _or_inf(most_w: float | None) -> float:
    return inf if most_w is None else most_w
