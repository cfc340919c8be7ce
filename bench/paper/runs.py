"""The program run from here, and what its run folders and tables of users say. Standard library only."""

import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("REC_ENGINE", str(ROOT / "build/cpu/rec_engine"))
METRICS = ("recall@20", "ndcg@20")  # whose differences are taken user by user
RESAMPLES = 2000                    # as rec_engine compare has them
SEED = 101                          # of the resamples


class Failed(Exception):
    """A run that went wrong, in one sentence."""


def run_program(*arguments):
    """What it prints. Lines of progress, "[3/12] NAME", are passed on as they come. Throws Failed."""
    command = [PROGRAM, *map(str, arguments)]
    try:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        raise Failed(f"{PROGRAM}: {error.strerror}; build it, or name it with REC_ENGINE") from None
    printed = []
    try:
        for line in process.stdout:
            printed.append(line)
            if line.startswith("["):
                print("   ", line.rstrip(), flush=True)
        errors = process.stderr.read()
        status = process.wait()
    except KeyboardInterrupt:  # the program has had it too, and saves
        process.wait()
        raise
    if status == 130:
        raise KeyboardInterrupt
    if status != 0:
        sentence = (errors.strip().splitlines() or [f"rec_engine {arguments[0]} ended with status {status}"])[-1]
        raise Failed(sentence.replace(f"{ROOT}/", ""))
    return "".join(printed)


def settings_of(run):
    """Every setting of a run folder. Throws Failed where there is no run."""
    file = pathlib.Path(run) / "config.toml"
    if not file.exists():
        raise Failed(f"{run}: holds no run")
    return tomllib.loads(file.read_text())


def is_finished(run):
    return all((pathlib.Path(run) / name).exists() for name in ("report.html", "best.safetensors"))


def facts_of(run):
    """Of a trained run: its seed, its best epoch by validation, the seconds of training until then, and who trained it."""
    run = pathlib.Path(run)
    settings = settings_of(run)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = max(range(len(lines)), key=lambda n: lines[n].get("valid", {}).get(settings["monitor"], n))  # the first of equals
    trained = json.loads((run / "run.json").read_text())
    return {"seed": settings["seed"], "best_epoch": lines[best]["epoch"], "epochs": lines[-1]["epoch"],
            "epochs_at_most": settings["epochs"],
            "seconds_to_best": round(sum(line["seconds"] for line in lines[:best + 1]), 2),
            "seconds": round(sum(line["seconds"] for line in lines), 2),
            "valid": lines[best].get("valid", {}), "device": trained["device"], "commit": trained["commit"]}


def over_seeds(name, runs):
    """A row: the mean of the runs' metrics, and with several the deviation (of n - 1)."""
    keys = runs[0]["metrics"]
    row = {"name": name, "runs": runs,
           "mean": {key: statistics.fmean(run["metrics"][key] for run in runs) for key in keys}}
    if len(runs) > 1:
        row["deviation"] = {key: statistics.stdev(run["metrics"][key] for run in runs) for key in keys}
    return row


def evaluate(*subject, per_user=False):
    """The program's JSON of a run or a baseline; with per_user "users" holds metric -> values, one a user."""
    with tempfile.TemporaryDirectory() as folder:
        file, users = pathlib.Path(folder) / "metrics.json", pathlib.Path(folder) / "users.tsv"
        run_program("evaluate", *subject, "--json", file, *(["--per-user", users] if per_user else []))
        found = json.loads(file.read_text())
        if per_user:
            names, *rows = [line.split("\t") for line in users.read_text().splitlines()]
            found["per_user"] = {name: [float(row[column]) for row in rows]
                                 for column, name in enumerate(names) if name in METRICS}
        return found


def bootstrap(values):
    """95% interval of the mean: the quantiles over means of resampled values, as rec_engine compare takes them."""
    draw = random.Random(SEED).choices
    means = [statistics.fmean(draw(values, k=len(values))) for _ in range(RESAMPLES)]
    cuts = statistics.quantiles(means, n=40, method="inclusive")
    return [cuts[0], cuts[-1]]


def differences(of, of_evaluations, base, base_evaluations):
    """Of two models evaluated per user on one split; several evaluations of one model are its seeds."""
    def by_user(evaluations, metric):
        return [statistics.fmean(values) for values in zip(*(each["per_user"][metric] for each in evaluations), strict=True)]

    found = []
    for metric in METRICS:
        values = [a - b for a, b in zip(by_user(of_evaluations, metric), by_user(base_evaluations, metric), strict=True)]
        found.append({"of": of, "from": base, "metric": metric, "mean": statistics.fmean(values),
                      "interval": bootstrap(values)})
    return found


def plain_name(name):
    """A run's or a model's name in compare's JSON, without what it says of seeds."""
    return re.sub(r"( \(\d+ seeds\)|,?seed=\d+)$", "", name)


def compared(told, names):
    """Rows and differences of what compare or sweep wrote. names: folder's name -> what to call it."""
    def called(name):
        return names.get(plain_name(name), plain_name(name))

    runs = {run["name"]: {**facts_of(run["path"]), "metrics": run["metrics"]} for run in told["runs"]}
    groups = {}
    for name, run in runs.items():
        groups.setdefault(called(name), []).append(run)
    rows = [over_seeds(name, members) for name, members in groups.items()]
    return rows, [{**each, "of": called(each["of"]), "from": called(each["from"])} for each in told.get("differences", [])]
