"""A matrix that is made batch by batch and survives an end at any moment.

Beside TARGET.npy, TARGET.npy.part is the matrix with the rows made so far, and TARGET.npy.journal says which they are:
a line of JSON with the settings, then a line for each finished batch: its number, a checksum of its rows, its tokens and
seconds. A line that was cut off, and one whose rows are not those of its checksum, count as not there, so nothing has to
be flushed to the disk on the way. When all is there, the part takes the target's name.
"""

import contextlib
import datetime
import fcntl
import json
import os
import re
import signal
import zlib

import numpy as np

from refused import Refused

LINE = re.compile(r"(\d+)\t([0-9a-f]{8})\t(\d+|-)\t(\d+\.\d+)")
ENDS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def _writing(file):
    try:
        yield
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}") from None


class PartialMatrix:
    def __init__(self, target, settings, places, dtype):
        """places: of each batch, the rows it fills"""
        self.target, self.settings, self.places, self.dtype = target, settings, places, np.dtype(dtype)
        self.part = target.with_name(target.name + ".part")
        self.journal = target.with_name(target.name + ".journal")
        self.head = None  # of the journal; there with the first batch
        self.done = {}    # batch -> (tokens or None, seconds)
        self._lock()

    def _lock(self):
        """The folder is this process's until it ends."""
        folder = self.target.parent
        if not os.access(folder, os.W_OK):
            raise Refused(f"{folder}: may not be written to")
        self.folder = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self.folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"{folder}: another process is making vectors in it; wait for its end") from None

    def take_up(self):
        """What an earlier run finished. Refuses what it has with other settings, and a target that is finished."""
        if not (lines := self._read_journal()):
            if self.target.exists():
                raise Refused(f"{self.target}: is there already; --restart makes it anew")
            return
        try:
            head = json.loads(lines[0])
            matrix = np.load(self.part, mmap_mode="r")
        except ValueError:
            raise Refused(f"{self.part}: it or its journal is damaged; begin anew with --restart") from None
        if head["settings"] != self.settings:
            before, now = head["settings"], self.settings
            changed = next(key for key in {**before, **now} if before.get(key) != now.get(key))
            raise Refused(f"{self.part}: was begun with other settings ({changed}: {before.get(changed)}, now "
                          f"{now.get(changed)}); go on with those, or begin anew with --restart")
        self.head = head
        for batch, crc, tokens, seconds in (match.groups() for match in map(LINE.fullmatch, lines[1:]) if match):
            rows = matrix[self.places[int(batch)]]
            if zlib.crc32(rows.tobytes()) == int(crc, 16):
                self.done[int(batch)] = None if tokens == "-" else int(tokens), float(seconds)

    def _read_journal(self):
        """Its whole lines; none where there is nothing to go on with. A line that was cut off is taken away."""
        if not (self.journal.exists() and self.part.exists()):
            return []
        content = self.journal.read_bytes()
        whole = content[:content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self.journal, len(whole))
        return whole.decode(errors="replace").splitlines()

    def discard(self):
        for file in (self.journal, self.part):
            file.unlink(missing_ok=True)

    @property
    def width(self):
        return self.head and self.head["width"]

    @property
    def date(self):
        """Of the first row, as YYYY-MM-DD."""
        return self.head["date"]

    def _begin(self, width):
        shape = self.settings["rows"], width
        date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        self.head = {"settings": self.settings, "width": width, "date": date}
        self.journal.unlink(missing_ok=True)
        try:
            with _writing(self.part), open(self.part, "wb") as file:
                np.lib.format.write_array_header_1_0(
                    file, {"descr": self.dtype.str, "fortran_order": False, "shape": shape})
                file.flush()
                size = file.tell() + shape[0] * width * self.dtype.itemsize
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk shows now, not after hours
            with _writing(self.journal):
                self.journal.write_text(json.dumps(self.head) + "\n")
        except Refused:
            self.discard()
            raise

    def add(self, batch, vectors, tokens, seconds):
        """vectors [n, width] of the type"""
        if self.head is None:
            self._begin(vectors.shape[1])
        matrix = np.load(self.part, mmap_mode="r+")
        matrix[self.places[batch]] = vectors
        line = f"{batch}\t{zlib.crc32(vectors.tobytes()):08x}\t{'-' if tokens is None else tokens}\t{seconds:.6f}\n"
        with _writing(self.journal), open(self.journal, "ab", buffering=0) as file:
            file.write(line.encode())
        self.done[batch] = tokens, seconds

    def finish(self, facts):
        """Gives the part the target's name, and puts facts beside it as JSON."""
        for number in ENDS:
            signal.signal(number, signal.SIG_IGN)  # what is left takes a moment
        with open(self.part, "rb") as file:
            os.fsync(file.fileno())
        said = self.target.with_suffix(".json")
        beside = said.with_name(said.name + ".part")
        with _writing(beside):
            beside.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(beside, said)  # first: as long as the journal and the part are there, this is done again
        os.replace(self.part, self.target)
        self.journal.unlink()
