"""Checked file -> frozen profile, one for each variant that its probes may find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

from drivers.control import Control, Sum
from drivers.doors import Where
from drivers.profile.blocks import plan_blocks
from drivers.profile.checks import control_wrong, points_wrong, probes_wrong, response_wrong
from drivers.profile.door import ControlTable, ExampleTable, LeaseTable, PointTable, ProfileFile
from drivers.profile.model import (
    DeviceProfile,
    Example,
    Image,
    Lease,
    Point,
    Probe,
    Relay,
    Response,
    Sign,
    Transport,
    Write,
)
from drivers.profile.relay import relay_wrong
from drivers.profile.sums import parsed
from drivers.registers import Encoding, words_of
from drivers.wire import Space


class ContradictionError(ValueError):
    """A profile contradicts itself; each entry is one place and what to do about it."""

    def __init__(self, found: list[tuple[Where, str]]) -> None:
        super().__init__("; ".join(text for _, text in found))
        self.found = found


def build(profile_id: str, file: ProfileFile) -> DeviceProfile:
    """The frozen profile; ContradictionError lists all that is wrong with it at once.

    With probes it is the one for which all variants hold; `variants` has it and all others.
    """
    wrong = [*probes_wrong(file), *response_wrong(file)]
    if wrong:
        raise ContradictionError(wrong)
    names = list(dict.fromkeys(probe.variant for probe in file.probe))
    variants: dict[frozenset[str], DeviceProfile] = {}
    for holds in product((True, False), repeat=len(names)):
        found = frozenset(name for name, held in zip(names, holds, strict=True) if held)
        variants[found] = _variant(profile_id, file, found)
    return replace(variants[frozenset(names)], variants=variants if names else {})


def _variant(profile_id: str, file: ProfileFile, variants: frozenset[str]) -> DeviceProfile:
    points, sums = _points(file, variants)
    wrong = [*points_wrong(file, points, sums), *control_wrong(file, points), *relay_wrong(file, points)]
    control: Control | None = None
    if file.control is not None and not wrong:
        try:
            control = _control(file.control, file.lease, points)
        except ValueError as error:
            wrong = [(("control", "base"), str(error))]
    if wrong:
        raise ContradictionError(wrong)
    transport = Transport(
        **{
            **file.transport.model_dump(),
            "retry_exceptions": tuple(file.transport.retry_exceptions),
            "over": tuple(file.transport.over),
        }
    )
    try:
        blocks = plan_blocks(points, transport, [[name for _, name in terms] for terms in sums.values()])
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
        control=control,
        lease=_lease(file.lease) if file.lease is not None else None,
        response=Response(**file.response.model_dump()),
        image=tuple(
            Image(one.kind or file.defaults.kind, one.address, _words(one.words)) for one in file.image
        ),
        examples=tuple(
            _example(one, file.defaults.kind)
            for one in file.examples
            if one.variants is None or set(one.variants) == variants
        ),
        gives={point.gives: point for point in points.values() if point.gives is not None},
        sums=sums,
        relay=Relay(**file.relay.model_dump()) if file.relay is not None else None,
        limited=file.control.limited if file.control is not None else "",
        probes=tuple(
            Probe(one.variant, one.kind or file.defaults.kind, one.address, one.words, tuple(one.equals))
            for one in file.probe
        ),
    )


def _points(file: ProfileFile, variants: frozenset[str]) -> tuple[dict[str, Point], dict[str, Sum]]:
    wrong: list[tuple[Where, str]] = []
    points: dict[str, Point] = {}
    for name, table in file.points.items():
        if (table.when is None or table.when in variants) and table.unless not in variants:
            try:
                points[name] = _point(name, table, file)
            except ValueError as error:
                wrong.append((("points", name), str(error)))
    sums: dict[str, Sum] = {}
    for field, text in file.sums.items():
        try:
            sums[field] = parsed(text, points)
        except ValueError as error:
            wrong.append((("sums", field), str(error)))
    if wrong:
        raise ContradictionError(wrong)
    return points, sums


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
        table.bits,
        table.offset,
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
        writable=table.access in ("rw", "w"),
        emulated=float(table.emulated) if isinstance(table.emulated, int) else table.emulated,
        readable=table.access != "w",
        single=table.function == 6,
        writes_per_day=table.writes_per_day,
        unit_id=table.unit_id,
        sign=Sign(table.sign_point, table.negative_bits, table.positive_bits) if table.sign_point else None,
        quiet=table.quiet,
    )


def _control(table: ControlTable, lease: LeaseTable | None, points: Mapping[str, Point]) -> Control:
    timer = lease.timer if lease is not None else None
    return Control(
        style=table.style,
        setpoint=table.setpoint,
        enable=table.enable,
        prepare=_steps(table.prepare),
        select=_steps(table.select),
        restore=_steps(table.restore),
        restore_found=table.restore_found,
        volts=table.volts,
        change_s=table.change_s,
        percent_of=table.percent_of,
        opposite=table.opposite,
        enable_each_time=table.enable_each_time,
        enable_first=table.enable_first,
        lease=(timer, float(lease.seconds)) if lease is not None and timer is not None else None,
        renew_lease=lease.renew if lease is not None else False,
        clear_lease=lease.clear if lease is not None else True,
        on=float(table.on),
        off=float(table.off),
        direction=table.direction,
        charging_code=float(table.charge or 0.0),
        discharging_code=float(table.discharge or 0.0),
        idle_code=float(table.idle or 0.0),
        charge_setpoint=table.charge_setpoint,
        base=parsed(table.base, points) if table.base is not None else (),
        together=table.together,
    )


def _steps(table: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple((name, float(value)) for name, value in table.items())


def _lease(table: LeaseTable) -> Lease:
    if table.none is not None:
        return Lease(None, table.refresh, table.none, None, table.repeat_s)
    return Lease(float(table.seconds), table.refresh, table.fallback, table.remaining, table.repeat_s)


def _example(table: ExampleTable, kind: Space) -> Example:
    return Example(
        source=table.source,
        registers=tuple(_image(at, words, kind) for at, words in table.registers.items()),
        reading=table.reading,
        take_w=table.take_w,
        change_w=table.change_w,
        release=table.release,
        writes=tuple(_write(text) for text in table.writes),
        set_closed=table.set_closed,
    )


def _image(at: str, words: str, kind: Space) -> Image:
    return Image("input" if at.startswith("i") else kind, int(at.removeprefix("i"), 0), _words(words))


def _write(text: str) -> Write:
    address, words = text.split(maxsplit=1)
    return Write(int(address), _words(words))
