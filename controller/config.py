"""site.toml -> frozen Config; every error names file, line, key, value and what would be right."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller import sitefile
from controller.clock import zone
from controller.dispatch.settings import DispatchConfig
from controller.dispatchable import dispatch_config, fuse_w
from controller.site_mqtt import MqttConfig, mqtt_config, mqtt_conflicts
from controller.site_planning import PlanningConfig, planning_config
from controller.site_response import responding
from controller.site_simulation import SimulationConfig, simulation_config, simulation_conflicts
from controller.site_state import StateConfig, state_config, state_conflicts
from drivers.address import AnyAddress, RtuTcpAddress, SerialAddress, parse_connection
from drivers.doors import DoorError, Where, dotted, line_of, read_toml, validate
from drivers.profile import DeviceProfile, ProfileError, load_profile
from drivers.profile.codec import not_orderable

if TYPE_CHECKING:  # numpy is not for sites without a tariff
    from controller.tariff_door import TariffConfig

SUNSPEC = "sunspec"
"""The profile of a device that says itself, in its SunSpec models, what it is."""
EMULATED_AS = {"meter": "sunspec-meter", "battery": "sunspec-hybrid", "pv": "sunspec-pv"}
"""What an emulator serves in its place, by role."""

RESERVED = {
    "site": "the grid for penstock inject and in scenarios",
    "host": "the controller's computer for penstock inject and in scenarios",
    "broker": "the MQTT broker in scenarios",
    "all": "every device for penstock inject",
}
"""What no device can be called, and what is called so."""

Conflict = tuple[Where, str]


class ConfigError(DoorError):
    """A site file was refused; each line of the text is one thing to fix."""


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """One device of the site and how to reach it.

    A `self_describing` device is asked for its SunSpec models; its profile here is only what an emulator
    of it serves.
    """

    id: str
    role: str
    profile: DeviceProfile
    connection: str
    unit: int
    self_describing: bool = False


@dataclass(frozen=True, slots=True)
class SwitchEntry:
    """A relay, and the load behind it: what it takes, and the SoC at which it is shed and restored."""

    device: DeviceEntry
    channel: int
    sheds_w: float
    shed_below_soc_pct: float
    restore_above_soc_pct: float


@dataclass(frozen=True, slots=True)
class Config:
    """One site. `batteries` and `pvs` are in the order of `dispatch`."""

    path: Path
    site: str
    cycle_s: float
    phases: int
    timezone: str | None
    meter: DeviceEntry
    batteries: tuple[DeviceEntry, ...]
    pvs: tuple[DeviceEntry, ...]
    dispatch: DispatchConfig
    mqtt: MqttConfig | None
    simulation: SimulationConfig
    state: StateConfig
    switches: tuple[SwitchEntry, ...] = ()
    tariff: TariffConfig | None = None
    planning: PlanningConfig = field(default_factory=PlanningConfig)

    @property
    def devices(self) -> tuple[DeviceEntry, ...]:
        """Meter, batteries, PV inverters and switches, in that order."""
        return (self.meter, *self.batteries, *self.pvs, *(one.device for one in self.switches))


def load_config(path: Path) -> Config:
    """The site of a file; ConfigError lists everything that is wrong with it."""
    try:
        text, tables = read_toml(path)
    except DoorError as error:
        raise ConfigError(str(error)) from None
    return config_of(path, text, tables)


def config_of(path: Path, text: str, tables: dict[str, Any]) -> Config:
    """The site of tables that stand in this text; ConfigError lists everything that is wrong with it."""
    try:
        site = validate(path, text, sitefile.SiteFile, tables)
    except DoorError as error:
        raise ConfigError(str(error)) from None
    conflicts = _conflicts(site, path.parent)
    profiles: dict[str, DeviceProfile] = {}
    for where, table, role in _tables(site):
        try:
            name = EMULATED_AS.get(role, SUNSPEC) if table.profile == SUNSPEC else table.profile
            profile = load_profile(name, path.parent)
        except ProfileError as error:
            conflicts.append(((*where, "profile"), str(error)))
            continue
        profiles[table.id] = responding(profile, getattr(table, "response", None))
        if profile.role != role:
            conflicts.append(
                ((*where, "profile"), f'"{table.profile}" describes a {profile.role}, not a {role}')
            )
    state = state_config(path, site.site, site.state, site.journal)
    conflicts += state_conflicts(state.folder)
    conflicts += _shared_ends(site, profiles) + _beyond_registers(site, profiles)
    tariff, wrong = _tariff(site, path.parent)
    conflicts += wrong
    if conflicts:
        raise ConfigError("\n".join(placed(path, text, where, what) for where, what in conflicts))
    return _frozen(path, site, profiles, tariff)


def placed(path: Path, text: str, where: Where, what: str) -> str:
    """A sentence on what stands `where` in the text of a file, with the line that it is in."""
    line = line_of(text, where)
    return f"{path}{f':{line}' if line else ''}: {dotted(where)}: {what}"


def _tables(site: sitefile.SiteFile) -> list[tuple[tuple[str | int, ...], sitefile.DeviceTable, str]]:
    found: list[tuple[tuple[str | int, ...], sitefile.DeviceTable, str]] = []
    found += [(("meter", i), table, "meter") for i, table in enumerate(site.meter)]
    found += [(("battery", i), table, "battery") for i, table in enumerate(site.battery)]
    found += [(("pv", i), table, "pv") for i, table in enumerate(site.pv)]
    found += [(("switch", i), table, "switch") for i, table in enumerate(site.switch)]
    return found


def _conflicts(site: sitefile.SiteFile, folder: Path) -> list[Conflict]:
    """Everything that is wrong between keys that are right by themselves."""
    found = _device_conflicts(site)
    found += _limit_conflicts(site)
    found += simulation_conflicts(site.simulation, site.grid.phases, site.grid.fuse_a)
    try:
        zone(site.timezone)
    except ValueError as error:
        found.append((("timezone",), str(error)))
    if site.mqtt is not None:
        found += mqtt_conflicts(folder, site.mqtt)
    return found


def _device_conflicts(site: sitefile.SiteFile) -> list[Conflict]:
    found: list[Conflict] = []
    ids: dict[str, str] = {}
    for where, table, _ in _tables(site):
        if table.id in ids:
            taken = f'"{table.id}" is taken by {ids[table.id]}; give each device its own'
            found.append(((*where, "id"), taken))
        ids.setdefault(table.id, dotted(where))
        if table.id in RESERVED:
            found.append(((*where, "id"), f'"{table.id}" is {RESERVED[table.id]}; give another'))
        try:
            address = parse_connection(table.connection)
        except ValueError as error:
            found.append(((*where, "connection"), str(error)))
            continue
        if table.unit == 0 and isinstance(address, SerialAddress | RtuTcpAddress):
            nobody = "is 0, which on a serial line speaks to all and is answered by nobody; give 1 to 247"
            found.append(((*where, "unit"), nobody))
    return found


def _shared_ends(site: sitefile.SiteFile, profiles: dict[str, DeviceProfile]) -> list[Conflict]:
    """Two devices at one address; a hybrid may be meter, battery and PV inverter there, one of each."""
    found: list[Conflict] = []
    lines: dict[Bus, tuple[str, AnyAddress]] = {}
    ends: dict[tuple[Bus, int], tuple[str, str]] = {}
    parts: set[tuple[Bus, int, str, int]] = set()
    for where, table, role in _tables(site):
        profile, address = profiles.get(table.id), _address(table.connection)
        if profile is None or address is None:
            continue
        bus = _bus(address)
        first, as_first = lines.setdefault(bus, (dotted(where), address))
        if isinstance(address, SerialAddress) and _settings(address) != _settings(as_first):
            differs = f"{table.connection}: {first} is on the same line with other settings"
            found.append(((*where, "connection"), f"{differs}; a line has one baud, parity and stop"))
        maker, end = profile.name.split()[0], (bus, table.unit)
        channel = table.channel if isinstance(table, sitefile.Switch) else 0
        if profile.relay is not None and channel > profile.relay.channels:
            found.append(((*where, "channel"), f"is {channel}; {profile.name} has {profile.relay.channels}"))
        owner, owner_maker = ends.setdefault(end, (dotted(where), maker))
        if maker != owner_maker or (*end, role, channel) in parts:
            taken = f"{table.connection} unit {table.unit} is already {owner}; give another unit or address"
            found.append(((*where, "connection"), taken))
        parts.add((*end, role, channel))
    return found


Bus = tuple[str, int]
"""A host and its port, however that was written; a serial line is its path and 0."""


def _bus(address: AnyAddress) -> Bus:
    return (normpath(address.path), 0) if isinstance(address, SerialAddress) else (address.host, address.port)


def _settings(address: AnyAddress) -> AnyAddress:
    return replace(address, path="") if isinstance(address, SerialAddress) else address


def _address(connection: str) -> AnyAddress | None:
    """None when it cannot be read, which is told elsewhere."""
    try:
        return parse_connection(connection)
    except ValueError:
        return None


def _beyond_registers(site: sitefile.SiteFile, profiles: dict[str, DeviceProfile]) -> list[Conflict]:
    """Powers that no register of the device can hold: such an order would not get through at all."""
    found: list[Conflict] = []
    for index, table in enumerate(site.battery):
        profile = profiles.get(table.id)
        if profile is None or table.profile == SUNSPEC:
            continue
        for key, side, power_w in (
            ("max_charge_w", -1.0, table.max_charge_w),
            ("max_discharge_w", 1.0, table.max_discharge_w),
        ):
            if power_w and (why := not_orderable(profile, side * power_w)):
                found.append(
                    (("battery", index, key), f"{power_w:g} W cannot be ordered of {profile.name}: {why}")
                )
    return found


def _limit_conflicts(site: sitefile.SiteFile) -> list[Conflict]:
    found: list[Conflict] = []
    grid, policy = site.grid, site.policy
    carried_w = fuse_w(grid)
    if carried_w is not None and grid.import_limit_w is not None and grid.import_limit_w > carried_w:
        carries = f"{grid.phases} x {grid.fuse_a:g} A carry ({carried_w:g} W)"
        too_much = f"{grid.import_limit_w:g} W is more than {carries}; lower it or correct fuse_a"
        found.append((("grid", "import_limit_w"), too_much))
    for index, battery in enumerate(site.battery):
        ceiling = f"max_soc_pct {battery.max_soc_pct:g} % of {battery.id}"
        if battery.min_soc_pct >= battery.max_soc_pct:
            too_high = f"{battery.min_soc_pct:g} % is not below {ceiling}"
            found.append((("battery", index, "min_soc_pct"), too_high))
        if policy.reserve_pct >= battery.max_soc_pct:
            too_high = f"{policy.reserve_pct:g} % is not below {ceiling}"
            found.append((("policy", "reserve_pct"), too_high))
    for index, switch in enumerate(site.switch):
        if switch.restore_above_soc_pct <= switch.shed_below_soc_pct:
            too_low = f"{switch.restore_above_soc_pct:g} % is not above shed_below_soc_pct"
            found.append((("switch", index, "restore_above_soc_pct"), too_low))
    if "schedule" in (policy.name, policy.fallback) and not policy.window:
        found.append((("policy", "name"), "schedule needs at least one [[policy.window]]"))
    band = policy.frequency
    if band is not None and band.soc_low_pct >= band.soc_high_pct:
        wrong = f"{band.soc_low_pct:g} % is not below soc_high_pct {band.soc_high_pct:g} %"
        found.append((("policy", "frequency", "soc_low_pct"), wrong))
    for index, battery in enumerate(site.battery):
        if battery.phase is not None and battery.phase > grid.phases:
            wrong = f"{battery.phase}, but the grid has {grid.phases} phase(s)"
            found.append((("battery", index, "phase"), wrong))
    target_w = policy.target_import_w
    if grid.export_limit_w is not None and -target_w > grid.export_limit_w:
        beyond = f"asks for {-target_w:g} W of export, export_limit_w is {grid.export_limit_w:g}"
        found.append((("policy", "target_import_w"), beyond))
    if grid.import_limit_w is not None and target_w > grid.import_limit_w:
        beyond = f"{target_w:g} W is above import_limit_w {grid.import_limit_w:g}"
        found.append((("policy", "target_import_w"), beyond))
    return found


def _tariff(site: sitefile.SiteFile, folder: Path) -> tuple[TariffConfig | None, list[Conflict]]:
    """The tariff, if there is one, and what is wrong with it."""
    if site.tariff is None:
        lacking = "economic" in (site.policy.name, site.policy.fallback)
        needs = "economic needs prices; describe them in [tariff]"
        unread = (("planning", "forecast"), "is read by nobody; plans are made for sites with a [tariff]")
        wrong: list[Conflict] = [(("policy", "name"), needs)] if lacking else []
        return None, [*wrong, unread] if site.planning.forecast else wrong
    from controller.tariff_door import forecast_conflicts, tariff_config, tariff_conflicts

    tariff, found = tariff_config(folder, site.tariff)
    return tariff, [*found, *tariff_conflicts(site, tariff), *forecast_conflicts(site, folder)]


def _frozen(
    path: Path, site: sitefile.SiteFile, profiles: dict[str, DeviceProfile], tariff: TariffConfig | None
) -> Config:
    def entry(table: sitefile.DeviceTable, role: str) -> DeviceEntry:
        walked = table.profile == SUNSPEC
        return DeviceEntry(table.id, role, profiles[table.id], table.connection, table.unit, walked)

    return Config(
        path=path,
        site=site.site,
        cycle_s=site.cycle_s,
        phases=site.grid.phases,
        meter=entry(site.meter[0], "meter"),
        batteries=tuple(entry(table, "battery") for table in site.battery),
        pvs=tuple(entry(table, "pv") for table in site.pv),
        dispatch=dispatch_config(site, profiles, None if tariff is None else tariff.demand),
        timezone=site.timezone,
        mqtt=None if site.mqtt is None else mqtt_config(path.parent, site.mqtt),
        simulation=simulation_config(site.simulation),
        state=state_config(path, site.site, site.state, site.journal),
        switches=tuple(
            SwitchEntry(
                entry(one, "switch"),
                one.channel,
                one.sheds_w,
                one.shed_below_soc_pct,
                one.restore_above_soc_pct,
            )
            for one in site.switch
        ),
        tariff=tariff,
        planning=planning_config(site.planning, path.parent),
    )
