"""`[tariff]` of the site file as it is written. `tariff_door.py` makes a tariff of it."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from controller.schedule import DAYS, a_begin, a_day, an_end

Price = Annotated[float, Field(ge=-5, le=5, allow_inf_nan=False)]
Fee = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


def _a_quarter(text: str) -> str:
    if text[-2:] in ("00", "15", "30", "45"):
        return text
    raise ValueError("periods change on quarter hours: minutes 00, 15, 30 or 45")


Begin = Annotated[str, AfterValidator(a_begin), AfterValidator(_a_quarter)]
End = Annotated[str, AfterValidator(an_end), AfterValidator(_a_quarter)]
Day = Annotated[str, AfterValidator(a_day)]


class TariffPart(BaseModel):
    """Unknown keys are errors, numbers are never taken from strings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class HoursTable(TariffPart):
    """When something holds: local time, weekdays, months; all of them when left out."""

    from_: Begin = Field("00:00", alias="from", description='local time on a quarter hour such as "07:00"')
    to: End = Field("24:00", description='local time such as "22:00"; before from: past midnight')
    days: list[Day] = Field(
        default_factory=lambda: list(DAYS),
        min_length=1,
        description='such as ["mon", "fri"]; each hour\'s own',
    )
    months: list[Annotated[int, Field(ge=1, le=12)]] = Field(
        default_factory=lambda: list(range(1, 13)), min_length=1, description="1 to 12"
    )

    @property
    def always(self) -> bool:
        """Whether nothing was said."""
        return not self.model_fields_set & {"from_", "to", "days", "months"}


class PeriodTable(HoursTable):
    """`[[tariff.import.period]]`: a price and when it holds; one without hours takes all that is left."""

    name: str = Field(min_length=1, max_length=40, description="what the bill calls it")
    per_kwh: Price = Field(description="price of a kWh, -5 to 5")


class EnergyTable(TariffPart):
    """`[tariff.import]` and `[tariff.export]`: one price, periods, or the market's."""

    per_kwh: Price | None = Field(None, description="one price at all times, -5 to 5")
    period: list[PeriodTable] = Field(default_factory=list, max_length=60, description="time of use")
    market: bool = Field(False, description="true: the price of [tariff.prices] of each moment")
    factor: float = Field(1.0, ge=-10, le=10, description="what the price is multiplied by: taxes")
    offset_per_kwh: Price = Field(0.0, description="what is then added for each kWh: fees and taxes")


class DemandTable(HoursTable):
    """`[[tariff.demand]]`: what a month's highest window costs; without hours all of them count."""

    name: str = Field("peak", min_length=1, max_length=40, description="what the bill calls it")
    per_kw: Fee = Field(description="for each kW and month; a price for a year is divided by 12")
    window_min: int = Field(15, description="15, 30 or 60: length of the window on the clock, minutes")
    minimum_kw: Fee = Field(0.0, description="a month counts at least so many kW")
    mean_months: int = Field(
        1, ge=1, le=12, description="billed on the mean of so many months, this included"
    )
    ratchet_pct: float = Field(0.0, ge=0, le=100, description="at least this part of an earlier month, %")
    ratchet_months: int = Field(11, ge=1, le=35, description="how many months the ratchet looks back")

    @field_validator("window_min")
    @classmethod
    def _a_billing_window(cls, window_min: int) -> int:
        if window_min not in (15, 30, 60):
            raise ValueError("give 15, 30 or 60")
        return window_min


class PricesTable(TariffPart):
    """`[tariff.prices]`: where the prices of the market come from; one of csv, mqtt and url."""

    csv: str | None = Field(None, description="path to a file with timestamp and a price column")
    mqtt: str | None = Field(None, min_length=1, max_length=200, description="topic on the broker of [mqtt]")
    url: str | None = Field(None, max_length=500, description="https://...; {today} and {tomorrow} are dates")
    unit: Literal["per_kwh", "per_mwh"] = Field(
        "per_kwh", description='"per_kwh" or "per_mwh"; a source that names its unit is believed'
    )
    column: str | None = Field(None, min_length=1, description="of the CSV, when not the only price column")
    every_min: int = Field(30, ge=5, le=1440, description="how often the url is asked, minutes")
    ca: str | None = Field(None, description="PEM file of the authority that signed the source's certificate")

    @field_validator("url")
    @classmethod
    def _a_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        usage = 'give "https://host/path", with {today} or {tomorrow} where it needs a date'
        try:
            parts = urlsplit(url.replace("{today}", "").replace("{tomorrow}", ""))
            wrong = parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc
            _ = parts.port
        except ValueError:
            wrong = True
        if wrong or "{" in parts.geturl() or any(ord(one) <= 32 for one in url):
            raise ValueError(usage)
        return url

    @field_validator("mqtt")
    @classmethod
    def _one_topic(cls, topic: str | None) -> str | None:
        if topic is not None and ("#" in topic or "+" in topic or "\0" in topic):
            raise ValueError("give one topic, without # and +")
        return topic


class TariffTable(TariffPart):
    """`[tariff]`: what electricity costs."""

    currency: str = Field("EUR", pattern=r"^[A-Za-z]{3}$", description='such as "EUR"')
    urdb: str | None = Field(None, description="path to a rate of the OpenEI database (JSON), for all of it")
    import_: EnergyTable | None = Field(None, alias="import", description="what a kWh costs")
    export: EnergyTable | None = Field(None, description="what an exported kWh earns; nothing when left out")
    demand: list[DemandTable] = Field(default_factory=list, max_length=20, description="peaks that cost")
    per_month: Fee = Field(0.0, description="fixed fee for a month")
    per_day: Fee = Field(0.0, description="fixed fee for a day")
    prices: PricesTable | None = Field(None, description="where market prices come from")
