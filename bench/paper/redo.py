#!/usr/bin/env python3
"""Redoes the paper's tables and figures with rec_engine, and records them in bench/results/paper.

usage: redo.py [TABLE ...] [--data NAME ...] [--threads T] [--device D] [--epochs N] [--out DIR] [--results DIR]

Tables are the sweeps of bench/paper/tables and those that no sweep makes: zero_shot, language, candidates, groups and
intention. Datasets are the bundled one and those of REC_SHARED_DATA (default ../shared/data): amazon-scientific, ml-1m
and yelp. Without names all of them, in an order in which each table finds what it builds on. What was trained stays and
is not trained again, and a run that was stopped goes on. A run that fails is reported, and the rest goes on; the exit
status is then 1. Standard library only.
"""

import argparse
import functools
import itertools
import json
import os
import pathlib
import statistics
import sys
import tomllib

import language_variants
import records
import runs
from runs import Failed

HERE = pathlib.Path(__file__).resolve().parent
TABLES = HERE / "tables"
SHARED = pathlib.Path(os.environ.get("REC_SHARED_DATA", runs.ROOT.parent / "shared/data")).resolve()
DATASETS = {"debian-deps": runs.ROOT / "data/debian-deps",
            **{name: SHARED / name for name in ("amazon-scientific", "ml-1m", "yelp")}}
# Of those without an item_language.json: what made their vectors.
LANGUAGE = {name: "all-MiniLM-L6-v2" for name in ("amazon-scientific", "ml-1m", "yelp")}
BASELINES = ("popularity", "pop-random", "random", "emb-knn")
CHOSEN_BY = "recall@20"
CHOSEN_ON = "amazon-scientific"  # whose choices hold for datasets that have none of their own
SAMPLED_NEGATIVES = 19
# One set of settings for all zero-shot models, over a dataset's config.toml, so that single and joint ones agree.
ZERO_SHOT = {"model": "alpharec", "batch": 4096, "epochs": 500}


class Work:
    """One dataset, and where its runs and records go."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.data = DATASETS[name]
        self.out = options.out / name
        self.machine = ["--device", options.device, "--threads", options.threads]
        file = self.data / "item_language.json"
        stated = json.loads(file.read_text()).get("model") if file.exists() else None
        self.language = stated or LANGUAGE.get(name, "not stated")

    @property
    def chosen_on(self):
        """The dataset that this one's settings were chosen on."""
        return self.name if self.name in records.read_chosen(self.options.chosen) else CHOSEN_ON

    @property
    def chosen(self):
        return records.read_chosen(self.options.chosen).get(self.chosen_on, {})

    def epochs(self, settings):
        return self.options.epochs or settings["epochs"]

    def record(self, table, content, split="test", ranking="all items"):
        head = {"language_model": self.language, "split": split, "ranking": ranking, "best_epoch_by": "validation"}
        if content["chosen"]:
            head["chosen_on"] = self.chosen_on
        file = records.write(self.options.results, table, self.name, {**head, **content})
        print(f"    recorded in {file}", flush=True)


def toml_of(table):
    """A sweep's table as text; all of its values are words, numbers and lists of such, which JSON writes alike."""
    def lines(settings):
        return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]

    text = lines({key: value for key, value in table.items() if not isinstance(value, dict) and key != "variant"})
    for key in ("settings", "grid"):
        text += ["", f"[{key}]", *lines(table.get(key, {}))] if table.get(key) else []
    for variant in table.get("variant", []):
        text += ["", "[[variant]]", *lines(variant)]
    return "\n".join(text) + "\n"


def derived(table, work, name):
    """The table for that dataset: its folder, and each model with what was chosen for it. The table's own values win."""
    settings = table["settings"]
    model = settings.get("model", "alpharec")
    chosen = {} if name.startswith("select_") else work.chosen
    variants = [{**chosen.get(variant.get("model", model), {}), **variant} for variant in table.get("variant", [])]
    of_all = {**({} if variants else chosen.get(model, {})), **settings}
    return {**table, "data": str(work.data), "out": str(work.out / name),
            "settings": {**of_all, "epochs": work.epochs(settings)}, **({"variant": variants} if variants else {})}


