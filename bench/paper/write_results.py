#!/usr/bin/env python3
"""Writes docs/results.md from bench/results/paper/*.json.

usage: write_results.py [--check] [--results DIR] [--page FILE]

The page says of each table what was run, on what and with which settings, and of each claim of the paper whether it
held. All of it is generated. --check changes nothing and exits with 1 when the page is out of date. Standard library
only.
"""

import argparse
import dataclasses
import pathlib
import statistics
import sys

import claims
import records
import runs

PAGE = runs.ROOT / "docs/results.md"
ALL_RANKING = ("recall@20", "ndcg@20", "hr@20")

HEAD = """# Results

The tables and figures of the AlphaRec paper, redone with this program. This page is written by
`bench/paper/write_results.py` from the recorded runs in `bench/results/paper`; [bench/paper/](../bench/paper/README.md) has the
commands that make them.

In every run the best epoch is the one with the best Recall@20 on **validation**, and test is evaluated once
([protocol.md](protocol.md)). So are all figures here, those of the ID-based models among them; the paper's may have been
chosen on test. Values over several seeds are mean ± standard deviation (of n - 1). An epoch to converge is the best epoch
by validation, and the seconds are those of training and evaluation until then, on the machine that is named; both are
means over seeds. A dataset's settings are those that the [selection](#selection) chose for it, where it was run.
"""

CLAIMS_HEAD = """## The paper's claims

Each is decided by the 95% interval of a difference alone: above 0 it **held**, below 0 it **did not hold**, around 0 it is
**unclear**. Rankings are compared by the metric named, of all items, user by user; with several seeds a user's value is her
mean over them, and the interval is a bootstrap over users, so it says what other users would bring, not other seeds.
Differences of HR@5 with and without a query have the widest interval that two proportions of the same users allow, and
the best alpha is chosen on the targets it is shown for.
"""


@dataclasses.dataclass
class Table:
    name: str
    title: str
    text: str
    metrics: tuple = ALL_RANKING
    split: str = "test"
    ranking: str = "all items"
    first: str = "variant"  # what the first column holds


SELECTED = "Grids on one seed, by Recall@20 on validation; the values are of **validation**. Test was not looked at."
TABLES = (
    Table("ordering", "Ordering of the models",
          "AlphaRec, the linear mapping, the ID-based models, and those that need no training.", first="model"),
    Table("ablations", "Ablations",
          "AlphaRec without its MLP (one linear map), its graph convolution (K = 0) and its contrastive loss (BPR), and with "
          "a deeper projector. All have the settings of the full model."),
    Table("objectives", "Objectives",
          "AlphaRec against sampled items (`infonce`, the paper's), all items (`softmax`), the batch's (`inbatch`), and "
          "sampled ones of which popular items are drawn more often."),
    Table("language", "Language vectors",
          "AlphaRec with the dataset's own vectors, with these in another order, so that each item has another's, and with "
          "random normal ones."),
    Table("zero_shot", "Zero-shot",
          "AlphaRec on data it was not trained on: trained on one other dataset, or on all others together (joint), beside "
          "the models that need no training. All with one set of settings, one seed. Only datasets of one language model "
          "are put together.", first="model"),
    Table("tau", "Temperature", "AlphaRec."),
    Table("layers", "Layers of propagation", "AlphaRec with K layers."),
    Table("width", "Width", "AlphaRec with d the width of the behaviour representation."),
    Table("intention", "Intentions",
          "AlphaRec of one seed, moved towards a query for one item of each user's test split. All items are ranked. "
          "`others' recall@20` is of her other test items.", ("hr@5", "ndcg@5", "hr@20", "others' recall@20"), first="query"),
    Table("groups", "Groups of users and items",
          "Quarters of the users by history length, and of the items by training interactions."),
    Table("candidates", "Among 20 candidates",
          "Each test item among 19 that were drawn for it. Such values are **no measure of all-ranking ones** and stand in "
          "this table alone.",
          tuple(f"{metric} (20 candidates)" for metric in ("hr@1", "ndcg@5", "hr@5", "ndcg@10", "hr@10")),
          ranking="20 candidates", first="model"),
    *(Table(f"select_{model}", f"Selection: {model}", SELECTED, split="valid", first="settings")
      for model in ("alpharec", "linear", "lightgcn", "mf")),
)


def markdown(head, rows):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def value(row, metric):
    mean = row["mean"].get(metric)
    if mean is None:
        return "–"
    return f"{mean:.4f}" + (f" ± {row['deviation'][metric]:.4f}" if "deviation" in row else "")


def mean_of(row, fact, form):
    return format(statistics.fmean(run[fact] for run in row["runs"]), form) if row["runs"] else "–"


def values_table(table, rows):
    timed = any(row["runs"] for row in rows)
    head = [table.first, *table.metrics, *(["seeds", "epochs to converge", "seconds"] if timed else [])]
    return markdown(head, [[row["name"], *(value(row, metric) for metric in table.metrics),
                            *([str(len(row["runs"]) or "–"), mean_of(row, "best_epoch", ".0f"),
                               mean_of(row, "seconds_to_best", ".0f")] if timed else [])] for row in rows])


