"""synadm on sessions: passwords, logins, devices, whois, and its raw requests."""

import json
import time

from conftest import Synadm, mxid, name

DAY_MS = 24 * 60 * 60 * 1000


def test_version(synadm):
    [major, minor, *_] = synadm("version").json["server_version"].split(".")
    assert int(major) >= 1 and minor.isdigit()


def test_homeserver_name_is_found(server, admin, tmp_path):
    client = Synadm(tmp_path)
    client.configure(server, admin.token, homeserver="auto-retrieval")
    admin.create("found")
    assert client("user", "details", name("found")).json["name"] == mxid("found")


def test_wrong_token(server, admin, tmp_path):
    client = Synadm(tmp_path)
    client.configure(server, "not-a-token")
    assert client("user", "details", name("x"), errors=[401]).json["errcode"] == "M_UNKNOWN_TOKEN"
    admin.create("ordinary", password="secret")
    client.configure(server, server.login("ordinary", "secret")[1]["access_token"])
    answer = client("user", "list", errors=[403]).json
    assert answer == {"errcode": "M_FORBIDDEN", "error": "You are not a server admin"}


def test_matrix_login(synadm, admin, server):
    admin.create("visitor", password="secret")
    session = synadm("matrix", "login", name("visitor"), "--password", "secret").json
    assert (session["user_id"], session["home_server"]) == (mxid("visitor"), "localhost")
    assert server.whoami(session["access_token"])[1]["device_id"] == session["device_id"]
    [device] = admin.call("GET", f"v2/users/{mxid('visitor')}/devices")["devices"]
    assert (device["device_id"], device["display_name"]) == (session["device_id"], "synadm matrix login command")

    refused = synadm("matrix", "login", name("visitor"), "--password", "guess", errors=[403]).json
    assert refused["errcode"] == "M_FORBIDDEN"


def test_matrix_raw(synadm, admin, server):
    admin.create("caller", password="secret")
    token = server.login("caller", "secret")[1]["access_token"]
    assert "v1.1" in synadm("matrix", "raw", "client/versions").json["versions"]
    whoami = synadm("matrix", "raw", "--token", token, "client/v3/account/whoami").json
    assert whoami["user_id"] == mxid("caller")
    path = f"client/v3/profile/{mxid('caller')}/displayname"
    assert synadm("matrix", "raw", "-t", token, "-m", "put", "-d", '{"displayname": "Caller"}', path).json == {}
    assert synadm("matrix", "raw", path).json == {"displayname": "Caller"}
    assert synadm("matrix", "raw", "-t", token, "-m", "post", "client/v3/logout").json == {}
    gone = synadm("matrix", "raw", "-t", token, "client/v3/account/whoami", errors=[401]).json
    assert gone["errcode"] == "M_UNKNOWN_TOKEN"


def test_password(synadm, admin, server):
    admin.create("forgetful", password="old secret")
    token = server.login("forgetful", "old secret")[1]["access_token"]

    assert synadm("user", "password", name("forgetful"), "-p", "new secret", "--no-logout").json == {}
    assert server.whoami(token)[0] == 200
    assert server.login("forgetful", "old secret")[0] == 403
    assert server.login("forgetful", "new secret")[0] == 200

    assert synadm("user", "password", name("forgetful"), "-p", "newest secret").json == {}
    assert server.whoami(token)[1]["errcode"] == "M_UNKNOWN_TOKEN"
    assert server.login("forgetful", "newest secret")[0] == 200

    unknown = synadm("user", "password", name("nobody"), "-p", "secret", errors=[404]).json
    assert unknown == {"errcode": "M_NOT_FOUND", "error": "Unknown user"}


def test_login_as(synadm, admin, server):
    admin.create("puppet")
    for options in ([], ["--expire-never"], ["--expire-days", "3"], ["--expire-ts", str(now_ms() + DAY_MS)]):
        answer = synadm("user", "login", name("puppet"), *options).json
        assert set(answer) == {"access_token"}
        status, whoami = server.whoami(answer["access_token"])
        assert (status, whoami["user_id"]) == (200, mxid("puppet"))
        assert "device_id" not in whoami
    assert admin.call("GET", f"v2/users/{mxid('puppet')}/devices")["total"] == 0

    expired = synadm("user", "login", name("puppet"), "--expire-ts", str(now_ms() - 1000)).json["access_token"]
    status, answer = server.whoami(expired)
    assert (status, answer["errcode"], answer["soft_logout"]) == (401, "M_UNKNOWN_TOKEN", True)

    unknown = synadm("user", "login", name("nobody"), errors=[404]).json
    assert unknown == {"errcode": "M_NOT_FOUND", "error": "User not found"}


