"""Starts a server, lets scim2-tester and scim-sanity judge its SCIM service, and reports what they do not call a success."""

import argparse
import collections
import hashlib
import hmac
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

ROOT = Path(__file__).parents[2]


class Server:
    """The server under test, with a service token that holds all scopes."""

    def __init__(self, binary, folder, settings):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.secret = secrets.token_hex(16)
        self.log = folder / "server.log"
        # The settings of the user who runs this are ignored.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("REEVE_")} | {
            "REEVE_REGISTRATION__SHARED_SECRET": self.secret,
            "REEVE_RATE_LIMITS__ENABLED": "false",
            "REEVE_PUBLIC_BASE_URL": self.url,
            "REEVE_SCIM__GROUPS_LOCALPART": "groups",
        }
        command = [binary, "serve", "--listen", self.url.removeprefix("http://"), "--data-dir", folder / "data"]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=environment | settings, stdout=output, stderr=output, cwd=folder
            )
        try:
            self.wait()
            self.token = self.issue(self.register("operator"))
        except BaseException:
            self.stop()
            raise

    def wait(self):
        for _ in range(600):
            try:
                return self.call("GET", "/health")
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        sys.exit(f"the server did not start:\n{self.log.read_text(errors='replace')[-4000:]}")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

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

    def register(self, name):
        """Creates an administrator with the shared secret; returns its access token."""
        password = secrets.token_hex(16)
        nonce = self.call("GET", "/_synapse/admin/v1/register")["nonce"]
        mac = hmac.new(self.secret.encode(), "\0".join([nonce, name, password, "admin"]).encode(), hashlib.sha1)
        body = {"nonce": nonce, "username": name, "password": password, "admin": True, "mac": mac.hexdigest()}
        return self.call("POST", "/_synapse/admin/v1/register", body)["access_token"]

    def issue(self, admin):
        """Creates a service token with all scopes that the administrator holds; returns its secret."""
        scopes = self.call("GET", "/_reeve/admin/v1/whoami", token=admin)["scopes"]
        body = {"name": "identity-provider", "scopes": scopes}
        return self.call("POST", "/_reeve/admin/v1/service_tokens", body, admin)["secret"]


def tester(server, settings, verbose):
    """Runs scim2-tester; returns the number of checks and the failures."""
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx2.Client(base_url=f"{server.url}/scim/v2", headers=headers, timeout=60) as http:
        # scim2-tester makes inactive users and expects them to be members of groups, and to have addresses. A deactivated
        # account can have neither.
        deactivates = settings["REEVE_SCIM__INACTIVE"] == "deactivate"
        tags = {"discovery", "crud", "misc"} if deactivates else None
        results = check_server(SyncSCIMClient(http), include_tags=tags)
    # What other tags mark is skipped.
    results = [result for result in results if result.status != Status.SKIPPED or tags is None]
    if verbose:
        for result in results:
            print(result.status.name, result.resource_type or "", result.title, result.reason)
    failures = [result for result in results if result.status != Status.SUCCESS]
    return len(results), [f"{r.status.name} {r.resource_type or ''} {r.title}: {r.reason} {r.data}" for r in failures]


def sanity(server, _, verbose):
    """Runs scim-sanity; returns the number of checks and the failures. What the server does not announce is skipped."""
    command = [
        Path(sys.executable).parent / "scim-sanity", "probe", f"{server.url}/scim/v2",
        "--token", server.token, "--strict", "--json-output", "--i-accept-side-effects",
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    start = run.stdout.find("{")
    if start < 0:
        return 0, [f"scim-sanity said nothing: {run.stdout}{run.stderr}"]
    results = json.loads(run.stdout[start:])["results"]
    if verbose:
        for result in results:
            print(result)
    announced = [result for result in results if not (result["status"] == "skip" and "Agent" in json.dumps(result))]
    failures = [json.dumps(result) for result in announced if result["status"] != "pass"]
    if run.returncode != 0 and not failures:
        failures.append(f"scim-sanity ended with {run.returncode}: {run.stderr}")
    return len(announced), failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    parser.add_argument("--binary", type=Path, default=ROOT / target / "debug" / "reeve", help="the server program")
    parser.add_argument("--verbose", action="store_true", help="show every check")
    arguments = parser.parse_args()
    failed = False
    checks = collections.Counter()
    for settings in [
        {"REEVE_SCIM__INACTIVE": "lock", "REEVE_SCIM__NEW_GROUPS": "space"},
        {
            "REEVE_SCIM__INACTIVE": "lock",
            "REEVE_SCIM__NEW_GROUPS": "room",
            "REEVE_SCIM__USER_NAME_DOMAIN": "example.com",
        },
        {"REEVE_SCIM__INACTIVE": "deactivate"},
    ]:
        with tempfile.TemporaryDirectory() as folder:
            server = Server(arguments.binary.resolve(), Path(folder).resolve(), settings)
            try:
                for judge in (tester, sanity):
                    count, failures = judge(server, settings, arguments.verbose)
                    checks[judge.__name__] += count
                    for failure in failures:
                        failed = True
                        print(f"{judge.__name__} with {settings}: {failure}")
                if "ERROR" in (log := server.log.read_text(errors="replace")):
                    failed = True
                    print(log[-4000:])
            finally:
                server.stop()
    print(f"scim2-tester made {checks['tester']} checks, scim-sanity {checks['sanity']}.")
    # A judge that finds nothing to judge is no success.
    sys.exit(1 if failed or checks["tester"] < 100 or checks["sanity"] < 40 else 0)


if __name__ == "__main__":
    main()
