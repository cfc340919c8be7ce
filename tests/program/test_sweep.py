"""Sweeps: what is trained, that they go on where they stopped, and what a sweep's file may not say."""

import json
import signal
import subprocess
import tomllib
import unittest

from engine_program import PROGRAM, ROOT, ProgramTest, content_of, make_dataset, run, train

SWEEP = """
data = "DATA"
out = "OUT"
seeds = [1, 2]
[settings]
epochs = 2
[grid]
tau = [0.1, 0.2]
"""
# name, what stands for what in the sweep's file, words of the one line
REFUSED = [
    ("not TOML", ("[grid]", "[grid"), ["sweep.toml:7", "not TOML"]),
    ("no dataset", ('data = "DATA"', ""), ["sweep.toml", "does not say 'data'"]),
    ("no folder", ('out = "OUT"', ""), ["sweep.toml", "does not say 'out'"]),
    ("a dataset that is not there", ('"DATA"', '"DATA/none"'), ["none", "no such"]),
    ("a dataset that is a number", ('"DATA"', "7"), ["sweep.toml:2", "'data'", "quotation marks"]),
    ("an unknown key", ("seeds", "seds"), ["sweep.toml:4", "'seds'", "'seeds'"]),
    ("a setting at the top", ("seeds =", "tau = 0.1\nseeds ="), ["sweep.toml:4", "'tau'", "[settings]"]),
    ("seeds that are words", ("[1, 2]", '["a"]'), ["sweep.toml:4", "'seeds'", "whole numbers from 0"]),
    ("no seeds", ("[1, 2]", "[]"), ["sweep.toml:4", "'seeds' must be a list"]),
    ("a negative seed", ("[1, 2]", "[1, -2]"), ["sweep.toml:4", "from 0"]),
    ("a seed twice", ("[1, 2]", "[2, 2]"), ["sweep.toml:4", "2 twice"]),
    ("a grid of one value", ("[0.1, 0.2]", "0.1"), ["sweep.toml:8", "'tau'", "list of values"]),
    ("an empty grid", ("[0.1, 0.2]", "[]"), ["sweep.toml:8", "'tau'", "list of values"]),
    ("a value out of range", ("[0.1, 0.2]", "[0.1, 0]"), ["sweep.toml:8", "tau", "at least"]),
    ("a value twice", ("[0.1, 0.2]", "[0.1, 0.1]"), ["sweep.toml", "two runs", "tau=0.1,seed=1"]),
    ("an unknown setting", ("epochs = 2", "epoch = 2"), ["sweep.toml:6", "'epoch'", "nearest"]),
    ("a seed as a setting", ("epochs = 2", "seed = 2"), ["sweep.toml:6", "'seed'", "seeds = "]),
    ("settings that are no table", ("[settings]\nepochs = 2", "settings = 2"), ["sweep.toml:5", "'settings'", "table"]),
    ("a variant without a name", ("[grid]", "[[variant]]\nlr = 0.1\n[grid]"), ["[[variant]]", "needs a name"]),
    ("a variant that is no table", ("seeds = [1, 2]", "variant = 3"), ["sweep.toml:4", "'variant'", "[[variant]]"]),
    ("masks that differ", ("tau = [0.1, 0.2]", 'mask = ["others", "train"]'), ["sweep.toml", "'mask'", "[settings]"]),
    ("too many runs", ("[0.1, 0.2]", str(list(range(1, 10002)))), ["sweep.toml:8", "more than 10000 runs"]),
    ("one setting by two names", ("tau = [0.1, 0.2]", "tau = [0.1]\ntemperature = [0.2]"),
     ["sweep.toml:9", "'tau' and 'temperature'"]),
]


