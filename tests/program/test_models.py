"""Models beside AlphaRec, and several datasets trained together, on small datasets."""

import json
import unittest

from engine_program import ProgramTest, make_dataset, metrics, npy_bytes, run, train, vector, without_seconds


class NodeTables(ProgramTest):
    """MF and LightGCN: a dataset without language vectors is enough."""

    def setUp(self):
        super().setUp()
        self.data = make_dataset(self.folder / "data")
        (self.data / "item_language.npy").unlink()
        self.run_folder = self.folder / "run"
        self.arguments = ("--set", "model=lightgcn", "--set", "lr=0.05", "--set", "init_std=0.1")

    def test_trains_evaluates_recommends_and_resumes(self):
        result = self.check_succeeds(train(self.data, self.run_folder, *self.arguments, "--epochs", "6"))
        self.assertIn("lightgcn on cpu", result.stdout)
        self.assertIn("bpr", result.stdout)
        losses = [line["loss"] for line in metrics(self.run_folder)]
        self.assertLess(losses[-1], losses[0])
        self.assertIn("\nlightgcn ", self.check_succeeds(run("evaluate", self.run_folder)).stdout)
        self.check_succeeds(run("recommend", self.run_folder, "--users", "1,2"))
        self.check_succeeds(run("similar", self.run_folder, "--item", "it3"))
        self.check_succeeds(run("export", self.run_folder, "--out", self.folder / "vectors"))
        beside = self.check_succeeds(run("evaluate", self.run_folder, "--data", self.data)).stdout
        self.assertIn("\npopularity ", beside)
        self.assertNotIn("emb-knn", beside)
        resumed = self.folder / "resumed"
        self.check_succeeds(train(self.data, resumed, *self.arguments, "--epochs", "2"))
        self.check_succeeds(train(self.data, resumed, "--resume", "--epochs", "6"))
        self.assertEqual(without_seconds(metrics(resumed)), without_seconds(metrics(self.run_folder)))
        self.assertEqual((resumed / "last.safetensors").read_bytes(), (self.run_folder / "last.safetensors").read_bytes())

    def test_alpharec_says_what_is_missing(self):
        self.check_refusal(train(self.data, self.run_folder), "item_language.npy", "alpharec needs one language vector")

    def test_what_needs_language_is_refused(self):
        self.check_succeeds(train(self.data, self.run_folder, *self.arguments))
        other = make_dataset(self.folder / "other", users=12, items=15)
        self.check_refusal(run("evaluate", self.run_folder, "--data", other), "the model lightgcn", other, "train it there")
        self.check_refusal(run("recommend", self.run_folder, "--history", "it1"), "--history", "lightgcn", "language vectors")
        self.check_refusal(run("recommend", self.run_folder, "--users", "1", "--intent-item", "it1", "--alpha", "0.1"),
                           "an intention", "lightgcn")
        self.check_refusal(run("intention", self.run_folder), "intention", "lightgcn")

    def test_settings_that_contradict_each_other(self):
        for settings, words in ((["model=mf", "projector=mlp"], ["projector is 'mlp'", "model is 'mf'"]),
                                (["model=mf", "projector_layers=2"], ["projector_layers is 2"]),
                                (["model=mf", "layers=2"], ["layers is 2", "lightgcn has"]),
                                (["init_std=0.1"], ["init_std is 0.1", "model is 'alpharec'"]),
                                (["reg=0.1"], ["reg is 0.1", "model is 'alpharec'"])):
            with self.subTest(settings):
                (self.data / "item_language.npy").write_bytes(
                    npy_bytes([20, 8], [value for row in range(20) for value in vector(row)]))
                arguments = [word for setting in settings for word in ("--set", setting)]
                self.check_refusal(train(self.data, self.run_folder, *arguments), *words)
                self.assertFalse(self.run_folder.exists())


