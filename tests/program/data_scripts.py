"""What the tests of the scripts in data/ share: a server that stands for a language model's, and ends at any moment."""

import contextlib
import http.server
import json
import os
import random
import re
import signal
import subprocess
import threading
import time

from engine_program import ROOT, ProgramTest

SEED = 16
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # as data/venv.sh has it
ENVIRONMENT.pop("OPENAI_API_KEY", None)


class LocalServer:
    """answer(number of the request, what is asked) -> None for the right answer, or what to do instead: (status, headers,
    body), or the seconds to stay silent. Subclasses say what is asked of a request's JSON, and the right answer."""

    def __init__(self, answer=lambda number, asked: None, delay_s=0.0):
        self.requests, self.keys, self.lock = [], [], threading.Lock()
        self.stopped = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                if not content:  # killed while it asked
                    return
                asked = outer.asked(self.path, json.loads(content))
                with outer.lock:
                    number = len(outer.requests)
                    outer.requests.append(asked)
                    outer.keys.append(self.headers["Authorization"])
                outer.stopped.wait(delay_s)
                instead = answer(number, asked)
                if isinstance(instead, float):
                    outer.stopped.wait(instead)
                    return
                status, headers, content = instead or (200, {}, outer.right_answer(asked))
                with contextlib.suppress(ConnectionError):  # the other side may have been killed
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", len(content))
                    self.end_headers()
                    self.wfile.write(content.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.arguments = ["--endpoint", self.url, "--model", "fake"]
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()


class ScriptTest(ProgramTest):
    """NAME: of the script. Subclasses have run_script(*arguments), command(*arguments), the folder data and the target that is
    made of it."""

    def interrupt(self, arguments, finished, after_s, number):
        """Starts it, and ends it by the signal some moments after so many pieces are in the journal, one of them its own."""
        journal = self.target.with_name(self.target.name + ".journal")
        least = max(finished, journal.read_bytes().count(b"\n") if journal.exists() else 0)
        process = subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=ENVIRONMENT)
        while not journal.exists() or journal.read_bytes().count(b"\n") <= least:
            self.assertIsNone(process.poll(), "it ended before it was interrupted")
            time.sleep(0.002)
        time.sleep(after_s)
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
        if number == signal.SIGKILL:
            self.assertEqual(process.returncode, -number)
        else:
            self.assertEqual((process.returncode, errors), (130, "stopped; the same command goes on\n"))
        self.assertFalse(self.target.exists())

    def check_any_moment(self, arguments, last_piece, interruptions, piece_s):
        """Ends it after pieces up to last_piece, so that it is never over before; then lets it go on to its end."""
        draw = random.Random(SEED)
        for interruption, finished in enumerate(sorted(draw.sample(range(1, last_piece + 1), interruptions))):
            number = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)[interruption % 3]
            self.interrupt(arguments, finished, draw.uniform(0, piece_s), number)
        result = self.check_succeeds(self.run_script(*arguments))
        self.assertRegex(result.stdout, r"^going on after \d+ of \d+ items\n")
        return result

    def check_two_at_once(self, server):
        """While one waits for the server, which stays silent, another in its folder is refused."""
        first = subprocess.Popen(self.command(self.data, *server.arguments), stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        self.addCleanup(first.wait)
        self.addCleanup(first.kill)
        while not server.requests:
            self.assertIsNone(first.poll())
            time.sleep(0.01)
        self.check_refusal(self.run_script(self.data, *server.arguments), self.data, "another process")

    def make_unwritable(self, folder):
        """Skips the test where that cannot be done."""
        if os.geteuid() != 0:
            folder.chmod(0o555)
            self.addCleanup(folder.chmod, 0o755)
            return
        content = {file: file.read_bytes() for file in folder.iterdir()}  # root may write anywhere but where nobody may
        mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, text=True)
        if mounted.returncode != 0:
            self.skipTest(f"a folder that may not be written to was not tried: root must mount one ({mounted.stderr.strip()})")
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        for file, its in content.items():
            file.write_bytes(its)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)

    def check_page(self, heading):
        """The section of data/README.md lists the options that there are."""
        page = (ROOT / "data/README.md").read_text(encoding="utf-8")
        section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
        written = set(re.findall(r"(?m)^\| `(--[a-z-]+)", section))
        self.assertEqual(written, set(re.findall(r"(?m)^  (--[a-z-]+)", self.run_script("--help").stdout)))
