"""What commissioning was allowed to do, and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["stop", "unsure", "warn", "good"]
WORDS: Final[dict[Kind, str]] = {"stop": "WRONG", "unsure": "unsure", "warn": "note", "good": "good"}


@dataclass(frozen=True, slots=True)
class Terms:
    """What the owner consented to; nothing is ever ordered beyond it."""

    consent_w: float
    """Each battery may be charged and discharged with at most this."""
    curtail_pv: bool = False
    lease_wait_s: float = 150.0
    """Whether an order is forgotten is tried where that takes no longer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found out. `stop`: do not go live. `unsure`: could not be found out."""

    kind: Kind
    device: str
    check: str
    text: str


def blocking(findings: list[Finding]) -> list[Finding]:
    """What has to be mended, or found out, before the controller may go live."""
    return [one for one in findings if one.kind in ("stop", "unsure")]
