#!/usr/bin/env python3
"""Counts what each CUDA kernel asks of memory, without a GPU, and prints it beside the ledger.

usage: traffic.py [--scale N] [--stage NAME]... [--sites N] [--record]

Builds bench/traffic with the preset traffic (or takes --program FILE), runs it on a graph of the Games dataset's shape
with its sizes divided by --scale, and names the places in the code with addr2line. --record writes
bench/results/traffic.json, from which write_docs.py makes the table of docs/benchmarks.md.

Exits with 1 where an operation asks for far more than the ledger, or touches far more sectors than its bytes need, and
bench/traffic/stages.cpp does not say why. Standard library only.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RECORD = ROOT / "bench/results/traffic.json"
SECTOR_BYTES = 32
COUNTS = ("requests", "bytes", "sectors", "sectors_needed", "passes", "passes_needed")


def build():
    for command in (["cmake", "--preset", "traffic"],
                    ["cmake", "--build", "--preset", "traffic", "--target", "rec_traffic"]):
        finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if finished.returncode:
            raise SystemExit(f"traffic.py: {' '.join(command)} failed:\n{finished.stdout}{finished.stderr}")
    return ROOT / "build/traffic/rec_traffic"


def names_of(program, addresses):
    """address -> [(function, file:line), ...], the innermost first"""
    listing = subprocess.run(["addr2line", "-aCfip", "-e", program], input="\n".join(addresses), text=True,
                             capture_output=True, check=True).stdout
    names = {}
    for line in listing.splitlines():
        found = re.match(r"(0x[0-9a-f]+): (.*)", line)
        if found:
            frames = names.setdefault(hex(int(found[1], 16)), [])
            line = found[2]
        function, _, place = line.replace(" (inlined by) ", "").rpartition(" at ")
        frames.append((function, re.sub(r" \(discriminator \d+\)", "", place)))
    return names


def kernel_name(frames):
    """rec::cuda::(anonymous namespace)::update<4>(...) -> update"""
    name = re.sub(r"\(anonymous namespace\)::", "", frames[0][0])
    name = re.sub(r"^(void|static void) ", "", name)
    return re.split(r"[<(]", name)[0].split("::")[-1]


def place_in_kernel(frames):
    """The innermost line of the kernel's own file, rather than of what is inlined from kernels/common."""
    places = [re.sub(r"^.*/(?=kernels/)", "", place) for _, place in frames]
    own = [place for place in places if "kernels/" in place and "kernels/common/" not in place]
    return (own or [place for place in places if "kernels/" in place] or places)[0]


def added(sites):
    return {name: sum(site.get(name, 0) for site in sites) for name in COUNTS}


def ratio(above, below):
    return above / below if below else None


def digest(result, program):
    """What was counted, by kernel and by place, named; with the ratios."""
    addresses = {site[name] for stage in result["stages"] for site in stage.get("sites", [])
                 for name in ("kernel", "site")}
    names = names_of(program, sorted(addresses))
    for stage in result["stages"]:
        sites = stage.pop("sites", [])
        if not sites:
            raise SystemExit(f"traffic.py: nothing was counted of {stage['stage']}")
        for site in sites:
            site["kernel"] = kernel_name(names[site["kernel"]])
            site["place"] = place_in_kernel(names[site.pop("site")])
        by_place = collections.defaultdict(list)
        for site in sites:
            by_place[site["kernel"], site["place"], "passes" in site, site["writes"]].append(site)
        stage["kernels"] = [{"kernel": kernel, **summed([s for s in sites if s["kernel"] == kernel])}
                            for kernel in dict.fromkeys(site["kernel"] for site in sites)]
        stage["places"] = [{"kernel": kernel, "place": place, "memory": "shared" if shared else "device",
                            "does": "writes" if writes else "reads", **added(some)}
                           for (kernel, place, shared, writes), some in by_place.items()]
        stage.update(summed(sites))
        stage["asked"] = ratio(stage["read"] + stage["written"], stage["gathered"] + stage["streamed"])
    return result


def summed(sites):
    device = [site for site in sites if "sectors" in site]
    counts = added(sites)
    return {"read": sum(site["bytes"] for site in device if not site["writes"]),
            "written": sum(site["bytes"] for site in device if site["writes"]),
            "sector_bytes": SECTOR_BYTES * counts["sectors"],
            "sectors": ratio(counts["sectors"], counts["sectors_needed"]),
            "passes": ratio(counts["passes"], counts["passes_needed"])}


