"""A full disk, a folder that may not be written to, damaged checkpoints: a clear sentence, and earlier files intact."""

import os
import pathlib
import pwd
import random
import shutil
import subprocess
import unittest

from engine_program import PROGRAM, ProgramTest, content_of, make_dataset, run, train

SEED = 7
ORDINARY_USER = "nobody"


class FullDisk(ProgramTest):
    DISK_BYTES = 4 << 20
    FILLER = "filler"

    def setUp(self):
        super().setUp()
        self.data = make_dataset(self.folder / "data", users=100, items=40, width=64)
        self.settings = ["--set", "hidden=256", "--set", "width=32", "--set", "eval_every=1"]
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.DISK_BYTES}", "tmpfs", self.disk],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest("a full disk was not tried: mounting a small tmpfs needs root (" + mounted.stderr.strip() + ")")
        self.addCleanup(subprocess.run, ["umount", self.disk], check=True)
        self.run_folder = self.disk / "run"

    def evaluate(self, *more):
        return run("evaluate", self.run_folder, "--device", "cpu", *more)

    def fill(self, leaving):
        """Takes all space of the disk but `leaving` bytes."""
        with open(self.disk / self.FILLER, "wb", buffering=0) as filler:
            facts = os.statvfs(self.disk)
            filler.write(b"x" * max(0, facts.f_bavail * facts.f_bsize - leaving))

    def free(self):
        (self.disk / self.FILLER).unlink()

    def test_training_on_a_full_disk(self):
        self.fill(leaving=0)
        result = train(self.data, self.run_folder, *self.settings)
        self.check_refusal(result, self.run_folder, "No space left", "free some space")
        self.assertEqual(result.stdout.count("epoch"), 0, "it should be said before training begins")

    def test_a_folder_on_a_full_disk(self):
        options = {"split": ["--cold", "items"], "convert": ["--to", "csv"]}
        for command, room in (("split", 0), ("split", 8192), ("convert", 0), ("convert", 4096)):
            with self.subTest((command, room)):
                self.fill(leaving=room)
                made = [command, self.data, "--out", self.disk / command, *options[command]]
                self.check_refusal(run(*made), self.disk / command, "No space left")
                self.assertEqual([entry.name for entry in self.disk.iterdir()], [self.FILLER], "half a folder is none")
                self.free()
                self.check_succeeds(run(*made))
                shutil.rmtree(self.disk / command)

    def test_a_disk_that_fills_during_training(self):
        (self.data / "valid.txt").unlink()  # so that every evaluation writes the best checkpoint too
        whole = self.folder / "whole"
        self.check_succeeds(train(self.data, whole, *self.settings, "--epochs", "12"))
        self.check_succeeds(train(self.data, self.run_folder, *self.settings, "--epochs", "6"))
        sizes = {name: len(content) for name, content in content_of(self.run_folder).items()}
        best, last = sizes["best.safetensors"], sizes["last.safetensors"]
        draw = random.Random(SEED)
        room = [0, 4096, 16384, best // 2, best + 16384, last // 2, last - 4096]
        room += [draw.randrange(last) for _ in range(5)]
        named = set()
        for leaving in room:
            with self.subTest(leaving=leaving):
                before = content_of(self.run_folder)
                self.fill(leaving)
                result = train(self.data, self.run_folder, *self.settings, "--epochs", "12", "--resume")
                self.check_refusal(result, self.run_folder, "No space left", "free some space")
                self.free()
                failed = pathlib.Path(result.stderr[len("rec_engine: "):].split(": ")[0]).name
                named.add(failed)
                after = content_of(self.run_folder)
                self.assertEqual(set(after), set(before), "a half-written file was left")
                self.assertEqual(after[failed], before[failed])
                self.assertEqual(after["last.safetensors"], before["last.safetensors"])
                self.check_succeeds(self.evaluate())
        self.assertGreaterEqual(len(named), 3, f"the disk should fill at several files, did at {named}")
        self.check_succeeds(train(self.data, self.run_folder, *self.settings, "--epochs", "12", "--resume"))
        for name in ("best.safetensors", "last.safetensors"):
            self.assertEqual((self.run_folder / name).read_bytes(), (whole / name).read_bytes(), name)

    def test_vectors_in_the_place_of_others(self):
        """40 vectors 30 wide, which take more than a page of 4,096 bytes."""
        data = shutil.copytree(self.data, self.disk / "data")
        (data / "item_language.npy").unlink()
        (data / "items.tsv").write_text("".join(f"{i}\tit{i}\tkettle {i * i} of {i}\n" for i in range(40)))
        self.check_succeeds(run("embed", data, "--width", 30))
        before = content_of(data)
        page = os.statvfs(self.disk).f_bsize
        basis = -(-len(before["item_language_basis.safetensors"]) // page) * page
        for room, failed in ((0, "item_language.npy"),  # whose header comes first
                             (page, "item_language_basis.safetensors"),
                             (page + basis // 2, "item_language_basis.safetensors"),
                             (page + basis, "item_language.json"), (page + basis + page, "item_language.npy")):
            with self.subTest(room=room):
                self.fill(room)
                result = run("embed", data, "--width", 30, "--seed", 7, "--restart")
                self.free()
                self.check_refusal(result, failed, "No space left", "free some space")
                self.assertEqual(content_of(data), before)
        self.check_succeeds(run("embed", data, "--width", 30, "--seed", 7, "--restart"))

    def test_what_the_other_commands_write(self):
        self.check_succeeds(train(self.data, self.run_folder, *self.settings))
        json_file = self.disk / "metrics.json"
        json_file.write_text("earlier")
        self.fill(leaving=0)
        self.check_refusal(self.evaluate("--json", json_file), json_file, "No space left")
        self.assertEqual(json_file.read_text(), "earlier")
        per_user = self.disk / "per_user.tsv"
        self.check_refusal(self.evaluate("--per-user", per_user), per_user, "No space left")
        self.assertFalse(per_user.exists())
        self.check_refusal(run("export", self.run_folder, "--out", self.disk / "vectors", "--device", "cpu"), "user_vectors.npy", "No space left")


class FullOutput(ProgramTest):
    def test_standard_output_that_cannot_be_written(self):
        if not os.access("/dev/full", os.W_OK):
            self.skipTest("full standard output was not tried: there is no /dev/full")
        data = make_dataset(self.folder / "data")
        with open("/dev/full", "w") as full:
            result = subprocess.run([PROGRAM, "info", data], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("standard output could not be written", result.stderr)


class ReadOnly(ProgramTest):
    """As an ordinary user: root may write anywhere."""

    def setUp(self):
        super().setUp()
        self.folder.chmod(0o755)
        self.data = make_dataset(self.folder / "data")
        self.run_folder = self.folder / "run"
        self.check_succeeds(train(self.data, self.run_folder))
        self.as_user = {"cwd": "/"}
        if os.geteuid() == 0:
            # The program may lie where an ordinary user cannot reach it.
            program = shutil.copy2(PROGRAM, self.folder / "rec_engine")
            user = pwd.getpwnam(ORDINARY_USER)
            self.as_user.update(program=program, user=user.pw_uid, group=user.pw_gid, extra_groups=[])

    def lock(self, path, mode):
        path.chmod(mode)
        self.addCleanup(path.chmod, 0o755)

    def test_a_folder_that_may_not_be_written_to(self):
        locked = self.folder / "locked"
        locked.mkdir()
        self.lock(locked, 0o555)
        for where in (locked, locked / "run"):
            result = train(self.data, where, **self.as_user)
            self.check_refusal(result, where, "Permission denied", "this user may write to")
            self.assertNotIn("epoch  ", result.stdout, "it should be said before training begins")
        self.assertEqual(content_of(locked), {})

    def test_a_run_that_may_not_be_written_to(self):
        before = content_of(self.run_folder)
        self.lock(self.run_folder, 0o555)
        for how in ("--resume", "--overwrite"):
            result = train(self.data, self.run_folder, how, "--epochs", "6", **self.as_user)
            self.check_refusal(result, self.run_folder, "Permission denied", "this user may write to")
        self.assertEqual(content_of(self.run_folder), before)
        self.check_succeeds(run("evaluate", self.run_folder, **self.as_user))
        export = run("export", self.run_folder, "--out", self.run_folder / "vectors", **self.as_user)
        self.check_refusal(export, "vectors", "Permission denied", "this user may write to")

    def test_a_folder_that_may_not_be_entered(self):
        self.lock(self.folder / "run", 0o000)
        for result in (run("evaluate", self.run_folder, **self.as_user),
                       train(self.data, self.run_folder, "--resume", **self.as_user),
                       train(self.data, self.run_folder / "inner", **self.as_user)):
            self.check_refusal(result, self.run_folder, "may not be looked at by this user", "permissions")

    def test_files_that_may_not_be_read(self):
        self.lock(self.data / "train.txt", 0o000)
        self.check_refusal(run("info", self.data, **self.as_user), "train.txt", "may not be read by this user")
        self.lock(self.run_folder / "best.safetensors", 0o000)
        self.check_refusal(run("evaluate", self.run_folder, **self.as_user), "best.safetensors",
                           "may not be read by this user")


class DamagedCheckpoint(ProgramTest):
    CUTS = 15
    FLIPS = 25

    def damages(self, content, draw):
        """Named damages: places from all over the file, and more of them in its header, where parsing happens."""
        header_end = 8 + int.from_bytes(content[:8], "little")
        for size in [0, 1, 7, 8, 9, header_end, len(content) - 1] + [draw.randrange(len(content)) for _ in range(self.CUTS)]:
            yield f"cut to {size} bytes", content[:size]
        places = list(range(8)) + [draw.randrange(header_end) for _ in range(self.FLIPS)]
        for place in places + [draw.randrange(len(content)) for _ in range(self.FLIPS)]:
            bit = draw.randrange(8)
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            yield f"bit {bit} of byte {place} flipped", bytes(damaged)
        yield "a byte more", content + b"\0"

    def check_every_damage(self, name, command):
        data = make_dataset(self.folder / "data")
        run_folder = self.folder / "run"
        self.check_succeeds(train(data, run_folder))
        before = content_of(run_folder)
        for what, damaged in self.damages(before[name], random.Random(SEED)):
            with self.subTest(what):
                (run_folder / name).write_bytes(damaged)
                self.check_refusal(command(data, run_folder), run_folder / name)
                self.assertEqual(content_of(run_folder), {**before, name: damaged}, "another file was touched")
        (run_folder / name).write_bytes(before[name])
        self.check_succeeds(command(data, run_folder))

    def test_best(self):
        self.check_every_damage("best.safetensors", lambda data, run_folder: run("evaluate", run_folder))

    def test_last(self):
        self.check_every_damage("last.safetensors",
                                lambda data, run_folder: train(data, run_folder, "--resume", "--epochs", "6"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
