"""Checked file -> frozen profile: whatever one key alone cannot show to be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from drivers.control import STYLES, Control
from drivers.doors import Where, nearest
from drivers.profile.blocks import plan_blocks
from drivers.profile.door import ControlTable, ExampleTable, LeaseTable, PointTable, ProfileFile
from drivers.profile.model import (
    FLAGS,
    GIVES,
    HELD,
    IDENTITY,
    REQUIRED,
    DeviceProfile,
    Example,
    Image,
    Lease,
    Point,
    Response,
    Transport,
    Write,
)
from drivers.registers import Encoding, words_of
from drivers.wire import Space


class ContradictionError(ValueError):
    """A profile contradicts itself; each entry is one place and what to do about it."""

    def __init__(self, found: list[tuple[Where, str]]) -> None:
        super().__init__("; ".join(text for _, text in found))
        self.found = found


def build(profile_id: str, file: ProfileFile) -> DeviceProfile:
    """The frozen profile; ContradictionError lists all that is wrong with it at once."""
    wrong: list[tuple[Where, str]] = []
    points: dict[str, Point] = {}
    for name, table in file.points.items():
        try:
            points[name] = _point(name, table, file)
        except ValueError as error:
            wrong.append((("points", name), str(error)))
    if wrong:
        raise ContradictionError(wrong)
    wrong += _points_wrong(file, points)
    wrong += _control_wrong(file, points)
    if wrong:
        raise ContradictionError(wrong)
    transport = Transport(
        **{**file.transport.model_dump(), "retry_exceptions": tuple(file.transport.retry_exceptions)}
    )
    try:
        blocks = plan_blocks(points, transport)
    except ValueError as error:
        raise ContradictionError([(("points",), str(error))]) from None
    return DeviceProfile(
        id=profile_id,
        name=file.name,
        role=file.role,
        source=tuple(file.source),
        confidence=file.confidence,
        transport=transport,
        points=points,
        blocks=blocks,
        control=_control(file.control, file.lease) if file.control is not None else None,
        lease=_lease(file.lease) if file.lease is not None else None,
        response=Response(**file.response.model_dump()),
        image=tuple(
            Image(one.kind or file.defaults.kind, one.address, _words(one.words)) for one in file.image
        ),
        examples=tuple(_example(one, file.defaults.kind) for one in file.examples),
        gives={point.gives: point for point in points.values() if point.gives is not None},
    )


def _words(text: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in text.split())


def _point(name: str, table: PointTable, file: ProfileFile) -> Point:
    type_ = table.type or file.defaults.type
    if type_ is None:
        raise ValueError("has no type; give it here or in [defaults]")
    words = words_of(type_) or table.words
    if words is None:
        raise ValueError("is a string; say how many registers it has with words = ...")
    if table.words not in (None, words):
        raise ValueError(f"is {type_}, which has {words} registers; leave out words = {table.words}")
    if table.address + words > 0x10000:
        raise ValueError(f"ends after the last register; {table.address} + {words} is more than 65536")
    absent = table.not_available if table.not_available is not None else file.defaults.not_available
    encoding = Encoding(
        type_,
        words,
        table.word_order or file.defaults.word_order,
        table.scale,
        tuple(absent) if isinstance(absent, list) else absent,
    )
    return Point(
        name=name,
        kind=table.kind or file.defaults.kind,
        address=table.address,
        encoding=encoding,
        unit=table.unit,
        gives=table.gives,
        every=table.every,
        power_of=table.scale_point,
        true_when=tuple(table.true_when),
        range=(float(table.range[0]), float(table.range[1])) if table.range else None,
        writable=table.access == "rw",
        emulated=float(table.emulated) if isinstance(table.emulated, int) else table.emulated,
    )


def _points_wrong(file: ProfileFile, points: Mapping[str, Point]) -> Iterator[tuple[Where, str]]:
    fields = {**GIVES[file.role], **dict.fromkeys(IDENTITY, "")}
    given: dict[str, str] = {}
    for point in points.values():
        where = ("points", point.name)
        if point.gives is not None:
            yield from _gives_wrong(point, fields, given)
            given.setdefault(point.gives, point.name)
        if point.power_of is not None:
            yield from _scale_wrong(point, points)
        if point.range is not None and point.range[0] > point.range[1]:
            yield (*where, "range"), f"is {list(point.range)}; the lower bound comes first"
        if point.writable and point.kind == "input":
            yield (*where, "access"), "is rw, but input registers cannot be written"
    required = REQUIRED[file.role]
    if required not in given:
        yield ("points",), f'no point gives {required}, which a {file.role} must; add gives = "{required}"'
    elif points[given[required]].every != "fast":
        yield ("points", given[required], "every"), f'{required} is needed in each reading: every = "fast"'


def _gives_wrong(
    point: Point, fields: Mapping[str, str], given: Mapping[str, str]
) -> Iterator[tuple[Where, str]]:
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


def _scale_wrong(point: Point, points: Mapping[str, Point]) -> Iterator[tuple[Where, str]]:
    where = ("points", point.name, "scale_point")
    factor = points.get(point.power_of or "")
    if factor is None:
        yield where, f'"{point.power_of}" is not a point; {nearest(point.power_of or "", list(points))}'
    elif factor.kind != point.kind or factor.power_of is not None or factor.encoding.type == "string":
        yield where, f'"{point.power_of}" must be a plain number among the {point.kind} registers'


def _control_wrong(file: ProfileFile, points: Mapping[str, Point]) -> Iterator[tuple[Where, str]]:
    control, lease = file.control, file.lease
    if control is None:
        if lease is not None:
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
    if STYLES[control.style].needs_percent_of != (control.percent_of is not None):
        yield (
            ("control", "percent_of"),
            "names the point with the W of 100 %: for enabled_percent, and only there",
        )
    wanted: list[tuple[Where, str, bool, bool]] = [
        (("control", "setpoint"), control.setpoint, True, True),
        (("control", "enable"), control.enable, True, True),
    ]
    wanted += [(("control", "prepare"), name, True, False) for name in control.prepare]
    wanted += [(("control", "select"), name, True, True) for name in control.select]
    wanted += [(("control", "percent_of"), control.percent_of, False, True)] if control.percent_of else []
    if lease is None:
        yield (
            ("lease",),
            'is missing; name the timer point, or say none = "what stays on when we fall silent"',
        )
    else:
        yield from _lease_wrong(lease)
        wanted += [(("lease", "timer"), lease.timer, True, False)] if lease.timer else []
        wanted += [(("lease", "remaining"), lease.remaining, False, False)] if lease.remaining else []
    for where, name, written, read in wanted:
        point = points.get(name)
        if point is None:
            yield where, f'"{name}" is not a point; {nearest(name, list(points))}'
        elif written and not point.writable:
            yield where, f'"{name}" cannot be written; give the point access = "rw"'
        elif read and point.every is None:
            yield where, f'"{name}" is never read back; give the point every = "slow"'


def _lease_wrong(lease: LeaseTable) -> Iterator[tuple[Where, str]]:
    if (lease.none is None) == (lease.timer is None):
        yield ("lease",), "takes either a timer point or none = ..., one of the two"
    if lease.timer is not None and not lease.fallback:
        yield ("lease", "fallback"), "is missing: say in words what the device does when the lease ends"


def _control(table: ControlTable, lease: LeaseTable | None) -> Control:
    timer = lease.timer if lease is not None else None
    return Control(
        style=table.style,
        setpoint=table.setpoint,
        enable=table.enable,
        prepare=tuple((name, float(value)) for name, value in table.prepare.items()),
        select=tuple((name, float(value)) for name, value in table.select.items()),
        percent_of=table.percent_of,
        enable_each_time=table.enable_each_time,
        lease=(timer, float(lease.seconds)) if lease is not None and timer is not None else None,
    )


def _lease(table: LeaseTable) -> Lease:
    if table.none is not None:
        return Lease(None, table.refresh, table.none, None)
    return Lease(float(table.seconds), table.refresh, table.fallback, table.remaining)


def _example(table: ExampleTable, kind: Space) -> Example:
    return Example(
        source=table.source,
        registers=tuple(Image(kind, int(at, 0), _words(words)) for at, words in table.registers.items()),
        reading=table.reading,
        take_w=table.take_w,
        change_w=table.change_w,
        release=table.release,
        writes=tuple(_write(text) for text in table.writes),
    )


def _write(text: str) -> Write:
    address, words = text.split(maxsplit=1)
    return Write(int(address), _words(words))
