"""What a long run has finished, kept so that an end at any moment loses nothing: a line of JSON with the settings, then a
line for each finished piece."""

import contextlib
import fcntl
import json
import os

from refused import Refused


@contextlib.contextmanager
def writing(file):
    try:
        yield
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}") from None


def write_whole(file, text):
    """The file is there with all of the text, or as it was."""
    part = file.with_name(file.name + ".part")
    with writing(part), open(part, "w", encoding="utf-8") as beside:
        beside.write(text)
        beside.flush()
        os.fsync(beside.fileno())
    os.replace(part, file)


class Journal:
    def __init__(self, file, settings, named):
        """named: the file that refusals name"""
        self.file, self.settings, self.named = file, settings, named
        self.head = None  # the first line; there with the first piece
        self._lock()

    def _lock(self):
        """The folder is this process's until it ends."""
        folder = self.file.parent
        if not os.access(folder, os.W_OK):
            raise Refused(f"{folder}: may not be written to")
        self.folder = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self.folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"{folder}: another process is making files in it; wait for its end") from None

    def take_up(self):
        """The lines of an earlier run, each whole, after the first. Refuses those of other settings."""
        if not self.file.exists():
            return []
        content = self.file.read_bytes()
        whole = content[:content.rfind(b"\n") + 1]
        if len(whole) < len(content):  # a line that was cut off counts as not there
            with writing(self.file):
                os.truncate(self.file, len(whole))
        first, *lines = whole.decode(errors="replace").split("\n")
        if not first:
            return []
        try:
            head = json.loads(first)
            before, now = dict(head["settings"]), self.settings
        except (ValueError, LookupError, TypeError):
            raise Refused(f"{self.named}: it or its journal is damaged; begin anew with --restart") from None
        if before != now:
            changed = next(key for key in {**before, **now} if before.get(key) != now.get(key))
            raise Refused(f"{self.named}: was begun with other settings ({changed}: {before.get(changed)}, now "
                          f"{now.get(changed)}); go on with those, or begin anew with --restart")
        self.head = head
        return lines[:-1]

    def begin(self, **more):
        """more: what the first line holds beside the settings"""
        self.head = {"settings": self.settings, **more}
        with writing(self.file):
            self.file.write_text(json.dumps(self.head) + "\n")

    def add(self, line, to_disk=False):
        """to_disk: the line is on the disk when this returns"""
        with writing(self.file), open(self.file, "ab") as file:
            file.write(f"{line}\n".encode())
            file.flush()
            if to_disk:
                os.fsync(file.fileno())

    def discard(self):
        self.file.unlink(missing_ok=True)
