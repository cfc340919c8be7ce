"""Weights that a plain PyTorch program trained, against the figures recorded with them: on datasets they never saw, and
moved by intentions.

Needs REC_SHARED_REFERENCE (default ../shared/reference) and REC_SHARED_DATA (default ../shared/data).
"""

import json
import re
import sys
import unittest

from engine_program import ROOT, ProgramTest, run

sys.path.insert(0, str(ROOT / "bench"))
from reference_curves import DATA, METRICS, MOST_DIFFERENCE, REFERENCE, WEIGHT_FIGURES, WEIGHTS  # noqa: E402

SWEEP_DIFFERENCE = 0.001


class ReferenceWeights(ProgramTest):
    def needs(self, *paths):
        for path in paths:
            if not path.exists():
                self.skipTest(f"there is no {path}")

    def test_evaluation(self):
        for dataset, split, figures in WEIGHT_FIGURES:
            with self.subTest(dataset=dataset, split=split):
                self.needs(REFERENCE / WEIGHTS, DATA / dataset)
                file = self.folder / "metrics.json"
                self.check_succeeds(run("evaluate", REFERENCE / WEIGHTS, "--data", DATA / dataset, "--split", split,
                                        "--topk", "20", "--threads", "1", "--json", file))
                metrics = json.loads(file.read_text())["metrics"]
                for name, want in zip(METRICS, figures, strict=True):
                    self.assertAlmostEqual(metrics[name], want, delta=MOST_DIFFERENCE, msg=name)

    def test_intention(self):
        """Every row of the recorded table: alpha, HR@5, NDCG@5, HR@20, Recall@20 of the others."""
        data, readme = DATA / "ml-1m", REFERENCE / "README.md"
        self.needs(REFERENCE / WEIGHTS, readme, data / "intention_queries.tsv")
        rows = re.findall(r"^\|" + r" ([01]\.\d+) \|" * 5 + "$", readme.read_text(encoding="utf-8"), re.M)
        self.assertGreaterEqual(len(rows), 11)
        result = self.check_succeeds(run(
            "intention", REFERENCE / WEIGHTS, "--data", data, "--queries", data / "intention_queries.tsv",
            "--vectors", data / "intention_query_language.npy", "--targets", data / "intention_targets.tsv",
            "--alpha", ",".join(row[0] for row in rows), "--jsonl", "-"))
        for line, row in zip(map(json.loads, result.stdout.splitlines()), rows, strict=True):
            with self.subTest(alpha=row[0]):
                target = line["target"]
                got = (line["alpha"], target["hr@5"], target["ndcg@5"], target["hr@20"], line["others"]["recall@20"])
                for value, want in zip(got, map(float, row), strict=True):
                    self.assertAlmostEqual(value, want, delta=SWEEP_DIFFERENCE)


if __name__ == "__main__":
    unittest.main(verbosity=2)
