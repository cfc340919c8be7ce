"""What the program tests share: the program under test, and small datasets made on the spot. Standard library only."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("REC_ENGINE", str(ROOT / "build/cpu/rec_engine"))
TIMEOUT_S = 120  # of a run that hangs; no test waits for it otherwise


def run(*arguments, program=PROGRAM, cwd=ROOT, **options):
    """The finished process; output is text."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([program, *map(str, arguments)], stdin=subprocess.DEVNULL, text=True, timeout=TIMEOUT_S,
                          cwd=cwd, **options)


def train_arguments(data, run_folder, *more, device="cpu"):
    return ["train", data, "--out", run_folder, "--device", device, "--threads", "1", *more]


def train(data, run_folder, *more, device="cpu", **options):
    return run(*train_arguments(data, run_folder, *more, device=device), **options)


class ProgramTest(unittest.TestCase):
    """A test with a folder of its own, and how the program must refuse."""

    NAME = "rec_engine"  # what a refusal begins with

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="rec_engine_test."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def check_succeeds(self, result):
        self.assertEqual(result.returncode, 0, f"{result.args}\n{result.stdout}{result.stderr}")
        return result

    def check_refusal(self, result, *words):
        """One line on standard error that holds the words, and exit status 1."""
        self.assertEqual(result.returncode, 1, f"{result.args}\n{result.stdout}{result.stderr}")
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertTrue(result.stderr.startswith(f"{self.NAME}: "), result.stderr)
        for word in words:
            self.assertIn(str(word), result.stderr)


def npy_bytes(shape, values, descr="<f4", code="f", fortran=False, version=1):
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {tuple(shape)!r}, }}"
    length_format = "<H" if version == 1 else "<I"
    prefix = 8 + struct.calcsize(length_format)
    header += " " * (-(prefix + len(header) + 1) % 64) + "\n"
    return (b"\x93NUMPY" + bytes([version, 0]) + struct.pack(length_format, len(header)) + header.encode()
            + struct.pack(f"<{len(values)}{code}", *values))


def read_npy(file):
    """Shape and float32 values of a file that write_npy made."""
    content = pathlib.Path(file).read_bytes()
    length, = struct.unpack_from("<H", content, 8)
    header = content[10:10 + length].decode()
    assert "'<f4'" in header, header
    shape = [int(word) for word in header.split("(")[1].split(")")[0].split(",") if word.strip()]
    return shape, struct.unpack(f"<{(len(content) - 10 - length) // 4}f", content[10 + length:])


def vector(row, width=8):
    """A language vector that depends on its row alone, without randomness."""
    return [((row * 37 + c * 17) % 29 - 14) / 7 + 0.01 for c in range(width)]


def make_dataset(folder, users=30, items=20, width=8):
    """A small valid dataset: every user has 4 train, 2 valid and 2 test items."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = {"train": [], "valid": [], "test": []}
    for user in range(users):
        own = sorted(range(items), key=lambda item: (item * item * 31 + item * user * 17 + user * 5) % 97)
        for split, part in (("train", own[:4]), ("valid", own[4:6]), ("test", own[6:8])):
            lines[split].append(" ".join(map(str, [user, *part])))
    for split, rows in lines.items():
        (folder / f"{split}.txt").write_text("\n".join(rows) + "\n")
    (folder / "items.tsv").write_text(
        "item\toriginal_id\ttitle\n" + "".join(f"{i}\tit{i}\tTitle of {i}\n" for i in range(items)))
    values = [value for row in range(items) for value in vector(row, width)]
    (folder / "item_language.npy").write_bytes(npy_bytes([items, width], values))
    (folder / "config.toml").write_text('batch = 32\nnegatives = 8\nhidden = 16\nwidth = 8\nepochs = 4\neval_every = 2\n'
                                        'topk = [5]\nmonitor = "recall@5"\n')
    return folder


def content_of(folder):
    """name -> bytes of every file in the folder; None where there is no folder."""
    if not pathlib.Path(folder).exists():
        return None
    return {file.name: file.read_bytes() for file in pathlib.Path(folder).iterdir() if file.is_file()}


RUN_FILES = {"config.toml", "run.json", "metrics.jsonl", "best.safetensors", "last.safetensors", "report.html"}


def metrics(run_folder):
    return [json.loads(line) for line in (pathlib.Path(run_folder) / "metrics.jsonl").read_text().splitlines()]


def without_seconds(lines):
    """metrics.jsonl without what depends on the clock."""
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def checkpoint_parts(content):
    """Header (a dict) and data of a safetensors file."""
    length, = struct.unpack_from("<Q", content)
    return json.loads(content[8:8 + length]), content[8 + length:]


def unchecked_checkpoint(header, data):
    """A safetensors file as other programs write it: without our checksum."""
    header = {**header, "__metadata__": {key: value for key, value in header["__metadata__"].items()
                                         if not key.startswith("checksum")}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data
