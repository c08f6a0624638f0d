"""Bytes without end whose every place can be told from every other: what origin.py serves and bodies.py expects.

A pool of 1 MiB is repeated; every 64 KiB of it begin with the number of bytes before them. Checking is a comparison of blocks,
so that gigabytes are checked byte for byte about as fast as they come.
"""
import random, struct

BLOCK = 1 << 20
STAMP = 1 << 16
_POOL = random.Random("the same on both sides").randbytes(BLOCK)


class Pattern:
    """Writes or checks the bytes from the first one on."""

    def __init__(self):
        self._block = bytearray(_POOL)
        self._view = memoryview(self._block)
        self._number = -1
        self.offset = 0
        self.is_intact = True

    def _load(self):
        number = self.offset // BLOCK
        if number != self._number:
            for place in range(0, BLOCK, STAMP):
                struct.pack_into("!Q", self._block, place, number * BLOCK + place)
            self._number = number

    def take(self, most):
        """The next bytes, `most` of them or fewer; valid until the next call."""
        self._load()
        place = self.offset % BLOCK
        part = self._view[place:min(BLOCK, place + most)]
        self.offset += len(part)
        return part

    def check(self, data):
        """Compares the next bytes that arrived."""
        data = memoryview(data)
        while data:
            expected = self.take(len(data))
            if data[:len(expected)] != expected:
                self.is_intact = False
            data = data[len(expected):]