class AsTheRelease(ProgramTest):
    """compat: what the authors' code does, and a label wherever a figure stands."""

    def setUp(self):
        super().setUp()
        self.data = make_dataset(self.folder / "data")
        self.run_folder = self.folder / "run"

    def test_the_best_epoch_is_by_test(self):
        result = self.check_succeeds(train(self.data, self.run_folder, "--compat", "alpharec-release", "--epochs", "8"))
        self.assertIn("the best epoch is chosen on the test split", result.stdout)
        self.assertIn("(by test)", result.stdout)
        lines = metrics(self.run_folder)
        self.assertTrue(all("test" in line and "valid" not in line for line in lines))
        best = max(lines, key=lambda line: line["test"]["recall@5"])
        self.assertIn(f'"best_epoch":"{best["epoch"]}"'.encode(), (self.run_folder / "best.safetensors").read_bytes())
        config = (self.run_folder / "config.toml").read_text()
        for setting in ("tau = 0.1\n", "patience = 10\n", 'compat = "alpharec-release"\n'):
            self.assertIn(setting, config)
        label = "alpharec (alpharec-release: best epoch by test)"
        self.assertIn(label, self.check_succeeds(run("evaluate", self.run_folder)).stdout)
        self.assertIn(label, (self.run_folder / "report.html").read_text())

    def test_repeated_interactions_are_as_many_edges(self):
        """A line that stands twice changes nothing by default, and the model with compat."""
        lines = (self.data / "train.txt").read_text().splitlines()
        twice = make_dataset(self.folder / "twice")
        (twice / "train.txt").write_text("\n".join([*lines, lines[0], lines[3]]) + "\n")
        runs = {}
        for name, data, compat in (("once", self.data, "none"), ("ignored", twice, "none"),
                                   ("alone", self.data, "alpharec-release"), ("counted", twice, "alpharec-release")):
            folder = self.folder / name
            # tau and patience as in the others, so that only the edges differ
            self.check_succeeds(train(data, folder, "--compat", compat, "--set", "tau=0.15", "--set", "patience=20",
                                      "--set", "batch=16", "--epochs", "2"))
            self.check_succeeds(run("evaluate", folder))
            header, tensors = (folder / "last.safetensors").read_bytes().split(b"}}", 1)
            runs[name] = tensors
        self.assertEqual(runs["ignored"], runs["once"])
        self.assertNotEqual(runs["counted"], runs["alone"])
        self.check_refusal(run("sweep", self.write_sweep()), "sweep.toml", "'compat'")
        self.check_refusal(run("compare", self.folder / "once", self.folder / "alone"), "alone", "compat")

    def write_sweep(self):
        file = self.folder / "sweep.toml"
        file.write_text(f'data = "{self.data}"\nout = "{self.folder / "sweep"}"\n[settings]\ncompat = "alpharec-release"\n')
        return file


