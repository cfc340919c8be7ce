"""The docs against the program and the tree: commands run, settings agree, maps name what is there.

Every block marked sh in every Markdown file is run as it stands, in order, in a copy of the checkout's layout. Some
commands have stand-ins there that do nothing: scripts, which would install, build, time for long, or run this test
inside itself. Of them only that they exist is checked, and what the README's two are made of; .ci/run and ./test.sh run
the real ones. The stand-in for data/embed_items.sh makes vectors without a language model, where that can be done. The
files that docs/guide.md begins with are those of REC_SHARED_DATA, or else small ones that look like them. Of rec_tests and rec_bench, only that the filter finds something. Training is cut to one epoch of a
narrow model.
"""

import os
import pathlib
import random
import re
import shlex
import subprocess
import tempfile
import unittest

from engine_program import PROGRAM, ROOT, make_dataset, run

PAGES = sorted(page for page in ROOT.rglob("*.md")
               if not {"build", "runs", ".venv", ".cuda_headers"} & set(page.relative_to(ROOT).parts))
SCRIPT_FOLDERS = (".", ".ci", "bench", "bench/paper", "bench/peers", "data", "host/python", "tests/mutation")
BUILD_TOOLS = ["cmake", "ctest"]
LISTING = {"rec_tests": '--list-test-names-only "$@" | grep .', "rec_bench": '--benchmark_list_tests=true "$@"'}
SMALL = ["--epochs", "1", "--set", "hidden=16", "--set", "negatives=8"]
EMBED = '[ -e "$1/item_language.npy" ] || build/cpu/rec_engine embed "$1" --width 8 || true\n'
MOVIELENS = pathlib.Path(os.environ.get("REC_SHARED_DATA", ROOT.parent / "shared/data")) / "raw/ml-latest-small"
BLOCK_TIMEOUT_S = 600
KERNEL_COLUMNS = 7
NOT_MAPPED = ("README.md", "CMakeLists.txt")


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def rows(page, heading):
    """The cells of the Markdown table whose first column is called heading."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if re.match(rf"\| {re.escape(heading)} +\|", line))
    table = []
    for line in lines[start + 2:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return table


def script(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n" + text)
    file.chmod(0o755)


def scripts():
    """Those of the checkout, by their paths from its root."""
    return [file.relative_to(ROOT) for folder in SCRIPT_FOLDERS if (ROOT / folder).exists()
            for file in (ROOT / folder).iterdir()
            if file.is_file() and (os.access(file, os.X_OK) or file.suffix == ".py")]


def write_movielens_look_alike(folder):
    """100 users, 360 films of four kinds, most ratings within a kind."""
    draws = random.Random(7)
    kinds = ("Action|Crime", "Comedy|Romance", "Drama", "Animation|Children")
    films = [(1, "Toy Story (1995)", kinds[3]), (260, "Star Wars: Episode IV (1977)", kinds[0]), (1210, "Return, The (1983)", kinds[0])]
    films += [(n, f"{draws.choice(['Night', 'River', 'Summer', 'Iron'])} of the {draws.choice(['City', 'Sea', 'Wolf'])} {n}",
               kinds[n % 4]) for n in range(2000, 2357)]
    folder.mkdir()
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "".join(
        f'{film},"{title}",{kind}\n' for film, title, kind in films))
    lines = ["userId,movieId,rating,timestamp\n"]
    for user in range(1, 101):
        liked = [film for film in films if film[2] == kinds[user % 4]]
        for film, *_ in {*draws.sample(liked, 40), *draws.sample(films, 20), *films[:3]}:
            lines.append(f"{user},{film},{draws.choice([3.5, 4.0, 4.5, 5.0])},{964_982_703 + draws.randrange(10**8)}\n")
    (folder / "ratings.csv").write_text("".join(lines))


class Checkout:
    """A folder laid out like a checkout that was built: the real data and program, stand-ins for what is not run."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        for file in scripts():
            script(self.folder / file, "")
        for entry in ("data/debian-deps", "docs", *(f"tests/{each.name}" for each in (ROOT / "tests").iterdir())):
            if entry not in SCRIPT_FOLDERS:
                (self.folder / entry).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / entry).symlink_to(ROOT / entry)
        script(self.folder / "data/embed_items.sh", EMBED)
        if MOVIELENS.is_dir():
            (self.folder / "ml-latest-small").symlink_to(MOVIELENS)
        else:
            write_movielens_look_alike(self.folder / "ml-latest-small")
        program = shlex.quote(str(pathlib.Path(PROGRAM).resolve()))
        script(self.folder / "build/cpu/rec_engine",
               f'[ "$1" = train ] && set -- "$@" {shlex.join(SMALL)}\n'
               f'exec {program} "$@"\n')
        built = pathlib.Path(PROGRAM).resolve().parent
        for name in re.findall(r"add_executable\((\w+)", "".join(
                (ROOT / folder / "CMakeLists.txt").read_text() for folder in ("tests", "bench"))):
            lists = name in LISTING and (built / name).exists()  # presets other than cpu do not build all
            for preset in ("cpu", "emulate", "emulate-tsan"):
                script(self.folder / "build" / preset / name,
                       f"{shlex.quote(str(built / name))} {LISTING[name]}\n" if lists else "")
        presets = "|".join(f'*"--preset {name} "*' for name in re.findall(
            r'"name": "([\w-]+)",\s*"displayName"', (ROOT / "CMakePresets.json").read_text()))
        for name in BUILD_TOOLS:
            script(self.folder / "bin" / name,
                   f'case "$* " in {presets}) exit 0;; esac\necho "{name} $*: no such preset" >&2\nexit 1\n')

    def run(self, block):
        environment = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "REC_ENGINE": PROGRAM,
                       "OMP_WAIT_POLICY": "passive"}  # other tests may run beside this one
        return subprocess.run(["bash", "-euxo", "pipefail", "-c", block], cwd=self.folder, env=environment,
                              capture_output=True, text=True, timeout=BLOCK_TIMEOUT_S)


