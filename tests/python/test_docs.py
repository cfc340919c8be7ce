"""The blocks of docs/python.md, in order, as one script, those marked torch or gpu where PyTorch is there and sees a GPU;
and the notebook."""

import contextlib
import io
import os
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Docs(unittest.TestCase):
    def test_blocks_run(self):
        try:
            import torch
            marks = ("", " torch", *([" gpu"] if torch.cuda.is_available() else []))
        except ImportError:
            marks = ("",)
        page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```python( torch| gpu)?\n(.*?)^```$", page, re.M | re.S)
        self.assertGreater(len(blocks), 10)
        names, before = {}, os.getcwd()
        os.chdir(ROOT)
        self.addCleanup(os.chdir, before)
        for mark, block in blocks:
            if mark in marks:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile(block, "docs/python.md", "exec"), names)

    def test_notebook_runs(self):
        try:
            import nbclient
            import nbformat
        except ImportError:
            self.skipTest("the notebook was not run: nbclient is not there")
        notebook = nbformat.read(ROOT / "docs/python.ipynb", as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = []
        nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT)}}).execute()
        kinds = [kind for cell in notebook.cells for output in cell.get("outputs") or [] for kind in output.get("data", {})]
        self.assertGreaterEqual(kinds.count("image/png"), 2)


if __name__ == "__main__":
    unittest.main()
