"""Exported vectors in FAISS: its lists by inner product are those of `recommend`."""

import json
import subprocess
import unittest

from engine_program import ROOT, ProgramTest, run, train
from python_packages import python_with

USERS, TOP, WIDTH = 1000, 20, 64
# Of two sums of 64 float32 products of unit vectors' components, in whatever order each was made.
SCORE_BOUND = 2 * WIDTH * 2.0 ** -24
SEARCH = """
import json, sys
import faiss, numpy
folder, form = sys.argv[1:]
ours = numpy.array(json.load(sys.stdin))  # [users, top]

def vectors(name):
    if form == "npy":
        return numpy.load(f"{folder}/{name}.npy")
    words = numpy.fromfile(f"{folder}/{name}.fvecs", dtype="<i4")
    return numpy.ascontiguousarray(words.reshape(-1, words[0] + 1)[:, 1:]).view("<f4")

items = vectors("item_vectors")
index = faiss.IndexFlatIP(items.shape[1])
index.add(items)
users = vectors("user_vectors")[:len(ours)]
scores, found = index.search(users, ours.shape[1])
of_ours = numpy.einsum("ud,utd->ut", users, items[ours])
json.dump({"items": found.tolist(), "scores": scores.tolist(), "of_ours": of_ours.tolist()}, sys.stdout)
"""


class VectorSearch(ProgramTest):
    def test_the_lists_are_those_of_recommend(self):
        python = python_with("faiss", "exported vectors were not searched with FAISS")
        trained, lists = self.folder / "run", self.folder / "lists.jsonl"
        self.check_succeeds(train(ROOT / "data/debian-deps", trained, "--epochs", "1", "--set", f"width={WIDTH}", "--quiet"))
        self.check_succeeds(run("recommend", trained, "--users", "all", "--include-seen", "--topk", TOP, "--format", "jsonl",
                                "--out", lists))
        ours = [json.loads(line)["items"] for line in lists.read_text().splitlines()[:USERS]]
        names = [line.split("\t")[1] for line in (ROOT / "data/debian-deps/items.tsv").read_text().splitlines()[1:]]
        number = {name: row for row, name in enumerate(names)}
        for form in ("npy", "fvecs"):
            out = self.folder / form
            self.check_succeeds(run("export", trained, "--out", out, "--format", form))
            numbers = [[number[entry["item"]] for entry in each] for each in ours]
            result = subprocess.run([python, "-c", SEARCH, out, form], input=json.dumps(numbers), capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result.stderr)
            found = json.loads(result.stdout)
            for mine, scores, of_ours in zip(ours, found["scores"], found["of_ours"], strict=True):
                for entry, score, of_our in zip(mine, scores, of_ours, strict=True):
                    # At each place as good an item: another one only where the two scores cannot be told apart.
                    self.assertAlmostEqual(entry["score"], score, delta=SCORE_BOUND)
                    self.assertAlmostEqual(of_our, score, delta=SCORE_BOUND)
            self.assertGreater(sum(mine == items for mine, items in zip(numbers, found["items"])), 0.9 * USERS)


if __name__ == "__main__":
    unittest.main()
