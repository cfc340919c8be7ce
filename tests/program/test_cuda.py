"""The program on --device cuda: training, evaluation and serving, and what happens when the GPU is lost.

In an emulated build the GPU is the emulation's, whose variables (tests/emulator/device_runtime.h) take devices, memory
and calls away. A build without CUDA, or a machine without a GPU, skips what needs one.
"""

import os
import unittest

from engine_program import (ProgramTest, checkpoint_parts, content_of, make_dataset, metrics, run, train,
                            without_seconds)

EMULATED = os.environ.get("REC_CUDA") == "EMULATE"
SETTINGS = ["--set", "patience=1000", "--set", "eval_every=1", "--set", "epochs=3"]


def environment(**changes):
    return {"env": {**os.environ, "REC_EMU_DEVICES": "1", **changes}}


def has_gpu():
    return "gpu  " in run("doctor", **environment()).stdout


@unittest.skipUnless(has_gpu(), "no GPU, or a build without CUDA")
class OnAGpu(ProgramTest):
    def setUp(self):
        super().setUp()
        self.data = make_dataset(self.folder / "data")

    def train(self, name, *more, device="cuda", **changes):
        return train(self.data, self.folder / name, *SETTINGS, *more, device=device, **environment(**changes))

    def test_trains_evaluates_and_recommends_as_the_cpu_does(self):
        for device in ("cuda", "cpu"):
            self.check_succeeds(self.train(device, device=device))
        both = [metrics(self.folder / device) for device in ("cuda", "cpu")]
        self.assertEqual([line["epoch"] for line in both[0]], [1, 2, 3])
        # The draws are the same, so the first epoch's loss differs by rounding alone.
        self.assertAlmostEqual(both[0][0]["loss"], both[1][0]["loss"], places=4)
        lists = [self.check_succeeds(run("recommend", self.folder / "cpu", "--users", "0,1,2", "--topk", "5", "--device",
                                         device, **environment())).stdout for device in ("cuda", "cpu")]
        self.assertEqual(lists[0], lists[1])
        for device in ("cuda", "cpu"):
            self.check_succeeds(run("evaluate", self.folder / "cuda", "--device", device, **environment()))

    def test_one_seed_gives_one_run(self):
        for name in ("one", "two"):
            self.check_succeeds(self.train(name))
        self.assertEqual(*(without_seconds(metrics(self.folder / name)) for name in ("one", "two")))
        self.assertEqual(*(checkpoint_parts(content_of(self.folder / name)["last.safetensors"])[1]
                           for name in ("one", "two")))

    def test_a_checkpoint_goes_on_with_the_other_backend(self):
        for first, then in (("cuda", "cpu"), ("cpu", "cuda")):
            with self.subTest(first=first, then=then):
                name = f"{first}-{then}"
                self.check_succeeds(self.train(name, device=first))
                self.check_succeeds(self.train(name, "--resume", "--set", "epochs=5", device=then))
                self.assertEqual([line["epoch"] for line in metrics(self.folder / name)], [1, 2, 3, 4, 5])

    def test_a_run_of_reduced_precision_is_served_and_goes_on_anywhere(self):
        for precision in ("tf32", "bf16"):
            with self.subTest(precision=precision):
                self.check_succeeds(self.train(precision, "--precision", precision))
                self.assertIn(f'precision = "{precision}"', (self.folder / precision / "config.toml").read_text())
                for device in ("cuda", "cpu"):
                    result = self.check_succeeds(run("evaluate", self.folder / precision, "--device", device, **environment()))
                    self.assertIn(f"was trained in {precision}; what follows is computed in fp32", result.stderr)
                more = ["--resume", "--set", "epochs=4"]
                self.check_refusal(self.train(precision, *more, device="cpu"), f"precision {precision}", "--precision fp32")
                self.check_succeeds(self.train(precision, *more))
                self.check_succeeds(self.train(precision, "--resume", "--set", "epochs=5", "--precision", "fp32", device="cpu"))
                self.assertEqual([line["epoch"] for line in metrics(self.folder / precision)], [1, 2, 3, 4, 5])

    def test_a_gpu_that_is_not_there_is_refused_by_its_number(self):
        self.check_refusal(self.train("run", device="cuda:7"), "cuda:7", "there is no GPU 7", "--device cpu")


@unittest.skipUnless(EMULATED, "needs an emulated build, where a GPU can be taken away")
class WithoutAGpu(ProgramTest):
    def setUp(self):
        super().setUp()
        self.data = make_dataset(self.folder / "data")
        self.run = self.folder / "run"

    def train(self, *more, device="cuda", **changes):
        return train(self.data, self.run, *SETTINGS, *more, device=device, **environment(**changes))

    def test_no_gpu(self):
        self.check_refusal(self.train(REC_EMU_DEVICES="0"), "no NVIDIA GPU", "--device cpu")
        result = self.check_succeeds(self.train(device="auto", REC_EMU_DEVICES="0"))
        self.assertIn("no NVIDIA GPU, using the CPU", result.stdout + result.stderr)
        self.check_refusal(self.train("--overwrite", "--precision", "bf16", device="auto", REC_EMU_DEVICES="0"),
                           "bf16", "no NVIDIA GPU", "--precision fp32")

    def test_too_little_memory_is_said_before_anything_is_written(self):
        self.check_refusal(self.train(REC_EMU_MEMORY="10000"), "training needs", "is available")
        self.assertNotIn("last.safetensors", content_of(self.run) or {})

    def test_a_gpu_lost_in_mid_run_leaves_the_checkpoint(self):
        self.check_succeeds(self.train("--set", "epochs=2"))
        before = content_of(self.run)["last.safetensors"]
        for call, number in (("launch", 1), ("launch", 40), ("cudaMalloc", 3), ("cudaMemcpyAsync", 5),
                             ("cudaStreamSynchronize", 4), ("cudaGraphLaunch", 1), ("cudaGraphInstantiate", 1)):
            with self.subTest(call=call, number=number):
                result = self.train("--resume", "--set", "epochs=4", REC_EMU_FAIL=f"{call}:{number}")
                self.check_refusal(result, "CUDA" if call != "launch" else "launch")
                self.assertEqual(content_of(self.run)["last.safetensors"], before)
        self.check_succeeds(self.train("--resume", "--set", "epochs=4"))


if __name__ == "__main__":
    unittest.main()