def single_runs(table):
    """The table's runs, each as a table of its own with the same run folder."""
    grid = table.get("grid", {})
    for variant in table.get("variant") or [None]:
        for values in itertools.product(*grid.values()):
            for seed in table["seeds"]:
                one = {**table, "seeds": [seed], "grid": {key: [value] for key, value in zip(grid, values, strict=True)}}
                yield {**one, "variant": [variant]} if variant else one


def sweep_json(table, work, name, split):
    """What the program writes of the sweep, and the sentences of runs that failed: then the others are compared."""
    work.out.mkdir(parents=True, exist_ok=True)
    file, told = work.out / f"{name}.toml", work.out / f"{name}.json"
    more = ["--split", split, "--topk", "20", "--json", told, *work.machine]

    def sweep(each):
        file.write_text(toml_of(each))
        runs.run_program("sweep", file, "--quiet", *more)
        return json.loads(told.read_text())

    try:
        return sweep(table), []
    except Failed as failure:
        print(f"    failed: {failure}\n    each run by itself:", flush=True)
    failed, folders = [], []
    for one in single_runs(table):
        try:
            folders.append(sweep(one)["runs"][0]["path"])
        except Failed as failure:
            failed.append(str(failure))
            print(f"    failed: {failure}", flush=True)
    work.options.failed += failed
    file.write_text(toml_of(table))
    if not folders:
        raise Failed(f"no run of {name} succeeded; the last one said: {failed[-1]}")
    runs.run_program("compare", *folders, *more)
    return json.loads(told.read_text()), failed


def folder_names(table):
    """The part of a run folder's name that a variant gives -> the variant's name."""
    return {"".join(c if c.isascii() and (c.isalnum() or c in "._=+,-") else "_" for c in variant["name"]): variant["name"]
            for variant in table.get("variant", [])}


def swept(work, name, split="test"):
    """A sweep run and read: the content of its record."""
    with open(TABLES / f"{name}.toml", "rb") as file:
        table = derived(tomllib.load(file), work, name)
    told, failed = sweep_json(table, work, name, split)
    rows, differences = runs.compared(told, folder_names(table))
    return {"users": told["users"], "settings": table["settings"], "variants": table.get("variant", []),
            "grid": table.get("grid", {}), "chosen": {} if name.startswith("select_") else work.chosen,
            "failed": failed, "rows": rows, "differences": differences}


def sweep(work, name):
    work.record(name, swept(work, name))


def baseline_row(work, model, found):
    return {"name": model, "runs": [], "mean": found["metrics"]}


def ordering(work):
    """The sweep, the models that need no training, and what the sweep does not compare: those with the trained ones."""
    content = swept(work, "ordering")
    found = {model: [runs.evaluate("--model", model, work.data, "--topk", "20", *work.machine, per_user=True)]
             for model in BASELINES}
    content["rows"] += [baseline_row(work, model, each[0]) for model, each in found.items()]
    for model, folders in trained(work).items():
        if model in ("alpharec", "linear"):
            found[model] = [runs.evaluate(run, "--topk", "20", *work.machine, per_user=True) for run in folders]
    for of, base in (("linear", "emb-knn"), ("emb-knn", "random"), ("alpharec", "popularity"), ("alpharec", "emb-knn")):
        if of in found:
            content["differences"] += runs.differences(of, found[of], base, found[base])
    work.record("ordering", content)


def select(work, name):
    """A grid, of which the run that is best on validation gives the dataset's settings of its model."""
    content = swept(work, name, split="valid")
    best = max(content["rows"], key=lambda row: row["mean"][CHOSEN_BY])
    words = dict(word.split("=") for word in best["name"].split(","))
    chosen = {key: float(words[key]) for key in content["grid"]}
    model = content["settings"]["model"]
    records.choose(work.options.chosen, work.name, model, chosen)
    print(f"    chosen for {model}: {chosen}", flush=True)
    work.record(name, {**content, "best": best["name"], "best_by": f"{CHOSEN_BY} on validation"}, split="valid")