class SeveralDatasets(ProgramTest):
    def setUp(self):
        super().setUp()
        self.books = make_dataset(self.folder / "books")
        self.games = make_dataset(self.folder / "games", users=25, items=18)
        self.run_folder = self.folder / "run"
        self.settings = ("--set", "batch=32", "--set", "hidden=16", "--set", "width=8", "--set", "negatives=8",
                         "--set", "topk=5", "--set", "monitor=recall@5", "--set", "eval_every=2")

    def train(self, *more, run_folder=None):
        return run("train", self.books, self.games, "--out", run_folder or self.run_folder, "--device", "cpu", "--threads",
                   "1", *self.settings, *more)

    def test_trains_together_and_evaluates_apart(self):
        result = self.check_succeeds(self.train("--epochs", "4"))
        for words in ("books: 30 users", "games: 25 users", "books, test split", "games, test split", "mean over datasets"):
            self.assertIn(words, result.stdout)
        for line in metrics(self.run_folder):
            valid = line["valid"]
            self.assertAlmostEqual(valid["recall@5"], (valid["books/recall@5"] + valid["games/recall@5"]) / 2, 12)
        file = self.folder / "metrics.json"
        result = self.check_succeeds(run("evaluate", self.run_folder, "--json", file))
        self.assertNotIn("zero-shot", result.stdout)
        found = json.loads(file.read_text())
        self.assertEqual(list(found["datasets"]), ["books", "games"])
        each = []
        for data in (self.books, self.games):
            self.check_succeeds(run("evaluate", self.run_folder, "--data", data, "--json", file))
            each.append(json.loads(file.read_text()))
            self.assertEqual(each[-1]["model"], "alpharec")  # trained on it, so not zero-shot
            self.assertEqual(found["datasets"][data.name], each[-1])
        for name, value in found["mean over datasets"].items():
            self.assertAlmostEqual(value, sum(one["metrics"][name] for one in each) / 2, 12)
        third = make_dataset(self.folder / "third", users=12, items=15)
        self.assertIn("alpharec, zero-shot", self.check_succeeds(run("evaluate", self.run_folder, "--data", third)).stdout)
        self.check_succeeds(run("recommend", self.run_folder, "--data", self.games, "--users", "3"))
        self.check_refusal(run("recommend", self.run_folder, "--users", "3"), "2 datasets together", "--data")
        self.check_refusal(run("evaluate", self.run_folder, "--per-user", "-"), "--per-user", "--data")

    def test_shares_change_what_is_drawn(self):
        self.check_succeeds(self.train("--set", "domain_shares=[1, 9]", "--epochs", "2"))
        even = self.folder / "even"
        self.check_succeeds(self.train("--epochs", "2", run_folder=even))
        self.assertNotEqual((even / "best.safetensors").read_bytes(), (self.run_folder / "best.safetensors").read_bytes())

    def test_a_dataset_without_test_is_left_out(self):
        (self.games / "test.txt").unlink()
        self.check_succeeds(self.train("--epochs", "2"))
        file = self.folder / "metrics.json"
        result = self.check_succeeds(run("evaluate", self.run_folder, "--json", file))
        self.assertIn("games: has no test interactions and is left out", result.stderr)
        self.assertEqual(list(json.loads(file.read_text())["datasets"]), ["books"])
        self.check_succeeds(run("evaluate", self.run_folder, "--split", "valid"))

    def test_a_dataset_that_changed_or_is_gone(self):
        self.check_succeeds(self.train("--epochs", "2"))
        lines = (self.games / "test.txt").read_text().splitlines()
        (self.games / "test.txt").write_text("\n".join(lines[1:]) + "\n")
        result = self.check_succeeds(run("evaluate", self.run_folder))
        self.assertIn("games: has changed since", result.stderr)
        self.assertNotIn("zero-shot", result.stdout)
        self.games.rename(self.folder / "elsewhere")
        self.check_refusal(run("evaluate", self.run_folder), self.games, "is not there", "--data")

    def test_resumes_to_the_same_bytes(self):
        self.check_succeeds(self.train("--epochs", "4"))
        resumed = self.folder / "resumed"
        self.check_succeeds(self.train("--epochs", "2", run_folder=resumed))
        self.check_succeeds(self.train("--epochs", "4", "--resume", run_folder=resumed))
        self.assertEqual((resumed / "last.safetensors").read_bytes(), (self.run_folder / "last.safetensors").read_bytes())
        self.check_refusal(train(self.books, self.run_folder, "--resume"), "other data")

    def test_one_dataset_may_choose_the_best_epoch(self):
        self.check_succeeds(self.train("--epochs", "8", "--set", "monitor_domain=games"))
        lines = metrics(self.run_folder)
        best = max(lines, key=lambda line: line["valid"]["games/recall@5"])
        self.assertIn(f'"best_epoch":"{best["epoch"]}"'.encode(), (self.run_folder / "best.safetensors").read_bytes())

    def test_what_does_not_fit_together(self):
        wider = make_dataset(self.folder / "wider", width=12)
        for arguments, words in (
                ((self.books, self.books), ["called books", "different folder names"]),
                ((self.books, wider), ["12 wide", "8 wide"]),
                ((self.books, self.games, "--set", "domain_shares=[1]"), ["1 shares", "2 datasets"]),
                ((self.books, self.games, "--set", "domain_shares=[1, 0]"), ["domain_shares", "greater than 0"]),
                ((self.books, self.games, "--set", "domain_shares=half"), ["domain_shares", "list of numbers"]),
                ((self.books, self.games, "--set", "monitor_domain=toys"), ["'toys'", "books+games"]),
                ((self.books, "--set", "monitor_domain=7"), ["monitor_domain", "text in quotation marks"]),
                ((self.books, self.games, "--set", "model=lightgcn"), ["lightgcn", "train it on each"])):
            with self.subTest(words):
                self.check_refusal(run("train", *arguments, "--out", self.run_folder), *words)
                self.assertFalse(self.run_folder.exists())
        (self.games / "item_language.npy").unlink()
        self.check_refusal(self.train(), "games", "no language vectors")


if __name__ == "__main__":
    unittest.main(verbosity=2)
