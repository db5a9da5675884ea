"""A studio in a process of its own, as a person starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMAND = [sys.executable, "-c", "from gouache.apps.cli.main import entry; entry()", "studio"]


class Server:
    """`with Server(folder) as server:` serves at `server.address`; `kill()` is kill -9."""

    def __init__(self, runs: Path, *options: str) -> None:
        self._command = [*COMMAND, "--port", "0", "--no-browser", "--runs", str(runs), *options]
        self._log = runs.with_suffix(".log")

    def __enter__(self) -> Server:
        with self._log.open("w") as log:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://\S+", self._log.read_text())):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)
        self.address = found[0]
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """As a power cut would."""
        self._process.kill()
        self._process.wait(30)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended(self, seconds: float) -> int:
        """Waits for the end that it was asked for; its exit code."""
        return self._process.wait(seconds)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> str:
        return self._log.read_text()