def test_whois(synadm, admin, server):
    admin.create("here", password="secret")
    nowhere = {"user_id": mxid("here"), "devices": {"": {"sessions": [{"connections": []}]}}}
    assert synadm("user", "whois", name("here")).json == nowhere

    token = server.login("here", "secret")[1]["access_token"]
    synadm("matrix", "raw", "--token", token, "client/v3/account/whoami")
    answer = synadm("user", "whois", name("here")).json
    [connection] = answer["devices"][""]["sessions"][0]["connections"]
    assert connection["ip"] == "127.0.0.1"
    assert connection["user_agent"].startswith("synadm/")
    assert abs(connection["last_seen"] - now_ms()) < 60_000


def test_prune_devices(synadm, admin, server):
    admin.create("collector", password="secret")
    tokens = [server.login("collector", "secret")[1]["access_token"] for _ in range(3)]
    prune = ("user", "prune-devices", mxid("collector"), "--timestamp")

    # Devices without a request since their login count as old.
    listed = synadm(*prune, "--list-only").json
    assert len(listed) == 2 and all(device["last_seen_ts"] is None for device in listed)
    assert admin.call("GET", f"v2/users/{mxid('collector')}/devices")["total"] == 3

    chosen = listed[0]["device_id"]
    [pruned] = [d["device_id"] for d in synadm(*prune, "--device-id", chosen, "--min-days", "0").json]
    assert pruned == chosen
    left = admin.call("GET", f"v2/users/{mxid('collector')}/devices")
    assert left["total"] == 2 and chosen not in [device["device_id"] for device in left["devices"]]
    assert [server.whoami(token)[0] for token in tokens].count(401) == 1

    missing = synadm("user", "prune-devices", mxid("nobody"), errors=[404], exit_status=1).json
    assert missing["errcode"] == "M_NOT_FOUND"


def test_raw_rate_limit_override(synadm, admin):
    path = f"v1/users/{admin.create('hasty')}/override_ratelimit"
    assert synadm("raw", path).json == {}
    limits = {"messages_per_second": 3, "burst_count": 7}
    assert synadm("raw", "-m", "post", "-d", json.dumps(limits), path).json == limits
    assert synadm("raw", path).json == limits
    assert synadm("raw", "-m", "delete", path).json == {}
    assert synadm("raw", path).json == {}
    refused = synadm("raw", "-m", "post", "-d", '{"messages_per_second": -1}', path, errors=[400]).json
    assert refused == {"errcode": "M_INVALID_PARAM", "error": "-1 parameter must be a positive int"}


def test_raw_admin_flag(synadm, admin):
    path = f"v1/users/{admin.create('promoted')}/admin"
    assert synadm("raw", path).json == {"admin": False}
    assert synadm("raw", "-m", "put", "-d", '{"admin": true}', path).json == {}
    assert synadm("raw", path).json == {"admin": True}


def test_raw_names(synadm, admin):
    assert synadm("raw", f"v1/username_available?username={name('free')}").json == {"available": True}
    admin.create("taken")
    taken = synadm("raw", f"v1/username_available?username={name('taken')}", errors=[400]).json
    assert taken["errcode"] == "M_USER_IN_USE"


def test_raw_what_an_account_has(synadm, admin):
    user = admin.create("empty")
    assert synadm("raw", f"v1/users/{user}/pushers").json == {"pushers": [], "total": 0}
    assert synadm("raw", f"v1/users/{user}/accountdata").json == {"account_data": {"global": {}, "rooms": {}}}
    assert synadm("raw", f"v1/users/{user}/memberships").json == {"memberships": {}}
    assert synadm("raw", f"v2/users/{user}/devices").json == {"devices": [], "total": 0}


def test_raw_device(synadm, admin):
    user = admin.create("owner")
    path = f"v2/users/{user}/devices"
    assert synadm("raw", "-m", "post", "-d", '{"device_id": "LAPTOP"}', path).json == {}
    assert synadm("raw", "-m", "put", "-d", '{"display_name": "Laptop"}', f"{path}/LAPTOP").json == {}
    device = synadm("raw", f"{path}/LAPTOP").json
    assert (device["device_id"], device["display_name"], device["user_id"]) == ("LAPTOP", "Laptop", user)
    assert (device["last_seen_ip"], device["last_seen_ts"]) == (None, None)
    assert synadm("raw", "-m", "delete", f"{path}/LAPTOP").json == {}
    assert synadm("raw", f"{path}/LAPTOP", errors=[404]).json["errcode"] == "M_NOT_FOUND"


def now_ms():
    return time.time_ns() // 1_000_000
