"""The machine gpu_check runs on: its GPU, driver, clocks and compilers."""

import os
import pathlib
import platform
import re
import shutil
import subprocess

QUERIES = {"gpu": "name", "driver": "driver_version", "compute_capability": "compute_cap", "memory_mib": "memory.total",
           "sm_mhz": "clocks.sm", "memory_mhz": "clocks.mem", "max_sm_mhz": "clocks.max.sm",
           "max_memory_mhz": "clocks.max.mem", "power_limit_w": "power.limit"}


class MachineError(Exception):
    """One sentence for the user."""


def gpu_facts():
    """name -> text of the first GPU. Throws MachineError where there is none."""
    program = shutil.which("nvidia-smi")
    if not program:
        raise MachineError("no NVIDIA GPU was found (there is no nvidia-smi); --emulate tries the phases without one")
    asked = subprocess.run([program, f"--query-gpu={','.join(QUERIES.values())}", "--format=csv,noheader,nounits"],
                           capture_output=True, text=True)
    lines = asked.stdout.strip().splitlines()
    if asked.returncode != 0 or not lines or len(lines[0].split(", ")) != len(QUERIES):
        words = (asked.stdout + asked.stderr).strip().splitlines()
        raise MachineError(f"no NVIDIA GPU was found (nvidia-smi: {words[0] if words else 'says nothing'}); --emulate tries "
                           "the phases without one")
    return dict(zip(QUERIES, lines[0].split(", ")))


def cuda_program(name):
    """The path of a program of the CUDA toolkit, or None."""
    folders = [pathlib.Path(os.environ[variable]) / "bin" for variable in ("CUDA_HOME", "CUDA_PATH") if variable in os.environ]
    for folder in [*folders, pathlib.Path("/usr/local/cuda/bin"), pathlib.Path("/usr/local/cuda/compute-sanitizer")]:
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name)
    return pathlib.Path(found) if found else None


def nvcc():
    """Throws MachineError where there is none."""
    found = cuda_program("nvcc")
    if not found:
        raise MachineError("nvcc was not found in CUDA_HOME, /usr/local/cuda or PATH; install the CUDA 13 toolkit or name "
                           "its folder with CUDA_HOME")
    return found


def architecture(facts):
    """What the code is compiled for: this GPU's own, with what only it has ("90a") where there is such."""
    number = facts["compute_capability"].replace(".", "")
    return f"{number}{'a' if number in ('90', '100', '103', '120') else ''}-real"


def version_of(program, *words):
    """What a program says of its version: the line that has a number."""
    asked = subprocess.run([program, *words], capture_output=True, text=True)
    lines = [line.strip() for line in asked.stdout.splitlines() if re.search(r"\d+\.\d+", line)]
    return lines[0] if asked.returncode == 0 and lines else "unknown"


def host_facts():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"cpu": model[1] if model else "unknown", "processors": len(os.sched_getaffinity(0)),
            "system": platform.platform(), "python": platform.python_version()}