def differences_table(record):
    shown = [each for each in record["differences"] if each["metric"] in ("recall@20", "ndcg@20", "hr@5")]
    return markdown(["difference", "metric", "mean", "95% interval"],
                    [[f"{each['of']} less {each['from']}", each["metric"], f"{each['mean']:+.4f}",
                      "{:+.4f} to {:+.4f}".format(*each["interval"])] for each in shown])


def settings_text(settings):
    return ", ".join(f"{key} = {value:g}" for key, value in settings.items())


def rows_of(record):
    return record["rows"] if "rows" in record else [row for group in record["groups"] for row in group["rows"]]


def facts_text(table, record):
    """What must be known to read the table, in one paragraph."""
    trained = [run for row in rows_of(record) for run in row["runs"]]
    trained += [record["trained"]] if "trained" in record else []
    seeds = sorted({run["seed"] for run in trained})
    users = f", {record['users']:,} users" if "users" in record else ""
    chosen = "; ".join(f"{model}: {settings_text(settings)}" for model, settings in sorted(record["chosen"].items()))
    texts = [f"{record['split']} split{users}, {record['ranking']} ranked", f"best epoch by {record['best_epoch_by']}",
             f"language model {record['language_model']}"]
    if "candidates" in record:
        texts.append(record["candidates"])
    if "queries" in record:
        texts.append(record["queries"])
    if seeds:
        texts += [f"seeds {', '.join(map(str, seeds))}", f"at most {max(run['epochs_at_most'] for run in trained)} epochs"]
    if not table.name.startswith("select_") and table.name != "zero_shot":
        texts.append(f"settings chosen on the validation split of {record['chosen_on']} ({chosen})" if chosen else
                     "default settings, none chosen")
    if "best" in record:
        texts.append(f"best: {record['best']}")
    program = record["program"]
    commits = sorted({run["commit"] for run in trained} | {program["commit"]})
    devices = sorted({run["device"] for run in trained})
    texts.append(f"rec_engine {program['version']} ({', '.join(commits)}) on {record['machine']['cpu']}"
                 + (f" ({'; '.join(devices)})" if devices else "") + f", {record['date']}")
    text = "; ".join(texts) + "."
    limited = sum(run["epochs"] >= run["epochs_at_most"] for run in trained)
    if limited:
        text += f" {limited} of {len(trained)} runs were ended by the limit of epochs, not by early stopping."
    if record.get("failed"):
        text += f" {len(record['failed'])} runs failed and are left out: {'; '.join(record['failed'])}."
    return text[0].upper() + text[1:]


def require_one_protocol(table, record):
    """All-ranking never beside candidates, and figures chosen on validation never beside others."""
    wanted = {"split": table.split, "ranking": table.ranking, "best_epoch_by": "validation"}
    for key, known in wanted.items():
        if record[key] != known:
            raise SystemExit(f"{record['table']}-{record['dataset']}.json: '{key}' is {record[key]!r}, "
                             f"and the table has {known!r}")


def table_text(table, found):
    text = f"{'###' if table.name.startswith('select_') else '##'} {table.title}\n\n{table.text}\n"
    if not found:
        return text + f"\nNot run yet: `bench/paper/redo.py {table.name}`.\n"
    for record in found:
        require_one_protocol(table, record)
        text += f"\n**{record['dataset']}.** {facts_text(table, record)}\n"
        if "groups" in record:
            rows = [{**row, "name": f"{group['group']} ({group['users']:,} users): {row['name']}"}
                    for group in record["groups"] for row in group["rows"]]
            text += "\n" + values_table(table, [{**row, "runs": []} for row in rows]) + "\n"
        else:
            text += "\n" + values_table(table, record["rows"]) + "\n"
        if table.split == "test" and record["differences"]:
            text += "\n" + differences_table(record) + "\n"
    return text


def claims_text(tables):
    rows = []
    for claim in claims.CLAIMS:
        lines = [[claim.text, f"{record['dataset']}: {above} less {below}", claim.metric, f"{difference:+.4f}",
                  "{:+.4f} to {:+.4f}".format(*interval), claims.verdict(interval)]
                 for record in tables.get(claim.table, [])
                 for above, below, difference, interval in claims.found_of(claim, record)]
        not_run = f"not run yet: `bench/paper/redo.py {claim.table}`"
        rows += lines or [[claim.text, not_run, claim.metric, "–", "–", "not run yet"]]
    head = ["claim", "data and models", "metric", "difference", "95% interval", "verdict"]
    return f"{CLAIMS_HEAD}\n{markdown(head, rows)}\n"


def page_text(tables):
    unknown = set(tables) - {table.name for table in TABLES}
    if unknown:
        raise SystemExit(f"no such table: {', '.join(sorted(unknown))}")
    parts = [HEAD, claims_text(tables)]
    for table in TABLES:
        if table.name == "select_alpharec":
            parts.append("## Selection\n\nWhat the other tables take their settings from.\n")
        parts.append(table_text(table, tables.get(table.name, [])))
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description="Writes docs/results.md from the recorded runs.")
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    parser.add_argument("--results", type=pathlib.Path, default=records.FOLDER, help="the records")
    parser.add_argument("--page", type=pathlib.Path, default=PAGE, help="what is written")
    options = parser.parse_args()
    text = page_text(records.read_all(options.results))
    if not options.check:
        options.page.write_text(text)
    elif not options.page.exists() or options.page.read_text() != text:
        print(f"{options.page} is out of date; run bench/paper/write_results.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
