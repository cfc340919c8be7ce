"""The GPU's part of the pages: from what was recorded, or, while nothing was, from what can be computed."""

import datetime
import json
import math
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench/results"

# users, items, training edges, language width, hidden width, dim, batch, negatives: kPaperShapes of bench/shapes.h
PRECISIONS = ("fp32", "tf32", "bf16")

PAPER = {
    "books": (71306, 26073, 883612, 3072, 1536, 64, 4096, 256),
    "movies": (26073, 12464, 350411, 3072, 1536, 64, 4096, 256),
    "games": (40834, 14344, 156005, 3072, 1536, 64, 4096, 256),
}
NOT_MEASURED = "Not yet measured on a GPU. The following is computed, not measured."
EMULATED = "Emulated: no GPU was used. The times mean nothing; they show only that everything runs."


def record(state):
    """Writes the state into bench/results, by GPU and commit; gives the file's path."""
    gpu = re.sub(r"[^a-z0-9]+", "-", state.device.lower()).strip("-")
    file = RESULTS / f"gpu-{gpu}-{state.facts.get('commit', 'unknown')}.json"
    content = {"gpu_machine": state.facts, "source": state.source, "date": datetime.date.today().isoformat(),
               "gpu_steps": state.steps}
    file.write_text(json.dumps(content, indent=1) + "\n")
    return file


def recorded():
    """GPU -> its newest result."""
    newest = {}
    for file in sorted(RESULTS.glob("gpu-*.json")):
        found = json.loads(file.read_text())
        gpu = found["gpu_machine"]["gpu"]
        if gpu not in newest or newest[gpu]["date"] <= found["date"]:
            newest[gpu] = found
    return newest


