"""A bar for terminals and notebooks: tqdm's where it is installed, else a line of our own."""

import sys
import time

_BETWEEN_LINES = 0.2  # seconds


class Bar:
    """steps: in all; title: what is done; shown: None for where a person looks."""

    def __init__(self, steps, title, shown):
        self.steps, self.title, self.done, self.last = steps, title, 0, 0.0
        self.shown = _is_watched() if shown is None else shown
        self.note = ""
        self.tqdm = None
        if self.shown:
            try:
                from tqdm.auto import tqdm
                self.tqdm = tqdm(total=steps, desc=title, unit="step")
            except ImportError:
                pass

    def advance(self, steps):
        self.done += steps
        if self.tqdm:
            self.tqdm.update(steps)
        elif self.shown and time.monotonic() - self.last > _BETWEEN_LINES:
            self.last = time.monotonic()
            sys.stderr.write(f"\r{self.title} {100 * self.done // max(1, self.steps):3d}% {self.note}\033[K")
            sys.stderr.flush()

    def say(self, epoch, metrics):
        shown = [f"{name} {value:.4f}" for name, value in list(metrics.items())[:2]]
        self.note = f"epoch {epoch}, {', '.join(shown)}"
        if self.tqdm:
            self.tqdm.set_postfix_str(self.note)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.tqdm:
            self.tqdm.close()
        elif self.shown:
            sys.stderr.write("\r\033[K")


def _is_watched():
    return (sys.stderr is not None and sys.stderr.isatty()) or "ipykernel" in sys.modules
