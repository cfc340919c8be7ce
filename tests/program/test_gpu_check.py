"""bench/gpu_check without a GPU: what it takes up again, what it refuses, the pack, and an emulated run where it was built.

Standard library only.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

from engine_program import PROGRAM, ROOT, run

sys.path[:0] = [str(ROOT / "bench/gpu"), str(ROOT / "bench")]
import machine  # noqa: E402
import pack  # noqa: E402
import phases  # noqa: E402
import runner  # noqa: E402
import tables  # noqa: E402
from runner import Outcome, Runner, Step  # noqa: E402
from state import State, StateError  # noqa: E402

GPU_CHECK = ROOT / "bench/gpu_check"
BUILD = pathlib.Path(PROGRAM).resolve().parent
RESERVE_S = runner.RESERVE_S


class Time:
    """A clock that stands still unless a step takes its time."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def step(self, name, takes_s, status="passed", **more):
        """A step that needs so many seconds, and is cut off when it has fewer; it counts its runs."""
        def work(seconds):
            made.runs += 1
            if takes_s > seconds:
                self.now += seconds
                raise subprocess.TimeoutExpired(name, seconds)
            self.now += takes_s
            return Outcome(status, "", {"took": takes_s})

        made = Step(name, work, **{"limit_s": 100, "least_s": 1, **more})
        made.runs = 0
        return made


class Resume(unittest.TestCase):
    def setUp(self):
        self.time, self.state, self.saved = Time(), State("sources", "a GPU"), 0

    def run_for(self, seconds, steps):
        def save():
            self.saved += 1

        work = Runner(self.state, save, seconds + RESERVE_S, self.time, say=lambda line: None)
        return [step.name for step in work.run(steps)]

    def status(self, step):
        return self.state.steps[step.name]["status"]

    def test_the_next_run_goes_on_where_the_last_stopped(self):
        steps = [self.time.step(f"a.{n}", 40) for n in range(5)]
        self.assertEqual(self.run_for(100, steps), ["a.2", "a.3", "a.4"])
        self.assertEqual(self.status(steps[2]), "unfinished")
        self.assertEqual(self.run_for(100, steps), ["a.4"])
        self.assertEqual(self.run_for(100, steps), [])
        self.assertEqual([step.runs for step in steps], [1, 1, 2, 1, 2])
        self.assertEqual({self.status(step) for step in steps}, {"passed"})

    def test_a_run_keeps_its_limit(self):
        began = self.time.now
        self.run_for(70, [self.time.step(f"a.{n}", 30) for n in range(9)])
        self.assertLessEqual(self.time.now - began, 70)

    def test_every_step_is_saved_at_once(self):
        self.run_for(100, [self.time.step(f"a.{n}", 10) for n in range(3)])
        self.assertEqual(self.saved, 3)

    def test_a_step_that_does_not_fit_is_left_and_a_smaller_one_is_taken(self):
        large, small = self.time.step("a.large", 50, least_s=50), self.time.step("a.small", 5)
        self.assertEqual(self.run_for(20, [large, small]), ["a.large"])
        self.assertEqual((large.runs, small.runs), (0, 1))

    def test_a_step_over_its_own_limit_has_failed(self):
        endless = self.time.step("a.endless", 1e9, limit_s=30)
        self.assertEqual(self.run_for(200, [endless]), [])
        self.assertEqual(self.status(endless), "failed")
        self.run_for(200, [endless])
        self.assertEqual(endless.runs, 1)

    def test_a_step_that_breaks_takes_no_other_along(self):
        def breaks(seconds):
            raise ValueError("no such thing")

        broken, sound = Step("a.broken", breaks, 10, 1), self.time.step("a.sound", 1)
        self.run_for(100, [broken, sound])
        self.assertEqual([self.status(broken), self.status(sound)], ["failed", "passed"])
        self.assertIn("no such thing", self.state.steps["a.broken"]["detail"])

    def test_what_needs_a_failed_step_is_not_run(self):
        build = self.time.step("first.build", 1, status="failed")
        rest = self.time.step("first.tests", 1, needs="first.build")
        self.assertEqual(self.run_for(100, [build, rest]), [])
        self.assertEqual((self.status(rest), rest.runs), ("not run", 0))

    def test_what_failed_is_run_again_when_asked_to(self):
        steps = [self.time.step("a.good", 1), self.time.step("a.bad", 1, status="failed"),
                 self.time.step("a.none", 1, status="not run")]
        self.run_for(100, steps)
        self.run_for(100, steps)
        self.assertEqual([step.runs for step in steps], [1, 1, 1])
        self.state.forget_failures()
        self.run_for(100, steps)
        self.assertEqual([step.runs for step in steps], [1, 2, 2])

    def test_a_build_that_is_gone_is_made_again_and_nothing_else(self):
        here = []
        build = self.time.step("first.build", 10, is_here=lambda: bool(here))
        tests = self.time.step("first.tests", 10, needs="first.build")
        late = self.time.step("first.late", 10, needs="first.build")
        here.append(1)
        self.run_for(25, [build, tests])
        here.clear()  # another machine
        self.assertEqual(self.run_for(5, [build, tests, late]), ["first.build", "first.late"])
        build.run = (lambda before: lambda seconds: (here.append(1), before(seconds))[1])(build.run)
        self.assertEqual(self.run_for(25, [build, tests, late]), [])
        self.assertEqual((build.runs, tests.runs, late.runs), (3, 1, 1))