def table(head, rows):
    lines = [[str(cell).replace("|", "\\|") for cell in cells] for cells in [head, ["---"] * len(head), *rows]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def digits(value):
    """Three digits, and all of them before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def milliseconds(spread_s):
    low, median, high = (digits(1e3 * seconds) for seconds in spread_s)
    return f"{median} ({low} to {high})"


def passed(steps, name):
    """The step's result, or None."""
    return steps[name]["result"] if steps.get(name, {}).get("status") == "passed" else None


# ---- computed

def computed(size):
    """What one training step must do at least, by counting: flops of its products, bytes of gathered rows in fp32."""
    users, items, edges, width, hidden, dim, batch, negatives = PAPER[size]
    first = 2 * 2 * items * width * hidden  # W1 z and its weight's gradient; z has none
    second = 3 * 2 * (users + items) * hidden * dim
    aggregation = 2 * edges * 4 * hidden  # items' rows to users, and back
    # Forward and backward two hops, from both ends of an edge, but one of these from a batch's users alone.
    hops = 2 * (3 - math.expm1(-batch / users)) * edges * 4 * dim
    scores = 2 * batch * (1 + negatives) * 4 * dim  # items' rows for the scores; rows for their gradients
    return {"gflop": (first + second) / 1e9, "aggregation_gb": aggregation / 1e9, "hops_gb": hops / 1e9,
            "scores_gb": scores / 1e9, "steps_per_epoch": edges // batch, "ranking_gflop": 2 * users * items * dim / 1e9}


def computed_tables():
    rows = []
    for size in PAPER:
        c = computed(size)
        rows.append([size, c["steps_per_epoch"], digits(c["gflop"]), digits(c["aggregation_gb"]), digits(c["hops_gb"]),
                     digits(c["scores_gb"]), digits(c["ranking_gflop"])])
    return NOT_MEASURED + "\n\n" + table(
        ["size", "steps an epoch", "products of a step, GFLOP", "rows gathered: aggregation, GB", "propagation, GB",
         "scores and their gradients, GB", "scores of an evaluation, GFLOP"], rows)


# ---- measured

def origin(facts, steps, date):
    built = passed(steps, "first.build") or {}
    compilers = ", ".join(built.get("compilers", {}).values())
    flags = ", ".join(f"{name}={value}" for name, value in built.get("flags", {}).items() if value)
    words = [f"commit {facts.get('commit', 'unknown')}", f"driver {facts['driver']}" if "driver" in facts else "",
             f"clocks {facts['sm_mhz']} MHz of {facts['max_sm_mhz']}, memory {facts['memory_mhz']} MHz of "
             f"{facts['max_memory_mhz']}, when the run began" if "sm_mhz" in facts else "",
             f"on {facts['cpu']}" if "cpu" in facts else "", compilers, flags, date]
    return "; ".join(word for word in words if word) + "."


def checks_table(steps):
    rows = [[name.removeprefix("first."), step["status"], step["detail"] or (step["result"] or {}).get("summary", "")
             if not isinstance(step["result"], list) else step["detail"]]
            for name, step in steps.items() if name.startswith("first.")]
    return table(["check", "outcome", ""], rows) if rows else ""


def precision_of(form):
    """Of a peer's: A computes in fp32."""
    return form.partition("-")[2] or "fp32"


def ours_of(steps, size):
    """"fp32", "tf32", "bf16" -> result"""
    found = {precision: passed(steps, f"steps.{size}.{precision}") for precision in PRECISIONS}
    return {precision: result for precision, result in found.items() if result}


def peers_of(steps, size):
    """"A", "D-fp32", ... -> result"""
    found = {form: passed(steps, f"peers.{size}.{form}") for form in ("A", *(f"D-{precision}" for precision in PRECISIONS))}
    return {form: result["result"] for form, result in found.items() if result}


def sizes_of(steps):
    return sorted({name.split(".")[1] for name in steps if name.startswith(("steps.", "peers.")) and name.split(".")[1] != "equality"})


def steps_table(steps):
    rows = []
    for size in sizes_of(steps):
        ours = ours_of(steps, size)
        for precision, result in ours.items():
            rows.append([size, f"rec_engine {precision}", milliseconds(result["step_s"]), digits(result["epoch_s"]), ""])
        for form, peer in peers_of(steps, size).items():
            same = ours.get(precision_of(form))
            ratio = f"{peer['step_s'][1] / same['step_s'][1]:.2f}" if same else ""
            rows.append([size, f"PyTorch {form}{' (fp32)' if form == 'A' else ''}", milliseconds(peer["step_s"]),
                         digits(peer["epoch_s"]), ratio])
    return table(["size", "program, precision", "step, ms", "epoch, s", "over rec_engine's at the same precision"], rows) if rows else ""


def evaluation_table(steps):
    rows = []
    for size in sizes_of(steps):
        ours, peer = ours_of(steps, size), passed(steps, f"peers.{size}.evaluation")
        for precision, result in ours.items():
            rows.append([size, f"rec_engine {precision}", milliseconds(result["evaluation_s"]), ""])
        if peer:
            seconds = peer["result"]["evaluation_s"]
            rows.append([size, "PyTorch: matmul, mask, topk, fp32", milliseconds(seconds),
                         f"{seconds[1] / ours['fp32']['evaluation_s'][1]:.2f}" if "fp32" in ours else ""])
    return table(["size", "evaluation", "ms", "over rec_engine's in fp32"], rows) if rows else ""


def kernel_rows(steps):
    rows = []
    for name, step in steps.items():
        if not name.startswith("kernels.") or step["status"] != "passed":
            continue
        runs = {}
        for entry in step["result"]["benchmarks"]:
            if entry["run_type"] == "iteration":
                runs.setdefault(entry["run_name"], []).append(entry)
        for run_name, entries in runs.items():
            times = sorted(entry["real_time"] for entry in entries)
            first, median = entries[0], times[len(times) // 2]
            scale = first["real_time"] / median
            unit = "GFLOP/s" if first["label"].startswith("sgemm") else "GB/s"
            rows.append([re.sub(r"/iterations:\d+|/manual_time", "", run_name),
                         f"{digits(median)} ({digits(times[0])} to {digits(times[-1])})",
                         f"{digits(first[unit] * scale)} {unit}",
                         f"{100 * first['share'] * scale:.0f}%" if "share" in first else "", first["label"]])
    return rows


def limits_tables(steps):
    made = []
    for name, head in (("gather", ["row_bytes", "working_set_mb", "gb_s"]), ("copy", ["working_set_mb", "gb_s"]),
                       ("shared", ["load_bytes", "gb_s"]),
                       ("gemm", ["shape", "product", "m", "n", "k", "precision", "tflop_s"])):
        rows = passed(steps, f"decide.{name}")
        if rows:
            made.append(f"Limit: {name}\n\n" + table(head, [[digits(row[key]) if isinstance(row[key], float) else row[key]
                                                            for key in head] for row in rows]))
    return made


def peer_kernels(steps):
    rows = []
    for size in sizes_of(steps):
        for row in (passed(steps, f"peers.{size}.kernels") or {}).get("result", []):
            time = [f"{digits(row[key][1])} ({digits(row[key][0])} to {digits(row[key][2])})" for key in ("ms", "flushed_ms")] \
                if row.get("ms") else [row.get("not_run") or f"answer is off by {row['error']:.1g}", ""]
            rows.append([size, row["kernel"], row["peer"], *time])
    return table(["size", "kernel", "peer", "ms", "ms, caches flushed"], rows) if rows else ""


def measured_tables(facts, steps, date):
    kernels = kernel_rows(steps)
    parts = [origin(facts, steps, date), checks_table(steps), steps_table(steps), evaluation_table(steps),
             table(["kernel / size", "ms", "rate", "share", "of this GPU's limit"], kernels) if kernels else "",
             peer_kernels(steps), *limits_tables(steps)]
    return "\n\n".join(part for part in parts if part)


def page_of(state):
    text = measured_tables(state.facts, state.steps, "")
    return f"### {state.device}\n\n" + (f"{EMULATED}\n\n" if state.emulated else "") + text


# ---- what write_docs.py puts into the pages

def benchmarks_text():
    found = recorded()
    if not found:
        return computed_tables()
    return "\n\n".join(f"### {gpu}\n\n{measured_tables(each['gpu_machine'], each['gpu_steps'], each['date'])}"
                       for gpu, each in found.items())


def readme_text():
    found = recorded()
    if not found:
        return "Not yet measured on a GPU; what a step must do at least, computed, is in " \
               "[docs/benchmarks.md](docs/benchmarks.md)."
    return "\n\n".join(f"{gpu}:\n\n{steps_table(each['gpu_steps'])}" for gpu, each in found.items())
