"""What the program tests share: the program under test, and small datasets made on the spot. Standard library only."""

import json
import os
import pathlib
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("REC_ENGINE", str(ROOT / "build/cpu/rec_engine"))
TIMEOUT_S = 120


def run(*arguments, **options):
    """The finished process; output is text."""
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_S,
                          cwd=options.pop("cwd", ROOT), **options)


def npy_bytes(shape, values, descr="<f4", code="f", fortran=False, version=1):
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {tuple(shape)!r}, }}"
    length_format = "<H" if version == 1 else "<I"
    prefix = 8 + struct.calcsize(length_format)
    header += " " * (-(prefix + len(header) + 1) % 64) + "\n"
    return (b"\x93NUMPY" + bytes([version, 0]) + struct.pack(length_format, len(header)) + header.encode()
            + struct.pack(f"<{len(values)}{code}", *values))


def vector(row, width=8):
    """A language vector that depends on its row alone, without randomness."""
    return [((row * 37 + c * 17) % 29 - 14) / 7 + 0.01 for c in range(width)]


def make_dataset(folder, users=30, items=20, width=8):
    """A small valid dataset: every user has 4 train, 2 valid and 2 test items."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = {"train": [], "valid": [], "test": []}
    for user in range(users):
        own = [(user + step * step) % items for step in range(items)]
        own = list(dict.fromkeys(own))[:8]
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


def metrics(run_folder):
    return [json.loads(line) for line in (pathlib.Path(run_folder) / "metrics.jsonl").read_text().splitlines()]
