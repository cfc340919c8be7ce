"""A matrix that is made batch by batch and survives an end at any moment.

Beside TARGET.npy, TARGET.npy.part is the matrix with the rows made so far, and TARGET.npy.journal says which they are:
a line of JSON with the settings, then a line for each finished batch: its number, a checksum of its rows, its tokens and
seconds. A line that was cut off, and one whose rows are not those of its checksum, count as not there, so nothing has to
be flushed to the disk on the way. When all is there, the part takes the target's name.
"""

import datetime
import json
import os
import re
import signal
import zlib

import numpy as np

from journal import Journal, write_whole, writing
from refused import Refused

LINE = re.compile(r"(\d+)\t([0-9a-f]{8})\t(\d+|-)\t(\d+\.\d+)")
ENDS = (signal.SIGINT, signal.SIGTERM)


class PartialMatrix:
    def __init__(self, target, settings, places, dtype):
        """places: of each batch, the rows it fills"""
        self.target, self.settings, self.places, self.dtype = target, settings, places, np.dtype(dtype)
        self.part = target.with_name(target.name + ".part")
        self.journal = Journal(target.with_name(target.name + ".journal"), settings, self.part)
        self.done = {}  # batch -> (tokens or None, seconds)

    def take_up(self):
        """What an earlier run finished. Refuses what it has with other settings, and a target that is finished."""
        lines = self.journal.take_up() if self.part.exists() else []
        if self.journal.head is None:
            if self.target.exists():
                raise Refused(f"{self.target}: is there already; --restart makes it anew")
            return
        try:
            matrix = np.load(self.part, mmap_mode="r")
        except ValueError:
            raise Refused(f"{self.part}: it or its journal is damaged; begin anew with --restart") from None
        for batch, crc, tokens, seconds in (match.groups() for match in map(LINE.fullmatch, lines) if match):
            rows = matrix[self.places[int(batch)]]
            if zlib.crc32(rows.tobytes()) == int(crc, 16):
                self.done[int(batch)] = None if tokens == "-" else int(tokens), float(seconds)

    def discard(self):
        self.journal.discard()
        self.part.unlink(missing_ok=True)

    @property
    def width(self):
        return self.journal.head and self.journal.head["width"]

    @property
    def date(self):
        """Of the first row, as YYYY-MM-DD."""
        return self.journal.head["date"]

    def _begin(self, width):
        shape = self.settings["rows"], width
        self.journal.discard()
        try:
            with writing(self.part), open(self.part, "wb") as file:
                np.lib.format.write_array_header_1_0(
                    file, {"descr": self.dtype.str, "fortran_order": False, "shape": shape})
                file.flush()
                size = file.tell() + shape[0] * width * self.dtype.itemsize
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk shows now, not after hours
            self.journal.begin(width=width, date=datetime.datetime.now(datetime.timezone.utc).date().isoformat())
        except Refused:
            self.discard()
            raise

    def add(self, batch, vectors, tokens, seconds):
        """vectors [n, width] of the type"""
        if self.journal.head is None:
            self._begin(vectors.shape[1])
        matrix = np.load(self.part, mmap_mode="r+")
        matrix[self.places[batch]] = vectors
        self.journal.add(f"{batch}\t{zlib.crc32(vectors.tobytes()):08x}\t{'-' if tokens is None else tokens}\t{seconds:.6f}")
        self.done[batch] = tokens, seconds

    def finish(self, facts):
        """Gives the part the target's name, and puts facts beside it as JSON."""
        for number in ENDS:
            signal.signal(number, signal.SIG_IGN)  # what is left takes a moment
        with open(self.part, "rb") as file:
            os.fsync(file.fileno())
        # First: as long as the journal and the part are there, this is done again.
        write_whole(self.target.with_suffix(".json"), json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
        os.replace(self.part, self.target)
        self.journal.discard()