def trained(work):
    """model -> the run folders of the ordering, alpharec's among them, trained as this command would train them."""
    with open(TABLES / "ordering.toml", "rb") as file:
        table = derived(tomllib.load(file), work, "ordering")
    found = {}
    for variant in table["variant"]:
        for seed in table["seeds"]:
            run = work.out / "ordering" / f"{variant['name']},seed={seed}"
            if not runs.is_finished(run):
                continue
            have = runs.settings_of(run)
            wanted = {**table["settings"], **variant}
            other = [key for key, value in wanted.items() if key != "name" and have[key] != value]
            if other:
                raise Failed(f"{run}: was trained with another '{other[0]}'; choose another --out")
            found.setdefault(variant["name"], []).append(run)
    if "alpharec" not in found:
        raise Failed(f"the models of the ordering are not trained on {work.name}; first: "
                     f"bench/paper/redo.py ordering --data {work.name}")
    return found


def subjects(work):
    """name -> (its runs' folders, what evaluate takes for each): the ordering's models, then the baselines."""
    return {**{model: [(run, [run]) for run in folders] for model, folders in trained(work).items()},
            **{model: [(None, ["--model", model, work.data])] for model in BASELINES}}


def row_of(name, evaluated):
    """evaluated: (run folder or None, metrics) of each seed."""
    if evaluated[0][0] is None:
        return {"name": name, "runs": [], "mean": evaluated[0][1]}
    return runs.over_seeds(name, [{**runs.facts_of(run), "metrics": metrics} for run, metrics in evaluated])


def candidates(work):
    rows = []
    for name, members in subjects(work).items():
        found = [(run, runs.evaluate(*arguments, "--sampled-negatives", SAMPLED_NEGATIVES, *work.machine))
                 for run, arguments in members]
        rows.append(row_of(name, [(run, each["metrics"]) for run, each in found]))
        users, origin = found[0][1]["users"], found[0][1]["candidates"]
    content = {"users": users, "candidates": origin, "chosen": work.chosen, "rows": rows, "differences": []}
    work.record("candidates", content, ranking=f"{SAMPLED_NEGATIVES + 1} candidates")


def groups(work):
    """Quarters of the users by their histories, and of the items by their interactions."""
    parts = {}
    for name, members in subjects(work).items():
        found = [(run, runs.evaluate(*arguments, "--topk", "20", "--groups", *work.machine))
                 for run, arguments in members]
        for n, group in enumerate(found[0][1]["groups"]):
            part = parts.setdefault(group["group"], {"group": group["group"], "users": group["users"], "rows": []})
            part["rows"].append(row_of(name, [(run, each["groups"][n]["metrics"]) for run, each in found]))
    work.record("groups", {"chosen": work.chosen, "groups": list(parts.values()), "differences": []})


def language(work):
    """AlphaRec with the dataset's vectors, with their rows shuffled, and with random ones: seed by seed."""
    if not (work.data / "item_language.npy").exists():
        raise Failed(f"{work.name} has no item_language.npy")
    folders = trained(work)["alpharec"]
    settings = {**work.chosen.get("alpharec", {}), "epochs": runs.settings_of(folders[0])["epochs"]}
    seeds = [runs.settings_of(run)["seed"] for run in folders]
    names, failed = {"alpharec": "as given"}, []
    for variant in language_variants.VARIANTS:
        data = work.out / "language" / (variant.replace(" ", "-") + "-data")
        language_variants.write(work.data, variant, data)
        table = {"data": str(data), "out": str(work.out / "language"), "seeds": seeds, "settings": settings,
                 "variant": [{"name": variant}]}
        names |= folder_names(table)
        told, sentences = sweep_json(table, work, f"language-{variant.replace(' ', '-')}", "test")
        folders += [run["path"] for run in told["runs"]]
        failed += sentences
    file = work.out / "language.json"
    runs.run_program("compare", *folders, "--topk", "20", "--json", file, *work.machine)
    told = json.loads(file.read_text())
    rows, differences = runs.compared(told, names)
    work.record("language", {"users": told["users"], "settings": settings, "chosen": work.chosen, "failed": failed,
                             "rows": rows, "differences": differences})