class Commands(unittest.TestCase):
    def test_a_command_that_hangs_is_ended_with_its_children(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "pid"
            with self.assertRaises(subprocess.TimeoutExpired):
                runner.command(["sh", "-c", f"sleep 600 & echo $! > {file}; wait"], 1)
            self.assertFalse(pathlib.Path(f"/proc/{file.read_text().strip()}/cwd").exists())

    def test_a_failing_command_says_its_last_line(self):
        outcome = runner.outcome_of(runner.command(["sh", "-c", "echo first; echo last >&2; exit 3"], 10))
        self.assertEqual((outcome.status, outcome.detail), ("failed", "exit code 3: last"))

    def test_a_tool_that_refuses_the_device_was_not_run(self):
        refusal = runner.Finished(1, "========= Error: Device not supported. Please refer to the documentation\n")
        self.assertEqual(phases.sanitizer_outcome(refusal).status, "not run")
        found = runner.Finished(99, "========= Invalid __global__ read of size 4 bytes\n========= ERROR SUMMARY: 1 error\n")
        self.assertEqual(phases.sanitizer_outcome(found).status, "failed")
        clean = runner.Finished(0, "========= ERROR SUMMARY: 0 errors\n")
        self.assertEqual(phases.sanitizer_outcome(clean).status, "passed")

    def test_training_is_compared_by_its_metrics(self):
        def lines(recall):
            return [{"epoch": 1, "loss": 2.5, "recall@20": recall, "seconds": 1.0}]

        self.assertEqual(phases.compare_training(lines(0.50), lines(0.51), 400).status, "passed")  # 0.025 allowed
        self.assertEqual(phases.compare_training(lines(0.50), lines(0.53), 400).status, "failed")
        self.assertEqual(phases.compare_training(lines(0.50), lines(float("nan")), 400).status, "failed")
        self.assertEqual(phases.compare_training(lines(0.50), [], 400).status, "failed")


class StateFile(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rec_engine_test."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.file = self.folder / "state.json"

    def made(self):
        state = State("sources", "a GPU")
        state.facts = {"driver": "1.2"}
        state.put("decide.copy", Outcome("passed", "", [{"working_set_mb": 1.0, "gb_s": 1.5}]), 3.25)
        state.put("first.tests", Outcome("unfinished", "did not finish within 3 s"), 3)
        return state

    def test_round_trip(self):
        self.made().write(self.file)
        read = State.resume(self.file, "sources", "a GPU")
        self.assertEqual(vars(read), vars(self.made()))
        self.assertTrue(read.is_final("decide.copy"))
        self.assertFalse(read.is_final("first.tests"))
        self.assertEqual([file.name for file in self.folder.iterdir()], ["state.json"])

    def test_results_of_two_sources_or_devices_do_not_mix(self):
        self.made().write(self.file)
        for source, device in (("other", "a GPU"), ("sources", "another GPU")):
            with self.assertRaisesRegex(StateError, "do not mix"):
                State.resume(self.file, source, device)

    def test_damage_is_refused_in_a_sentence(self):
        self.made().write(self.file)
        whole = self.file.read_text()
        content = json.loads(whole)
        damaged = [whole[:50], "", "[]", "\xff", json.dumps({**content, "format": 99}),
                   json.dumps({key: value for key, value in content.items() if key != "steps"}),
                   json.dumps({**content, "steps": {"a": {"status": "fine"}}}), json.dumps({**content, "steps": {"a": 3}})]
        for text in damaged:
            with self.subTest(text=text[:40]):
                self.file.write_bytes(text.encode("latin-1"))
                refused = run("show", "--state", self.file, program=GPU_CHECK)
                self.assertEqual(refused.returncode, 2)
                self.assertEqual(len(refused.stderr.splitlines()), 1, refused.stderr)
                self.assertIn(str(self.file), refused.stderr)
                self.assertIn("begin anew", refused.stderr)

    def test_emulated_results_are_shown_as_such_and_never_recorded(self):
        state = self.made()
        state.device = "emulated"
        state.write(self.file)
        self.assertIn("Emulated", run("page", "--state", self.file, program=GPU_CHECK).stdout)
        before = sorted((ROOT / "bench/results").iterdir())
        refused = run("record", "--state", self.file, program=GPU_CHECK)
        self.assertEqual((refused.returncode, sorted((ROOT / "bench/results").iterdir())), (2, before))
        self.assertIn("never recorded", refused.stderr)


class Pages(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rec_engine_test."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        patch = unittest.mock.patch.object(tables, "RESULTS", self.folder)
        patch.start()
        self.addCleanup(patch.stop)

    def made(self):
        state = State("sources", "NVIDIA H100")
        state.facts = {"gpu": "NVIDIA H100", "commit": "abc", "driver": "580.1"}
        state.put("first.tests", Outcome("failed", "a.cpp:3 | b"), 1)
        state.put("steps.books.fp32", Outcome("passed", "", {"step_s": [0.001, 0.002, 0.003], "epoch_s": 0.43,
                                                             "evaluation_s": [0.01, 0.01, 0.01]}), 1)
        state.put("steps.books.bf16", Outcome("passed", "", {"step_s": [0.001, 0.001, 0.003], "epoch_s": 0.2,
                                                             "evaluation_s": [0.01, 0.01, 0.01]}), 1)
        state.put("peers.books.D-bf16", Outcome("passed", "", {"result": {"step_s": [0.002, 0.003, 0.006], "epoch_s": 1.0}}), 1)
        state.put("peers.books.D-tf32", Outcome("passed", "", {"result": {"step_s": [0.002, 0.003, 0.006], "epoch_s": 1.0}}), 1)
        state.put("peers.books.D-fp32", Outcome("passed", "", {"result": {"step_s": [0.004, 0.005, 0.006], "epoch_s": 1.0}}), 1)
        return state

    def test_without_a_result_everything_is_computed_and_says_so(self):
        self.assertIn("Not yet measured on a GPU", tables.benchmarks_text())
        self.assertIn("computed", tables.benchmarks_text())
        self.assertIn("Not yet measured on a GPU", tables.readme_text())

    def test_a_recorded_result_takes_its_place(self):
        file = tables.record(self.made())
        self.assertEqual(file.name, "gpu-nvidia-h100-abc.json")
        for text in (tables.benchmarks_text(), tables.readme_text()):
            self.assertNotIn("Not yet measured", text)
            self.assertNotIn("Emulated", text)
            self.assertIn("| books | rec_engine fp32 | 2 (1 to 3) | 0.43 |", text)
            self.assertIn("| books | rec_engine bf16 | 1 (1 to 3) | 0.2 |", text)
            self.assertIn("| books | PyTorch D-fp32 | 5 (4 to 6) | 1 | 2.50 |", text)
            self.assertIn("| books | PyTorch D-bf16 | 3 (2 to 6) | 1 | 3.00 |", text)
            self.assertIn("| books | PyTorch D-tf32 | 3 (2 to 6) | 1 |  |", text)
        self.assertIn("a.cpp:3 \\| b", tables.benchmarks_text())

    def test_what_is_computed(self):
        """Of games, counted by hand: 2 x 2 x 14344 x 3072 x 1536 + 6 x 55178 x 1536 x 64 flops; 156005 edges."""
        computed = tables.computed("games")
        self.assertAlmostEqual(computed["gflop"], 270.735 + 32.545, 2)
        self.assertAlmostEqual(computed["aggregation_gb"], 2 * 156005 * 6144 / 1e9, 6)
        self.assertEqual(computed["steps_per_epoch"], 38)

    def test_the_sizes_are_those_of_the_benches_and_the_peers(self):
        of_benches = {name: tuple(map(int, numbers.split(","))) for name, numbers in
                      re.findall(r'\{"(books|movies|games)", ([\d, ]+)\}', (ROOT / "bench/shapes.h").read_text())}
        of_peers = {name: tuple(map(int, numbers.split(","))) for name, numbers in
                    re.findall(r'"(books|movies|games)": \(([\d, ]+)\)', (ROOT / "bench/gpu/peers.py").read_text())}
        self.assertEqual(of_benches, tables.PAPER)
        self.assertEqual(of_peers, tables.PAPER)


class Machine(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rec_engine_test."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        for name in ("python3", "env"):
            (self.folder / name).symlink_to(shutil.which(name))

    def refusal(self, *more):
        environment = {"PATH": str(self.folder), "HOME": str(self.folder)}
        refused = run(GPU_CHECK, "first", "--state", self.folder / "state.json", *more, program=sys.executable, env=environment)
        self.assertEqual(refused.returncode, 2, refused.stdout + refused.stderr)
        self.assertEqual(len(refused.stderr.splitlines()), 1, refused.stderr)
        return refused.stderr

    def nvidia_smi(self, text):
        script = self.folder / "nvidia-smi"
        script.write_text(f"#!/bin/sh\necho '{text}'\n")
        script.chmod(0o755)
        (self.folder / "sh").symlink_to(shutil.which("sh"))

    def test_no_gpu(self):
        self.assertIn("no NVIDIA GPU was found", self.refusal())

    def test_a_driver_that_finds_no_gpu(self):
        self.nvidia_smi("No devices were found")
        self.assertIn("No devices were found", self.refusal())

    def test_no_nvcc(self):
        with unittest.mock.patch.object(machine, "cuda_program", return_value=None):
            with self.assertRaisesRegex(machine.MachineError, "nvcc was not found"):
                machine.nvcc()

    def test_what_nvidia_smi_says(self):
        self.nvidia_smi("NVIDIA H100, 580.1, 9.0, 81559, 1980, 2619, 1980, 2619, 700.0")
        with unittest.mock.patch.dict(os.environ, {"PATH": str(self.folder)}):
            facts = machine.gpu_facts()
        self.assertEqual((facts["gpu"], facts["driver"], facts["power_limit_w"]), ("NVIDIA H100", "580.1", "700.0"))

    def test_the_code_is_compiled_for_the_machines_own_gpu(self):
        self.assertEqual(machine.architecture({"compute_capability": "9.0"}), "90a-real")
        self.assertEqual(machine.architecture({"compute_capability": "8.9"}), "89-real")


class Pack(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        lacking = [name for name in pack.PACKAGES if not shutil.which("dpkg-query") or not pack.installed_version(name)]
        if lacking:
            raise unittest.SkipTest(f"a pack takes packages that are not installed here: {', '.join(lacking)}")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="rec_engine_test."))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.file, cls.prefix = cls.folder / "pack.tar.xz", cls.folder / "prefix"
        cls.said = pack.make(ROOT, cls.file)
        cls.content = pack.unpack(cls.file, cls.prefix)

    def test_it_is_small_and_whole(self):
        self.assertLess(self.file.stat().st_size, pack.LIMIT_BYTES)
        self.assertEqual(pack.lacking(self.prefix), [])
        self.assertEqual(set(self.content["packages"]), set(pack.PACKAGES))
        self.assertEqual((self.prefix / "golden").exists(), pack.golden_folder(ROOT) is not None)

    def test_what_is_missing_is_noticed(self):
        copy = self.folder / "copy"
        shutil.copytree(self.prefix, copy, symlinks=True)
        (copy / "usr/include/xxhash.h").unlink()
        for library in (copy / pack.LIBRARIES).glob("libgfortran.so*"):
            library.unlink()
        lacking = "; ".join(pack.lacking(copy))
        self.assertIn("usr/include/xxhash.h", lacking)
        self.assertIn("libgfortran.so.5", lacking)

    def test_the_build_is_configured_from_the_pack_alone(self):
        """Everything that CMake finds lies in the pack."""
        build = self.folder / "build"
        configured = run("--preset", "cpu", "-B", build, "-C", self.prefix / "pack.cmake", program="cmake")
        self.assertEqual(configured.returncode, 0, configured.stdout + configured.stderr)
        cache = (build / "CMakeCache.txt").read_text()
        for name in ("fmt_DIR", "CLI11_DIR", "nlohmann_json_DIR", "tsl-robin-map_DIR", "Catch2_DIR", "benchmark_DIR", "RANDOM123_INCLUDE_DIR", "BOOST_INCLUDE_DIR",
                     "pkgcfg_lib_openblas_openblas", "pkgcfg_lib_tomlplusplus_tomlplusplus", "pkgcfg_lib_xxhash_xxhash",
                     "pkgcfg_lib_zlib_z", "pkgcfg_lib_zstd_zstd"):
            self.assertRegex(cache, rf"(?m)^{name}:\w+={self.prefix}/")

    def test_the_python_package_is_configured_from_the_pack(self):
        """With nanobind of the pack, for a Python that has none."""
        words = ("--preset", "cpu", "-B", self.folder / "build_python", "-C", self.prefix / "pack.cmake", "-DREC_PYTHON=ON",
                 f"-DPython_EXECUTABLE={shutil.which('python3')}")
        configured = run(*words, program="cmake", env={**os.environ, "PYTHONPATH": str(self.prefix / "python")})
        self.assertEqual(configured.returncode, 0, configured.stdout + configured.stderr)
        cache = (self.folder / "build_python/CMakeCache.txt").read_text()
        self.assertTrue(f"NB_DIR:INTERNAL={self.prefix}/python/nanobind" in cache, "nanobind of another place was taken")

    def test_boost_is_there_as_far_as_it_is_included(self):
        included = subprocess.run(["g++", "-std=c++20", "-M", f"-I{ROOT}", "-isystem", self.prefix / "usr/include",
                                   ROOT / "host/compare/paired_tests.cpp"], check=True, capture_output=True, text=True).stdout
        headers = [word for word in included.split() if "/boost/" in word]
        self.assertGreater(len(headers), 0)
        self.assertEqual([header for header in headers if not header.startswith(str(self.prefix))], [])

    def test_a_program_runs_on_the_packs_libraries(self):
        """OpenBLAS is the hard case: a library that needs others of the pack."""
        source = self.folder / "program.cpp"
        source.write_text("#include <cblas.h>\nint main() { float x[] = {3, 4}; return int(cblas_snrm2(2, x, 1)); }\n")
        words = subprocess.run([self.prefix / "pkg-config", "--cflags", "--libs", "openblas"], check=True, capture_output=True,
                               text=True).stdout.split()
        flags = (self.prefix / "pack.cmake").read_text().split('CMAKE_EXE_LINKER_FLAGS "')[1].split('"')[0].split()
        program = self.folder / "program"
        subprocess.run(["g++", source, "-o", program, *words, *flags], check=True)
        self.assertEqual(subprocess.run([program]).returncode, 5)
        loaded = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        for library in ("libopenblas.so.0", "libgfortran.so.5", "libquadmath.so.0"):
            self.assertRegex(loaded, rf"{library} => {self.prefix}")

    def test_a_damaged_pack_is_refused(self):
        damaged = self.folder / "damaged.tar.xz"
        damaged.write_bytes(self.file.read_bytes()[:100_000])
        with self.assertRaisesRegex(pack.PackError, "is damaged"):
            pack.unpack(damaged, self.folder / "nothing")
        with self.assertRaisesRegex(pack.PackError, "gpu_check pack makes it"):
            pack.unpack(self.folder / "none.tar.xz", self.folder / "nothing")


if (BUILD / "rec_gpu_limits").exists():  # an emulated GPU, in the preset emulate
    class Emulated(unittest.TestCase):
        def test_decide_kernels_and_steps(self):
            with tempfile.TemporaryDirectory() as folder:
                state = pathlib.Path(folder) / "state.json"
                result = run("decide", "kernels", "steps", "--emulate", "--build", BUILD, "--state", state, "--limit", 110,
                             program=GPU_CHECK, env={**os.environ, "REC_EMU_DEVICES": "1"})
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                steps = json.loads(state.read_text())["steps"]
                for name in ("decide.copy", "decide.gather", "decide.shared", "kernels.adam", "kernels.normalisation"):
                    self.assertEqual(steps[name]["status"], "passed", f"{name}: {steps[name]}")
                self.assertEqual(steps["decide.gemm"]["status"], "not run")
                page = run("page", "--state", state, program=GPU_CHECK).stdout
                self.assertIn("Emulated", page)
                self.assertIn("adam/tiny/cuda", page)


if __name__ == "__main__":
    unittest.main(verbosity=2)
