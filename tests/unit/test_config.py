"""The site file: what a good one becomes, and what a bad one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.checking import describe
from controller.config import Config, ConfigError, load_config
from drivers.profile import load_profile
from drivers.profile.codec import not_orderable

GOOD = """
site = "house-7"

[grid]
import_limit_w = 17_250
export_limit_w = 0
fuse_a = 25
phases = 3

[[meter]]
id = "grid"
role = "pcc"
profile = "eastron-sdm630"
connection = "tcp://127.0.0.1:5020"
unit = 1

[[battery]]
id = "bat1"
profile = "sunspec-hybrid"
connection = "tcp://127.0.0.1:5021"
unit = 1
capacity_wh = 10_000
min_soc_pct = 5

[policy]
name = "self_consumption"
reserve_pct = 20

[mqtt]
url = "mqtt://127.0.0.1:1883"
"""


def load(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "house.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize(
    ("profile", "obeys"), [("goodwe-et", True), ("victron-gx-mode2", False), ("deye-sg04lp3", False)]
)
def test_only_inverters_that_do_what_they_are_ordered_at_once_are_told_what_they_are_off(
    tmp_path: Path, profile: str, obeys: bool
) -> None:
    battery = f'profile = "{profile}"\nmax_charge_w = 3000\nmax_discharge_w = 3000'
    config = load(tmp_path, GOOD.replace('profile = "sunspec-hybrid"', battery))
    assert config.dispatch.batteries[0].obeys is obeys


def refusal(tmp_path: Path, text: str) -> list[str]:
    """What a bad file is told, line by line, without the folder."""
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    return str(refused.value).replace(f"{tmp_path}/", "").splitlines()


def test_the_site_file_of_the_readme_is_read_as_it_stands(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert (config.site, config.cycle_s, config.phases) == ("house-7", 1.0, 3)
    assert config.dispatch.import_limit_w == 17_250.0
    assert config.dispatch.export_limit_w == 0.0
    assert config.dispatch.policy.reserve_pct == 20.0
    assert config.meter.profile.id == "eastron-sdm630"
    assert config.mqtt is not None
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.tls) == ("127.0.0.1", 1883, False)


def test_the_fuse_alone_makes_an_import_limit(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD.replace("import_limit_w = 17_250\n", ""))
    assert config.dispatch.import_limit_w == 25 * 230 * 3


def test_a_slow_beat_makes_readings_stale_later(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD.replace('site = "house-7"', 'site = "house-7"\ncycle_s = 10'))
    assert (config.dispatch.stale_after_s, config.dispatch.lost_after_s) == (15.0, 25.0)


def test_a_syntax_error_is_told_with_line_and_column(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, GOOD.replace("phases = 3", "phases = = 3"))
    assert line == "house.toml:8:10: not valid TOML: invalid value in `phases = = 3`"


def test_an_unknown_key_is_told_with_the_nearest_known_one(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, GOOD.replace("reserve_pct", "reserv_pct"))
    assert line == 'house.toml:27: policy.reserv_pct is not a known key; did you mean "reserve_pct"?'


def test_a_wrong_type_is_told_with_line_value_and_what_would_be_right(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, GOOD.replace("capacity_wh = 10_000", 'capacity_wh = "10 kWh"'))
    assert line.startswith('house.toml:22: battery[0].capacity_wh is "10 kWh": should be a valid number')
    assert "Wh" in line


def test_a_value_out_of_range_is_told_with_the_range(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, GOOD.replace("min_soc_pct = 5", "min_soc_pct = 105"))
    assert line.startswith(
        "house.toml:23: battery[0].min_soc_pct is 105: should be less than or equal to 100"
    )


def test_a_missing_key_is_told_by_name(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, GOOD.replace("capacity_wh = 10_000\n", ""))
    assert line.startswith("house.toml:17: battery[0].capacity_wh is missing")


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("phases = 3", "phases = 2").replace("unit = 1\ncap", "unit = 999\ncap")
    assert len(refusal(tmp_path, text)) == 2


def test_all_contradictions_are_told_at_once(tmp_path: Path) -> None:
    text = (
        GOOD.replace("17_250", "20_000")
        .replace("min_soc_pct = 5", "min_soc_pct = 60\nmax_soc_pct = 50")
        .replace("reserve_pct = 20", "reserve_pct = 90\ntarget_import_w = -500")
        .replace('id = "bat1"', 'id = "grid"')
    )
    lines = refusal(tmp_path, text)
    assert len(lines) == 5
    assert 'battery[0].id: "grid" is taken by meter[0]; give each device its own' in lines[0]
    assert "20000 W is more than 3 x 25 A carry (17250 W)" in lines[1]
    assert "60 % is not below max_soc_pct 50 %" in lines[2]
    assert "90 % is not below max_soc_pct 50 %" in lines[3]
    assert "asks for 500 W of export, export_limit_w is 0" in lines[4]


def test_more_than_the_registers_of_a_device_hold_is_told_with_what_they_hold(tmp_path: Path) -> None:
    text = GOOD.replace('profile = "sunspec-hybrid"', 'profile = "marstek-venus"').replace(
        "capacity_wh = 10_000", "capacity_wh = 5_120\nmax_charge_w = 2_500\nmax_discharge_w = 2_600"
    )
    (line,) = refusal(tmp_path, text)
    assert "battery[0].max_discharge_w: 2600 W cannot be ordered of Marstek Venus" in line
    assert line.endswith("discharge is 2600; give 0 to 2500")


@pytest.mark.parametrize("profile", ["deye-sg04lp3", "fronius-gen24", "victron-gx-mode2", "sunspec-hybrid"])
def test_what_only_the_device_can_tell_is_left_to_it(profile: str) -> None:
    assert not_orderable(load_profile(profile), 1e6) == ""
    assert not_orderable(load_profile("r421a08"), 1.0) == ""


def test_two_devices_on_one_address_need_different_units(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, GOOD.replace(":5021", ":5020"))
    assert "tcp://127.0.0.1:5020 unit 1 is already meter[0]" in line
    assert load(tmp_path, GOOD.replace(':5021"\nunit = 1', ':5020"\nunit = 2')).batteries[0].unit == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp://inverter", "tcp://inverter:502"),
        ("tcp://inverter:502", "tcp://Inverter:502"),
        ("tcp://gateway:4196", "rtu+tcp://gateway:4196"),
        ("rtu:///dev/ttyUSB0", "rtu:///dev//ttyUSB0?baud=19200&parity=e"),
    ],
)
def test_a_device_that_is_named_twice_is_found_however_its_address_is_written(
    tmp_path: Path, one: str, other: str
) -> None:
    text = GOOD.replace("tcp://127.0.0.1:5020", one).replace("tcp://127.0.0.1:5021", other)
    (line,) = refusal(tmp_path, text)
    assert f"battery[0].connection: {other} unit 1 is already meter[0]" in line


def test_all_devices_on_a_serial_line_have_its_baud_parity_and_stop_bits(tmp_path: Path) -> None:
    text = GOOD.replace("tcp://127.0.0.1:5020", "rtu:///dev/ttyUSB0?baud=9600").replace(
        'tcp://127.0.0.1:5021"\nunit = 1', 'rtu:///dev/ttyUSB0?baud=19200"\nunit = 2'
    )
    (line,) = refusal(tmp_path, text)
    assert "rtu:///dev/ttyUSB0?baud=19200: meter[0] is on the same line with other settings" in line
    assert load(tmp_path, text.replace("19200", "9600")).batteries[0].unit == 2


@pytest.mark.parametrize("name", ["site", "host", "broker", "all"])
def test_no_device_is_called_what_means_something_else_where_faults_are_injected(
    tmp_path: Path, name: str
) -> None:
    (line,) = refusal(tmp_path, GOOD.replace('id = "bat1"', f'id = "{name}"'))
    assert f'house.toml:18: battery[0].id: "{name}" is ' in line


@pytest.mark.parametrize("folder", ["taken", "taken/inside"])
def test_a_file_where_the_state_is_to_be_is_found_before_the_run(tmp_path: Path, folder: str) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    (line,) = refusal(tmp_path, GOOD + f'[state]\nfolder = "{folder}"\n')
    assert line == "house.toml:32: state.folder: taken is a file; give a folder for state and journal"


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("9" * 5000, "not valid TOML: a number has thousands of digits"),
        ("0x" + "f" * 5000, "more than 64 bits"),
    ],
)
def test_a_number_that_no_register_and_no_float_holds_is_told_with_its_line(
    tmp_path: Path, number: str, told: str
) -> None:
    (line,) = refusal(tmp_path, GOOD.replace("17_250", number))
    assert line.startswith("house.toml:5")
    assert told in line


def test_a_battery_given_in_kwh_is_doubted(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD.replace("10_000", "10"))
    assert "  warning: bat1: capacity_wh is 10; is that meant in kWh?" in describe(config)
    assert not any("kWh?" in line for line in describe(load(tmp_path, GOOD)))


@pytest.mark.parametrize("line", ["rtu:///dev/ttyUSB0?baud=9600", "rtu+tcp://127.0.0.1:5020"])
def test_unit_0_of_a_serial_line_speaks_to_all_and_is_no_device(tmp_path: Path, line: str) -> None:
    text = GOOD.replace('tcp://127.0.0.1:5021"\nunit = 1', f'{line}"\nunit = 0')
    (told,) = refusal(tmp_path, text)
    assert "battery[0].unit: is 0, which on a serial line speaks to all" in told


@pytest.mark.parametrize("wrong", ["127.0.0.1:5020", "udp://127.0.0.1", "tcp://host:99999", "tcp://"])
def test_a_bad_address_is_told_with_a_good_one(tmp_path: Path, wrong: str) -> None:
    (line,) = refusal(tmp_path, GOOD.replace("tcp://127.0.0.1:5020", wrong))
    assert "meter[0].connection" in line
    assert "tcp://192.168.1.20:502" in line


def test_an_unknown_profile_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, GOOD.replace("eastron-sdm630", "eastron-sdm360"))
    assert "meter[0].profile" in line
    assert "eastron-sdm630" in line


def test_a_meter_profile_does_not_make_a_battery(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, GOOD.replace("sunspec-hybrid", "eastron-sdm630"))
    assert '"eastron-sdm630" describes a meter, not a battery' in line


def test_a_site_without_a_meter_is_told_so(tmp_path: Path) -> None:
    text = GOOD[: GOOD.index("[[meter]]")] + GOOD[GOOD.index("[[battery]]") :]
    (line,) = refusal(tmp_path, text)
    assert line == "house.toml: meter is missing (one [[meter]] at the PCC)"


@pytest.mark.parametrize("url", ["http://broker", "mqtt://", "mqtt://host:0", "mqtt://user:pw@host"])
def test_a_bad_broker_address_is_told_with_good_ones(tmp_path: Path, url: str) -> None:
    (line,) = refusal(tmp_path, GOOD.replace("mqtt://127.0.0.1:1883", url))
    assert "mqtt.url" in line
    assert '"mqtt://host:1883", "mqtts://host:8883" or "embedded"' in line


def test_a_file_that_is_not_there_or_not_text_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "nothing.toml")
    (tmp_path / "house.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "house.toml")


def test_numbers_are_not_taken_from_words(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, GOOD.replace("phases = 3", "phases = true"))
    assert "grid.phases is true" in line


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('site = "house-7"', "site = 2024-01-01", "site is 2024-01-01: should be a valid string"),
        ("unit = 1\ncap", "unit = true\ncap", "battery[0].unit is true: should be a valid integer"),
        (
            "[grid]\nimport_limit_w = 17_250\nexport_limit_w = 0\nfuse_a = 25\nphases = 3",
            "grid = 5",
            "grid is 5: should be a table",
        ),
    ],
)
def test_a_value_is_told_as_the_file_has_it(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    lines = refusal(tmp_path, GOOD.replace(right, wrong))
    assert any(told in line for line in lines), lines
