#!/usr/bin/env python3
"""Compiles every CUDA kernel with nvcc and compares what ptxas says with registers.tsv.

    tests/cuda/check_registers.py                     all kernels, for compute capability 8.0 and 9.0
    tests/cuda/check_registers.py --architecture 90   one of them
    tests/cuda/check_registers.py --kernel adam       those of kernels/adam (or common)
    tests/cuda/check_registers.py --note              writes what it found into registers.tsv

Fails on a warning, on a kernel that spills registers to memory, on one that takes more registers than noted, and on
one that is not noted. A kernel made from a template is one line: the most that any of its instances takes. Without
nvcc it says that nothing was checked and exits with 77, which ctest shows as skipped.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTED = pathlib.Path(__file__).with_name("registers.tsv")
ARCHITECTURES = ("80", "90")
SKIPPED = 77

ENTRY = re.compile(r"Compiling entry function '(?P<name>\S+)'.*?"
                   r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
                   r"Used (?P<registers>\d+) registers", re.S)


def find_nvcc():
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    return os.environ.get("CUDACXX") or shutil.which("nvcc") or shutil.which(f"{home}/bin/nvcc")


def compile_kernel(nvcc, source, architecture):
    """What nvcc said. The device's code alone is made, and nvcc warns of the host's as well."""
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [nvcc, "-std=c++20", "--expt-relaxed-constexpr", "-lineinfo", f"-I{ROOT}", f"-arch=sm_{architecture}",
             "-Xptxas", "-v", "-cubin", str(ROOT / source), "-o", f"{folder}/kernel.cubin"],
            capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr


def instances(output):
    """(name of the kernel, the instance in full, registers, bytes spilled) of every kernel compiled."""
    found = [match.groupdict() for match in ENTRY.finditer(output)]
    names = subprocess.run(["c++filt"], input="\n".join(entry["name"] for entry in found), capture_output=True,
                           text=True, check=True).stdout.splitlines()
    for entry, name in zip(found, names):
        name = re.sub(r"rec::cuda::|rec::|\(anonymous namespace\)::|^void ", "", name)
        yield (re.match(r"\w+", name)[0], re.sub(r"(?<=>)\(.*", "", name)[:160],
               int(entry["registers"]), int(entry["stores"]) + int(entry["loads"]))


def read_noted():
    noted = {}
    if NOTED.exists():
        for line in NOTED.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                source, kernel, architecture, registers = line.split("\t")
                noted[source, kernel, architecture] = int(registers)
    return noted


def write_noted(noted):
    lines = ["# file\tkernel\tcompute capability\tregisters of a thread, at most"]
    lines += ["\t".join(map(str, (*key, registers))) for key, registers in sorted(noted.items())]
    NOTED.write_text("\n".join(lines) + "\n", encoding="utf-8")


def compare(source, architecture, code, output, noted):
    """The faults of one file, and the registers its kernels take by their keys in registers.tsv. noted: None where
    they are to be noted now."""
    where = f"{source}, sm_{architecture}"
    if code != 0:
        return [f"{where}: not compiled\n{output[-2000:]}"], {}
    faults = [f"{where}: {line.strip()}" for line in output.splitlines() if re.search(r"\bwarning\b", line, re.I)]
    taken = {}
    for kernel, instance, registers, spilled in instances(output):
        if spilled > 0:
            faults.append(f"{where}: {instance} spills {spilled} bytes")
        key = (source, kernel, architecture)
        taken[key] = max(taken.get(key, 0), registers)
    for key, registers in taken.items() if noted is not None else ():
        if key not in noted:
            faults.append(f"{where}: {key[1]} is not in {NOTED.name}: takes {registers} registers")
        elif registers > noted[key]:
            faults.append(f"{where}: {key[1]} takes {registers} registers, noted are {noted[key]}")
    return faults, taken


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=ARCHITECTURES, action="append")
    parser.add_argument("--kernel", action="append", help="a folder of kernels/")
    parser.add_argument("--note", action="store_true")
    arguments = parser.parse_args()

    nvcc = find_nvcc()
    if nvcc is None:
        print("registers: not checked, there is no nvcc here")
        return SKIPPED
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("kernels/*/*_cuda.cu")
                     if not arguments.kernel or path.parent.name in arguments.kernel)
    if not sources:
        sys.exit(f"registers: no kernels under kernels/{', '.join(arguments.kernel)}")
    architectures = arguments.architecture or ARCHITECTURES
    noted = read_noted()
    here = {key for key in noted if key[0] in sources and key[2] in architectures}
    faults, taken = [], {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {(source, architecture): pool.submit(compile_kernel, nvcc, source, architecture)
                for source in sources for architecture in architectures}
        for (source, architecture), job in jobs.items():
            more_faults, more = compare(source, architecture, *job.result(),
                                        None if arguments.note else noted)
            faults += more_faults
            taken.update(more)
    if arguments.note:
        write_noted({key: registers for key, registers in noted.items()
                     if key not in here and (ROOT / key[0]).exists()} | taken)
    else:
        faults += [f"{source}, sm_{architecture}: {kernel} is in {NOTED.name} and no kernel any more"
                   for source, kernel, architecture in sorted(here - set(taken))]
    for fault in faults:
        print(fault)
    print(f"registers: {len(taken)} kernels of {len(sources)} files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
