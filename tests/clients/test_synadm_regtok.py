"""synadm on registration tokens, and an account registered with one of them."""

import time

import pytest

from conftest import name

DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def token(synadm):
    """A new token that can be used twice."""
    return synadm("regtok", "new", "--uses-allowed", "2").json["token"]


def listed(synadm, *options):
    """The tokens that `regtok list` shows with these options."""
    return {entry["token"] for entry in synadm("regtok", "list", *options).json["registration_tokens"]}


def test_new(synadm):
    token = name("chosen")
    assert synadm("regtok", "new", "--token", token).json == {
        "token": token, "uses_allowed": None, "pending": 0, "completed": 0, "expiry_time": None,
    }  # fmt: skip
    taken = synadm("regtok", "new", "--token", token, errors=[400]).json
    assert taken == {"errcode": "M_INVALID_PARAM", "error": f"Token already exists: {token}"}

    assert len(synadm("regtok", "new").json["token"]) == 16
    assert len(synadm("regtok", "new", "--length", "40").json["token"]) == 40
    assert synadm("regtok", "new", "--length", "65", errors=[400]).json["errcode"] == "M_INVALID_PARAM"

    expiry = time.time_ns() // 1_000_000 + DAY_MS
    limited = synadm("regtok", "new", "-u", "3", "--expiry-ts", str(expiry)).json
    assert (limited["uses_allowed"], limited["expiry_time"]) == (3, expiry)
    dated = synadm("regtok", "new", "--expire-at", "2099-01-01").json
    assert dated["expiry_time"] == 4_070_908_800_000
    past = synadm("regtok", "new", "--expire-at", "2001-01-01", errors=[400]).json
    assert past["error"] == "expiry_time must not be in the past"


def test_details(synadm, token):
    assert synadm("regtok", "details", token).json == {
        "token": token, "uses_allowed": 2, "pending": 0, "completed": 0, "expiry_time": None,
    }  # fmt: skip
    unknown = synadm("regtok", "details", name("no-token"), errors=[404]).json
    assert unknown == {"errcode": "M_NOT_FOUND", "error": f"No such registration token: {name('no-token')}"}


def test_list(synadm, token):
    used_up = synadm("regtok", "new", "--uses-allowed", "0").json["token"]
    assert {token, used_up} <= listed(synadm)
    valid, invalid = listed(synadm, "--valid"), listed(synadm, "--invalid")
    assert token in valid and token not in invalid
    assert used_up in invalid and used_up not in valid


def test_update(synadm, token):
    assert synadm("regtok", "update", token, "--uses-allowed", "5").json["uses_allowed"] == 5
    dated = synadm("regtok", "update", token, "--expire-at", "2099-01-01").json
    assert (dated["uses_allowed"], dated["expiry_time"]) == (5, 4_070_908_800_000)
    assert synadm("regtok", "details", token).json["expiry_time"] == "2099-01-01 00:00:00"
    free = synadm("regtok", "update", token, "--uses-allowed", "-1", "--expiry-ts", "-1").json
    assert (free["uses_allowed"], free["expiry_time"]) == (None, None)
    assert synadm("regtok", "update", name("no-token"), "-u", "1", errors=[404]).json["errcode"] == "M_NOT_FOUND"


def test_delete(synadm, token):
    assert synadm("regtok", "delete", token).text == "Registration token successfully deleted.\n"
    assert synadm("regtok", "details", token, errors=[404]).json["errcode"] == "M_NOT_FOUND"
    assert synadm("regtok", "delete", token, errors=[404]).json["errcode"] == "M_NOT_FOUND"


def test_a_person_registers_with_it(synadm, admin, server, token):
    def validity():
        path = f"/_matrix/client/v1/register/m.login.registration_token/validity?token={token}"
        return server.call("GET", path)

    def register(body):
        return server.call("POST", "/_matrix/client/v3/register", body)

    assert validity() == (200, {"valid": True})
    wanted = {"username": name("newcomer"), "password": "a long secret of somebody"}
    status, challenge = register(wanted)
    assert status == 401
    # A server may also require a dummy stage; the client follows the flow.
    [stages] = [flow["stages"] for flow in challenge["flows"]]
    assert "m.login.registration_token" in stages
    for stage in stages:
        auth = {"type": stage, "session": challenge["session"]}
        if stage == "m.login.registration_token":
            auth["token"] = token
        status, answer = register(wanted | {"auth": auth})
    assert status == 200, answer
    assert admin.details("newcomer")["name"] == answer["user_id"]
    used = synadm("regtok", "details", token).json
    assert (used["uses_allowed"], used["pending"], used["completed"]) == (2, 0, 1)

    synadm("regtok", "update", token, "--uses-allowed", "1")
    assert validity() == (200, {"valid": False})
