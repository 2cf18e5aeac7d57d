"""Files as owners download them: with the commands of docs/studies.md each is studied and simulated."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from controller.lab.simulate_command import simulate_site
from controller.lab.study.asked import asked
from tests.unit.study.sites import a_site, material_of, measured

BRUSSELS = ZoneInfo("Europe/Brussels")
DOCS = Path(__file__).parents[3] / "docs" / "studies.md"
BEGIN = datetime(2025, 10, 24, 22, tzinfo=UTC)
DAYS = 3
"""Midnight in Brussels; the clocks go back on the second day."""


def steps(minutes: int) -> Iterator[tuple[datetime, datetime, float, float]]:
    """Local begin and end, import and export in kW: 0.3 kW at night, 1.2 kW to the grid at noon."""
    for row in range(DAYS * 24 * 60 // minutes):
        begin = (BEGIN + timedelta(minutes=minutes * row)).astimezone(BRUSSELS)
        end = (BEGIN + timedelta(minutes=minutes * (row + 1))).astimezone(BRUSSELS)
        noon = 11 <= begin.hour < 14
        yield begin, end, 0.0 if noon else 0.3 + 0.01 * begin.hour, 1.2 if noon else 0.0


def comma(value: float) -> str:
    return f"{value:.3f}".replace(".", ",")


def fluvius() -> list[str]:
    when = "Van datum;Van tijdstip;Tot datum;Tot tijdstip"
    lines = [f"{when};EAN;Meter;Metertype;Register;Volume;Eenheid;Validatiestatus"]
    for begin, end, import_kw, export_kw in steps(15):
        when = f"{begin:%d-%m-%Y;%H:%M:%S};{end:%d-%m-%Y;%H:%M:%S}"
        for register, kw in (("Afname", import_kw), ("Injectie", export_kw)):
            meter = f'="541448800000000000";1SAG1;Digitale Meter;{register} Dag'
            lines.append(f"{when};{meter};{comma(kw / 4)};kWh;Gevalideerd")
    return lines


def enedis() -> list[str]:
    about = [
        "Identifiant PRM;Type de donnees;Date de debut;Unite",
        "01234567890123;Courbe de charge;25/10/2025;W",
    ]
    rows = [f"{end.isoformat()};{1000 * import_kw:.0f}" for _, end, import_kw, _ in steps(30)]
    return [*about, "Horodate;Valeur", *rows]


def octopus() -> list[str]:
    rows = [
        f"{import_kw / 2:.3f}, {begin.isoformat()}, {end.isoformat()}"
        for begin, end, import_kw, _ in steps(30)
    ]
    return ["Consumption (kWh), Start, End", *rows]


def german() -> list[str]:
    rows = [f"{begin:%d.%m.%Y;%H:%M};{comma(import_kw / 4)}" for begin, _, import_kw, _ in steps(15)]
    return ["Datum;Uhrzeit;Verbrauch (kWh)", *rows]


OWNERS: dict[str, tuple[Callable[[], list[str]], str, float]] = {
    "Verbruikshistoriek": (fluvius, "Verbruikshistoriek_elektriciteit_1_2_3_kwartiertotalen.csv", 1.2),
    "Horodate": (enedis, "courbe_de_charge.csv", 0.0),
    "consumption.csv": (octopus, "consumption.csv", 0.0),
    "lastgang": (german, "lastgang.csv", 0.0),
}
"""By a word of the command: the file as it comes, its name, and the highest export in kW."""


def site_of(folder: Path, zone_line: str = 'timezone = "Europe/Brussels"') -> Path:
    site = a_site(folder)
    text = site.read_text(encoding="utf-8").replace('site = "small"', f'site = "small"\n{zone_line}')
    site.write_text(text, encoding="utf-8")
    return site


def simulated(site: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    simulate_site(site, None, path, 60.0, True)
    found: dict[str, float] = json.loads(capsys.readouterr().out)
    return found


def without_battery_kwh() -> tuple[float, float]:
    """What these 72 hours import and export; the clock ends at 23:00, for one of the days has 25."""
    hours = list(steps(60))
    return sum(one[2] for one in hours), sum(one[3] for one in hours)


@pytest.mark.parametrize("word", OWNERS)
def test_the_file_of_a_grid_operator_is_studied_and_simulated(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, name, export_kw = OWNERS[word]
    (tmp_path / name).write_text("\n".join(lines()) + "\n", encoding="utf-8")
    commands = re.findall(r"```sh\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    (command,) = (one for one in commands if word in one)
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True, timeout=30)
    site, path = site_of(tmp_path), tmp_path / "measured.csv"
    traces = material_of(asked(site, [path], None, (), (), ())).traces
    assert (traces.start, traces.duration_s) == (BEGIN, DAYS * 86_400.0)
    assert max(traces.pv.values) == pytest.approx(1000.0 * export_kw)
    result = simulated(site, path, capsys)
    import_kwh, export_kwh = without_battery_kwh()
    assert result["import_without_battery_kwh"] == pytest.approx(import_kwh, rel=0.02), "rounded to Wh"
    assert result["export_without_battery_kwh"] == pytest.approx(export_kwh if export_kw else 0.0)


@pytest.mark.parametrize("policy", ["self_consumption", "economic"])
def test_import_and_export_come_to_the_same_bill_as_load_and_sun(
    policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site, path = a_site(tmp_path), measured(tmp_path, days=2)
    text = site.read_text(encoding="utf-8")
    site.write_text(text.replace("[policy]", f'[policy]\nname = "{policy}"'), encoding="utf-8")
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    at_the_grid = tmp_path / "grid.csv"
    lines = [
        f"{at},{max(float(load) - float(pv), 0.0)},{max(float(pv) - float(load), 0.0)}"
        for at, load, pv in rows
    ]
    at_the_grid.write_text("\n".join(["timestamp,import_w,export_w", *lines]) + "\n", encoding="utf-8")
    inside, outside = (simulated(site, one, capsys) for one in (path, at_the_grid))
    assert outside["bill_total_without_battery"] == pytest.approx(inside["bill_total_without_battery"])
    assert outside["bill_total"] == pytest.approx(inside["bill_total"], rel=0.01)


def test_a_price_in_data_of_minutes_is_the_mean_of_its_quarter_hour(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    text = site.read_text(encoding="utf-8")
    begin, end = text.index("[[tariff.import.period]]"), text.index("[tariff.export]")
    market = '[tariff.import]\nmarket = true\n[tariff.prices]\nurl = "https://example.invalid/p"\n\n'
    site.write_text(text[:begin] + market + text[end:], encoding="utf-8")
    lines = ["timestamp,load_w,price_per_kwh"]
    for row in range(24 * 12):
        at = BEGIN + timedelta(minutes=5 * row)
        lines.append(f"{at.isoformat()},{300 + row % 7},{0.1 + 0.03 * (row % 3)}")
    path = tmp_path / "minutes.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    prices = material_of(asked(site, [path], None, (), (), ())).prices
    assert prices.known == 96
    assert prices.import_per_kwh.tolist() == pytest.approx([0.13] * 96)
