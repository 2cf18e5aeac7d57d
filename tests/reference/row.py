"""One line of the table that `make reference` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of ours beside the reference's, and how far apart they may be."""

    subject: str
    what: str
    ours: float
    reference: float
    allowed_pct: float

    @property
    def apart_pct(self) -> float:
        """How far apart they are, of the reference."""
        apart = abs(self.ours - self.reference)
        return 100.0 * apart / abs(self.reference) if self.reference else 100.0 * apart

    @property
    def met(self) -> bool:
        """Whether that is allowed."""
        return self.apart_pct <= self.allowed_pct
