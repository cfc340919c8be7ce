"""The files in bench/results: one for each machine and commit, with a section for each kind of measurement."""

import datetime
import json
import os
import pathlib
import re
import statistics

FOLDER = pathlib.Path(__file__).resolve().parent / "results"


def record(section, facts, content):
    """Puts content into the file of the machine and commit that facts (bench/facts.h) name; gives its path."""
    processors = len(os.sched_getaffinity(0))
    cpu = re.sub(r"[^a-z0-9]+", "-", facts["cpu"].lower()).strip("-")
    file = FOLDER / f"{cpu}-{processors}-{facts['commit']}.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    known["machine"] = {"cpu": facts["cpu"], "processors": processors, "simd": facts["simd"],
                        "memory_bytes": int(facts["memory_bytes"])}
    known["build"] = {name: facts[name] for name in ("version", "commit", "compiler", "build_type")}
    known["date"] = datetime.date.today().isoformat()
    known[section] = content
    FOLDER.mkdir(exist_ok=True)
    file.write_text(json.dumps(known, indent=1) + "\n")
    return file


def spread(values):
    """[lower quartile, median, upper quartile]"""
    if len(values) == 1:
        return [values[0]] * 3
    return statistics.quantiles(values, n=4, method="inclusive")
