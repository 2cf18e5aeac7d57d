"""What an inverter and a house ask of a battery, whatever is inside."""

from __future__ import annotations

from typing import Protocol


class Cells(Protocol):
    """The state of a battery. Powers and energies are DC, at its terminals; discharge is positive.

    `empty_wh` is the content at which the discharge would end. The SoC is what the BMS says, which need not
    be true; `true_soc_pct` is.
    """

    @property
    def capacity_wh(self) -> float:
        """The nameplate."""
        ...

    @property
    def stored_wh(self) -> float: ...

    @property
    def empty_wh(self) -> float: ...

    @property
    def soc_pct(self) -> float: ...

    @property
    def true_soc_pct(self) -> float: ...

    @property
    def temperature_c(self) -> float: ...

    @property
    def health(self) -> float:
        """What is left of the capacity, a share of 1."""
        ...

    def charge_limit_w(self) -> float:
        """The most power the BMS lets in now, >= 0."""
        ...

    def discharge_limit_w(self) -> float:
        """The most power the BMS lets out now, >= 0."""
        ...

    def next_step_wh(self) -> float:
        """The content at which the charge limit next falls while charging; inf when already full."""
        ...

    def gain(self, discharge_w: float) -> float:
        """Wh that the content changes for each Wh through the terminals, at this power from now on."""
        ...

    def good_for_h(self, discharge_w: float) -> float:
        """How long gain and limits hold well enough at this power, in hours of the battery's life."""
        ...

    def take(self, discharge_wh: float, hours: float) -> float:
        """Let this energy out (negative: in) evenly over some hours; gives how the content changed, Wh."""
        ...

    def arrive(self, stored_wh: float) -> None:
        """The step just taken was to end at this content: lose its rounding, where gains are exact."""
        ...


class CellsParams(Protocol):
    """What never changes about a battery."""

    @property
    def capacity_wh(self) -> float: ...

    def new(self, soc_pct: float) -> Cells:
        """A new battery at this state of charge."""
        ...
