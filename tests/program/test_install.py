"""What `cmake --install` makes: a prefix that may be moved, whose C and C++ libraries other projects find and build with."""

import pathlib
import re
import shutil
import subprocess
import unittest

from engine_program import PROGRAM, ROOT, ProgramTest

BUILD = pathlib.Path(PROGRAM).resolve().parent
DATA = ROOT / "data/debian-deps"
HEADER = ROOT / "host/c_api/rec.h"
EXAMPLES = ROOT / "docs/examples"
TIMEOUT_S = 600


def done(*words, **options):
    """What the command printed; it must succeed."""
    result = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, timeout=TIMEOUT_S, **options)
    if result.returncode != 0:
        raise AssertionError(f"{result.args}\n{result.stdout}")
    return result.stdout


def declared_functions():
    return set(re.findall(r"^(?:rec_status|const char\*) (rec_\w+)\(", HEADER.read_text(), re.M))


class Page(unittest.TestCase):
    def test_the_page_names_every_function(self):
        page = (ROOT / "docs/c_and_cpp.md").read_text(encoding="utf-8")
        self.assertEqual(set(re.findall(r"`(rec_\w+)`", page.split("| to | call |")[1])), declared_functions())


@unittest.skipUnless((BUILD / "host/install").is_dir(), "built without REC_INSTALL")
class Install(ProgramTest):
    def setUp(self):
        super().setUp()
        done("cmake", "--build", BUILD, "--target", "rec_library", "rec_cpp_library")
        done("cmake", "--install", BUILD, "--prefix", self.folder / "first")
        self.prefix = self.folder / "moved"
        shutil.move(self.folder / "first", self.prefix)
        self.library = next(self.prefix.rglob("librec_engine.so"))
        self.headers = self.prefix / "include/rec_engine"

    def build_example(self, name):
        """The folder of what was built."""
        build = self.folder / name
        done("cmake", "-S", EXAMPLES / name, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        done("cmake", "--build", build)
        return build

    def test_everything_that_is_installed(self):
        self.assertIn("rec_engine", done(self.prefix / "bin/rec_engine", "--version"))
        self.assertFalse(list(self.prefix.rglob("*_native*")), "the Python package is installed by pip")

        with self.subTest("the C library shows the functions of rec.h with their version, and nothing else"):
            shown = {line.split()[-1] for line in done("nm", "-D", "--defined-only", self.library).splitlines()}
            declared = declared_functions()
            self.assertGreater(len(declared), 30)
            self.assertEqual(shown, {"REC_1"} | {f"{name}@@REC_1" for name in declared})

        with self.subTest("rec.h is C99, and C++"):
            for language, standard in (("c", "c99"), ("c++", "c++98")):
                done("gcc", "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Wno-long-long", "-Werror",
                     "-fsyntax-only", self.headers / "rec.h")

        with self.subTest("every C++ header finds what it includes, and takes no other library"):
            headers = sorted(str(file.relative_to(self.headers)) for file in self.headers.rglob("*.h"))
            self.assertIn("host/library/recommender.h", headers)
            source, taken = self.folder / "source.cpp", self.folder / "taken.d"
            source.write_text("".join(f'#include "{header}"\n' for header in headers))
            done("g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-MD", "-MF", taken, "-I", self.headers, source)
            others = re.findall(rf"\S*/(?:fmt|nlohmann|CLI|tsl|Random123)/\S+|{re.escape(str(ROOT))}/\S+", taken.read_text())
            self.assertEqual(others, [])

        with self.subTest("C"):
            example = self.build_example("c") / "recommend"
            user = re.search(r"^\d+\t([^\t]+)\t", (DATA / "users.tsv").read_text(encoding="utf-8"), re.M)[1]
            lists = done(example, DATA, self.folder / "run", user)
            self.assertRegex(lists, r"^epoch 1: loss [\d.]+\n1\. .+ \(-?[\d.]+\)\n2\. ")
            # The program serves the run too, with the same list.
            served = self.check_succeeds(subprocess.run(
                [self.prefix / "bin/rec_engine", "recommend", self.folder / "run", "--data", DATA, "--users", user, "--topk", "5"],
                capture_output=True, text=True, timeout=TIMEOUT_S)).stdout
            for title in re.findall(r"^\d\. (.+) \(", lists, re.M):
                self.assertIn(title.split(":")[0], served)
            refused = subprocess.run([example, DATA, self.folder / "run", user], capture_output=True, text=True, timeout=TIMEOUT_S)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("holds a run already", refused.stderr)

        with self.subTest("C++"):
            values = re.search(r"recall@10: ([\d.]+) by random vectors, ([\d.]+) propagated",
                               done(self.build_example("cpp") / "operations"))
            self.assertGreater(float(values[2]), float(values[1]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
