"""Pure: which points are read together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from drivers.profile.model import Block, Point, Rate, Transport
from drivers.wire import Space


@dataclass(frozen=True, slots=True)
class _Span:
    """Registers that must come in one request: a value, and with it its scale factor."""

    kind: Space
    every: Rate
    start: int
    end: int
    points: tuple[Point, ...]


def plan_blocks(points: Mapping[str, Point], transport: Transport) -> tuple[Block, ...]:
    """As few requests as the device's limits allow, by kind and rate.

    A value is never split, nor parted from its scale factor, so that neither can change in between.
    ValueError naming the point if one alone needs more registers than a request may have.
    """
    spans = sorted(_spans(points), key=lambda span: (span.kind, span.every, span.start, span.end))
    blocks: list[Block] = []
    for (kind, every), group in groupby(spans, key=lambda span: (span.kind, span.every)):
        for together in _merge(group, transport):
            start, end = together[0].start, max(span.end for span in together)
            members = dict.fromkeys(point.name for span in together for point in span.points)
            inside = tuple(sorted((points[name] for name in members), key=lambda point: point.address))
            blocks.append(Block(kind, start, end - start, every, inside))
    return tuple(blocks)


def _spans(points: Mapping[str, Point]) -> Iterable[_Span]:
    for point in points.values():
        if point.every is None:
            continue
        members = (point,) if point.power_of is None else (point, points[point.power_of])
        start, end = min(one.address for one in members), max(one.end for one in members)
        yield _Span(point.kind, point.every, start, end, members)


def _merge(spans: Iterable[_Span], transport: Transport) -> Iterable[list[_Span]]:
    together: list[_Span] = []
    start = end = 0
    for span in spans:
        if span.end - span.start > transport.max_read_registers:
            raise ValueError(
                f"{span.points[0].name} with its scale factor spans {span.end - span.start} registers; "
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
