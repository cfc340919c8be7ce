#!/usr/bin/env python3
"""Writes the tables of docs/benchmarks.md, docs/python.md's and the GPU's of README.md, from bench/results/*.json.

usage: write_docs.py [--check]

Each table stands between <!-- table NAME --> and <!-- end NAME -->; what is written by hand around them stays. Of
each machine the latest result that has the section counts. A ratio whose quartiles lie on both sides of 1 is called
unclear. --check changes nothing and exits with 1 when the page is out of date. Standard library only.
"""

import argparse
import json
import pathlib
import re
import sys

import results

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench/gpu"))
import tables as gpu  # noqa: E402  (bench/gpu/tables.py)

PAGE = ROOT / "docs/benchmarks.md"
README = ROOT / "README.md"
PYTHON = ROOT / "docs/python.md"


def latest(section):
    """machine name -> the newest result file that has the section"""
    newest = {}
    for file in sorted(results.FOLDER.glob("*.json")):
        found = json.loads(file.read_text())
        if section in found:
            machine = found["machine"]
            name = f"{machine['cpu']}, {machine['processors']} processors, {machine['simd']}"
            if name not in newest or newest[name]["date"] <= found["date"]:
                newest[name] = found
    return newest


def table(head, rows):
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines)


def digits(value):
    """Three digits, and all of them before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def milliseconds(spread):
    low, median, high = (digits(1e3 * seconds) for seconds in spread)
    return f"{median} ({low} to {high})"


def ratio(spread):
    low, median, high = spread
    return f"{'unclear: ' if low <= 1 <= high else ''}{median:.2f} ({low:.2f} to {high:.2f})"


def origin(found, more=""):
    build = found["build"]
    return f"rec_engine {build['version']} ({build['commit']}), {build['compiler']}, {found['date']}{more}"


def peers_tables(found):
    peers = found["peers"]
    versions = ", ".join(f"{name} {version}" for name, version in peers["versions"].items())
    text = origin(found, f"; {versions}; {peers['threads']} threads a side, {peers['rounds']} rounds") + "\n\n"
    text += table(["what", "data", "peer", "peer, ms", "engine, ms", "peer / engine"],
                  [[row["what"], row["dataset"], row["peer"], milliseconds(row["peer_s"]), milliseconds(row["engine_s"]),
                    ratio(row["ratio"])] for row in peers["times"]])
    drawing = {row["dataset"]: row["peer_drawing_s"] for row in peers["times"] if "peer_drawing_s" in row}
    if drawing:
        text += "\n\nOf a step, PyTorch's drawing of the batch: " + ", ".join(
            f"{1e3 * seconds:.0f} ms on {dataset}" for dataset, seconds in drawing.items()) + "."
    engine = {row["dataset"]: row["peak_kib"] - row["idle_kib"] for row in peers["memory"] if row["side"] == "rec_engine"}
    text += "\n\n" + table(["memory of training", "side", "idle, MiB", "above idle, MiB", "over the engine's"],
                           [[row["dataset"], row["side"], f"{row['idle_kib'] / 1024:.0f}",
                             f"{(row['peak_kib'] - row['idle_kib']) / 1024:.0f}",
                             f"{(row['peak_kib'] - row['idle_kib']) / engine[row['dataset']]:.1f}"] for row in peers["memory"]])
    return text


def growth_tables(found):
    sizes = found["growth"]
    first = sizes[0]

    def times(name, size):
        return size[name] / first[name]

    return origin(found) + "\n\n" + table(
        ["users", "items", "edges", "edges + nodes x width", "growth", "ms a step", "growth", "memory, MiB", "growth"],
        [[f"{size['users']:,}", f"{size['items']:,}", f"{size['edges']:,}", f"{size['edges_and_nodes_by_width']:,}",
          f"{times('edges_and_nodes_by_width', size):.0f}", milliseconds(size["step_s"]),
          f"{size['step_s'][1] / first['step_s'][1]:.1f}", f"{size['memory_bytes'] / 2**20:.0f}",
          f"{times('memory_bytes', size):.1f}"] for size in sizes])


def kernels_tables(found):
    rows = []
    for row in found["kernels"]:
        unit = "GFLOP/s" if row["limit"].startswith("sgemm") else "GB/s"
        rows.append([row["kernel"], milliseconds([ms / 1e3 for ms in row["ms"]]), f"{row[unit]:.3g} {unit}",
                     f"{100 * row['share']:.0f}%", row["limit"]])
    return origin(found) + "\n\n" + table(["kernel / shape", "ms", "rate", "share", "of this machine's limit"], rows)


def traffic_text():
    file = results.FOLDER / "traffic.json"
    if not file.exists():
        return "Not counted yet."
    recorded = json.loads(file.read_text())
    counted = recorded["traffic"]

    def times(value):
        return "-" if value is None else f"{value:.2f}"

    text = (f"{counted['users']:,} users, {counted['items']:,} items, {counted['edges']:,} edges, hidden {counted['hidden']}, "
            f"width {counted['dim']}, batch {counted['batch']}, {counted['negatives']} negatives ({recorded['commit']}).\n\n")
    text += table(["operation", "asked for, MB", "ledger, MB", "ratio", "sectors", "banks", "the ledger's bytes"],
                  [[stage["stage"], f"{(stage['read'] + stage['written']) / 1e6:.2f}",
                    f"{(stage['gathered'] + stage['streamed']) / 1e6:.2f}", times(stage["asked"]), times(stage["sectors"]),
                    times(stage["passes"]), stage["ledger"]] for stage in counted["stages"]])
    reasons = [f"- {stage['stage']}, {what}: {stage[why]}." for stage in counted["stages"]
               for value, most, why, what in (
                   (stage["asked"], counted["most_asked"], "why_bytes", "bytes"),
                   (max(kernel["sectors"] or 0 for kernel in stage["kernels"]), counted["most_sectors"], "why_sectors", "sectors"))
               if value > most]
    return text + ("\n\nWhy more:\n\n" + "\n".join(reasons) if reasons else "")


def prepare_tables(found):
    prepared = found["prepare"]
    versions = ", ".join(f"{name} {version}" for name, version in prepared["versions"].items())

    def seconds(row, side):
        return f"{row[side][1]:.2f} ({row[side][0]:.2f} to {row[side][2]:.2f})" if side in row else ""

    def mebibytes(row, side):
        return f"{row[side][1] / 1024:.0f}" if side in row else ""

    rows = [[f"{row['lines']:,}", row["ids"], f"{row['interactions']:,}", seconds(row, "pandas_s"), seconds(row, "engine_s"),
             ratio(row["time_ratio"]) if "time_ratio" in row else "", mebibytes(row, "pandas_peak_kib"),
             mebibytes(row, "engine_peak_kib"), ratio(row["memory_ratio"]) if "memory_ratio" in row else ""]
            for row in prepared["rows"]]
    return origin(found, f"; {versions}; {prepared['rounds']} rounds") + "\n\n" + table(
        ["lines", "ids", "left by the core", "pandas, s", "engine, s", "pandas / engine", "pandas, MiB", "engine, MiB",
         "pandas / engine"], rows)


def drop_in_tables(found):
    measured = found["drop_in"]
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    rows = [[row["dataset"], row["part"], milliseconds(row["plain_s"]), milliseconds(row["swapped_s"]), ratio(row["ratio"]),
             f"{row['difference']:.1e}" if "difference" in row else ""] for row in measured["rows"]]
    return origin(found, f"; {versions}; {measured['threads']} threads, {measured['rounds']} rounds") + "\n\n" + table(
        ["dataset", "part", "plain, ms", "with rec_engine, ms", "plain / rec_engine", "difference of metrics or loss"], rows)


SECTIONS = {"peers": peers_tables, "prepare": prepare_tables, "growth": growth_tables, "kernels": kernels_tables}


def put(page, file, section, body):
    """The page with body in the place of that section's table."""
    pattern = re.compile(f"(<!-- table {section} -->\n).*?(<!-- end {section} -->)", re.S)
    if not pattern.search(page):
        raise SystemExit(f"{file}: has no place for the table '{section}'")
    return pattern.sub(lambda found: found[1] + body + "\n" + found[2], page)


def by_machine(section, tables):
    machines = [f"### {name}\n\n{tables(found)}" for name, found in latest(section).items()]
    return "\n\n".join(machines) or "Not measured yet."


def written(page):
    for section, tables in SECTIONS.items():
        page = put(page, PAGE, section, by_machine(section, tables))
    page = put(page, PAGE, "traffic", traffic_text())
    return put(page, PAGE, "gpu", gpu.benchmarks_text())


def main():
    parser = argparse.ArgumentParser(description="Writes the tables of docs/benchmarks.md, docs/python.md's and the GPU's of README.md.")
    parser.add_argument("--check", action="store_true", help="only say whether the pages are up to date")
    options = parser.parse_args()
    status = 0
    for file, write in (
            (PAGE, written), (README, lambda page: put(page, README, "gpu", gpu.readme_text())),
            (PYTHON, lambda page: put(page, PYTHON, "drop_in", by_machine("drop_in", drop_in_tables)))):
        before = file.read_text()
        after = write(before)
        if options.check and after != before:
            print(f"{file} is out of date; run bench/write_docs.py", file=sys.stderr)
            status = 1
        elif not options.check:
            file.write_text(after)
    return status


if __name__ == "__main__":
    sys.exit(main())
