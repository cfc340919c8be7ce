"""The phases of gpu_check and their steps, in the order in which they are run."""

import dataclasses
import json
import math
import os
import pathlib
import re
import shutil
import tempfile
import time

import machine
import pack
from runner import Finished, Outcome, Step, command, outcome_of
from tables import PRECISIONS

ROOT = pathlib.Path(__file__).resolve().parents[2]
GPU_FOLDER = ROOT / "bench/gpu"
PROGRAMS = ("rec_engine", "rec_tests", "rec_bench", "rec_gpu_limits", "rec_steps")
SIZES = ("books", "movies", "games")
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
# What a tool says where it cannot work on this device or driver, not of our code.
REFUSALS = re.compile(r"(?i)device not supported|unsupported (driver|device|gpu)|unable to (find|inject|attach)|"
                      r"failed to initialize|insufficient (permission|privilege)")
NO_BACKEND = "this build has no CUDA backend"
# Sentences of our programs where there is nothing to be run.
NOTHING_TO_RUN = (NO_BACKEND, "no bench matches", "an emulated GPU has no cuBLASLt")
EPOCHS = 5  # of the training on both sides


class Context:
    """Where things are, and how small they are to be."""

    def __init__(self, build, emulated, device_facts, jobs):
        self.build, self.emulated, self.device_facts, self.jobs = build, emulated, device_facts, jobs
        self.prefix = ROOT / "build/gpu_pack"
        self.pack = ROOT / ".gpu_pack/pack.tar.xz"

    def program(self, name):
        return self.build / name

    def sizes(self):
        return ("tiny",) if self.emulated else SIZES

    def environment(self):
        golden = self.prefix / "golden"
        found = {"REC_GOLDEN_DIR": str(golden)} if golden.is_dir() else {}
        return {**found, "REC_TEST_BACKEND": "cuda"}

    def run_to_json(self, words, seconds, environment=None):
        """The command with --json FILE after it; (Finished, what it wrote or None)."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "out.json"
            finished = command([*words, "--json", file], seconds, cwd=ROOT, environment=environment)
            try:
                return finished, json.loads(file.read_text())
            except (OSError, json.JSONDecodeError):
                return finished, None


# ---- first

def configure_words(context):
    if context.emulated:
        return ["cmake", "--preset", "emulate", "-B", context.build]
    words = ["cmake", "--preset", "cuda", "-B", context.build]
    if context.pack.exists():
        pack.unpack(context.pack, context.prefix)
        words += ["-C", context.prefix / "pack.cmake"]
    # Warnings of a compiler that the project was not tried with stop nothing here.
    return words + [f"-DCMAKE_CUDA_COMPILER={machine.nvcc()}", "-DREC_WERROR=OFF",
                    f"-DCMAKE_CUDA_ARCHITECTURES={machine.architecture(context.device_facts)}"]


def build(context):
    def run(seconds):
        start = time.monotonic()
        configured = command(configure_words(context), seconds, cwd=ROOT)
        if configured.code != 0:
            errors = [line for line in configured.output.splitlines() if line.strip()]
            return Outcome("failed", f"cmake: {' '.join(line.strip() for line in errors[-12:])[:600]}")
        left = max(1.0, seconds - (time.monotonic() - start))
        built = command(["cmake", "--build", context.build, "-j", context.jobs, "--target", *PROGRAMS], left, cwd=ROOT)
        if built.code != 0:
            wrong = [line for line in built.output.splitlines() if re.search(r"error|FAILED", line)]
            return Outcome("failed", (wrong[:1] or [built.last_line()])[0][:600])
        return Outcome("passed", "", {"warnings": len(re.findall(r"\bwarning\b.*[:#]", built.output)),
                                      "compilers": compilers(context), "flags": flags(context)})

    return Step("first.build", run, limit_s=500, least_s=60,
                is_here=lambda: all(context.program(name).exists() for name in PROGRAMS))


def cache(context):
    """CMake's cache: name -> value."""
    file = context.build / "CMakeCache.txt"
    return dict(re.findall(r"^(\w+):\w+=(.*)$", file.read_text(), re.M)) if file.exists() else {}


