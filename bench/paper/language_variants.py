"""A dataset with other language vectors: the splits as they are, the vectors replaced. Standard library only."""

import array
import ast
import json
import random
import shutil
import struct
import sys

from runs import Failed

SEED = 101  # of the shuffling and of the normal vectors


def read_npy(file):
    """Rows, width, NumPy's name of the type, and the bytes of a matrix."""
    content = file.read_bytes()
    if content[:6] != b"\x93NUMPY":
        raise Failed(f"{file}: is no .npy file")
    form, start = ("<H", 10) if content[6] == 1 else ("<I", 12)
    length, = struct.unpack_from(form, content, 8)
    header = ast.literal_eval(content[start:start + length].decode())
    rows, width = header["shape"]
    return rows, width, header["descr"], content[start + length:]


def write_npy(file, rows, width, descr, data):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {width}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    file.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def shuffled(file):
    """The vectors with their rows in another order: every item has another's, as in the release's v3_shuffle."""
    rows, width, descr, data = read_npy(file)
    size = len(data) // rows
    order = list(range(rows))
    random.Random(SEED).shuffle(order)
    return rows, width, descr, b"".join(data[row * size:(row + 1) * size] for row in order)


def normal(file):
    """Vectors of as many independent normal values: a direction for each item that says nothing."""
    rows, width, _, _ = read_npy(file)
    draw = random.Random(SEED)
    values = array.array("f", (draw.gauss() for _ in range(rows * width)))
    if sys.byteorder == "big":
        values.byteswap()
    return rows, width, "<f4", values.tobytes()


VARIANTS = {"rows shuffled": shuffled, "random vectors": normal}


def write(data, name, folder):
    """The dataset folder `data` with that variant's vectors as `folder`; left as it is where it is there."""
    if (folder / "item_language.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("train.txt", "valid.txt", "test.txt", "config.toml"):
        if (data / file).exists():
            shutil.copyfile(data / file, folder / file)
    write_npy(folder / "item_language.npy", *VARIANTS[name](data / "item_language.npy"))
    # Last, so that a folder that has it is whole.
    (folder / "item_language.json").write_text(json.dumps({"model": f"{name}, seed {SEED}"}) + "\n")