def proportion_interval(first, second, users):
    """95% interval of second - first, two proportions of the same users, as wide as it can be without knowing whom they
    share: users who differ are at most min(first + second, 2 - first - second) of all, which bounds the variance."""
    difference = second - first
    variance = max(0.0, min(first + second, 2 - first - second) - difference ** 2)
    half = statistics.NormalDist().inv_cdf(0.975) * (variance / users) ** 0.5
    return [difference - half, difference + half]


def intention(work):
    """HR@5 of the wanted item as alpha grows, with the queries that lie beside the dataset."""
    queries, vectors, targets = (work.data / f"intention_{name}" for name in (
        "queries.tsv", "query_language.npy", "targets.tsv"))
    missing = [file.name for file in (queries, vectors, targets) if not file.exists()]
    if missing:
        print(f"    {work.name} has no {', '.join(missing)}: nothing to do", flush=True)
        return
    run = trained(work)["alpharec"][0]
    file = work.out / "intention.jsonl"
    runs.run_program("intention", run, "--queries", queries, "--vectors", vectors, "--targets", targets, "--jsonl", file,
                     *work.machine)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    rows = [{"name": f"alpha = {line['alpha']:g}", "runs": [],
             "mean": {**line["target"], **{f"others' {key}": value for key, value in line["others"].items()}}}
            for line in lines]
    users = lines[0]["users"]
    best = max(rows[1:-1], key=lambda row: row["mean"]["hr@5"])  # between alpha = 0 and alpha = 1
    differences = [{"of": f"best between, {best['name']}", "from": end["name"], "metric": "hr@5",
                    "mean": best["mean"]["hr@5"] - end["mean"]["hr@5"],
                    "interval": proportion_interval(end["mean"]["hr@5"], best["mean"]["hr@5"], users)}
                   for end in (rows[0], rows[-1])]
    work.record("intention", {"users": users, "queries": lines[0]["queries"], "chosen": work.chosen,
                              "trained": runs.facts_of(run), "rows": rows, "differences": differences})