def compilers(context):
    values = cache(context)
    found = {"c++": machine.version_of(values.get("CMAKE_CXX_COMPILER", "g++"), "--version"),
             "cmake": machine.version_of("cmake", "--version")}
    if not context.emulated:
        found["nvcc"] = machine.version_of(machine.nvcc(), "--version")
    return found


def flags(context):
    return {name: value for name, value in cache(context).items()
            if name in ("CMAKE_BUILD_TYPE", "CMAKE_CXX_FLAGS", "CMAKE_CUDA_FLAGS", "CMAKE_CUDA_ARCHITECTURES", "REC_CUDA")}


def tests(context, name, filter_, limit_s):
    def run(seconds):
        finished = command([context.program("rec_tests"), filter_, "-w", "NoTests"], seconds, cwd=ROOT,
                           environment=context.environment())
        if "golden fixtures: none found" in finished.output:
            return Outcome("not run", "golden fixtures: none found")
        counts = tests_counts(finished)
        failed = f"{counts['first_failure']}: {counts['summary']}" if "first_failure" in counts else finished.last_line()
        return Outcome("passed" if finished.code == 0 else "failed", "" if finished.code == 0 else failed, counts)

    return Step(f"first.{name}", run, limit_s, needs="first.build")


def tests_counts(finished):
    """Catch2's last lines in numbers; a failing test's first words beside them."""
    found = re.search(r"test cases: (\d+).*", finished.output) or re.search(r"All tests passed .*", finished.output)
    failed = re.search(r"^(\S+:\d+): FAILED:", finished.output, re.M)
    return {"summary": found[0] if found else finished.last_line(), **({"first_failure": failed[1]} if failed else {})}


def training(context):
    def train(device, folder, seconds):
        run_folder = pathlib.Path(folder) / device
        finished = command([context.program("rec_engine"), "train", ROOT / "data/debian-deps", "--out", run_folder, "--device",
                            device, "--epochs", EPOCHS, *(["--set", "hidden=16", "--set", "negatives=8"] if context.emulated else [])],
                           seconds, cwd=ROOT)
        if finished.code != 0:
            return finished, None
        return finished, [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]

    def run(seconds):
        with tempfile.TemporaryDirectory() as folder:
            on_gpu, of_gpu = train("cuda", folder, seconds)  # first, since it may not be there
            if on_gpu.code != 0:
                return Outcome("not run", NO_BACKEND) if NO_BACKEND in on_gpu.output else outcome_of(on_gpu)
            on_cpu, of_cpu = train("cpu", folder, seconds)
            if on_cpu.code != 0:
                return outcome_of(on_cpu)
        users = sum(1 for line in open(ROOT / "data/debian-deps/test.txt") if line.strip())
        return compare_training(of_cpu, of_gpu, users)

    return Step("first.training", run, limit_s=240, least_s=30, needs="first.build")


def compare_training(of_cpu, of_gpu, users):
    """Means over users of values in [0, 1] have a standard error of at most 0.5 / sqrt(users): no more may lie between both."""
    bound = 0.5 / math.sqrt(users)
    rows, worst = [], 0.0
    for cpu, gpu in zip(of_cpu, of_gpu):
        both = {key: [cpu[key], gpu[key]] for key in cpu if isinstance(cpu[key], float) and key != "seconds" and key in gpu}
        rows.append(both)
        metrics = [abs(a - b) for key, (a, b) in both.items() if "@" in key]
        worst = max([worst, *metrics])
        if any(math.isnan(value) for pair in both.values() for value in pair):
            return Outcome("failed", "a value is NaN", rows)
    if len(of_cpu) != len(of_gpu):
        return Outcome("failed", f"{len(of_cpu)} lines of metrics on the CPU, {len(of_gpu)} on the GPU", rows)
    if worst > bound:
        return Outcome("failed", f"metrics differ by {worst:.2g}, above {bound:.2g}", rows)
    return Outcome("passed", f"metrics within {worst:.2g}", rows)


