"""Whatever one key of a profile alone cannot show to be wrong; each finding is a place and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from drivers.control import STYLES, Sum
from drivers.doors import Where, nearest
from drivers.profile.door import ControlTable, LeaseTable, ProfileFile
from drivers.profile.model import FLAGS, GIVES, HELD, IDENTITY, REQUIRED, Point

Findings = Iterator[tuple[Where, str]]
Points = Mapping[str, Point]

_NEEDS: Final = {
    "percent_of": "names the point with the W of 100 %",
    "opposite": "names the point that limits the other direction",
    "direction": "names the point that says what the power means, with charge, discharge and idle",
    "base": "adds up what the device would import with its battery at rest",
    "volts": "names the point with the battery's voltage",
}
"""The keys of `[control]` that only some styles go by."""


def points_wrong(file: ProfileFile, points: Points, sums: Mapping[str, Sum]) -> Findings:
    """Fields given twice or not at all, units, scale factors and signs that do not fit."""
    fields = {**GIVES[file.role], **dict.fromkeys(IDENTITY, "")}
    given: dict[str, str] = {}
    for point in points.values():
        where = ("points", point.name)
        if point.gives is not None:
            yield from _gives_wrong(point, fields, given)
            given.setdefault(point.gives, point.name)
        if point.power_of is not None:
            yield from _scale_wrong(point, points)
        if point.sign is not None:
            yield from _sign_wrong(point, points)
        if point.range is not None and point.range[0] > point.range[1]:
            yield (*where, "range"), f"is {list(point.range)}; the lower bound comes first"
        yield from _access_wrong(point)
    for field, terms in sums.items():
        yield from _sum_wrong(field, terms, points, fields, given)
        given.setdefault(field, terms[0][1])
    summed = {name for terms in sums.values() for _, name in terms}
    for name in sorted(point.name for point in points.values() if point.quiet and point.name not in summed):
        yield ("points", name, "quiet"), "is for terms of [sums]; nothing else may count as 0"
    yield from _overlaps(points)
    required = REQUIRED[file.role]
    if required not in given:
        yield ("points",), f'no point gives {required}, which a {file.role} must; add gives = "{required}"'
    elif points[given[required]].every != "fast":
        yield ("points", given[required], "every"), f'{required} is needed in each reading: every = "fast"'


def _gives_wrong(point: Point, fields: Mapping[str, str], given: Mapping[str, str]) -> Findings:
    where = ("points", point.name)
    field = point.gives or ""
    if field not in fields:
        yield (*where, "gives"), f'"{field}" is not a field of the reading; {nearest(field, list(fields))}'
        return
    if field in given:
        yield (*where, "gives"), f'"{field}" is given by {given[field]} already; drop one of the two'
    if point.unit != fields[field]:
        yield (
            (*where, "unit"),
            f'is "{point.unit}", but {field} is in "{fields[field]}"; scale to that unit and say so',
        )
    if (field in FLAGS) != bool(point.true_when):
        yield (*where, "true_when"), f"says which values mean true: for {', '.join(FLAGS)}, and only there"
    if (field in IDENTITY) != (point.encoding.type == "string"):
        yield (
            (*where, "type"),
            f"is {point.encoding.type}; strings are for {', '.join(IDENTITY)}, and only there",
        )
    if point.every is None:
        yield (*where, "every"), 'is missing: give "fast", "slow" or "once"'


def _scale_wrong(point: Point, points: Points) -> Findings:
    where = ("points", point.name, "scale_point")
    factor = points.get(point.power_of or "")
    if factor is None:
        yield where, f'"{point.power_of}" is not a point; {nearest(point.power_of or "", list(points))}'
    elif not _beside(point, factor) or factor.power_of is not None or factor.encoding.type == "string":
        yield where, f'"{point.power_of}" must be a plain number among the {point.kind} registers'


def _sign_wrong(point: Point, points: Points) -> Findings:
    where = ("points", point.name, "sign_point")
    sign = point.sign
    bits = points.get(sign.point) if sign is not None else None
    if sign is None or bits is None:
        named = sign.point if sign is not None else ""
        yield where, f'"{named}" is not a point; {nearest(named, list(points))}'
    elif not _beside(point, bits) or bits.encoding.type not in ("bits16", "u16", "enum16"):
        yield where, f'"{sign.point}" must be one register of bits among the {point.kind} registers'
    elif not sign.negative or sign.negative & sign.positive:
        yield (*where[:2], "negative_bits"), "says which bits mean below 0; they are not those above 0"


def _beside(point: Point, other: Point) -> bool:
    return other.kind == point.kind and other.unit_id == point.unit_id


def _access_wrong(point: Point) -> Findings:
    where = ("points", point.name)
    if point.writable and point.kind == "input":
        yield (*where, "access"), "is rw, but input registers cannot be written"
    if not point.readable and (point.every is not None or point.gives is not None):
        yield (*where, "access"), "is w, so it can neither give a field nor be read every so often"
    if not point.readable and point.encoding.bits is not None:
        yield (*where, "access"), "is w, so the other bits of the register cannot be read and kept"
    if point.single and point.encoding.words > 1:
        yield (*where, "function"), f"is 6, which writes one register; {point.encoding.type} takes more"
    if point.writes_per_day is not None and not point.writable:
        yield (*where, "writes_per_day"), 'is for registers that are written; give access = "rw"'


def _sum_wrong(
    field: str, terms: Sum, points: Points, fields: Mapping[str, str], given: Mapping[str, str]
) -> Findings:
    where = ("sums", field)
    first = points[terms[0][1]]
    if field not in fields or not fields[field]:
        yield where, f"is not a number of the reading; {nearest(field, [n for n, u in fields.items() if u])}"
    elif field in given:
        yield where, f"is given by {given[field]} already; drop one of the two"
    elif field in points:
        yield where, "is the name of a point too; call that otherwise"
    for _, name in terms:
        point = points[name]
        if not _beside(first, point) or point.every != first.every or point.every is None:
            yield where, f"{name} and {first.name} must be of one kind and rate, to be read in one request"
        if field in fields and point.unit != fields[field]:
            yield ("points", name, "unit"), f'is "{point.unit}", but {field} is in "{fields[field]}"'


def _overlaps(points: Points) -> Findings:
    """The registers of several units are kept in one memory, so no address may stand for two of them."""
    units: dict[tuple[str, int], int | None] = {}
    for point in points.values():
        for address in range(point.address, point.end):
            if units.setdefault((point.kind, address), point.unit_id) != point.unit_id:
                yield (
                    ("points", point.name, "unit_id"),
                    f"register {address} is at another unit already; make two profiles of it",
                )
                break


def control_wrong(file: ProfileFile, points: Points) -> Findings:
    """Orders that name points which are not there, or cannot be written or read back."""
    control, lease = file.control, file.lease
    if control is None:
        if lease is not None and file.relay is None:
            yield ("lease",), "is there without a [control]; a lease is for orders"
        if file.role in HELD:
            yield ("control",), f"is missing; say how this {file.role} takes orders"
        return
    if file.role not in HELD:
        yield ("control",), f"is there, but a {file.role} takes no orders"
        return
    if control.style not in STYLES:
        yield (
            ("control", "style"),
            f'"{control.style}" is not a style; {nearest(control.style, list(STYLES))}',
        )
        return
    yield from _style_wrong(control)
    if lease is None:
        yield (
            ("lease",),
            'is missing; name the timer point, or say none = "what stays on when we fall silent"',
        )
    else:
        yield from _lease_wrong(lease)
    for where, name, written, read in _wanted(control, lease):
        point = points.get(name)
        if point is None:
            yield where, f'"{name}" is not a point; {nearest(name, list(points))}'
        elif written and not point.writable:
            yield where, f'"{name}" cannot be written; give the point access = "rw"'
        elif read and point.readable and point.every not in ("fast", "third"):
            yield where, f'"{name}" is never read back in time; give the point every = "third"'
        elif not written and point.every is None:
            yield where, f'"{name}" is never read; give the point every = "slow"'


def _style_wrong(control: ControlTable) -> Findings:
    style = STYLES[control.style]
    for key, text in _NEEDS.items():
        if (key in style.needs) != (getattr(control, key) is not None):
            users = " and ".join(name for name, one in STYLES.items() if key in one.needs)
            yield ("control", key), f"{text}: for {users}, and only there"
    said = [control.charge, control.discharge, control.idle]
    if "direction" in style.needs and (None in said or control.charge == control.discharge):
        yield ("control", "direction"), "needs charge, discharge and idle: what the point holds for each"
    if control.charge_setpoint is not None and not {"direction", "volts"} & set(style.needs):
        yield ("control", "charge_setpoint"), "is for directed_watts and limited_amps, and only there"
    if control.charge_setpoint is None and "volts" in style.needs:
        yield ("control", "charge_setpoint"), "is missing: the point that limits charging"
    if control.restore_found and not control.restore:
        yield ("control", "restore_found"), "has nothing to restore; name the points in restore"


def _wanted(control: ControlTable, lease: LeaseTable | None) -> Iterator[tuple[Where, str, bool, bool]]:
    """Each point that is named, whether it is written, and whether it must be read back."""
    for key in ("setpoint", "enable", "direction", "charge_setpoint", "opposite"):
        name = getattr(control, key)
        if name is not None:
            yield ("control", key), name, True, True
    for name in control.prepare:
        yield ("control", "prepare"), name, True, False
    for name in control.restore:
        yield ("control", "restore"), name, True, False
    for name in control.select:
        yield ("control", "select"), name, True, True
    for key in ("percent_of", "volts"):
        name = getattr(control, key)
        if name is not None:
            yield ("control", key), name, False, False
    if lease is not None and lease.timer is not None:
        yield ("lease", "timer"), lease.timer, True, False
    if lease is not None and lease.remaining is not None:
        yield ("lease", "remaining"), lease.remaining, False, False


def _lease_wrong(lease: LeaseTable) -> Findings:
    if sum((lease.none is not None, lease.timer is not None, lease.fixed)) != 1:
        yield ("lease",), "takes either a timer point, fixed = true or none = ..., one of them"
    if lease.none is None and not lease.fallback:
        yield ("lease", "fallback"), "is missing: say in words what the device does when the lease ends"


def response_wrong(file: ProfileFile) -> Findings:
    """Times of which nobody says where they are from."""
    said = file.response.model_dump(exclude={"source"}, exclude_defaults=True)
    if said and not file.response.source:
        yield ("response", "source"), "is missing: where these times are from, or that they are assumed"


def probes_wrong(file: ProfileFile) -> Findings:
    """Points for variants that no probe finds."""
    known = [probe.variant for probe in file.probe]
    for name, table in file.points.items():
        for key in ("when", "unless"):
            variant = getattr(table, key)
            if variant is not None and variant not in known:
                yield ("points", name, key), f'no [[probe]] finds the variant "{variant}"'