def failures(result):
    """One sentence for each operation or kernel that is over a limit and does not say why."""
    said = []
    advice = "mend it, or say why in bench/traffic/stages.cpp"
    for stage in result["stages"]:
        if stage["asked"] > result["most_asked"] and not stage["why_bytes"]:
            said.append(f"{stage['stage']} asks for {stage['asked']:.2f} times the ledger's bytes; {advice}")
        for kernel in stage["kernels"]:
            touched = kernel["sectors"] or 0  # none where a kernel uses shared memory alone
            if touched > result["most_sectors"] and not stage["why_sectors"]:
                said.append(f"{stage['stage']}, {kernel['kernel']}: touches {touched:.2f} times the sectors that "
                            f"its bytes need; {advice}")
    return said


def times(value):
    return "-" if value is None else f"{value:.2f}"


def megabytes(value):
    return f"{value / 1e6:.2f}"


def print_tables(result, most_places):
    print(f"{result['users']} users, {result['items']} items, {result['edges']} edges, hidden {result['hidden']},\n"
          f"dim {result['dim']}, batch {result['batch']}, {result['negatives']} negatives; float. MB asked for\n"
          "by kernels, without cuBLASLt's products. sectors: touched, over those that the bytes need; banks: passes over shared\n"
          "memory, over those without conflicts.\n")
    line = "{:<28}{:>10}{:>10}{:>10}{:>8}{:>10}{:>9}{:>7}"
    print(line.format("operation / kernel", "read", "written", "ledger", "ratio", "sectors", "in MB", "banks"))
    for stage in result["stages"]:
        print(line.format(stage["stage"], megabytes(stage["read"]), megabytes(stage["written"]),
                          megabytes(stage["gathered"] + stage["streamed"]), times(stage["asked"]),
                          times(stage["sectors"]), megabytes(stage["sector_bytes"]), times(stage["passes"])))
        for kernel in stage["kernels"]:
            print(line.format("  " + kernel["kernel"], megabytes(kernel["read"]), megabytes(kernel["written"]), "", "",
                              times(kernel["sectors"]), megabytes(kernel["sector_bytes"]), times(kernel["passes"])))
        print(f"  ledger: {stage['ledger']}")
        for why in ("why_bytes", "why_sectors"):
            if stage[why]:
                print(f"  why: {stage[why]}")
        worst = sorted((place for place in stage["places"] if place["sectors"] > place["sectors_needed"]),
                       key=lambda place: place["sectors_needed"] - place["sectors"])
        for place in worst[:most_places]:
            print(f"  {place['sectors'] - place['sectors_needed']:>12} sectors more than its bytes need: "
                  f"{place['kernel']} {place['does']} at {place['place']}")
        worst = sorted((place for place in stage["places"] if place["passes"] > place["passes_needed"]),
                       key=lambda place: place["passes_needed"] - place["passes"])
        for place in worst[:most_places]:
            print(f"  {place['passes'] - place['passes_needed']:>12} passes over shared memory by bank conflicts: "
                  f"{place['kernel']} {place['does']} at {place['place']}")
        print()


def commit():
    said = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"], cwd=ROOT,
                          capture_output=True, text=True)
    return said.stdout.strip() or "unknown"


def main():
    parser = argparse.ArgumentParser(description="Counts what each CUDA kernel asks of memory, beside the ledger.")
    parser.add_argument("--scale", type=int, default=16, help="divides the sizes of the Games dataset (16)")
    parser.add_argument("--stage", action="append", default=[], help="only this operation")
    parser.add_argument("--sites", type=int, default=3, help="how many of the worst places are named (3)")
    parser.add_argument("--program", help="a rec_traffic that is built already")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(ROOT)}")
    options = parser.parse_args()
    program = options.program or build()
    if not pathlib.Path(program).is_file():
        raise SystemExit(f"traffic.py: --program {program}: no such file; leave it out, and it is built")
    command = [program, "--scale", str(options.scale)] + [word for name in options.stage for word in ("--stage", name)]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if finished.returncode:
        return finished.returncode
    result = digest(json.loads(finished.stdout), program)
    print_tables(result, options.sites)
    if options.record:
        for stage in result["stages"]:
            del stage["places"]
        RECORD.write_text(json.dumps({"commit": commit(), "traffic": result}, indent=1) + "\n")
    said = failures(result)
    for sentence in said:
        print(f"traffic.py: {sentence}", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
