"""Pure: which points are read together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from drivers.profile.model import Block, Point, Rate, Transport
from drivers.wire import Space


@dataclass(frozen=True, slots=True)
class _Span:
    """Registers that must come in one request: a value with its scale factor, or all terms of a sum."""

    unit_id: int | None
    kind: Space
    every: Rate
    start: int
    end: int
    points: tuple[Point, ...]


def plan_blocks(
    points: Mapping[str, Point], transport: Transport, sums: Collection[Collection[str]] = ()
) -> tuple[Block, ...]:
    """As few requests as the device's limits allow, by unit, kind and rate.

    A value is never split, nor parted from its scale factor or sign, nor are the terms of a sum from each
    other, so that none can change in between. ValueError naming the point if one alone needs more
    registers than a request may have.
    """
    spans = sorted(_spans(points, sums), key=lambda span: (*_class(span)[:3], span.start, span.end))
    blocks: list[Block] = []
    for (_, kind, every, unit_id), group in groupby(spans, key=_class):
        for together in _merge(group, transport):
            start, end = together[0].start, max(span.end for span in together)
            members = dict.fromkeys(point.name for span in together for point in span.points)
            inside = tuple(sorted((points[name] for name in members), key=lambda point: point.address))
            blocks.append(Block(kind, start, end - start, every, inside, unit_id))
    return tuple(blocks)


def _class(span: _Span) -> tuple[int, Space, Rate, int | None]:
    return (-1 if span.unit_id is None else span.unit_id, span.kind, span.every, span.unit_id)


def _spans(points: Mapping[str, Point], sums: Collection[Collection[str]]) -> Iterable[_Span]:
    summed = {name for terms in sums for name in terms}
    groups = [*sums, *([name] for name in points if name not in summed)]
    for names in groups:
        first = points[next(iter(names))]
        if first.every is None:
            continue
        members = dict.fromkeys(need for name in names for need in (name, *points[name].needs))
        inside = tuple(points[name] for name in members)
        start, end = min(one.address for one in inside), max(one.end for one in inside)
        yield _Span(first.unit_id, first.kind, first.every, start, end, inside)


def _merge(spans: Iterable[_Span], transport: Transport) -> Iterable[list[_Span]]:
    together: list[_Span] = []
    start = end = 0
    for span in spans:
        if span.end - span.start > transport.max_read_registers:
            raise ValueError(
                f"{span.points[0].name} with what belongs to it spans {span.end - span.start} registers; "
                f"max_read_registers is {transport.max_read_registers}"
            )
        near = span.start - end <= transport.max_gap_registers
        fits = max(end, span.end) - start <= transport.max_read_registers
        if together and near and fits:
            together.append(span)
            end = max(end, span.end)
        else:
            if together:
                yield together
            together, start, end = [span], span.start, span.end
    if together:
        yield together
