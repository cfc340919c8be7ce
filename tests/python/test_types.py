"""What type checkers see of the package."""

import ast
import pathlib
import subprocess
import sys
import tempfile
import unittest

import rec_engine
from rec_engine import _native

PACKAGE = pathlib.Path(rec_engine.__file__).parent

SCRIPT = """\
import numpy as np

import rec_engine
from rec_engine import AlphaRec, ops

model = AlphaRec(tau=0.2, epochs=1, seed=7)
model.fit("data", callbacks=lambda epoch, metrics: metrics["loss"] > 0, progress=False)
ids, scores = model.recommend(["a", "b"], k=5)
best: float = float(scores.max())
found: dict[str, float] = model.evaluate(([0], [1]), k=(10, 20))
model.save("kept")
again: rec_engine.Model = rec_engine.load("kept")

vectors = np.ones((4, 3), np.float32)
lists, values = ops.topk(vectors, vectors, k=2, score="cosine")
recall: float = ops.evaluate(vectors, vectors, None, ([0], [1]))["recall@20"]
means, per_user = ops.evaluate(vectors, vectors, None, ([0], [1]), per_user=True)
recalls: np.ndarray = per_user["recall@20"]
for users, positives, negatives in ops.Sampler(([0], [1]), batch=1, negatives=1).epoch(0):
    shape: tuple[int, ...] = users.shape
threads: int = ops.get_num_threads()
version: str = rec_engine.__version__
"""

# what is wrong: a line at the end of the script, and what is said of it
WRONG = {
    "no list length": ('model.recommend("a", k="five")', "recommend"),
    "a folder for vectors": ("model.save(5)", "save"),
    "no such function": ("ops.top_k(vectors, vectors)", "top_k"),
    "a metric of another type": ('level: str = found["recall@10"]', "float"),
    "a number of threads": ("count: str = ops.get_num_threads()", "int"),
}


class Types(unittest.TestCase):
    def check(self, script):
        """What mypy says of a script."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "script.py"
            file.write_text(script)
            return subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", pathlib.Path(folder) / "cache", file],
                                  capture_output=True, text=True)

    def test_a_script_of_ones_own(self):
        try:
            import mypy  # noqa: F401
        except ImportError:
            self.skipTest("types were not checked: mypy is not there")
        found = self.check(SCRIPT)
        self.assertEqual(found.returncode, 0, found.stdout)
        for what, (line, word) in WRONG.items():
            with self.subTest(what):
                found = self.check(f"{SCRIPT}{line}\n")
                self.assertRegex(found.stdout, f"script.py:{len(SCRIPT.splitlines()) + 1}: error: .*{word}")

    def test_the_stub_has_all_of_the_native_part(self):
        stub = ast.parse((PACKAGE / "_native.pyi").read_text())
        named = {node.name for node in stub.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        named |= {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
        self.assertEqual(named, {name for name in dir(_native) if not name.startswith("_")})
        self.assertTrue((PACKAGE / "py.typed").exists())


if __name__ == "__main__":
    unittest.main()
