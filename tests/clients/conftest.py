"""Fixtures of the client tests: a server, an administrator on it, and the published programs."""

import importlib.util
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 30
CLIENT_SECONDS = 60

# The password of all users in the tests of chat clients.
PASSWORD = "password of a story"

# Every name made in this run holds it, so that a server which has seen other runs is as good as a new one.
RUN = secrets.token_hex(4)


def name(word):
    """A localpart of this run."""
    return f"{word}-{RUN}"


def mxid(word):
    """The user id of `name(word)`."""
    return f"@{name(word)}:localhost"


@dataclass
class Server:
    """A server under test: its URL and the secret with which a client registers accounts there."""

    url: str
    secret: str
    # Kills the server without a warning and starts it again over the same data; None if that is not possible.
    kill_and_start: Callable[[], None] | None = None

    def call(self, method, path, body=None, token=None):
        """Sends one request; returns the status and the JSON body."""
        request = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=CLIENT_SECONDS) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def login(self, word, password):
        """Logs `name(word)` in with a password, as clients do; returns the status and the body."""
        identifier = {"type": "m.id.user", "user": name(word)}
        body = {"type": "m.login.password", "identifier": identifier, "password": password}
        return self.call("POST", "/_matrix/client/v3/login", body)

    def whoami(self, token):
        return self.call("GET", "/_matrix/client/v3/account/whoami", token=token)

    def answers(self):
        """True if there is any response; its contents are for the tests."""
        try:
            self.call("GET", "/_matrix/client/versions")
        except OSError:
            return False
        return True

    def wait(self, alive=lambda: True):
        """Waits until requests are answered; returns false if the time is over before."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if not alive() or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Reeve:
    """Reeve as last built, with a separate data folder."""

    def __init__(self, binary, folder):
        self.folder = folder
        self.log = folder / "server.log"
        self.server = Server(f"http://127.0.0.1:{free_port()}", secrets.token_hex(16), self.kill_and_start)
        self.command = [binary, "serve", "--listen", self.server.url.removeprefix("http://")]
        self.command += ["--data-dir", folder / "data"]
        # The settings of the user who runs the tests are ignored.
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("REEVE_")} | {
            "REEVE_REGISTRATION__ENABLED": "true",
            "REEVE_REGISTRATION__REQUIRE_TOKEN": "true",
            "REEVE_REGISTRATION__SHARED_SECRET": self.server.secret,
            "REEVE_RATE_LIMITS__ENABLED": "false",
        }
        self.process = None

    def start(self):
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd=self.folder,
            )  # fmt: skip
        if not self.server.wait(alive=lambda: self.process.poll() is None):
            pytest.exit(f"the server did not start:\n{self.log.read_text(errors='replace')[-4000:]}", returncode=2)

    def stop(self):
        self.process.terminate()
        assert self.process.wait(START_SECONDS) == 0, "the server stops cleanly on SIGTERM"

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def kill_and_start(self):
        self.kill()
        self.start()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The server that the environment names, or Reeve as last built, started for this run."""
    if "REEVE_COMPAT_URL" in os.environ:
        named = Server(os.environ["REEVE_COMPAT_URL"].rstrip("/"), os.environ["REEVE_COMPAT_SECRET"])
        if command := os.environ.get("REEVE_COMPAT_RESTART"):
            named.kill_and_start = lambda: subprocess.run(command, shell=True, check=True, timeout=START_SECONDS)
        yield named
        return

    binary = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "reeve"
    if not binary.exists():
        pytest.exit(f"{binary} is not there: run `cargo build` first", returncode=2)
    reeve = Reeve(binary, tmp_path_factory.mktemp("reeve"))
    try:
        reeve.start()
        yield reeve.server
        reeve.stop()
    finally:
        reeve.kill()


@pytest.fixture
def restart(server):
    """Kills the server at any point, starts it again, and returns when it responds."""
    if server.kill_and_start is None:
        pytest.skip("REEVE_COMPAT_RESTART does not say how this server is killed and started again")

    def run():
        server.kill_and_start()
        assert server.wait(), "the server answers again after it was killed"

    return run


