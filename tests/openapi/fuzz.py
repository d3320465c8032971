"""Starts a server with some users and rooms, runs schemathesis against it, and reports the results."""

import argparse
import hashlib
import hmac
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# Older paths of the same operations, and operations that would end the sessions of this run.
SKIPPED = "/_matrix/(client|media)/(r0|unstable|api)/(?!org.matrix)|/logout"
PASSWORD = "a password"


class Server:
    """The server under test."""

    def __init__(self, binary, folder):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.secret = secrets.token_hex(16)
        self.log = folder / "server.log"
        # The settings of the user who runs this are ignored.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("REEVE_")} | {
            "REEVE_REGISTRATION__ENABLED": "true",
            "REEVE_REGISTRATION__WITHOUT_VERIFICATION": "true",
            "REEVE_REGISTRATION__SHARED_SECRET": self.secret,
            "REEVE_RATE_LIMITS__ENABLED": "false",
        }
        command = [binary, "serve", "--listen", self.url.removeprefix("http://"), "--data-dir", folder / "data"]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=folder)

    def wait(self):
        for _ in range(600):
            try:
                return self.call("GET", "/health")
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        sys.exit(f"the server did not start:\n{self.log.read_text(errors='replace')[-4000:]}")

    def call(self, method, path, body=None, token=None):
        """Sends a request that must succeed; returns the response."""
        request = urllib.request.Request(self.url + path, method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=60) as response:
            text = response.read()
        return json.loads(text) if text.startswith(b"{") else text.decode()

    def register(self, name, admin=False):
        """Creates an account with the shared secret; returns its access token."""
        nonce = self.call("GET", "/_synapse/admin/v1/register")["nonce"]
        parts = [nonce, name, PASSWORD, "admin" if admin else "notadmin"]
        mac = hmac.new(self.secret.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": name, "password": PASSWORD, "admin": admin, "mac": mac}
        return self.call("POST", "/_synapse/admin/v1/register", body)["access_token"]


def furnish(server, token, count):
    """Creates rooms with a message, and an upload; returns the ids that requests can use."""
    known = {"room_id": [], "event_id": [], "room_id_or_alias": [], "room": [], "event_type": ["m.room.message", "m.room.topic"]}
    for number in range(count):
        room_id = server.call("POST", "/_matrix/client/v3/createRoom", {"preset": "public_chat", "name": f"Room {number}"}, token)["room_id"]
        message = {"msgtype": "m.text", "body": "words"}
        path = f"/_matrix/client/v3/rooms/{room_id}/send/m.room.message/{number}"
        known["event_id"].append(server.call("PUT", path, message, token)["event_id"])
        for name in ("room_id", "room_id_or_alias", "room"):
            known[name].append(room_id)
    uri = server.call("POST", "/_matrix/media/v3/upload", {"not": "a picture"}, token)["content_uri"]
    for name in ("media_id", "mediaId"):
        known[name] = [uri.rsplit("/", 1)[1]]
    for name in ("server_name", "serverName"):
        known[name] = ["localhost"]
    known["kind"] = ["override", "underride", "sender", "room", "content"]
    known["rule_id"] = [".m.rule.master", ".m.rule.suppress_notices", "own"]
    known["receipt_type"] = ["m.read", "m.read.private", "m.fully_read"]
    known["version"] = known["filter_id"] = known["report_id"] = ["1"]
    return known


def identities(server):
    """An identity that sends requests: its token and the ids that it can use. None can end the session of another."""
    admin, user, other = server.register("operator", admin=True), server.register("alice"), server.register("bob")
    some = [f"@bob{number}:localhost" for number in range(20)]
    for user_id in some:
        server.register(user_id[1:].split(":")[0])
    of_admin = furnish(server, other, 20) | {"user_id": some}
    of_user = furnish(server, user, 5) | {"user_id": ["@alice:localhost", "@alice:localhost", "@bob:localhost"]}
    return {"administrator": (admin, of_admin), "user": (user, of_user), "nobody": (None, of_user)}


def attack(server, folder, name, token, known, arguments):
    """Starts schemathesis as one identity."""
    command = [
        Path(sys.executable).parent / "schemathesis", "run", f"{server.url}/_reeve/openapi.json",
        "--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--continue-on-failure", "--no-shrink",
        "--seed", str(arguments.seed), "--max-time", str(arguments.seconds), "--generation-database", "none",
        "--exclude-path-regex", SKIPPED,
        "--request-timeout", "60", "--warnings", "off", "--suppress-health-check", "all",
        "--generation-with-security-parameters", "false", "--no-color",
    ]  # fmt: skip
    if arguments.examples:
        command += ["--max-examples", str(arguments.examples)]
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(Path(__file__).parent),
        "REEVE_FUZZ_KNOWN": json.dumps(known),
    }
    output = (folder / f"{name}.txt").open("wb")
    return subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=folder)


def count(server):
    """The numbers of responses and of 5xx responses, from the server's metrics."""
    pattern = re.compile(r'^reeve_http_requests_total\{.*status="(\d+)"\} (\d+)$', re.MULTILINE)
    found = pattern.findall(server.call("GET", "/metrics"))
    return sum(int(n) for _, n in found), sum(int(n) for status, n in found if status.startswith("5"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="duration in seconds")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random generator")
    parser.add_argument("--examples", type=int, help="maximum number of fuzzed requests for an operation in one round")
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    parser.add_argument("--binary", type=Path, default=ROOT / target / "debug" / "reeve", help="the server program")
    parser.add_argument("--keep", type=Path, help="folder for the reports, which are deleted by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = arguments.keep or Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        server = Server(arguments.binary.resolve(), folder.resolve())
        try:
            server.wait()
            runs = {
                name: attack(server, folder, name, token, known, arguments)
                for name, (token, known) in identities(server).items()
            }
            failed = [name for name, run in runs.items() if run.wait() != 0]
            requests, broken = count(server)
        finally:
            server.process.terminate()
            server.process.wait(60)
        for name in failed:
            print(f"== as {name}\n{(folder / f'{name}.txt').read_text(errors='replace')}")
        print(f"{requests} requests were answered, {broken} of them with 5xx.")
        sys.exit(1 if failed or broken else 0)


if __name__ == "__main__":
    main()