def train(folders, run, options, machine):
    """One AlphaRec on these datasets together, with the settings of all zero-shot models; as sweep, it goes on."""
    settings = {**ZERO_SHOT, "epochs": options.epochs or ZERO_SHOT["epochs"]}
    print(f"    {run.name}", flush=True)
    if runs.is_finished(run):
        have = runs.settings_of(run)
        other = [key for key, value in settings.items() if have[key] != value]
        if not other:
            return
        if other != ["epochs"]:
            raise Failed(f"{run}: was trained with another '{other[0]}'; choose another --out")
    started = (run / "last.safetensors").exists()  # then its own settings hold, and epochs alone may change
    words = [] if started else [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    runs.run_program("train", *folders, "--out", run, "--resume", "--quiet", "--epochs", settings["epochs"], *words,
                     *machine)


def zero_shot(works):
    """Models on data they were not trained on: from each other dataset, and from all others together."""
    sources = [work for work in works if (work.data / "item_language.npy").exists()]
    if len(sources) < 2:
        raise Failed("zero_shot needs two datasets with language vectors; there is " +
                     (sources[0].name if sources else "none"))
    options = sources[0].options
    folder = options.out / "zero_shot"
    trained_on = {}  # names of the datasets -> run folder

    def model_of(members):
        names = tuple(work.name for work in members)
        if names not in trained_on:
            run = folder / "+".join(names)
            train([work.data for work in members], run, options, members[0].machine)
            trained_on[names] = run
        return trained_on[names]

    for target in sources:
        others = [work for work in sources if work is not target and work.language == target.language]
        try:
            zero_shot_on(target, others, model_of)
        except Failed as failure:
            options.failed.append(f"zero_shot on {target.name}")
            print(f"    failed: {failure}", flush=True)


def zero_shot_on(target, others, model_of):
    if not others:
        print(f"    {target.name}: no other dataset has vectors of {target.language}", flush=True)
        return
    data = ["--data", target.data]
    models = {f"trained on {work.name}": model_of([work]) for work in others}
    singles = list(models)
    if len(others) > 1:
        models["joint: " + " + ".join(work.name for work in others)] = model_of(others)
    joint = [name for name in models if name not in singles]
    models["trained here, not zero-shot"] = model_of([target])
    found = {name: runs.evaluate("--model", name, target.data, "--topk", "20", *target.machine, per_user=True)
             for name in ("popularity", "random", "emb-knn")}
    rows = [row_of(name, [(None, each["metrics"])]) for name, each in found.items()]
    for name, run in models.items():
        found[name] = runs.evaluate(run, *data, "--topk", "20", *target.machine, per_user=True)
        rows.append(row_of(name, [(run, found[name]["metrics"])]))
    # The better single one by its own figures on test: a choice that speaks against the joint one.
    better = max(singles, key=lambda name: found[name]["metrics"][CHOSEN_BY])
    pairs = [(name, base) for name in singles + joint for base in ("emb-knn", "random")]
    pairs += [(name, better) for name in joint]
    content = {"users": found["random"]["users"], "settings": runs.settings_of(models["trained here, not zero-shot"]),
               "chosen": {}, "rows": rows, "differences": []}
    for of, base in pairs:
        content["differences"] += runs.differences(of, [found[of]], base, [found[base]])
    target.record("zero_shot", content)


# In an order in which each finds what it builds on.
SELECTIONS = ("select_alpharec", "select_linear", "select_lightgcn", "select_mf")
SWEEPS = ("ablations", "objectives", "tau", "layers", "width")
OF_A_DATASET = {**{name: functools.partial(select, name=name) for name in SELECTIONS}, "ordering": ordering,
                **{name: functools.partial(sweep, name=name) for name in SWEEPS},
                "language": language, "candidates": candidates, "groups": groups, "intention": intention}
ALL = (*OF_A_DATASET, "zero_shot")


def parse_arguments():
    parser = argparse.ArgumentParser(description="Redoes the paper's tables and figures, and records them.")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(ALL)}; default all")
    parser.add_argument("--data", nargs="+", metavar="NAME", default=list(DATASETS), help=f"of {', '.join(DATASETS)}")
    parser.add_argument("--threads", type=int, default=0, help="0: all processors")
    parser.add_argument("--device", default="auto", help="as rec_engine takes it")
    parser.add_argument("--epochs", type=int, help="at most so many, in the place of the tables' own")
    parser.add_argument("--out", type=pathlib.Path, default=runs.ROOT / "runs/paper",
                        help="run folders and sweep files go here")
    parser.add_argument("--results", type=pathlib.Path, help="records and chosen.json go here; default bench/")
    options = parser.parse_args()
    for given, known, what in ((options.tables, ALL, "table"), (options.data, DATASETS, "dataset")):
        for name in given:
            if name not in known:
                parser.error(f"{name}: no such {what}; there are {', '.join(known)}")
    options.chosen = options.results / "chosen.json" if options.results else records.CHOSEN
    options.results = options.results or records.FOLDER
    options.out = options.out.resolve()
    options.failed = []  # tables and runs, for the end
    return options


def main():
    options = parse_arguments()
    works = []
    for name in options.data:
        if (DATASETS[name] / "train.txt").exists():
            works.append(Work(name, options))
        else:
            print(f"{name}: not there ({DATASETS[name]}); left out. REC_SHARED_DATA names the folder it lies in", flush=True)
    if not works:
        print("no dataset is there: nothing was done", file=sys.stderr)
        return 1
    wanted = [name for name in ALL if name in (options.tables or ALL)]

    def attempt(what, redo, *arguments):
        print(what, flush=True)
        try:
            redo(*arguments)
        except (Failed, OSError, ValueError, KeyError) as failure:
            options.failed.append(what)
            print(f"    failed: {failure if isinstance(failure, Failed) else repr(failure)}", flush=True)

    try:
        for table in wanted:
            if table == "zero_shot":
                attempt(f"zero_shot on {', '.join(work.name for work in works)}", zero_shot, works)
                continue
            for work in works:
                attempt(f"{table} on {work.name}", OF_A_DATASET[table], work)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", flush=True)
        return 130
    if options.failed:
        print("\n".join(["failed:", *(f"    {what}" for what in options.failed)]), flush=True)
        return 1
    print("all done; bench/paper/write_results.py makes the page", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
