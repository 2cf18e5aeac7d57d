"""site.toml -> frozen Config; every error names file, line, key, value and what would be right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from controller import sitefile
from controller.dispatch.settings import BatterySettings, DispatchConfig, PvSettings
from drivers.doors import DoorError, Where, dotted, line_of, read_toml, validate
from drivers.link import parse_connection
from drivers.profile import DeviceProfile, ProfileError, load_profile

PHASE_VOLTAGE_V = 230.0
Conflict = tuple[Where, str]


class ConfigError(DoorError):
    """A site file was refused; each line of the text is one thing to fix."""


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """One device of the site and how to reach it."""

    id: str
    role: str
    profile: DeviceProfile
    connection: str
    unit: int


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """The broker; `host` is None for the embedded one, which listens on 127.0.0.1.

    `only_v311` is for a broker that is known not to speak MQTT v5.
    """

    host: str | None
    port: int
    tls: bool = False
    username: str | None = None
    password_file: Path | None = None
    only_v311: bool = False


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """The emulated house; see `sitefile.Simulation` for the meaning of each value."""

    seed: int
    start: date
    start_hour: float
    annual_load_kwh: float
    pv_peak_w: float
    latitude_deg: float
    initial_soc_pct: float
    efficiency_pct: float
    speed: float


@dataclass(frozen=True, slots=True)
class Config:
    """One site. `batteries` and `pvs` are in the order of `dispatch`."""

    path: Path
    site: str
    cycle_s: float
    phases: int
    meter: DeviceEntry
    batteries: tuple[DeviceEntry, ...]
    pvs: tuple[DeviceEntry, ...]
    dispatch: DispatchConfig
    mqtt: MqttConfig | None
    simulation: SimulationConfig

    @property
    def devices(self) -> tuple[DeviceEntry, ...]:
        """Meter, batteries and PV inverters, in that order."""
        return (self.meter, *self.batteries, *self.pvs)


def load_config(path: Path) -> Config:
    """The site of a file; ConfigError lists everything that is wrong with it."""
    try:
        text, tables = read_toml(path)
        site = validate(path, text, sitefile.SiteFile, tables)
    except DoorError as error:
        raise ConfigError(str(error)) from None
    conflicts = _conflicts(site)
    profiles: dict[str, DeviceProfile] = {}
    for where, table, role in _tables(site):
        try:
            profile = load_profile(table.profile, path.parent)
        except ProfileError as error:
            conflicts.append(((*where, "profile"), str(error)))
            continue
        profiles[table.id] = profile
        if profile.role != role:
            conflicts.append(
                ((*where, "profile"), f'"{table.profile}" describes a {profile.role}, not a {role}')
            )
    if conflicts:
        raise ConfigError("\n".join(_placed(path, text, where, what) for where, what in conflicts))
    return _frozen(path, site, profiles)


def _placed(path: Path, text: str, where: Where, what: str) -> str:
    line = line_of(text, where)
    return f"{path}{f':{line}' if line else ''}: {dotted(where)}: {what}"


def _tables(site: sitefile.SiteFile) -> list[tuple[tuple[str | int, ...], sitefile.DeviceTable, str]]:
    found: list[tuple[tuple[str | int, ...], sitefile.DeviceTable, str]] = []
    found += [(("meter", i), table, "meter") for i, table in enumerate(site.meter)]
    found += [(("battery", i), table, "battery") for i, table in enumerate(site.battery)]
    found += [(("pv", i), table, "pv") for i, table in enumerate(site.pv)]
    return found


def _conflicts(site: sitefile.SiteFile) -> list[Conflict]:
    """Everything that is wrong between keys that are right by themselves."""
    found = _device_conflicts(site)
    found += _limit_conflicts(site)
    if site.mqtt is not None and (wrong := _bad_broker(site.mqtt)):
        found.append((("mqtt", "url"), wrong))
    return found


def _device_conflicts(site: sitefile.SiteFile) -> list[Conflict]:
    found: list[Conflict] = []
    ids: dict[str, str] = {}
    ends: dict[tuple[str, int], str] = {}
    for where, table, _ in _tables(site):
        if table.id in ids:
            taken = f'"{table.id}" is taken by {ids[table.id]}; give each device its own'
            found.append(((*where, "id"), taken))
        ids.setdefault(table.id, dotted(where))
        try:
            parse_connection(table.connection)
        except ValueError as error:
            found.append(((*where, "connection"), str(error)))
            continue
        end = (table.connection, table.unit)
        if end in ends:
            taken = f"{table.connection} unit {table.unit} is already {ends[end]}"
            found.append(((*where, "connection"), taken))
        ends.setdefault(end, dotted(where))
    return found


def _limit_conflicts(site: sitefile.SiteFile) -> list[Conflict]:
    found: list[Conflict] = []
    grid, policy = site.grid, site.policy
    fuse_w = _fuse_w(grid)
    if fuse_w is not None and grid.import_limit_w is not None and grid.import_limit_w > fuse_w:
        carries = f"{grid.phases} x {grid.fuse_a:g} A carry ({fuse_w:g} W)"
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
    target_w = policy.target_import_w
    if grid.export_limit_w is not None and -target_w > grid.export_limit_w:
        beyond = f"asks for {-target_w:g} W of export, export_limit_w is {grid.export_limit_w:g}"
        found.append((("policy", "target_import_w"), beyond))
    if grid.import_limit_w is not None and target_w > grid.import_limit_w:
        beyond = f"{target_w:g} W is above import_limit_w {grid.import_limit_w:g}"
        found.append((("policy", "target_import_w"), beyond))
    return found


def _fuse_w(grid: sitefile.Grid) -> float | None:
    return None if grid.fuse_a is None else grid.fuse_a * PHASE_VOLTAGE_V * grid.phases


def _bad_broker(mqtt: sitefile.Mqtt) -> str:
    if mqtt.url == "embedded":
        return ""
    usage = 'give "mqtt://host:1883", "mqtts://host:8883" or "embedded"'
    try:
        parts = urlsplit(mqtt.url)
        port = parts.port
    except ValueError:
        return f'"{mqtt.url}": the port is a number from 1 to 65535; {usage}'
    if not parts.hostname or port == 0 or parts.path.strip("/") or parts.query or "@" in parts.netloc:
        return f'"{mqtt.url}" is not just a host and a port from 1 to 65535; {usage}'
    return ""


def _frozen(path: Path, site: sitefile.SiteFile, profiles: dict[str, DeviceProfile]) -> Config:
    def entry(table: sitefile.DeviceTable, role: str) -> DeviceEntry:
        return DeviceEntry(table.id, role, profiles[table.id], table.connection, table.unit)

    simulation = SimulationConfig(**site.simulation.model_dump())
    return Config(
        path=path,
        site=site.site,
        cycle_s=site.cycle_s,
        phases=site.grid.phases,
        meter=entry(site.meter[0], "meter"),
        batteries=tuple(entry(table, "battery") for table in site.battery),
        pvs=tuple(entry(table, "pv") for table in site.pv),
        dispatch=_dispatch(site, profiles[site.meter[0].id].response.period_s),
        mqtt=_mqtt(path, site.mqtt),
        simulation=simulation,
    )


def _dispatch(site: sitefile.SiteFile, meter_period_s: float) -> DispatchConfig:
    import_limit_w = site.grid.import_limit_w
    fuse_w = _fuse_w(site.grid)
    if fuse_w is not None:
        import_limit_w = fuse_w if import_limit_w is None else min(import_limit_w, fuse_w)
    stale_after_s = max(1.5, 1.5 * site.cycle_s, 2.0 * meter_period_s)
    return DispatchConfig(
        batteries=tuple(
            BatterySettings(
                one.id,
                one.capacity_wh,
                one.min_soc_pct,
                one.max_soc_pct,
                one.max_charge_w,
                one.max_discharge_w,
            )
            for one in site.battery
        ),
        pvs=tuple(PvSettings(one.id) for one in site.pv),
        cycle_s=site.cycle_s,
        import_limit_w=import_limit_w,
        export_limit_w=site.grid.export_limit_w,
        policy=site.policy.name,
        target_import_w=site.policy.target_import_w,
        deadband_w=site.policy.deadband_w,
        reserve_pct=site.policy.reserve_pct,
        ramp_w_per_s=site.policy.ramp_w_per_s,
        stale_after_s=stale_after_s,
        lost_after_s=stale_after_s + max(1.0, site.cycle_s),
    )


def _mqtt(path: Path, mqtt: sitefile.Mqtt | None) -> MqttConfig | None:
    if mqtt is None:
        return None
    if mqtt.url == "embedded":
        return MqttConfig(None, mqtt.port, only_v311=True)
    parts = urlsplit(mqtt.url)
    tls = parts.scheme == "mqtts"
    return MqttConfig(
        parts.hostname,
        parts.port or (8883 if tls else 1883),
        tls,
        mqtt.username,
        None if mqtt.password_file is None else path.parent / mqtt.password_file,
    )
