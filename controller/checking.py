"""`penstock check`: what a site file describes, in words, with what an owner should know about it."""

from __future__ import annotations

from controller.certificates import check_certificates
from controller.clock import system_clock
from controller.config import Config, DeviceEntry
from controller.dispatch.settings import DispatchConfig

SMALL_WH, SMALL_W = 200.0, 100.0
"""A house has more; a number of kWh or kW is less."""


def describe(config: Config) -> list[str]:
    """Lines for the operator; warnings begin with `warning:`. ConfigError where a certificate is no good."""
    check_certificates(config, system_clock(None)()[0] or 0.0)
    dispatch = config.dispatch
    lines = [f"{config.path}: site {config.site}, one decision every {config.cycle_s:g} s"]
    lines.append(
        f"  grid     {config.phases} phase(s), import {_limit(dispatch.import_limit_w)}, "
        f"export {_limit(dispatch.export_limit_w)}"
    )
    lines += [_device(entry) for entry in config.devices]
    for settings in dispatch.batteries:
        lines.append(
            f"  {settings.id:8} {settings.capacity_wh / 1000:g} kWh, "
            f"{settings.min_soc_pct:g} to {settings.max_soc_pct:g} %, "
            f"charge {_limit(settings.max_charge_w)}, discharge {_limit(settings.max_discharge_w)}"
        )
    for switch in config.switches:
        lines.append(
            f"  {switch.device.id:8} sheds {switch.sheds_w:g} W below {switch.shed_below_soc_pct:g} %, "
            f"gives it back above {switch.restore_above_soc_pct:g} %"
        )
    lines.append(f"  policy   {dispatch.policy.name}, reserve {dispatch.policy.reserve_pct:g} %")
    lines += _tariff(config)
    if config.planning.forecast is not None:
        lines.append(f"  forecast from outside: {config.planning.forecast.words}")
    lines.append(f"  mqtt     {_broker(config)}")
    state = config.state
    kept_mib = state.keep_bytes // (1024 * 1024)
    lines.append(f"  state    {state.folder}: memory, counters, at most {kept_mib} MiB of recordings")
    return lines + [f"  warning: {text}" for text in _warnings(config)]


def _device(entry: DeviceEntry) -> str:
    name = "what its SunSpec models say (see penstock scan)" if entry.self_describing else entry.profile.name
    return f"  {entry.id:8} {entry.role}: {name}, {entry.connection} unit {entry.unit}"


def _limit(power_w: float | None) -> str:
    return "no limit here" if power_w is None else f"at most {power_w:g} W"


def _tariff(config: Config) -> list[str]:
    if config.tariff is None:
        return []
    from controller.tariff_words import tariff_lines

    words = tariff_lines(config.tariff)
    return [f"  {'' if place else 'tariff':8} {line}" for place, line in enumerate(words)]


def _broker(config: Config) -> str:
    mqtt = config.mqtt
    if mqtt is None:
        return "none; add [mqtt] to publish the state"
    if mqtt.host is None:
        return f"embedded broker on {mqtt.listen}:{mqtt.port}, topics penstock/{config.site}/#"
    return f"{'TLS ' if mqtt.tls else ''}{mqtt.host}:{mqtt.port}, topics penstock/{config.site}/#"


def _doubts(dispatch: DispatchConfig) -> list[str]:
    """Numbers that are right by themselves, but more likely meant in another unit."""
    watts = {name: getattr(dispatch, name) for name in ("import_limit_w", "export_limit_w")}
    shares = {"reserve_pct": dispatch.policy.reserve_pct}
    found = []
    for one in dispatch.batteries:
        if one.capacity_wh < SMALL_WH:
            found.append(f"{one.id}: capacity_wh is {one.capacity_wh:g}; is that meant in kWh?")
        watts |= {f"{one.id}: {name}": getattr(one, name) for name in ("max_charge_w", "max_discharge_w")}
        shares[f"{one.id}: min_soc_pct"] = one.min_soc_pct
    found += [
        f"{name} is {power_w:g}; is that meant in kW?"
        for name, power_w in watts.items()
        if power_w and power_w < SMALL_W
    ]
    found += [
        f"{name} is {pct:g}; {pct * 100:g} % is written {pct * 100:g}"
        for name, pct in shares.items()
        if 0 < pct < 1
    ]
    return found


def _warnings(config: Config) -> list[str]:
    found = []
    for entry in (*config.batteries, *config.pvs, *(one.device for one in config.switches)):
        if entry.self_describing:
            continue
        lease = entry.profile.lease
        if lease is None or lease.seconds is None:
            stays = f": {lease.fallback}" if lease is not None and lease.fallback else ""
            found.append(f"{entry.id} never forgets an order by itself{stays}")
    found += _doubts(config.dispatch)
    for entry in (*config.batteries, *config.pvs):
        if entry.profile.limited and not entry.self_describing:
            found.append(f"{entry.id}: {entry.profile.limited}")
    for entry in config.devices:
        if not entry.self_describing and entry.profile.confidence == "low":
            found.append(f'{entry.id}: the facts in profile "{entry.profile.id}" are not well founded yet')
    if config.mqtt is not None and config.mqtt.insecure:
        found.append(
            "the broker is on the network without TLS or login: whoever is there can command the site"
        )
    if config.dispatch.export_limit_w is not None and not config.pvs:
        found.append("export_limit_w is set, but no [[pv]] can be curtailed once the batteries are full")
    return found
