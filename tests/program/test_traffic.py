"""bench/traffic.py: how it names places in the code, sums up, and what it refuses. Its counts: tests/traffic."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import traffic  # noqa: E402  (bench/traffic.py)


def device_site(writes, size, sectors, needed):
    return {"writes": writes, "bytes": size, "requests": 1, "sectors": sectors, "sectors_needed": needed}


class Sums(unittest.TestCase):
    def test_shared_memory_is_not_among_the_bytes(self):
        sums = traffic.summed([device_site(False, 96, 6, 3), device_site(True, 32, 1, 1),
                               {"writes": True, "bytes": 4096, "requests": 1, "passes": 6, "passes_needed": 4}])
        self.assertEqual(sums, {"read": 96, "written": 32, "sector_bytes": 224, "sectors": 1.75, "passes": 1.5})

    def test_nothing_is_no_ratio(self):
        self.assertIsNone(traffic.summed([device_site(False, 32, 1, 1)])["passes"])
        self.assertEqual(traffic.times(None), "-")


class Names(unittest.TestCase):
    def test_a_kernels_name_is_its_functions(self):
        for function in ("rec::cuda::(anonymous namespace)::update",
                         "void rec::cuda::(anonymous namespace)::update<4>(int)"):
            self.assertEqual(traffic.kernel_name([(function, "adam_cuda.cu:20")]), "update")

    def test_a_place_is_the_kernels_own_line(self):
        frames = [("load_whole", "/there/tests/emulator/cuda_emulator.h:3"),
                  ("load", "/there/kernels/common/vector_io.cuh:4"),
                  ("update", "/there/kernels/adam/adam_cuda.cu:5"), ("launch", "/there/kernels/adam/adam_cuda.cu:6")]
        self.assertEqual(traffic.place_in_kernel(frames), "kernels/adam/adam_cuda.cu:5")
        self.assertEqual(traffic.place_in_kernel(frames[:2]), "kernels/common/vector_io.cuh:4")


class Limits(unittest.TestCase):
    def failures(self, asked=1.0, sectors=1.0, why_bytes="", why_sectors=""):
        return traffic.failures({"most_asked": 1.3, "most_sectors": 1.25, "stages": [
            {"stage": "adam", "asked": asked, "why_bytes": why_bytes, "why_sectors": why_sectors,
             "kernels": [{"kernel": "first", "sectors": 1.0}, {"kernel": "update", "sectors": sectors}]}]})

    def test_within_them(self):
        self.assertEqual(self.failures(1.3, 1.25), [])

    def test_who_asks_for_more_must_say_why(self):
        [sentence] = self.failures(asked=1.31)
        self.assertIn("adam asks for 1.31 times", sentence)
        self.assertEqual(self.failures(asked=1.31, why_bytes="it must"), [])
        self.assertEqual(len(self.failures(asked=1.31, why_sectors="it must")), 1)

    def test_every_kernel_that_touches_more_must_say_why(self):
        [sentence] = self.failures(sectors=1.26)
        self.assertIn("update", sentence)
        self.assertEqual(self.failures(sectors=1.26, why_sectors="it must"), [])


if __name__ == "__main__":
    unittest.main()