class Commands(unittest.TestCase):
    def test_every_command_in_the_docs_runs(self):
        count = 0
        for page in PAGES:
            with tempfile.TemporaryDirectory() as folder:
                checkout = Checkout(folder)
                for block in blocks(page, "sh"):
                    count += 1
                    with self.subTest(page=str(page.relative_to(ROOT)), block=block):
                        result = checkout.run(block)
                        self.assertEqual(result.returncode, 0, f"{result.stdout}\n{result.stderr}")
        self.assertGreater(count, 5, "the docs have lost their commands")

    def test_the_two_commands_are_those_of_the_scripts(self):
        self.assertEqual(blocks(ROOT / "README.md", "sh")[:2], ["./quickstart.sh\n", "./test.sh\n"])
        for name in ("quickstart.sh", "test.sh", "setup.sh", ".ci/run"):
            self.assertTrue(os.access(ROOT / name, os.X_OK), name)
        self.assertRegex((ROOT / ".ci/run").read_text(), r"(?m)^\./test\.sh\b")
        self.assertRegex((ROOT / "test.sh").read_text(), r"(?m)^ctest --preset cpu")
        quickstart = (ROOT / "quickstart.sh").read_text()
        for command in ("train", "evaluate", "recommend"):
            self.assertRegex(quickstart, rf"\$rec {command} ")
        users = (ROOT / "data/debian-deps/users.tsv").read_text(encoding="utf-8")
        self.assertIn(f"\t{re.search('--users (.+?) ', quickstart)[1]}\t", users)

    def test_every_option_in_the_docs_exists(self):
        """Options named in prose and tables, not only in blocks that run."""
        commands = re.findall(r"^  (\w+) ", run("--help").stdout.split("Subcommands:")[1], re.M)
        known = set(re.findall(r"--[a-z-]+", "".join(run(command, "--help").stdout for command in commands)))
        for page in (ROOT / "README.md", ROOT / "docs/guide.md", ROOT / "docs/data.md", ROOT / "docs/protocol.md", ROOT / "docs/settings.md"):
            text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
            text = re.sub(r"^.*the release.*$|^\| settings' names .*$", "", text, flags=re.M)  # others' options
            for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) - {"--help", "--lm_model", "--lm"}:
                self.assertIn(option, known, page.name)


class Settings(unittest.TestCase):
    def listed(self):
        """(key, default, values taken, aliases) of every setting, as the program lists them."""
        settings = re.findall(r"^  ([a-z_]+) = (.+)\n      (.+)\n(?:      also called: (.+)\n)?",
                              run("train", "--help").stdout, re.M)
        self.assertGreater(len(settings), 20)
        return settings

    def test_the_table_is_the_programs(self):
        written = [tuple(re.sub("[`\\\\]", "", cell) for cell in row[:4])
                   for row in rows(ROOT / "docs/settings.md", "key")]
        self.assertEqual(written, self.listed())

    def test_every_name_is_taken(self):
        with tempfile.TemporaryDirectory() as folder:
            data = make_dataset(pathlib.Path(folder) / "data")
            for name, default, _, aliases in self.listed():
                for each in filter(None, [name, *aliases.split(", ")]):
                    if default.startswith("by "):
                        default = {"projector": "linear", "projector_layers": "2", "hidden": "8", "layers": "1", "objective": "bpr",
                                   "score": "dot", "tau": "0.2", "reg": "0", "patience": "3"}[name]
                    with self.subTest(each):
                        # A device that does not exist is refused after the settings are read, before any training.
                        result = run("train", data, "--out", f"{folder}/run", "--device", "none",
                                     "--set", f"{each}={default}")
                        self.assertIn("not a device", result.stderr)


