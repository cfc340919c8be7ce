"""Runs side by side: what `compare` prints and writes, against the users' own values and against SciPy's tests of them."""

import json
import os
import pty
import re
import statistics
import subprocess
import unittest

from engine_program import PROGRAM, ROOT, ProgramTest, content_of, make_dataset, run, train
from python_packages import python_with

METRICS = [f"{metric}@{k}" for k in (5, 3) for metric in ("recall", "ndcg", "hr", "precision", "map", "mrr")]
P_BOUND = 1e-9  # relative: two programs' incomplete beta functions, and sums of some hundred users in another order
PAIRED_TESTS = """
import json, sys
from scipy import stats
pairs = json.load(sys.stdin)
json.dump([[stats.ttest_rel(a, b).pvalue, stats.wilcoxon(a, b).pvalue] for a, b in pairs], sys.stdout)
"""


class Compare(ProgramTest):
    def setUp(self):
        super().setUp()
        self.data = make_dataset(self.folder / "data", users=120, items=40)

    def train(self, name, *settings, seed=1):
        folder = self.folder / "runs" / name
        arguments = [word for setting in settings for word in ("--set", setting)]
        self.check_succeeds(train(self.data, folder, "--seed", seed, *arguments))
        return folder

    def compare(self, *arguments):
        """The JSON that compare writes, and what it prints."""
        file = self.folder / "comparison.json"
        result = self.check_succeeds(run("compare", *arguments, "--topk", "5,3", "--device", "cpu", "--json", file))
        self.assertEqual(result.stderr, "")
        return json.loads(file.read_text()), result.stdout

    def user_values(self, folder):
        """metric -> every user's value, as evaluate writes them."""
        file = self.folder / "users.tsv"
        self.check_succeeds(run("evaluate", folder, "--topk", "5,3", "--device", "cpu", "--per-user", file))
        header, *rows = [line.split("\t") for line in file.read_text().splitlines()]
        return {name: [float(row[column]) for row in rows] for column, name in enumerate(header) if column > 0}

    def check_against_scipy(self, a, b):
        python = python_with("scipy", "p-values were not held against SciPy's")
        json_, _ = self.compare(a, b)
        first, second = self.user_values(a), self.user_values(b)
        pairs = [[second[name], first[name]] for name in METRICS]
        result = subprocess.run([python, "-c", PAIRED_TESTS], input=json.dumps(pairs), capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual([each["metric"] for each in json_["differences"]], METRICS)
        for each, pair, (t_p, wilcoxon_p) in zip(json_["differences"], pairs, json.loads(result.stdout), strict=True):
            with self.subTest(each["metric"]):
                mean = statistics.fmean(x - y for x, y in zip(*pair))
                self.assertAlmostEqual(each["mean"], mean, delta=1e-12)
                self.assertLessEqual(each["interval"][0], mean)
                self.assertGreaterEqual(each["interval"][1], mean)
                self.assertLess(abs(each["t_p"] / t_p - 1), P_BOUND)
                self.assertLess(abs(each["wilcoxon_p"] / wilcoxon_p - 1), P_BOUND)

    def test_p_values_are_scipys(self):
        self.check_against_scipy(self.train("mlp", "lr=0.01"), self.train("linear", "model=linear"))

    def test_p_values_are_scipys_for_few_users(self):
        """With ties and zeros: exact for up to 13 users, by the normal distribution for more."""
        for users in (12, 40):
            self.data = make_dataset(self.folder / f"data{users}", users=users, items=40)
            self.check_against_scipy(self.train(f"mlp{users}", "lr=0.01"), self.train(f"linear{users}", "model=linear"))

    def test_a_run_with_itself(self):
        a = self.train("a")
        json_, text = self.compare(a, a)
        self.assertEqual([each["name"] for each in json_["runs"]], ["a", "a (2)"])
        self.assertEqual(len(json_["differences"]), len(METRICS))
        for each in json_["differences"]:
            self.assertEqual((each["mean"], each["interval"], each["t_p"], each["wilcoxon_p"]), (0, [0, 0], 1, 1))
        self.assertIn("less a, user by user", text)

    def test_the_table_is_evaluates(self):
        a, b = self.train("a"), self.train("b", "model=linear")
        json_, text = self.compare(a, b)
        for each, folder in zip(json_["runs"], (a, b), strict=True):
            values = self.user_values(folder)
            self.assertEqual(list(each["metrics"]), METRICS)
            for name, value in each["metrics"].items():
                self.assertAlmostEqual(value, statistics.fmean(values[name]), delta=1e-12)
            row = re.search(rf"^{each['name']} .*$", text, re.M)[0]
            self.assertEqual(row.split()[1:], [f"{each['metrics'][name]:.5f}" for name in METRICS[:6]])
        self.assertNotIn("\033", text, "plain in a pipe")
        self.assertNotIn("over_seeds", json_)

    def test_seeds(self):
        runs = [self.train(f"{model},seed={seed}", f"model={model}", seed=seed)
                for model in ("alpharec", "linear") for seed in (1, 2, 3)]
        json_, text = self.compare(*runs)
        self.assertEqual([each["name"] for each in json_["over_seeds"]], ["alpharec (3 seeds)", "linear (3 seeds)"])
        for group, part in zip(json_["over_seeds"], (json_["runs"][:3], json_["runs"][3:]), strict=True):
            self.assertEqual(group["runs"], [each["name"] for each in part])
            for name in METRICS:
                values = [each["metrics"][name] for each in part]
                self.assertAlmostEqual(group["mean"][name], statistics.fmean(values), delta=1e-12)
                self.assertAlmostEqual(group["deviation"][name], statistics.stdev(values), delta=1e-12)
        users = [[self.user_values(folder)["recall@5"] for folder in part] for part in (runs[:3], runs[3:])]
        means = [[statistics.fmean(values) for values in zip(*part)] for part in users]
        difference = json_["differences"][0]
        self.assertEqual((difference["of"], difference["from"]), ("linear (3 seeds)", "alpharec (3 seeds)"))
        self.assertAlmostEqual(difference["mean"], statistics.fmean(y - x for x, y in zip(*means)), delta=1e-12)
        self.assertIn(" ± ", text)

    def test_groups(self):
        a, b = self.train("a"), self.train("b", "lr=0.01")
        json_, _ = self.compare(a, b, "--groups")
        for folder, name in ((a, "a"), (b, "b")):
            file = self.folder / "groups.json"
            self.check_succeeds(run("evaluate", folder, "--topk", "5,3", "--device", "cpu", "--groups", "--json", file))
            self.assertEqual([[each["group"], each["users"], each["metrics"][name]] for each in json_["groups"]],
                             [[each["group"], each["users"], each["metrics"]]
                              for each in json.loads(file.read_text())["groups"]])

    def test_the_page(self):
        a, b = self.train("a"), self.train("b", "lr=0.01")
        page = self.folder / "page.html"
        self.compare(a, b, "--html", page)
        html = page.read_text()
        # Loss, and Recall, NDCG and HR on validation, of two runs each.
        self.assertEqual(html.count("<polyline"), 8)
        self.assertIn("<b>", html)
        for outside in ("<link", "<script", "<img", "@import", "url("):
            self.assertNotIn(outside, html)

    def test_the_best_is_bold_on_a_terminal(self):
        a, b = self.train("a"), self.train("b", "model=linear")
        json_, _ = self.compare(a, b)
        best = max(each["metrics"]["recall@5"] for each in json_["runs"])
        ours, theirs = pty.openpty()
        with subprocess.Popen([PROGRAM, "compare", a, b, "--topk", "5", "--device", "cpu"], stdin=subprocess.DEVNULL,
                              stdout=theirs, stderr=subprocess.DEVNULL, cwd=ROOT) as process:
            os.close(theirs)
            shown = b""
            try:
                while chunk := os.read(ours, 1 << 16):
                    shown += chunk
            except OSError:  # the terminal's other end is closed
                pass
        os.close(ours)
        self.assertEqual(process.returncode, 0)
        self.assertIn(f"\033[1m{best:.5f}\033[0m", shown.decode())

    def test_what_cannot_be_compared(self):
        a = self.train("a")
        masked = self.train("masked", "mask=train")
        self.data = make_dataset(self.folder / "other", users=121, items=40)
        other = self.train("other")
        self.check_refusal(run("compare", a, other), other, "other interactions", a)
        self.check_refusal(run("compare", a, masked), masked, "masks train", "--mask")
        self.check_refusal(run("compare", a, self.folder / "none"), "none", "no such run")
        self.check_refusal(run("compare", a, "--json", self.folder / "x", "--html", self.folder / "x"), "same file")
        self.check_succeeds(run("compare", a, masked, "--mask", "others"))
        before = content_of(a)
        self.check_succeeds(run("compare", a, other, "--data", self.folder / "data"))
        self.assertEqual(content_of(a), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