class Sweep(ProgramTest):
    def setUp(self):
        super().setUp()
        self.data = make_dataset(self.folder / "data")
        self.out = self.folder / "runs"
        self.file = self.folder / "sweep.toml"
        self.names = [f"tau={tau},seed={seed}" for tau in (0.1, 0.2) for seed in (1, 2)]

    def write(self, old="", new=""):
        self.assertIn(old, SWEEP)
        self.file.write_text(SWEEP.replace(old, new, 1).replace("DATA", str(self.data)).replace("OUT", str(self.out)))

    def sweep(self, *more):
        return run("sweep", self.file, "--device", "cpu", "--threads", "1", *more)

    def test_every_combination_is_trained_and_compared(self):
        self.write()
        page, file = self.folder / "page.html", self.folder / "all.json"
        result = self.check_succeeds(self.sweep("--quiet", "--html", page, "--json", file))
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.stdout.splitlines()[:4], [f"[{n}/4] {name}" for n, name in enumerate(self.names, 1)])
        self.assertEqual(sorted(folder.name for folder in self.out.iterdir()), sorted(self.names))
        for name in self.names:
            config = tomllib.loads((self.out / name / "config.toml").read_text())
            self.assertEqual((config["epochs"], config["batch"]), (2, 32), "the dataset's own settings hold too")
            self.assertEqual(name, f"tau={config['tau']},seed={config['seed']}")
        told = json.loads(file.read_text())
        self.assertEqual([each["name"] for each in told["over_seeds"]], ["tau=0.1 (2 seeds)", "tau=0.2 (2 seeds)"])
        compared = self.folder / "compared.json"
        self.check_succeeds(run("compare", *(self.out / name for name in self.names), "--device", "cpu",
                                "--json", compared))
        compared = json.loads(compared.read_text())
        for each in told["runs"] + compared["runs"]:
            del each["path"]
        self.assertEqual(told, compared)
        self.assertIn("<polyline", page.read_text())

    def test_it_trains_as_train_does(self):
        self.write()
        self.check_succeeds(self.sweep())
        alone = self.folder / "alone"
        self.check_succeeds(train(self.data, alone, "--seed", "2", "--set", "tau=0.2", "--epochs", "2"))
        for name in ("best.safetensors", "last.safetensors", "config.toml"):
            self.assertEqual((self.out / self.names[3] / name).read_bytes(), (alone / name).read_bytes())

    def test_a_sweep_goes_on(self):
        """One run is done, one was stopped before its end, one was never begun."""
        self.write("epochs = 2", "epochs = 6")
        self.check_succeeds(self.sweep())
        whole = {name: content_of(self.out / name) for name in self.names}
        self.assertTrue(all("trained already" in line for line in
                            self.check_succeeds(self.sweep("--quiet")).stdout.splitlines()[:4]))
        stopped = self.out / self.names[1]
        self.check_succeeds(train(self.data, stopped, "--overwrite", "--seed", "2", "--set", "tau=0.1", "--epochs", "2"))
        for file in (self.out / self.names[2]).iterdir():
            file.unlink()
        result = self.check_succeeds(self.sweep("--quiet"))
        self.assertEqual(result.stdout.splitlines()[:4],
                         [f"[{n}/4] {name}" + ("" if n in (2, 3) else ": trained already")
                          for n, name in enumerate(self.names, 1)])
        for name in self.names:
            for file in ("best.safetensors", "last.safetensors", "config.toml"):
                self.assertEqual((self.out / name / file).read_bytes(), whole[name][file])

    def test_an_interrupted_sweep(self):
        self.write("epochs = 2", "epochs = 60\npatience = 1000")
        with subprocess.Popen([PROGRAM, "sweep", str(self.file), "--device", "cpu", "--threads", "1"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            for line in process.stdout:
                if line.startswith("epoch "):
                    process.send_signal(signal.SIGINT)
                    break
            rest = process.stdout.read()
        self.assertEqual(process.returncode, 130, rest)
        self.assertEqual(rest.splitlines()[-1], f"stopped; go on with: rec_engine sweep {self.file}")
        self.assertEqual([folder.name for folder in self.out.iterdir()], self.names[:1])
        self.check_succeeds(self.sweep("--quiet"))
        alone = self.folder / "alone"
        self.check_succeeds(train(self.data, alone, "--seed", "1", "--set", "tau=0.1", "--set", "patience=1000",
                                  "--epochs", "60"))
        self.assertEqual((self.out / self.names[0] / "last.safetensors").read_bytes(),
                         (alone / "last.safetensors").read_bytes())

    def test_variants(self):
        self.write("seeds = [1, 2]", "")
        with open(self.file, "a") as file:
            file.write('[[variant]]\nname = "full"\n[[variant]]\nname = "w/o GCN"\nlayers = 0\ntau = 0.7\n')
        result = self.check_succeeds(self.sweep("--quiet"))
        names = [f"{variant},tau={tau}" for variant in ("full", "w_o_GCN") for tau in (0.1, 0.2)]
        self.assertEqual(result.stdout.splitlines()[:4], [f"[{n}/4] {name}" for n, name in enumerate(names, 1)])
        config = tomllib.loads((self.out / "w_o_GCN,tau=0.2/config.toml").read_text())
        self.assertEqual((config["layers"], config["tau"]), (0, 0.2), "the grid wins over the variant")

    def test_what_is_refused(self):
        for name, change, words in REFUSED:
            with self.subTest(name):
                self.write(*change)
                self.check_refusal(self.sweep(), *words)
                self.assertIsNone(content_of(self.out), "nothing is trained before everything is checked")
        self.check_refusal(run("sweep", self.folder / "none.toml"), "none.toml", "no such file")

    def test_folders_of_other_runs(self):
        self.write()
        self.check_succeeds(train(self.data, self.out / self.names[2], "--seed", "1", "--set", "tau=0.2",
                                  "--set", "lr=0.25"))
        before = content_of(self.out / self.names[2])
        self.check_refusal(self.sweep(), self.names[2], "other settings: lr = 0.25, not 0.0005", "'out'")
        self.assertEqual(content_of(self.out / self.names[2]), before)
        self.assertEqual(len(list(self.out.iterdir())), 1)
        self.write('"DATA"', f'"{make_dataset(self.folder / "other", users=31)}"')
        self.check_succeeds(train(self.data, self.out / self.names[2], "--overwrite", "--seed", "1", "--set", "tau=0.2"))
        self.check_refusal(self.sweep(), self.names[2], "other data")


if __name__ == "__main__":
    unittest.main(verbosity=2)
