"""Makes data/debian-deps from Debian's package index: which packages want which.

usage: make_debian_deps.py [--packages FILE] [--out DIR] [--seed S]
FILE is a Packages index (the text of `apt-cache dumpavail` on Debian 12, main); without it apt is asked.
Run data/make_debian_deps.sh, which installs what this needs. The same index gives the same bytes.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess

import numpy as np

from bert import Encoder

LEAST_WANTS = 6      # a user's items
LEAST_WANTED = 5     # an item's users
STOP_SHARE = 0.05    # items wanted by more than this share of users say nothing (libc6 and its like)
TRAIN_END, VALID_END = 0.4, 0.7


def read_index(text):
    """name -> (wants, synopsis) of every package of Debian main"""
    packages = {}
    for paragraph in text.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*(?:\n .*)*)", paragraph, re.M))
        if not fields.get("Filename", "").startswith(("pool/main/", "pool/updates/main/")):
            continue
        entries = [entry for field in ("Depends", "Recommends") for entry in fields.get(field, "").split(",")]
        wants = {re.split(r"[\s(:\[]", entry.split("|")[0].strip())[0] for entry in entries} - {""}
        packages[fields["Package"]] = (wants, fields.get("Description", "").split("\n")[0].strip())
    return packages


def choose(packages):
    """{user: sorted items} after the filters of the dataset's README"""
    wants = {name: {w for w in wanted if w in packages and w != name} for name, (wanted, _) in packages.items()}
    wants = {name: wanted for name, wanted in wants.items() if len(wanted) >= LEAST_WANTS}
    count = collections.Counter(item for wanted in wants.values() for item in wanted)
    stop = {item for item, n in count.items() if n > STOP_SHARE * len(wants)}
    wants = {name: wanted - stop for name, wanted in wants.items()}
    while True:
        kept = {name: wanted for name, wanted in wants.items() if len(wanted) >= LEAST_WANTS}
        count = collections.Counter(item for wanted in kept.values() for item in wanted)
        rare = {item for item, n in count.items() if n < LEAST_WANTED}
        if len(kept) == len(wants) and not rare:
            return {name: sorted(wanted) for name, wanted in sorted(kept.items())}
        wants = {name: wanted - rare for name, wanted in kept.items()}


def write_splits(out, wants, item_id, seed):
    random = np.random.default_rng(seed)
    lines = {"train": [], "valid": [], "test": []}
    for user, items in enumerate(wants.values()):
        ids = random.permutation([item_id[item] for item in items])
        train_end, valid_end = round(TRAIN_END * len(ids)), round(VALID_END * len(ids))
        for split, part in (("train", ids[:train_end]), ("valid", ids[train_end:valid_end]), ("test", ids[valid_end:])):
            lines[split].append(" ".join(map(str, [user, *sorted(part)])))
    for split, rows in lines.items():
        (out / f"{split}.txt").write_text("\n".join(rows) + "\n")


def write_table(file, names, packages):
    rows = [f"{i}\t{name}\t{name}: {packages[name][1]}" for i, name in enumerate(names)]
    file.write_text("\n".join([f"{file.stem.rstrip('s')}\toriginal_id\ttitle", *rows]) + "\n", encoding="utf-8")


def main():
    here = pathlib.Path(__file__).resolve().parent
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--packages", type=pathlib.Path)
    arguments.add_argument("--out", type=pathlib.Path, default=here / "debian-deps")
    arguments.add_argument("--seed", type=int, default=101)
    options = arguments.parse_args()
    text = (options.packages.read_text(encoding="utf-8") if options.packages else
            subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True, encoding="utf-8").stdout)

    packages = read_index(text)
    wants = choose(packages)
    items = sorted({item for wanted in wants.values() for item in wanted})
    options.out.mkdir(parents=True, exist_ok=True)
    write_splits(options.out, wants, {item: i for i, item in enumerate(items)}, options.seed)
    write_table(options.out / "items.tsv", items, packages)
    write_table(options.out / "users.tsv", list(wants), packages)

    model = Encoder()
    vectors = model.embed(f"{name}: {packages[name][1]}" for name in items)
    np.save(options.out / "item_language.npy", vectors.astype(np.float16))
    (options.out / "item_language.json").write_text(json.dumps(
        {"model": model.name, "width": model.width, "basis": model.basis, "text": "title column of items.tsv",
         "pooling": model.pooling, "normalised": True, "dtype": "float16"}, indent=2) + "\n")
    print(f"{len(wants)} users, {len(items)} items, {sum(map(len, wants.values()))} interactions in {options.out}")


if __name__ == "__main__":
    main()
