"""What gpu_check knows so far: one JSON file, all that outlives a machine between two runs.

  format    of this file
  source    digest of the sources it was measured with: other sources begin a new state
  device    name of the GPU, or "emulated"
  facts     the machine and the build, as of the last run
  steps     name -> {"status", "detail", "seconds", "result", "tries"}
"""

import json
import os

FORMAT = 1
# passed, failed: final. not run: final as well, the detail says why. unfinished: cut off, tried again.
STATUSES = ("passed", "failed", "not run", "unfinished")


class StateError(Exception):
    """One sentence for the user."""


class State:
    def __init__(self, source, device):
        self.source, self.device = source, device
        self.facts, self.steps = {}, {}

    @property
    def emulated(self):
        return self.device == "emulated"

    @classmethod
    def read(cls, file):
        """Throws StateError for a file that no run wrote."""
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise StateError(f"{file}: is no state of gpu_check ({error}); give the file that the last run wrote, or "
                             "another name to begin anew") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise StateError(f"{file}: is no state of this gpu_check (format {FORMAT}); give another name to begin anew")
        try:
            state = cls(content["source"], content["device"])
            state.facts = dict(content["facts"])
            for name, step in content["steps"].items():
                if step["status"] not in STATUSES:
                    raise ValueError(f"step {name} has status {step['status']!r}")
                state.steps[name] = step
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StateError(f"{file}: is damaged ({type(error).__name__}: {error}); give another name to begin anew") from error
        return state

    @classmethod
    def resume(cls, file, source, device):
        """The state in the file, or a new one where there is no file. Throws StateError where they do not belong together."""
        if not file.exists():
            return cls(source, device)
        state = cls.read(file)
        for what, of_file, of_run in (("sources", state.source, source), ("device", state.device, device)):
            if of_file != of_run:
                raise StateError(f"{file}: was made with {what} {of_file}, this run has {of_run}; results of both do not "
                                 "mix: give another name to begin anew")
        return state

    def write(self, file):
        content = {"format": FORMAT, "source": self.source, "device": self.device, "facts": self.facts, "steps": self.steps}
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(file.name + ".unfinished")
        unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(unfinished, file)

    def is_final(self, name):
        return name in self.steps and self.steps[name]["status"] != "unfinished"

    def forget_failures(self):
        self.steps = {name: step for name, step in self.steps.items() if step["status"] in ("passed", "unfinished")}

    def put(self, name, outcome, seconds):
        self.steps[name] = {"status": outcome.status, "detail": outcome.detail, "seconds": round(seconds, 2),
                            "result": outcome.result, "tries": self.steps.get(name, {}).get("tries", 0) + 1}
