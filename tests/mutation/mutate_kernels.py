#!/usr/bin/env python3
"""Breaks the CUDA kernels, one small change at a time, and looks whether their tests notice.

    tests/mutation/mutate_kernels.py                   every mutant of every kernel
    tests/mutation/mutate_kernels.py --kernel adam     those of kernels/adam (or common)
    tests/mutation/mutate_kernels.py --quick 10        ten drawn at random, the same every time

A mutant is one file of kernels/*/*_cuda.cu or kernels/*/*.cuh with one rule below applied at one place. Only it is
compiled, and linked with the tests of its kernel (for kernels/common and headers: of every kernel that includes it),
which run in the preset emulate, in several orders of threads. Mutants that take away a barrier and pass there run in
emulate-tsan too. A test that fails, or runs far longer than without the change, has caught the mutant. Survivors that
cannot matter are listed in survivors.tsv with the reason; any other makes this fail.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shlex
import subprocess
import sys
import time

# name, what is looked for in the source without its comments, what stands there instead
RULES = [
    ("no __syncthreads", r"\b__syncthreads\(\);", ";"),
    ("no __syncwarp", r"\b__syncwarp\([^;]*\);", ";"),
    ("no wait for copies", r"\b\w*async_wait\w*(<[^;]*>)?\([^;]*\);", ";"),
    ("< becomes <=", r" < ", " <= "),
    ("<= becomes <", r" <= ", " < "),
    ("> becomes >=", r" > ", " >= "),
    (">= becomes >", r" >= ", " > "),
    ("+ 1 left out", r" \+ 1\b(?![.'])", ""),
    ("- 1 left out", r" - 1\b(?![.'])", ""),
]
SYNCHRONISING = {"no __syncthreads", "no __syncwarp", "no wait for copies"}
# No code runs there, or it does not compile when changed.
SKIPPED_LINES = re.compile(r"^\s*(#|template\b|static_assert\b|requires\b|using\b)")

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build/mutation"
SURVIVORS = pathlib.Path(__file__).with_name("survivors.tsv")
ORDERS = ("random:1", "forward", "reverse")
TESTS = "tests/CMakeFiles/rec_tests.dir"
SEED = 1


class Mutant:
    def __init__(self, file, rule, start, end, replacement, text):
        self.file = file  # from ROOT
        self.rule = rule
        self.line = text.count("\n", 0, start) + 1
        first = text.rfind("\n", 0, start) + 1
        self.source = text[first:text.index("\n", first)].strip()
        pattern = next(pattern for name, pattern, _ in RULES if name == rule)
        self.place = 1 + len(re.findall(pattern, text[first:start]))  # of the rule's matches in the line
        self.text = text[:start] + replacement + text[end:]

    def key(self):
        return (self.file, self.rule, self.source, str(self.place))

    def __str__(self):
        return f"{self.file}:{self.line}: {self.rule} ({self.place}): {self.source}"


def without_comments(text):
    """The same length, with spaces where comments and strings are."""
    blank = lambda match: re.sub(r"[^\n]", " ", match[0])
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def mutants_of(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    code = without_comments(text)
    for rule, pattern, replacement in RULES:
        for match in re.finditer(pattern, code):
            line = text[text.rfind("\n", 0, match.start()) + 1:]
            if not SKIPPED_LINES.match(line):
                yield Mutant(file, rule, match.start(), match.end(), replacement, text)


def included(file, seen=None):
    """The files of kernels/ that it includes, itself among them."""
    seen = set() if seen is None else seen
    if file not in seen and (ROOT / file).exists():
        seen.add(file)
        for header in re.findall(r'^#include "(kernels/[^"]+)"', (ROOT / file).read_text(encoding="utf-8"), re.M):
            included(header, seen)
    return seen


def paths(pattern):
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(pattern))


class Build:
    """One preset's build folder: how it compiles a file and links a test program."""

    def __init__(self, preset):
        self.preset = preset
        self.folder = ROOT / "build" / preset
        self.environment = {**os.environ, "REC_TEST_BACKEND": "cuda", "OMP_NUM_THREADS": "1"}
        if preset == "emulate-tsan":
            self.environment["OMP_TOOL_LIBRARIES"] = "libarcher.so"
            self.environment["TSAN_OPTIONS"] = "ignore_noninstrumented_modules=1"
        self.baseline_s = {}

    def prepare(self, kernels):
        if not (self.folder / "build.ninja").exists():
            self.checked(["cmake", "--preset", self.preset], ROOT)
        self.checked(["ninja", "-C", str(self.folder), "kernels/librec_kernels.a",
                      "tests/emulator/librec_cuda_emulator.a", *self.test_objects(), *map(self.tests_of, kernels)],
                     ROOT)
        self.compile_command = {
            entry["file"]: shlex.split(entry["command"])
            for entry in json.loads((self.folder / "compile_commands.json").read_text(encoding="utf-8"))}
        link = self.checked(["ninja", "-C", str(self.folder), "-t", "commands", "rec_tests"], ROOT).splitlines()[-1]
        words = [word for word in shlex.split(link) if word not in (":", "&&")]
        del words[words.index("-o"):words.index("-o") + 2]
        first = next(n for n, word in enumerate(words) if word.endswith(".o"))
        self.link_before = words[:first]
        self.link_after = [word for word in words[first:] if not word.endswith(".o")
                           and not word.endswith(("librec_host.a", "librec_engine_core.a"))]

    def checked(self, command, folder):
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"{shlex.join(command)} failed:\n{result.stdout[-4000:]}{result.stderr[-4000:]}")
        return result.stdout

    def test_objects(self):
        return [f"{TESTS}/main.cpp.o", f"{TESTS}/support/test_device.cpp.o"]

    def tests_of(self, kernel):
        return f"{TESTS}/kernels/test_{kernel}.cpp.o"

    def compile(self, source, overlay, output):
        """source [a path from ROOT], with what overlay has in place of the checkout's."""
        words = list(self.compile_command[str(ROOT / source)])
        words[words.index("-o") + 1] = str(output)
        for dependencies in ("-MF", "-MT"):
            if dependencies in words:
                at = words.index(dependencies)
                del words[at:at + 2]
        words = [word for word in words if word != "-MD"]
        at = next(n for n, word in enumerate(words) if word == f"-I{ROOT}")
        words.insert(at, f"-I{overlay}")
        if (overlay / source).exists():
            words[words.index(str(ROOT / source))] = str(overlay / source)
        return subprocess.run([*words, "-w"], cwd=self.folder, capture_output=True, text=True).returncode == 0

    def link(self, kernel, objects, program):
        self.checked([*self.link_before, *self.test_objects(), self.tests_of(kernel), *map(str, objects), "-o",
                      str(program), *self.link_after], self.folder)

    def passes(self, kernel, program, order):
        """False when the tests fail; None when they take too long."""
        limit = 30 + 5 * self.baseline_s.get(kernel, 120)
        try:
            result = subprocess.run([str(program), f"{kernel}:*[kernels]~[threads]", "-w", "NoTests", "--abort"],
                                    cwd=ROOT, env={**self.environment, "REC_EMU_ORDER": order}, timeout=limit,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return None
        return result.returncode == 0

    def measure(self, kernel):
        """The tests without a change must pass; how long they take sets the limit for mutants."""
        program = WORK / f"{self.preset}.{kernel}"
        self.link(kernel, [], program)
        began = time.monotonic()
        if not self.passes(kernel, program, ORDERS[0]):
            sys.exit(f"the tests of {kernel} fail in {self.preset} as they are: {program}")
        self.baseline_s[kernel] = time.monotonic() - began
        program.unlink()


class Mutation:
    def __init__(self):
        self.cuda_files = paths("kernels/*/*_cuda.cu")
        self.kernels = sorted({pathlib.Path(file).parts[1] for file in self.cuda_files} - {"common"})
        self.builds = [Build("emulate"), Build("emulate-tsan")]

    def subjects(self, file):
        """The kernels whose tests judge a change of this file."""
        folder = pathlib.Path(file).parts[1]
        if folder != "common" and file.endswith(".cu"):
            return [folder]
        # What a file that uses it includes.
        header = file.removesuffix("_cuda.cu") + ".h" if file.endswith("_cuda.cu") else file
        users = [each for each in self.cuda_files if each != file and header in included(each)]
        return sorted({kernel for each in users for kernel in self.subjects(each)})

    def judge(self, number, mutant):
        """What caught it, or None when it survived."""
        folder = WORK / str(number)
        changed = folder / mutant.file
        changed.parent.mkdir(parents=True, exist_ok=True)
        changed.write_text(mutant.text, encoding="utf-8")
        compiled = [file for file in self.cuda_files if mutant.file in included(file)]
        try:
            for build in self.builds:
                if build.preset == "emulate-tsan" and mutant.rule not in SYNCHRONISING:
                    continue
                objects = [folder / f"{n}.o" for n in range(len(compiled))]
                for source, output in zip(compiled, objects):
                    if not build.compile(source, folder, output):
                        return "does not compile"
                for kernel in self.subjects(mutant.file):
                    program = folder / "tests"
                    build.link(kernel, objects, program)
                    for order in ORDERS if build.preset == "emulate" else ORDERS[:1]:
                        passed = build.passes(kernel, program, order)
                        if passed is None:
                            return f"{build.preset}, {kernel}, {order}: took too long"
                        if not passed:
                            return f"{build.preset}, {kernel}, {order}"
            return None
        finally:
            subprocess.run(["rm", "-rf", str(folder)], check=True)


def known_survivors():
    lines = SURVIVORS.read_text(encoding="utf-8").splitlines()[1:]
    table = {}
    for line in lines:
        file, rule, place, source, reason = line.split("\t")
        table[(file, rule, source, place)] = reason
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", action="append", help="a folder of kernels/; may be given again")
    parser.add_argument("--quick", type=int, metavar="N", help="N mutants drawn at random")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time (default 1)")
    parser.add_argument("--list", action="store_true", help="list the mutants and stop")
    options = parser.parse_args()

    mutation = Mutation()
    files = [file for file in mutation.cuda_files + paths("kernels/*/*.cuh")
             if options.kernel is None or pathlib.Path(file).parts[1] in options.kernel]
    if not files:
        sys.exit(f"no CUDA files in kernels/{', kernels/'.join(options.kernel)}")
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    known = known_survivors()
    stale = [key for key in known if key[0] in files and key not in {mutant.key() for mutant in mutants}]
    if options.quick is not None and options.quick < len(mutants):
        mutants = random.Random(SEED).sample(mutants, options.quick)
    if options.list:
        print("\n".join(map(str, mutants)))
        return

    WORK.mkdir(parents=True, exist_ok=True)
    for file in files:
        if not mutation.subjects(file):
            sys.exit(f"{file}: no kernel includes it, so no test can judge a change of it")
    judged_by = sorted({kernel for mutant in mutants for kernel in mutation.subjects(mutant.file)})
    if all(mutant.rule not in SYNCHRONISING for mutant in mutants):
        mutation.builds.pop()
    for build in mutation.builds:
        build.prepare(judged_by)
        for kernel in judged_by:
            build.measure(kernel)
    caught, survived, allowed = 0, [], 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for mutant, by in zip(mutants, pool.map(mutation.judge, range(len(mutants)), mutants)):
            if by is not None:
                caught += 1
                print(f"caught    {mutant}   [{by}]", flush=True)
            elif mutant.key() in known:
                allowed += 1
                print(f"known     {mutant}   [{known[mutant.key()]}]", flush=True)
            else:
                survived.append(mutant)
                print(f"SURVIVED  {mutant}", flush=True)
    print(f"{caught} caught, {allowed} known survivors, {len(survived)} other survivors of {len(mutants)} mutants")
    for key in stale:
        print(f"{SURVIVORS.name} lists what is not there: {' | '.join(key)}")
    sys.exit(1 if survived or stale else 0)


if __name__ == "__main__":
    main()