@pytest.fixture
def people(admin):
    """Creates accounts of the given words, for one test; returns their user ids. Their password is `PASSWORD`."""

    def create(*words):
        return [admin.create(word, password=PASSWORD, displayname=word.split("-")[0].title()) for word in words]

    return create


@pytest.fixture(scope="session")
def register(server):
    """Synapse's `register_new_matrix_user`, called with the shared secret unless `credentials` says otherwise."""
    package = importlib.util.find_spec("synapse").submodule_search_locations[0]
    program = Path(package) / "_scripts" / "register_new_matrix_user.py"

    def run(*arguments, credentials=None):
        return subprocess.run(
            [sys.executable, program, *(credentials or ["-k", server.secret]), *arguments, server.url],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CLIENT_SECONDS, check=False,
        )

    return run


@dataclass
class Admin:
    """An administrator's session."""

    server: Server
    user_id: str
    token: str

    def call(self, method, path, body=None):
        """A request to the admin API, which must succeed; returns the JSON body."""
        status, answer = self.server.call(method, f"/_synapse/admin/{path}", body, self.token)
        assert status in (200, 201), (status, answer)
        return answer

    def details(self, word):
        """The account of `name(word)` as the admin API shows it."""
        return self.call("GET", f"v2/users/{quote(mxid(word))}")

    def create(self, word, **fields):
        """Creates the account `name(word)` and returns its user id."""
        self.call("PUT", f"v2/users/{quote(mxid(word))}", fields)
        return mxid(word)


@pytest.fixture(scope="session")
def admin(server, register):
    """The first administrator, created as an operator does."""
    made = register("-u", name("operator"), "-p", "operator's password", "-a")
    assert made.returncode == 0, made
    status, session = server.login("operator", "operator's password")
    assert status == 200, session
    return Admin(server, session["user_id"], session["access_token"])


@dataclass
class Output:
    """The output of one call of synadm."""

    text: str

    @property
    def documents(self):
        """All JSON documents in the text; some commands print several, between lines for people."""
        found, position, decoder = [], 0, json.JSONDecoder()
        while start := re.compile(r"^[\[{]", re.MULTILINE).search(self.text, position):
            document, position = decoder.raw_decode(self.text, start.start())
            found.append(document)
        return found

    @property
    def json(self):
        """The one JSON document that was printed."""
        [document] = self.documents
        return document


class Synadm:
    """synadm in its mode for scripts, printing JSON."""

    def __init__(self, home):
        self.home = home
        self.config = home / "synadm.yaml"

    def configure(self, server, token, homeserver="localhost"):
        made = self.run(
            "config", "--user", "operator", "--token", token, "--protocol", "http", "--base-url", server.url,
            "--admin-path", "/_synapse/admin", "--matrix-path", "/_matrix", "--timeout", str(CLIENT_SECONDS),
            "--output", "json", "--server-discovery", "well-known", "--homeserver", homeserver, "--ssl-verify",
        )  # fmt: skip
        assert made.returncode == 0, made

    def run(self, *arguments):
        return subprocess.run(
            [Path(sys.executable).parent / "synadm", "--batch", "--config-file", self.config, *arguments],
            env=os.environ | {"HOME": str(self.home), "COLUMNS": "200", "TZ": "UTC"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CLIENT_SECONDS, check=False,
        )

    def __call__(self, *arguments, errors=(), exit_status=0):
        """Runs one command.

        synadm exits with 0 on nearly every error answer and only warns on stderr, so stderr is what tells: each
        status in `errors` must be warned of, in this order, and nothing else.
        """
        done = self.run(*arguments)
        told = f"{done.stdout}\n{done.stderr}"
        assert done.stderr.splitlines() == [f"WARNING Synapse returned status code {s}" for s in errors], told
        assert done.returncode == exit_status, told
        return Output(done.stdout)


@pytest.fixture(scope="session")
def synadm(server, admin, tmp_path_factory):
    """synadm, configured with the administrator's token."""
    client = Synadm(tmp_path_factory.mktemp("synadm"))
    client.configure(server, admin.token)
    return client