def cuda_kernels():
    """Those that have a CUDA version, by their folders."""
    return sorted({file.parent.name for file in (ROOT / "kernels").glob("*/*_cuda.cu")} - {"common"})


def sanitizer(context, tool, kernel):
    def run(seconds):
        program = machine.cuda_program("compute-sanitizer")
        if context.emulated:
            return Outcome("not run", "the emulation has sanitizers of its own")
        if not program:
            return Outcome("not run", "there is no compute-sanitizer")
        # Every test of the kernel's file: Catch2 takes the file's name as a tag when asked to.
        finished = command([program, "--tool", tool, "--error-exitcode", "99", context.program("rec_tests"), "--filenames-as-tags",
                            f"[#test_{kernel}]", "-w", "NoTests"], seconds, cwd=ROOT, environment=context.environment())
        return sanitizer_outcome(finished)

    return Step(f"first.{tool}.{kernel}", run, limit_s=240, least_s=20, needs="first.build")


def sanitizer_outcome(finished: Finished):
    if finished.code != 0 and REFUSALS.search(finished.output):
        refusal = next(line for line in finished.output.splitlines() if REFUSALS.search(line))
        return Outcome("not run", refusal.strip(" ="))
    found = re.search(r"ERROR SUMMARY: (.*)|RACECHECK SUMMARY: (.*)", finished.output)
    summary = (found[1] or found[2]) if found else finished.last_line()
    return Outcome("passed" if finished.code == 0 else "failed", "" if finished.code == 0 else summary, {"summary": summary})


def first(context):
    essential = [build(context),
                 tests(context, "tests.kernels", "[kernels]~[threads]", 300),
                 tests(context, "tests.rest", "~[kernels]~[golden]~[threads]", 300),
                 tests(context, "tests.golden", "[golden]", 120),
                 training(context),
                 *(sanitizer(context, "memcheck", kernel) for kernel in cuda_kernels())]
    return essential, [sanitizer(context, tool, kernel) for tool in SANITIZERS[1:] for kernel in cuda_kernels()]


# ---- decide, kernels, steps

def json_step(context, name, words, limit_s, environment=None):
    """A program that writes JSON; an exit code with one of the known sentences means that it could not be run."""
    def run(seconds):
        finished, content = context.run_to_json(words, seconds, environment)
        for sentence in NOTHING_TO_RUN:
            if finished.code != 0 and sentence in finished.output:
                return Outcome("not run", sentence)
        if finished.code == 0 and content is None:
            return Outcome("failed", "wrote no JSON")
        return outcome_of(finished, content)

    return Step(name, run, limit_s, needs="first.build")


def decide(context):
    small = ["--small"] if context.emulated else []
    return [json_step(context, f"decide.{what}", [context.program("rec_gpu_limits"), what, *small], 120)
            for what in ("copy", "gather", "shared", "gemm")], []


def kernels(context):
    """Every bench that has a CUDA side."""
    short = ["--benchmark_min_time=0.001", "--benchmark_repetitions=2"] if context.emulated else []
    names = sorted(file.stem.removeprefix("bench_") for file in (ROOT / "bench/kernels").glob("bench_*.cpp"))
    return [json_step(context, f"kernels.{name}",
                      [context.program("rec_bench"), f"--benchmark_filter=^{name}/.*/cuda", *short], 90)
            for name in names], []


def steps(context):
    words = [context.program("rec_steps"), "--device", "cuda", *(["--steps", "5"] if context.emulated else [])]
    made = [json_step(context, f"steps.{size}.{precision}", [*words, "--shape", size, "--precision", precision], 120)
            for size in context.sizes() for precision in PRECISIONS]
    return made[:len(PRECISIONS)], made[len(PRECISIONS):]


# ---- peers

def python():
    """The Python that has PyTorch."""
    return os.environ.get("REC_PEERS_PYTHON", "python3")


def same_graph(context, size):
    """The option that gives peers the graph that rec_steps trains on."""
    folder = context.build / "graphs" / size
    if not (folder / "shape.json").exists() and context.program("rec_steps").exists():
        command([context.program("rec_steps"), "--shape", size, "--graph", folder], 60)
    return ["--graph", folder] if (folder / "shape.json").exists() else []


