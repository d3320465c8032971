"""What the client tests share: a server, an administrator on it, and the two published programs."""

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
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 30
CLIENT_SECONDS = 60

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
    """A server under test: where it is and what lets a client register accounts there."""

    url: str
    secret: str

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
        """Logs `name(word)` in with a password, as clients do; returns the status and the answer."""
        identifier = {"type": "m.id.user", "user": name(word)}
        body = {"type": "m.login.password", "identifier": identifier, "password": password}
        return self.call("POST", "/_matrix/client/v3/login", body)

    def whoami(self, token):
        return self.call("GET", "/_matrix/client/v3/account/whoami", token=token)

    def answers(self):
        """Whether anything is answered at all; what it says is for the tests."""
        try:
            self.call("GET", "/_matrix/client/versions")
        except OSError:
            return False
        return True


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The server that the environment names, or Reeve as last built, started for this run."""
    if "REEVE_COMPAT_URL" in os.environ:
        yield Server(os.environ["REEVE_COMPAT_URL"].rstrip("/"), os.environ["REEVE_COMPAT_SECRET"])
        return

    binary = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "reeve"
    if not binary.exists():
        pytest.exit(f"{binary} is not there: run `cargo build` first", returncode=2)
    folder = tmp_path_factory.mktemp("reeve")
    started = Server(f"http://127.0.0.1:{free_port()}", secrets.token_hex(16))
    # Settings of whoever runs the tests stay out of it.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("REEVE_")} | {
        "REEVE_REGISTRATION__ENABLED": "true",
        "REEVE_REGISTRATION__REQUIRE_TOKEN": "true",
        "REEVE_REGISTRATION__SHARED_SECRET": started.secret,
        "REEVE_RATE_LIMITS__ENABLED": "false",
    }
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binary, "serve", "--listen", started.url.removeprefix("http://"), "--data-dir", folder / "data"],
            env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not started.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.exit(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}", returncode=2)
            time.sleep(0.05)
        yield started
        process.terminate()
        assert process.wait(START_SECONDS) == 0, "the server stops cleanly on SIGTERM"
    finally:
        process.kill()
        process.wait()


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
    """The first administrator, made as an operator makes one."""
    made = register("-u", name("operator"), "-p", "operator's password", "-a")
    assert made.returncode == 0, made
    status, session = server.login("operator", "operator's password")
    assert status == 200, session
    return Admin(server, session["user_id"], session["access_token"])


@dataclass
class Output:
    """What one call of synadm printed."""

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
