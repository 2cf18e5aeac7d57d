"""libmodbus, the C library under mbpoll and many masters in the field, as a client for tests (by ctypes)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes.util import find_library

ENOBASE = 112_345_678
"""Its error numbers are this plus the exception code (modbus.h)."""


class RefusedError(Exception):
    """The device refused; `code` is the Modbus exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


def _library() -> ctypes.CDLL:
    name = find_library("modbus")
    assert name, "libmodbus is not installed: apt-get install -y mbpoll (the test set-up does it)"
    library = ctypes.CDLL(name, use_errno=True)
    library.modbus_new_tcp.restype = library.modbus_new_rtu.restype = ctypes.c_void_p
    return library


class Client:
    """One connection; each call blocks its thread."""

    def __init__(self, library: ctypes.CDLL, context: ctypes.c_void_p) -> None:
        self._library = library
        self._context = context

    def unit(self, unit: int) -> None:
        """Ask this unit from now on."""
        self._done(self._library.modbus_set_slave(self._context, unit))

    def read(self, space: str, address: int, count: int) -> list[int]:
        """Functions 3 and 4."""
        words = (ctypes.c_uint16 * count)()
        name = "modbus_read_registers" if space == "holding" else "modbus_read_input_registers"
        self._done(getattr(self._library, name)(self._context, address, count, words))
        return list(words)

    def write(self, address: int, words: Sequence[int]) -> None:
        """Function 16."""
        source = (ctypes.c_uint16 * len(words))(*words)
        self._done(self._library.modbus_write_registers(self._context, address, len(words), source))

    def write_one(self, address: int, word: int) -> None:
        """Function 6."""
        self._done(self._library.modbus_write_register(self._context, address, ctypes.c_uint16(word)))

    def mask(self, address: int, and_mask: int, or_mask: int) -> None:
        """Function 22."""
        masks = ctypes.c_uint16(and_mask), ctypes.c_uint16(or_mask)
        self._done(self._library.modbus_mask_write_register(self._context, address, *masks))

    def exchange(self, address: int, words: Sequence[int], read_from: int, count: int) -> list[int]:
        """Function 23: write, then read."""
        source, found = (ctypes.c_uint16 * len(words))(*words), (ctypes.c_uint16 * count)()
        self._done(
            self._library.modbus_write_and_read_registers(
                self._context, address, len(words), source, read_from, count, found
            )
        )
        return list(found)

    def read_bits(self, address: int, count: int) -> None:
        """Function 1."""
        bits = (ctypes.c_uint8 * count)()
        self._done(self._library.modbus_read_bits(self._context, address, count, bits))

    @staticmethod
    def _done(result: int) -> None:
        if result == -1:
            number = ctypes.get_errno()
            if ENOBASE < number <= ENOBASE + 11:
                raise RefusedError(number - ENOBASE)
            raise OSError(number, f"libmodbus: error {number}")


@contextmanager
def client_of(port: int = 0, *, line: str = "", baud: int = 38400) -> Iterator[Client]:
    """Connected over TCP to a port of this host, or over a serial line (8N1)."""
    library = _library()
    if line:
        parity = ctypes.c_char(b"N")
        context = ctypes.c_void_p(library.modbus_new_rtu(line.encode(), baud, parity, 8, 1))
    else:
        context = ctypes.c_void_p(library.modbus_new_tcp(b"127.0.0.1", port))
    library.modbus_set_response_timeout(context, 10, 0)  # a busy machine is no fault of the device
    try:
        Client(library, context).unit(1)
        assert library.modbus_connect(context) == 0, "libmodbus cannot connect"
        yield Client(library, context)
    finally:
        library.modbus_close(context)
        library.modbus_free(context)
