"""Several threads: the same seed and the same number of threads give the same bytes. Runs under ThreadSanitizer too."""

import unittest

from engine_program import ProgramTest, content_of, make_dataset, run


class Threads(ProgramTest):
    def setUp(self):
        super().setUp()
        self.data = make_dataset(self.folder / "data", users=150, items=70)

    def train(self, name, *, seed, threads, settings=()):
        folder = self.folder / name
        self.check_succeeds(run("train", self.data, "--out", folder, "--seed", seed, "--threads", threads,
                                *[word for setting in settings for word in ("--set", setting)]))
        return content_of(folder)

    def test_one_seed_gives_one_checkpoint(self):
        for threads in (1, 2, 4):
            with self.subTest(threads=threads):
                first = self.train(f"first{threads}", seed=3, threads=threads)
                again = self.train(f"again{threads}", seed=3, threads=threads)
                other = self.train(f"other{threads}", seed=4, threads=threads)
                for name in ("best.safetensors", "last.safetensors", "config.toml"):
                    self.assertEqual(first[name], again[name], name)
                    self.assertNotEqual(first[name], other[name], name)

    def test_every_objective_and_sampling_rule(self):
        for settings in (["objective=bpr", "score=dot"], ["sampling=interaction", "layers=3"], ["model=linear"],
                         ["objective=softmax"], ["objective=inbatch"],
                         ["sampling=random_user", "negative_distribution=popularity"]):
            with self.subTest(settings):
                name = "-".join(settings)
                self.assertEqual(self.train(name + "1", seed=1, threads=3, settings=settings)["last.safetensors"],
                                 self.train(name + "2", seed=1, threads=3, settings=settings)["last.safetensors"])

    def test_ranking(self):
        self.train("run", seed=3, threads=2)
        outputs = [self.check_succeeds(run("recommend", self.folder / "run", "--users", "all", "--threads", threads)).stdout
                   for threads in (1, 3, 3)]
        self.assertEqual(outputs[1], outputs[2])
        self.assertEqual(outputs[0], outputs[1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