class Numbers(unittest.TestCase):
    def test_the_readmes_baselines(self):
        """AlphaRec's row takes a training and is not repeated here."""
        table = {row[0].split(":")[0]: row[1:] for row in rows(ROOT / "README.md", "test")}
        for model in ("popularity", "emb-knn"):
            with self.subTest(model), tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder) / "metrics.tsv"
                result = run("evaluate", "--model", model, "data/debian-deps", "--device", "cpu", "--per-user", file)
                self.assertEqual(result.returncode, 0, result.stderr)
                names, *users = [line.split("\t") for line in file.read_text().splitlines()]
                for metric, written in zip(("recall@20", "ndcg@20", "hr@20"), table[model]):
                    values = [float(user[names.index(metric)]) for user in users]
                    # Another processor may round two nearly equal scores the other way: allow it to change one user
                    # in a thousand, beside the four digits written.
                    self.assertLessEqual(abs(sum(values) / len(values) - float(written)), 0.5e-4 + 1e-3, metric)

    def test_the_counts_of_the_bundled_dataset(self):
        facts = run("info", "data/debian-deps").stdout
        readme = (ROOT / "data/debian-deps/README.md").read_text(encoding="utf-8").replace(",", "")
        users, items = (re.search(rf"{what} +(\d+)", facts)[1] for what in ("users", "items"))
        train, valid, test = re.search(r"interactions +(\d+) train, (\d+) valid, (\d+) test", facts).groups()
        self.assertIn(f"| users | {users} |", readme)
        self.assertIn(f"| items | {items} |", readme)
        total = int(train) + int(valid) + int(test)
        self.assertIn(f"| interactions | {total}: {train} train {valid} valid {test} test |", readme)


class Maps(unittest.TestCase):
    def test_links_lead_somewhere(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
                if "://" not in target:
                    with self.subTest(page=str(page.relative_to(ROOT)), target=target):
                        self.assertTrue((page.parent / target).exists())

    def test_paths_exist(self):
        """Every word in backquotes that begins with a folder of the checkout, or with one beside the page, is there."""
        for page in PAGES:
            text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
            for path in set(re.findall(r"`(\.?[\w-]+(?:/[\w.-]+)*/[\w.-]*)`", text)):
                first = path.split("/")[0]
                if first in ("build", "runs") or path.startswith("data/.venv"):
                    continue
                for base in (ROOT, page.parent):
                    if (base / first).exists():
                        with self.subTest(page=str(page.relative_to(ROOT)), path=path):
                            self.assertTrue((ROOT / path).exists() or (page.parent / path).exists())
                        break

    def test_every_folder_has_its_map(self):
        for folder in ("kernels", "engine", "host", "tests", "bench", "data", "docs", "data/debian-deps"):
            self.assertTrue((ROOT / folder / "README.md").exists(), folder)
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        for folder in ("kernels", "engine", "host", "tests", "bench", "data", "docs"):
            self.assertIn(f"[{folder}/]({folder}/README.md)", readme)

    def test_maps_leave_nothing_out(self):
        for folder in ("engine", "host", "tests", "bench", "data"):
            text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
            for entry in sorted((ROOT / folder).iterdir()):
                part = entry.name + ("/" if entry.is_dir() else "")
                if entry.name.startswith((".", "__")) or entry.name in NOT_MAPPED:
                    continue
                names = {f"`{part}`", f"`{entry.with_suffix('.h').name}`"}  # a header stands for its source
                with self.subTest(folder=folder, entry=part):
                    self.assertTrue(any(name in text for name in names), "is not in the map")

    def test_every_kernel_has_its_row_and_its_files(self):
        table = {re.match(r"\[(\w+)\]", row[0])[1]: row for row in rows(ROOT / "kernels/README.md", "kernel")}
        folders = {entry.name for entry in (ROOT / "kernels").iterdir() if entry.is_dir()} - {"common"}
        self.assertEqual(set(table), folders)
        for name, row in table.items():
            self.assertEqual(len(row), KERNEL_COLUMNS)
            wanted = [f"kernels/{name}/{name}.h", f"kernels/{name}/{name}_cpu.cpp", f"tests/kernels/test_{name}.cpp",
                      f"bench/kernels/bench_{name}.cpp", f"docs/kernels/{name}.md"]
            written = [re.search(r"\((.+)\)", row[0])[1], row[2].strip("`"), *(cell.strip("`") for cell in row[4:])]
            self.assertEqual([file.removeprefix("kernels/") for file in wanted[:2]] + wanted[2:], written)
            cuda = list((ROOT / "kernels" / name).glob("*.cu"))
            self.assertEqual(row[3], f"`{cuda[0].relative_to(ROOT / 'kernels')}`" if cuda else "–")
            contract = (ROOT / wanted[0]).read_text()
            for file in wanted:
                with self.subTest(kernel=name, file=file):
                    self.assertTrue((ROOT / file).exists())
                    if file in wanted[2:]:
                        self.assertIn(file, contract, "the contract must say where it is")


if __name__ == "__main__":
    unittest.main(verbosity=2)
