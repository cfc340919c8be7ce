"""Training that is interrupted, by a kill or by Ctrl-C, ends in the same bytes as training that is not.

The dataset and the model are small, but an epoch has many steps and a checkpoint takes a moment to write, so that kills
fall everywhere: between steps, in an evaluation, and inside a save.
"""

import os
import pathlib
import random
import shlex
import signal
import subprocess
import tempfile
import time
import unittest

from engine_program import (PROGRAM, ROOT, RUN_FILES, ProgramTest, checkpoint_parts, make_dataset, metrics, run,
                            train, train_arguments, without_seconds)

SEED = 20
KILLS = 20
KILLS_INSIDE_A_SAVE = 6
EPOCHS = 60  # each ends with an evaluation and a save
LAST_TARGET = 30  # kills come after epochs up to this one, so that training is never over before them
SETTINGS = ["--set", "eval_every=1", "--set", "patience=1000", "--set", "hidden=256", "--set", "width=32"]


class Training:
    """A training in the background, followed by its lines."""

    def __init__(self, arguments):
        self.process = subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, cwd=ROOT,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def wait_for_epoch(self, epoch):
        for line in self.process.stdout:
            words = line.split()
            if words and words[0] == "epoch" and int(words[1]) >= epoch:
                return
        raise AssertionError("training ended before epoch " + str(epoch) + ": " + self.process.stderr.read())

    def kill(self):
        self.process.kill()
        return self.process.wait()

    def kill_inside_a_save(self, run_folder):
        """Stops the process at the sight of a temporary file, and kills it if the file is still there then."""
        while self.process.poll() is None:
            if not temporary_files(run_folder):
                continue
            self.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if temporary_files(run_folder):
                break
            self.process.send_signal(signal.SIGCONT)
        return self.kill()


def temporary_files(run_folder):
    return [name for name in os.listdir(run_folder) if ".part" in name]


