"""bench/paper: every table is accepted and recorded, the page is what the records say, and how a claim is decided."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

from engine_program import PROGRAM, ROOT, ProgramTest, make_dataset, npy_bytes, run, vector

PAPER = ROOT / "bench/paper"
sys.path.insert(0, str(PAPER))

import claims  # noqa: E402  (bench/paper/claims.py)
import language_variants  # noqa: E402
import redo  # noqa: E402
import runs  # noqa: E402
import write_results  # noqa: E402

TIMEOUT_S = 800
ITEMS = 60
WIDTH = 8
TINY = {"ml-1m": 40, "yelp": 30, "amazon-scientific": 35}  # names of the real datasets, and numbers of users


def make_intentions(folder):
    (folder / "intention_queries.tsv").write_text("".join(f"{item}\tquery for {item}\n" for item in range(ITEMS)))
    (folder / "intention_query_language.npy").write_bytes(
        npy_bytes([ITEMS, WIDTH], [value for row in range(ITEMS) for value in vector(row + 1, WIDTH)]))
    test = [line.split() for line in (folder / "test.txt").read_text().splitlines()]
    (folder / "intention_targets.tsv").write_text("".join(f"{user}\t{first}\n" for user, first, *_ in test))


class Redone(ProgramTest):
    """Tiny datasets under the names of the real ones."""

    def setUp(self):
        super().setUp()
        for name, users in TINY.items():
            data = make_dataset(self.folder / "data" / name, users=users, items=ITEMS, width=WIDTH)
            config = data / "config.toml"
            config.write_text("".join(line + "\n" for line in config.read_text().splitlines()
                                      if not line.startswith(("topk", "monitor"))))
        make_intentions(self.folder / "data/ml-1m")
        self.results = self.folder / "results"

    def script(self, name, *arguments):
        environment = {**os.environ, "REC_ENGINE": PROGRAM, "REC_SHARED_DATA": str(self.folder / "data")}
        return subprocess.run([sys.executable, "-B", PAPER / name, *map(str, arguments)], env=environment, text=True,
                              capture_output=True, timeout=TIMEOUT_S)

    def redo(self, *arguments):
        return self.script("redo.py", *arguments, "--epochs", 1, "--threads", 1, "--device", "cpu", "--out", self.folder / "runs",
                           "--results", self.results)

    def record(self, name):
        return json.loads((self.results / f"{name}.json").read_text())

    def test_every_table_is_run_and_recorded(self):
        tables = [table for table in redo.ALL if table != "zero_shot"]
        self.assertLessEqual({file.stem for file in (PAPER / "tables").glob("*.toml")}, set(tables))
        self.check_succeeds(self.redo(*tables, "--data", "ml-1m"))
        self.check_succeeds(self.redo("zero_shot", "intention", "--data", *TINY))  # one of them has queries
        wanted = {f"{table}-ml-1m" for table in tables} | {f"zero_shot-{name}" for name in TINY}
        self.assertEqual({file.stem for file in self.results.glob("*.json")} - {"chosen"}, wanted)

        chosen = json.loads((self.results / "chosen.json").read_text())
        self.assertEqual({name: set(models) for name, models in chosen.items()},
                         {"ml-1m": {"alpharec", "linear", "lightgcn", "mf"}})
        selection = self.record("select_alpharec-ml-1m")
        best = max(row["mean"]["recall@20"] for row in selection["rows"])
        self.assertEqual(selection["split"], "valid")
        self.assertEqual([row["mean"]["recall@20"] for row in selection["rows"] if row["name"] == selection["best"]], [best])
        for table, name in (("ordering", "alpharec"), ("ablations", "w_o_GCN"), ("tau", "tau=0.3"), ("language", "rows_shuffled")):
            settings = runs.settings_of(self.folder / f"runs/ml-1m/{table}/{name},seed=101")
            self.assertEqual(settings["lr"], chosen["ml-1m"]["alpharec"]["lr"], f"{table} takes what was chosen")
            self.assertEqual(settings["tau"], 0.3 if table == "tau" else chosen["ml-1m"]["alpharec"]["tau"])

        ordering = self.record("ordering-ml-1m")
        self.assertEqual([row["name"] for row in ordering["rows"]], ["alpharec", "linear", "lightgcn", "mf", *redo.BASELINES])
        self.assertEqual([each["seed"] for each in ordering["rows"][0]["runs"]], [101, 102, 103])
        self.assertEqual([row["name"] for row in self.record("ablations-ml-1m")["rows"]][1:4], ["w/o MLP", "w/o GCN", "w/o CL"])
        self.assertEqual(self.record("candidates-ml-1m")["ranking"], "20 candidates")
        self.assertEqual(sum(row["name"].startswith("joint: ") for row in self.record("zero_shot-yelp")["rows"]), 1)

        self.check_page()

    def check_page(self):
        page = self.folder / "page.md"
        self.check_succeeds(self.script("write_results.py", "--results", self.results, "--page", page))
        self.assertNotIn("ot run yet", page.read_text())
        self.check_succeeds(self.script("write_results.py", "--results", self.results, "--page", page, "--check"))
        page.write_text(page.read_text().replace("held", "fell", 1))
        self.assertEqual(self.script("write_results.py", "--results", self.results, "--page", page, "--check").returncode, 1)

    def test_tables_also_run_as_they_are(self):
        """Their settings are read before the device, which does not exist, is asked for."""
        for file in sorted((PAPER / "tables").glob("*.toml")):
            with self.subTest(file.name):
                self.assertIn(f'out = "runs/paper/debian-deps/{file.stem}"\n', file.read_text())
                copy = self.folder / file.name
                copy.write_text(file.read_text().replace('"runs/', f'"{self.folder}/'))
                self.check_refusal(run("sweep", copy, "--device", "none"), "not a device")

    def test_nothing_is_trained_twice(self):
        for _ in range(2):
            result = self.check_succeeds(self.redo("tau", "--data", "yelp"))
        self.assertEqual(result.stdout.count("trained already"), 6, result.stdout)

    def test_a_dataset_without_choices_takes_those_of_amazon_scientific(self):
        self.results.mkdir()
        (self.results / "chosen.json").write_text(json.dumps({"amazon-scientific": {"alpharec": {"lr": 0.002}}}))
        self.check_succeeds(self.redo("tau", "--data", "yelp"))
        self.assertEqual(runs.settings_of(self.folder / "runs/yelp/tau/tau=0.3,seed=101")["lr"], 0.002)
        self.assertEqual(self.record("tau-yelp")["chosen_on"], "amazon-scientific")

    def test_what_fails_is_reported_and_the_rest_goes_on(self):
        self.check_succeeds(self.redo("layers", "--data", "yelp"))
        config = self.folder / "runs/yelp/layers/layers=2,seed=101/config.toml"
        config.write_text(config.read_text().replace("layers = 2", "layers = 3"))
        result = self.redo("layers", "width", "--data", "yelp")
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("holds a run with other settings", result.stdout)
        record = self.record("layers-yelp")
        self.assertEqual([row["name"] for row in record["rows"]], [f"layers={layers}" for layers in (0, 1, 3, 4)])
        self.assertEqual(len(record["failed"]), 1)
        self.assertTrue((self.results / "width-yelp.json").exists())

    def test_what_is_missing_is_said(self):
        result = self.redo("candidates", "--data", "yelp")
        self.assertEqual(result.returncode, 1)
        self.assertIn("first: bench/paper/redo.py ordering --data yelp", result.stdout)
        (self.folder / "data/ml-1m/train.txt").unlink()
        result = self.redo("tau", "--data", "ml-1m")
        self.assertEqual(result.returncode, 1)
        self.assertIn("ml-1m: not there", result.stdout)
        self.assertEqual(self.redo("tua").returncode, 2)


class Page(unittest.TestCase):
    def test_it_is_what_the_records_say(self):
        result = subprocess.run([sys.executable, "-B", PAPER / "write_results.py", "--check"], text=True, capture_output=True)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_protocols_are_not_mixed(self):
        table = next(each for each in write_results.TABLES if each.name == "ordering")
        good = {"table": "ordering", "dataset": "x", "split": "test", "ranking": "all items", "best_epoch_by": "validation"}
        write_results.require_one_protocol(table, good)
        for key, value in (("split", "valid"), ("ranking", "20 candidates"), ("best_epoch_by", "test")):
            with self.subTest(key), self.assertRaises(SystemExit):
                write_results.require_one_protocol(table, {**good, key: value})

    def test_without_records_it_gives_the_commands(self):
        page = write_results.page_text({})
        for table in redo.ALL:
            self.assertIn(f"ot run yet: `bench/paper/redo.py {table}`", page)
        self.assertEqual(page.count("| not run yet |"), len(claims.CLAIMS))


class Verdicts(unittest.TestCase):
    def test_the_interval_alone_decides(self):
        for interval, verdict in (([0.001, 0.2], "held"), ([-0.2, -0.001], "did not hold"), ([-0.001, 0.2], "unclear"),
                                  ([0, 0.2], "unclear"), ([-0.2, 0], "unclear"), ([0, 0], "unclear")):
            with self.subTest(interval):
                self.assertEqual(claims.verdict(interval), verdict)

    def found(self, of, base, metric="recall@20"):
        claim = claims.Claim("ordering", "", "alpharec", "linear")
        return claims.found_of(claim, {"differences": [
            {"of": of, "from": base, "metric": metric, "mean": -0.1, "interval": [-0.3, -0.05]}]})

    def test_a_difference_the_other_way_round_is_turned(self):
        self.assertEqual(self.found("linear", "alpharec"), [("alpharec", "linear", 0.1, [0.05, 0.3])])
        self.assertEqual(self.found("alpharec", "linear"), [("alpharec", "linear", -0.1, [-0.3, -0.05])])

    def test_other_models_and_metrics_do_not_count(self):
        self.assertEqual(self.found("linear", "mf"), [])
        self.assertEqual(self.found("linear", "alpharec, zero-shot"), [])
        self.assertEqual(self.found("linear", "alpharec", "ndcg@20"), [])


class Statistics(unittest.TestCase):
    def test_the_bootstrap(self):
        self.assertEqual(runs.bootstrap([0.5] * 10), [0.5, 0.5])
        # 400 of 0 and 400 of 1: the mean's deviation is 0.5 / sqrt(800), and its quantiles lie 1.96 of them off. 2,000
        # resamples leave a quantile of 2.5% uncertain by sqrt(0.025 * 0.975 / 2000) in probability, 0.06 deviations.
        deviation = 0.5 / 800 ** 0.5
        low, high = runs.bootstrap([0.0, 1.0] * 400)
        for end, expected in ((low, 0.5 - 1.96 * deviation), (high, 0.5 + 1.96 * deviation)):
            self.assertLess(abs(end - expected), 5 * 0.06 * deviation)

    def test_seeds_are_averaged_before_users_are_compared(self):
        def evaluation(*values):
            return {"per_user": {metric: list(values) for metric in runs.METRICS}}

        for each in runs.differences("a", [evaluation(1, 0), evaluation(0, 0)], "b", [evaluation(0.25, 0.25)]):
            self.assertEqual(each["mean"], 0)
            self.assertEqual(each["interval"], [-0.25, 0.25])

    def test_proportions_that_share_nobody(self):
        """The widest case is that of users none of whom is hit both times: differences of -1, 0 and 1."""
        users, first, second = 1000, 0.2, 0.3
        differences = [-1] * 200 + [1] * 300 + [0] * 500
        mean = sum(differences) / users
        deviation = (sum((each - mean) ** 2 for each in differences) / users / users) ** 0.5
        low, high = redo.proportion_interval(first, second, users)
        self.assertAlmostEqual(low, mean - 1.959964 * deviation, places=6)
        self.assertAlmostEqual(high, mean + 1.959964 * deviation, places=6)


class LanguageVariants(ProgramTest):
    def test_rows_change_places_and_stay_whole(self):
        file = make_dataset(self.folder / "data", width=WIDTH) / "item_language.npy"
        rows, width, descr, before = language_variants.read_npy(file)
        _, _, _, after = language_variants.shuffled(file)
        size = len(before) // rows
        parts = [[data[row * size:(row + 1) * size] for row in range(rows)] for data in (before, after)]
        self.assertNotEqual(*parts)
        self.assertEqual(*map(sorted, parts))
        again = self.folder / "again.npy"
        language_variants.write_npy(again, rows, width, descr, before)
        self.assertEqual(again.read_bytes(), file.read_bytes())


if __name__ == "__main__":
    unittest.main(verbosity=2)
