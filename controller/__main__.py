"""The command line: reads what was asked for, builds the objects, says in one line what is wrong."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from controller import __version__
from controller.errors import EXIT_BAD_FILE, EXIT_FAILED
from controller.lab.black_box_commands import incident, replay
from controller.lab.schema_command import schema
from controller.lab.study_command import study
from drivers.doors import DoorError

app = typer.Typer(
    name="penstock",
    help="Penstock: a behind-the-meter battery controller. Reads the meter and the battery inverters over "
    "Modbus, decides every second what the batteries do, and says over MQTT what it did and why.",
    epilog="Begin with `penstock demo`. Then write a site file, try it with `penstock check house.toml`, put "
    "`penstock emulate house.toml` in one terminal and `penstock run house.toml` in another.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Site = Annotated[Path, typer.Argument(help="The site file (TOML).", metavar="SITE")]
For = typer.Option("--for", help="The fault ends after so many seconds.", min=0.001, max=1e9)
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.")]


@app.callback(invoke_without_command=True)
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True)
    ] = False,
) -> None:
    """What is common to all commands."""
    if version:
        typer.echo(f"penstock {__version__}")
        raise typer.Exit


@app.command()
def run(site: Site, quiet: Quiet = False) -> None:
    """Control the site until Ctrl-C.

    Every cycle: read all devices, decide, order, publish.

    Ctrl-C, SIGTERM or SIGHUP hands every device back to its own program before ending; exit code 1 if that
    did not succeed within 3 s for one that never forgets an order by itself. A device that cannot be
    reached does not stop the others: the controller starts restricted and goes on trying. When memory is
    short, or the program holds more than 256 MiB, it ends in the same order with exit code 1.
    """
    from controller.config import load_config
    from controller.process import run_alone
    from controller.shortage import MOST_RESIDENT_BYTES
    from controller.supervisor import run_site

    run_alone(run_site(load_config(site), most_bytes=MOST_RESIDENT_BYTES), quiet)


@app.command()
def emulate(site: Site, quiet: Quiet = False) -> None:
    """Emulate every device of a site file.

    Each is served at its own address, with one house behind them all.

    The house (sun, clouds, load, battery) comes from the [simulation] table; its `speed` lets the sun,
    the load and the battery's contents pass faster than the clock.
    """
    from controller.config import load_config
    from controller.lab.emulate import emulate_site
    from controller.process import run_alone

    run_alone(emulate_site(load_config(site)), quiet)


@app.command()
def check(site: Site) -> None:
    """Check a site file.

    Says what it describes; exit code 78 and what to mend when something is wrong with it.
    """
    from controller.checking import describe
    from controller.config import load_config

    typer.echo("\n".join(describe(load_config(site))))


@app.command()
def scan(
    connection: Annotated[
        str, typer.Argument(help="Such as tcp://192.168.1.20 or 192.168.1.20:502.", metavar="ADDRESS")
    ],
    unit: Annotated[int, typer.Option(help="Modbus unit id.", min=0, max=255)] = 1,
) -> None:
    """Say what a device is and what it can do.

    With the lines of a site file to paste. Only reads; a SunSpec device says itself what it is, of others
    it says which of the known profiles fit, or could. Exit code 1 when nothing answers there: within 5 s
    where TCP connects, within 1 s on a serial line. One that answers slowly is asked for some minutes.
    """
    from controller.scanning import scan as scanned
    from drivers.link import parse_connection

    address = connection if "://" in connection else f"tcp://{connection}"
    try:
        parse_connection(address)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None

    async def shown() -> None:
        for line in await scanned(address, unit):
            typer.echo(line)

    _complete(shown())


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(help="End by itself after so many seconds.", min=1)] = None,
    speed: Annotated[
        float,
        typer.Option(
            help="How much faster than the clock the sun, the load, the battery's contents and energy pass. "
            "288 makes a day last five minutes; the controller and the inverter stay in real time.",
            min=1,
            max=3600,
        ),
    ] = 288.0,
    port: Annotated[
        int, typer.Option(help="Port of the MQTT broker on 127.0.0.1; 0 for any.", min=0, max=65535)
    ] = 1883,
) -> None:
    """See it all run: emulated house, controller, broker.

    Real Modbus sockets on 127.0.0.1, the same controller as `penstock run`. A day of sun and load passes
    in about five minutes. Works without a terminal too: then it prints a line now and again.
    """
    from controller.lab.demo import run_demo

    _complete(run_demo(seconds, speed, port))


@app.command()
def simulate(
    site: Site,
    days: Annotated[
        int | None, typer.Option(help="How many days; all of the CSV, or 1.", min=1, max=36600)
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="CSV (or .csv.gz) with timestamp, load_w, pv_w: any even step."),
    ] = None,
    step_s: Annotated[float, typer.Option(help="Step without a CSV, in seconds.", min=0.1, max=3600)] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """A day in a moment: energy, cycles, limits.

    The same `step` as on the site, with the house of [simulation] or measured load and PV from a CSV.
    Exit code 1 when the controller broke a limit it could have kept.
    """
    from controller.lab.simulate_command import simulate_site

    if not simulate_site(site, days, source, step_s, as_json):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def commission(
    site: Site,
    consent_w: Annotated[
        float | None,
        typer.Option(help="Charge and discharge each battery with at most so many W; asked for if left out."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Consent to it; nobody is asked.")] = False,
    pv: Annotated[
        bool, typer.Option("--pv", help="Also cap each PV inverter at half of what it gives for 12 s.")
    ] = False,
    lease_wait: Annotated[
        float,
        typer.Option(
            help="Try whether an order is forgotten where that takes at most so many seconds.",
            min=0,
            max=3600,
        ),
    ] = 150.0,
    report: Annotated[Path | None, typer.Option(help="Write a page with plots here (HTML).")] = None,
) -> None:
    """Try a new installation in small safe steps.

    Is every device what the site file says, are meter and battery connected the right way round, does each
    order take effect, and is it forgotten when the controller dies? Prints what it measured for the site
    file, and why not to go live, if anything is wrong or could not be found out: then the exit code is 1.
    """
    from controller.lab.commission.command import commission_site

    try:
        good = commission_site(site, consent_w, yes, pv, lease_wait, report)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if not good:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def rig(
    site: Site,
    listen: Annotated[
        str, typer.Option(help="Where to wait for rigs, HOST:PORT.", metavar="HOST:PORT")
    ] = "127.0.0.1:5900",
    quiet: Quiet = False,
) -> None:
    """Let a rig own the clock: lock-step over TCP.

    The rig is the plant behind the devices of the site file. It says how much time has passed and what
    the devices show, one JSON object a line; one scan of the controller runs, and the orders go back.
    Between ticks the clock stands still. docs/hil.md has the protocol; `penstock schema rig` its schema.
    """
    from controller.config import load_config
    from controller.lab.rig_server import serve_rigs
    from controller.process import run_alone

    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) <= 65535):
        raise typer.BadParameter(f"{listen!r}: give HOST:PORT, such as 127.0.0.1:5900", param_hint="--listen")
    run_alone(serve_rigs(load_config(site), host.strip("[]"), int(port)), quiet)


@app.command()
def hil(
    scenarios: Annotated[
        list[Path] | None, typer.Argument(help="Scenario files (TOML).", metavar="SCENARIO...")
    ] = None,
    real_time: Annotated[
        bool, typer.Option("--real-time", help="In real time, on real sockets, instead of virtual time.")
    ] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Only the decisions, without shell and sockets.")
    ] = False,
    over: Annotated[
        str,
        typer.Option(
            help="Put all emulated devices on tcp, on serial lines in software (rtu), or tls; "
            "else each is on what its connection says."
        ),
    ] = "",
    site: Annotated[
        Path | None,
        typer.Option(help="A site file with real devices: what is not on this host is not emulated."),
    ] = None,
    real: Annotated[
        list[str] | None,
        typer.Option(help="This device, by its id, is real although it is on this host. May be given again."),
    ] = None,
    repeat: Annotated[
        Path | None, typer.Option(help="Run again what this report (.html) was made of, and compare.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for junit.xml and each scenario's .html and .json.")
    ] = None,
) -> None:
    """Run scenarios: faults, claims, verdicts.

    A scenario says what site there is, what happens to it, and what has to hold (docs/scenarios.md).
    Without an option the whole shell runs against emulated devices in virtual time: a minute in a moment.
    Exit code 1 when a claim did not hold, 2 when an option is wrong, 78 when a file is.
    """
    from controller.lab.hil_command import repeat as run_again
    from controller.lab.hil_command import run_all

    if (not scenarios) is (repeat is None) or (fast and real_time):
        raise typer.BadParameter(
            "give scenario files or --repeat REPORT, and not both --fast and --real-time"
        )
    if repeat is not None and (fast or real_time or over or site or real or report):
        raise typer.BadParameter("it runs as the report says; leave the others out", param_hint="--repeat")
    logging.basicConfig(level=logging.CRITICAL)
    how: Literal["fast", "virtual", "real"] = "real" if real_time else "fast" if fast else "virtual"
    held = (
        run_again(repeat)
        if repeat is not None
        else run_all(scenarios or [], how, site, report, over, real or [])
    )
    if not held:
        raise typer.Exit(EXIT_FAILED)


app.command()(replay)
app.command()(incident)
app.command()(study)
app.command()(schema)


@app.command()
def inject(
    device: Annotated[
        str | None,
        typer.Argument(help='A device of the site, "site" for its grid, or "host"; "all" with clear.'),
    ] = None,
    fault: Annotated[str | None, typer.Argument(help="A fault by name or ID, or clear.")] = None,
    parameters: Annotated[list[str] | None, typer.Argument(help="Such as factor=10.")] = None,
    for_s: Annotated[float | None, For] = None,
    site: Annotated[str | None, typer.Option(help="Which site, when several are emulated here.")] = None,
) -> None:
    """Break a device of a running emulator.

    `penstock inject bat1 frozen --for 60` while `penstock emulate` or `penstock demo` runs on this host.
    Without arguments it lists all faults; `penstock inject all clear` ends them.
    """
    from controller.lab.inject_command import inject as send
    from controller.lab.inject_command import listed

    if device is None or fault is None:
        typer.echo("\n".join(listed()))
        return
    typer.echo(send(site, device, fault, parameters or [], for_s))


@app.command()
def proxy(
    listen: Annotated[str, typer.Argument(help="Where clients come, such as 127.0.0.1:5502.")],
    target: Annotated[str, typer.Argument(help="The device or server, such as 192.168.1.20:502.")],
    fault: Annotated[
        list[str] | None,
        typer.Option(help="Such as silent, or late:by_s=0.4,share=0.1,seed=7. May be given again."),
    ] = None,
    for_s: Annotated[float | None, For] = None,
) -> None:
    """A proxy that breaks the link, for Modbus TCP or MQTT.

    Between any client and any server, also other people's: late, doubled, cut, foreign, garbled or missing
    replies, resets, exceptions. The same seed breaks the same ones. Without --fault it passes all on.
    Between mqtt:// addresses it stands for the broker, and knows broker_down and its kin.
    `penstock inject` lists the faults; a proxy knows those of links and brokers.
    """
    from controller.lab.inject_command import proxied, proxy_fault, run_proxy
    from controller.process import run_alone

    try:
        ends = proxied(listen, target)
        faults = [proxy_fault(one, ends[2]) for one in fault or []]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    run_alone(run_proxy(*ends, faults, for_s), quiet=False)


def _complete(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; Ctrl-C ends it without a traceback."""
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _fail(text: str, code: int) -> NoReturn:
    for line in text.splitlines():
        print(f"penstock: {line}", file=sys.stderr)
    sys.exit(code)


def main() -> None:
    """The `penstock` command."""
    from controller.errors import RunError

    # Plans multiply small matrices: threads of their own only wait for each other where cores are busy, as
    # in a study. Read when numpy is first imported, and handed on to every process started from here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except DoorError as error:
        _fail(str(error), EXIT_BAD_FILE)
    except RunError as error:
        _fail(str(error), EXIT_FAILED)


if __name__ == "__main__":
    main()