class Interruption(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.shared.cleanup)
        cls.data = make_dataset(pathlib.Path(cls.shared.name) / "data", users=200, items=60, width=64)
        cls.whole = pathlib.Path(cls.shared.name) / "whole"
        trained = train(cls.data, cls.whole, *SETTINGS, "--epochs", EPOCHS)
        if trained.returncode != 0:
            raise RuntimeError(trained.stderr)

    def setUp(self):
        super().setUp()
        self.broken = self.folder / "broken"

    def arguments(self, *more, epochs=EPOCHS):
        return train_arguments(self.data, self.broken, *SETTINGS, "--epochs", epochs, *more)

    def train(self, *more, **options):
        return run(*self.arguments(*more, **options))

    def check_same_run(self):
        for name in ("last.safetensors", "best.safetensors", "config.toml"):
            self.assertEqual((self.broken / name).read_bytes(), (self.whole / name).read_bytes(), name)
        self.assertEqual(without_seconds(metrics(self.broken)), without_seconds(metrics(self.whole)))
        self.assertEqual({file.name for file in self.broken.iterdir()}, RUN_FILES, "leftovers of killed processes")

    def test_killed_at_any_moment(self):
        draw = random.Random(SEED)
        targets = sorted(draw.sample(range(1, LAST_TARGET + 1), KILLS))
        inside_a_save = set(draw.sample(range(KILLS), KILLS_INSIDE_A_SAVE))
        seconds_of_epoch = sum(line["seconds"] for line in metrics(self.whole)) / EPOCHS
        for kill, epoch in enumerate(targets):
            with Training(self.arguments("--resume")) as training:
                training.wait_for_epoch(epoch)
                if kill in inside_a_save:
                    status = training.kill_inside_a_save(self.broken)
                    self.assertTrue(temporary_files(self.broken))
                else:
                    time.sleep(draw.uniform(0, seconds_of_epoch))
                    status = training.kill()
                self.assertEqual(status, -signal.SIGKILL)
                self.assertLessEqual(len(temporary_files(self.broken)), 1, "leftovers pile up")
        self.check_succeeds(self.train("--resume"))
        self.check_same_run()

    def test_killed_before_the_first_save(self):
        with Training(self.arguments()) as training:
            while not (self.broken / "config.toml").exists():
                self.assertIsNone(training.process.poll())
            training.kill()
        self.check_refusal(self.train(), self.broken, "--resume", "--overwrite")
        self.check_succeeds(self.train("--resume"))
        self.check_same_run()

    def test_two_trainings_into_one_folder(self):
        with Training(self.arguments()) as training:
            training.wait_for_epoch(1)
            training.process.send_signal(signal.SIGSTOP)  # it holds the folder, and stays
            for how in ([], ["--resume"], ["--overwrite"]):
                self.check_refusal(self.train(*how), self.broken, "another training")
            training.kill()
        self.check_succeeds(self.train("--resume"))
        self.check_same_run()

    def check_interrupt(self, number):
        with Training(self.arguments()) as training:
            training.wait_for_epoch(7)
            training.process.send_signal(number)
            output, errors = training.process.communicate()
        self.assertEqual(training.process.returncode, 130, errors)
        self.assertEqual(errors, "")
        last_line = output.splitlines()[-1]
        self.assertRegex(last_line, r"^stopped at epoch \d+, step \d+; go on with: rec_engine train .* --resume")
        # The settings are the run's own, so what the line says is enough.
        program, *arguments = shlex.split(last_line.split("go on with: ")[1])
        self.assertEqual(program, "rec_engine")
        resumed = self.check_succeeds(run(*arguments))
        self.assertIn("resuming after ", resumed.stdout)
        self.check_same_run()

    def test_ctrl_c(self):
        self.check_interrupt(signal.SIGINT)

    def test_terminated(self):
        self.check_interrupt(signal.SIGTERM)

    def inherit_hang_up(self, action):
        """Whatever this test was started under, its children begin with this."""
        before = signal.signal(signal.SIGHUP, action)
        self.addCleanup(signal.signal, signal.SIGHUP, before)

    def test_hung_up(self):
        self.inherit_hang_up(signal.SIG_DFL)
        self.check_interrupt(signal.SIGHUP)

    def test_hung_up_under_nohup(self):
        self.inherit_hang_up(signal.SIG_IGN)
        with Training(self.arguments()) as training:
            training.wait_for_epoch(3)
            training.process.send_signal(signal.SIGHUP)
            _, errors = training.process.communicate()
        self.assertEqual(training.process.returncode, 0, errors)
        self.check_same_run()

    def test_a_second_signal_ends_at_once(self):
        with Training(self.arguments()) as training:
            training.wait_for_epoch(3)
            # Both wait while the process is stopped, and the second is taken before any step is finished.
            training.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, training.process.pid, os.WSTOPPED | os.WNOWAIT)
            training.process.send_signal(signal.SIGINT)
            training.process.send_signal(signal.SIGTERM)
            training.process.send_signal(signal.SIGCONT)
            self.assertIn(training.process.wait(), (-signal.SIGINT, -signal.SIGTERM))
        self.check_succeeds(self.train("--resume"))
        self.check_same_run()

    def test_a_reader_that_leaves(self):
        with Training(self.arguments()) as training:
            training.wait_for_epoch(2)
            training.process.stdout.close()
            self.assertEqual(training.process.wait(), 1)
            self.assertIn("standard output could not be written", training.process.stderr.read())
        self.check_same_run()

    def test_resuming_what_is_finished_changes_nothing(self):
        self.check_succeeds(self.train())
        self.check_succeeds(self.train("--resume"))
        self.check_same_run()

    def test_resuming_without_its_settings(self):
        """config.toml is gone, and the dataset's own says something else."""
        self.check_succeeds(self.train(epochs=EPOCHS // 2))
        (self.broken / "config.toml").unlink()
        self.check_succeeds(run(*train_arguments(self.data, self.broken, "--resume", "--epochs", EPOCHS)))
        self.check_same_run_but_for_the_best()

    def check_same_run_but_for_the_best(self):
        """The best epoch may lie in the first half, and its settings then name fewer epochs: the weights are the same."""
        self.assertEqual((self.broken / "last.safetensors").read_bytes(), (self.whole / "last.safetensors").read_bytes())
        broken, whole = (checkpoint_parts((run_folder / "best.safetensors").read_bytes())[1]
                         for run_folder in (self.broken, self.whole))
        self.assertEqual(broken, whole)
        self.assertEqual(without_seconds(metrics(self.broken)), without_seconds(metrics(self.whole)))

    def test_training_on_for_longer(self):
        """Resuming with more epochs equals having asked for them at first."""
        self.check_succeeds(self.train(epochs=EPOCHS // 2))
        self.check_succeeds(self.train("--resume"))
        self.check_same_run_but_for_the_best()


if __name__ == "__main__":
    unittest.main(verbosity=2)
