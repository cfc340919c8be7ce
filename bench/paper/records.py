"""Recorded results: one file for each table and dataset, and the settings that selection chose. Standard library only."""

import datetime
import json
import os
import pathlib
import re

import runs

FOLDER = runs.ROOT / "bench/results/paper"
CHOSEN = pathlib.Path(__file__).resolve().parent / "chosen.json"


def machine():
    cpu = re.search(r"model name\s*: (.+)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"cpu": cpu[1] if cpu else "unknown", "processors": len(os.sched_getaffinity(0)),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")}


def write(folder, table, dataset, content):
    """Records a table of a dataset with today's date, the machine and the program; gives the file's path."""
    version, commit = re.search(r"(\S+) \(([^)]+)\)", runs.run_program("--version")).groups()
    file = pathlib.Path(folder) / f"{table}-{dataset}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    head = {"table": table, "dataset": dataset, "date": datetime.date.today().isoformat(), "machine": machine(),
            "program": {"version": version, "commit": commit}}
    file.write_text(json.dumps({**head, **content}, indent=1) + "\n")
    return file


def read_all(folder=FOLDER):
    """table -> its records, by dataset."""
    tables = {}
    for file in sorted(pathlib.Path(folder).glob("*-*.json")):
        record = json.loads(file.read_text())
        tables.setdefault(record["table"], []).append(record)
    return tables


def read_chosen(file):
    return json.loads(file.read_text()) if file.exists() else {}


def choose(file, dataset, model, settings):
    chosen = read_chosen(file)
    chosen.setdefault(dataset, {})[model] = settings
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(chosen, indent=1, sort_keys=True) + "\n")