def peers(context):
    def step(name, limit_s, work, size="", *words):
        device = ["--device", "cpu", "--small"] if context.emulated else ["--device", "cuda"]

        def run(seconds):
            data = ["--shape", size, *same_graph(context, size)] if size else []
            finished, content = context.run_to_json([python(), GPU_FOLDER / "peers.py", work, *data, *words, *device], seconds)
            if "No module named 'torch'" in finished.output:
                return Outcome("not run", "there is no PyTorch; REC_PEERS_PYTHON names a Python that has it")
            return outcome_of(finished, content)

        return Step(f"peers.{name}", run, limit_s, least_s=30)

    def of_size(size):
        return [step(f"{size}.A", 120, "steps", size, "--form", "A"),
                *(step(f"{size}.D-{precision}", 180, "steps", size, "--form", "D", "--precision", precision)
                  for precision in reversed(PRECISIONS)),
                step(f"{size}.evaluation", 120, "evaluation", size)]

    sizes = context.sizes()
    rest = [one for size in sizes[1:] for one in of_size(size)]
    return [step("equality", 120, "equality"), *of_size(sizes[0])], \
        [*(step(f"{size}.kernels", 180, "kernels", size) for size in sizes), *rest]


# ---- python

def python_build(context):
    """The package in the build tree, for the Python that has PyTorch."""
    def run(seconds):
        if context.emulated:
            return Outcome("not run", "the emulation runs the package's tests by itself (ctest -R python.cuda)")
        start = time.monotonic()
        configured = command(["cmake", "-B", context.build, "-DREC_PYTHON=ON", f"-DPython_EXECUTABLE={python_path()}"], seconds,
                             cwd=ROOT, environment={"PYTHONPATH": str(context.prefix / "python")})
        if configured.code != 0:
            return Outcome("not run", f"cmake: {configured.last_line()}"[:600])
        left = max(1.0, seconds - (time.monotonic() - start))
        return outcome_of(command(["cmake", "--build", context.build, "-j", context.jobs, "--target", "rec_python"], left, cwd=ROOT))

    return Step("python.build", run, limit_s=180, least_s=30, needs="first.build",
                is_here=lambda: any((context.build / "python/rec_engine").glob("_native*")))


def python_path():
    """python(), as a file."""
    return shutil.which(python()) or python()


def python_package(context):
    """Its operations on arrays of CUDA's runtime, and on PyTorch's tensors: values, streams, and a trace in which nothing waits;
    then a pipeline with the plain parts and with the package's."""
    package = {"PYTHONPATH": str(context.build / "python")}

    def tests_of(name, **more):
        def run(seconds):
            finished = command([python(), "-B", "-m", "unittest", "discover", "-v", "-p", f"test_{name}.py"], seconds, cwd=ROOT / "tests/python",
                               environment={**package, **more})
            if re.search(r"^OK \(skipped=|No module named", finished.output, re.M) or "Ran 0 tests" in finished.output:
                return Outcome("not run", finished.last_line())
            return outcome_of(finished, {"summary": finished.last_line()})

        return Step(f"python.{name}", run, limit_s=120, needs="python.build")

    drop_in = json_step(context, "python.drop_in", [python(), ROOT / "bench/peers/drop_in.py", "--datasets", ROOT / "data/debian-deps",
                                                    "--device", "cuda"], 120, package)
    return [python_build(context), tests_of("cuda"), tests_of("torch", REC_TEST_DEVICE="cuda"),
            dataclasses.replace(drop_in, needs="python.build")], []


PHASES = {"first": first, "decide": decide, "kernels": kernels, "steps": steps, "peers": peers,
          "python": python_package}


def steps_of(context, names):
    """What two runs must hold of every phase named, then the rest of each."""
    parts = [PHASES[name](context) for name in names]
    needed = [] if "first" in names else [build(context)]
    return [*needed, *(step for essential, _ in parts for step in essential), *(step for _, rest in parts for step in rest)]
