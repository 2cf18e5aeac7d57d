"""The answering half of Modbus, exactly as a real device would: on TCP, TLS and serial lines.

`serve` chooses by the scheme of a connection string; `answer` in `pdu.py` is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from drivers.address import Address, RtuTcpAddress, SerialAddress, TlsAddress, parse_connection
from drivers.tls import server_context
from drivers.wire.conversation import (
    LONGEST_LENGTH,
    MAX_FRAME_BYTES,
    MBAP,
    SHORTEST_LENGTH,
    MissingUnit,
    others_turn,
    rtu_frames,
    rtu_requests,
    serial_answer,
)
from drivers.wire.pdu import (
    DEVICE_BUSY,
    DEVICE_FAILURE,
    GATEWAY_PATH_UNAVAILABLE,
    GATEWAY_TARGET_SILENT,
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    MAX_EXCHANGE_WRITE_WORDS,
    MAX_READ_WORDS,
    MAX_WRITE_WORDS,
    ModbusFault,
    Space,
    Unit,
    answer,
    refusal,
)
from drivers.wire.serial import ModbusSerialServer
from drivers.wire.tcp import POLITE, Manners, ModbusTcpServer

__all__ = [
    "DEVICE_BUSY",
    "DEVICE_FAILURE",
    "GATEWAY_PATH_UNAVAILABLE",
    "GATEWAY_TARGET_SILENT",
    "ILLEGAL_ADDRESS",
    "ILLEGAL_FUNCTION",
    "ILLEGAL_VALUE",
    "LONGEST_LENGTH",
    "MAX_EXCHANGE_WRITE_WORDS",
    "MAX_FRAME_BYTES",
    "MAX_READ_WORDS",
    "MAX_WRITE_WORDS",
    "MBAP",
    "POLITE",
    "SHORTEST_LENGTH",
    "Manners",
    "MissingUnit",
    "ModbusFault",
    "ModbusSerialServer",
    "ModbusTcpServer",
    "Server",
    "Space",
    "Unit",
    "answer",
    "others_turn",
    "refusal",
    "rtu_frames",
    "rtu_requests",
    "serial_answer",
    "serve",
]


class Server(Protocol):
    """Units that can be asked, until it is stopped."""

    async def stop(self) -> None:
        """Hang up on everybody, also in mid-request, and let go of the port or the line."""
        ...


async def serve(
    connection: str,
    units: Mapping[int, Unit],
    manners: Manners = POLITE,
) -> Server:
    """Serve these units where a link with the same connection string looks for them.

    `manners` are for TCP and TLS; among serial frames a unit that is not there is always silent. For tls://
    this end shows the certificate of the connection string too, so that must
    name the host. ValueError for a bad string, OSError (PortError, TlsFilesError) when it cannot be served.
    """
    address = parse_connection(connection)
    match address:
        case SerialAddress():
            line = ModbusSerialServer(units)
            await line.start(address)
            return line
        case Address():
            server = ModbusTcpServer(units, manners=manners)
            await server.start(address.host, address.port)
        case TlsAddress():
            server = ModbusTcpServer(units, manners=manners)
            await server.start(address.host, address.port, server_context(address))
        case RtuTcpAddress():
            server = ModbusTcpServer(units, manners=manners, converse=rtu_frames)
            await server.start(address.host, address.port)
    return server
