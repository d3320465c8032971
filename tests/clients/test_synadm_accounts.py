"""synadm on accounts: create, inspect, change, shadow-ban, suspend, deactivate."""

from conftest import mxid, name


def test_create_and_change(synadm, server):
    created = synadm("user", "modify", name("alice"), "-P", "alice password", "-n", "Alice", errors=[404])
    before, after = created.documents
    assert (before["errcode"], before["error"]) == ("M_NOT_FOUND", "User not found")
    assert (after["name"], after["displayname"], after["admin"]) == (mxid("alice"), "Alice", False)
    assert after["threepids"] == [] and after["external_ids"] == []
    assert server.login("alice", "alice password")[0] == 200

    changed = synadm("user", "modify", mxid("alice"), "--admin", "--display-name", "Alice, the boss",
                     "--user-type", "bot", "-v", "mxc://localhost/picture")  # fmt: skip
    before, after = changed.documents
    assert before["displayname"] == "Alice"
    assert (after["admin"], after["displayname"]) == (True, "Alice, the boss")
    assert (after["user_type"], after["avatar_url"]) == ("bot", "mxc://localhost/picture")

    _, after = synadm("user", "modify", name("alice"), "--no-admin", "--user-type", "regular").documents
    assert (after["admin"], after["user_type"]) == (False, None)
    assert after["displayname"] == "Alice, the boss", "what was not named stays"


def test_refused_change_changes_nothing(synadm, admin):
    admin.create("steady", password="secret")
    before = admin.details("steady")
    change = ("-n", "Other", "--user-type", "robot")
    shown, answer = synadm("user", "modify", name("steady"), *change, errors=[400]).documents
    assert shown == before
    assert (answer["errcode"], answer["error"]) == ("M_UNKNOWN", "Invalid user type")
    assert admin.details("steady") == before


def test_details(synadm, admin):
    admin.create("seen", displayname="Seen One")
    account = synadm("user", "details", name("seen")).json
    assert isinstance(account.pop("creation_ts"), int)
    account.pop("approved", None)
    assert account == {
        "name": mxid("seen"), "displayname": "Seen One", "avatar_url": None, "user_type": None, "admin": False,
        "deactivated": False, "locked": False, "suspended": False, "shadow_banned": False, "erased": False,
        "is_guest": False, "appservice_id": None, "consent_server_notice_sent": None, "consent_version": None,
        "consent_ts": None, "last_seen_ts": None, "threepids": [], "external_ids": [],
    }  # fmt: skip


def test_details_of_nobody(synadm):
    unknown = synadm("user", "details", name("nobody"), errors=[404]).json
    assert unknown == {"errcode": "M_NOT_FOUND", "error": "User not found"}
    remote = synadm("user", "details", "@alice:elsewhere.example", errors=[400]).json
    assert remote == {"errcode": "M_UNKNOWN", "error": "Can only look up local users"}


def test_third_party_ids(synadm, admin):
    admin.create("mail")
    addresses = [f"{name('first')}@example.org", f"{name('second')}@example.org"]
    options = [part for address in addresses for part in ("--threepid", "email", address)]
    _, after = synadm("user", "modify", name("mail"), *options).documents
    assert sorted(entry["address"] for entry in after["threepids"]) == addresses
    assert all(entry["medium"] == "email" and entry["added_at"] > 0 for entry in after["threepids"])

    assert synadm("user", "3pid", "-m", "email", addresses[1]).json == {"user_id": mxid("mail")}
    unknown = synadm("user", "3pid", "-m", "email", f"{name('third')}@example.org", errors=[404]).json
    assert unknown == {"errcode": "M_NOT_FOUND", "error": "User not found"}

    _, after = synadm("user", "modify", name("mail"), "--clear-threepids").documents
    assert after["threepids"] == []
    assert synadm("user", "3pid", "-m", "email", addresses[1], errors=[404]).json["errcode"] == "M_NOT_FOUND"


def test_auth_provider(synadm, admin):
    external_id = f"{name('external')}/with slash"
    admin.create("single-sign-on", external_ids=[{"auth_provider": "oidc-work", "external_id": external_id}])
    found = synadm("user", "auth-provider", "-p", "oidc-work", external_id).json
    assert found == {"user_id": mxid("single-sign-on")}
    unknown = synadm("user", "auth-provider", "-p", "oidc-home", external_id, errors=[404]).json
    assert unknown == {"errcode": "M_NOT_FOUND", "error": "User not found"}


def test_lock(synadm, admin, server):
    admin.create("locked", password="secret")
    token = server.login("locked", "secret")[1]["access_token"]
    assert synadm("user", "modify", name("locked"), "--lock").documents[1]["locked"] is True
    status, answer = server.whoami(token)
    assert (status, answer["errcode"], answer["soft_logout"]) == (401, "M_USER_LOCKED", True)
    assert synadm("user", "modify", name("locked"), "--unlock").documents[1]["locked"] is False
    assert server.whoami(token)[0] == 200, "the session revives"


def test_shadow_ban(synadm, admin):
    admin.create("shadow")
    assert synadm("user", "shadow-ban", name("shadow")).json == {}
    assert admin.details("shadow")["shadow_banned"] is True
    assert synadm("user", "shadow-ban", "--unban", name("shadow")).json == {}
    assert admin.details("shadow")["shadow_banned"] is False
    assert synadm("user", "shadow-ban", name("nobody"), errors=[404]).json["error"] == "No row found (users)"


def test_suspend(synadm, admin):
    admin.create("suspended")
    key = f"user_{mxid('suspended')}_suspended"
    assert synadm("user", "suspend", name("suspended")).json == {key: True}
    assert admin.details("suspended")["suspended"] is True
    assert synadm("user", "suspend", "--unsuspend", name("suspended")).json == {key: False}
    assert admin.details("suspended")["suspended"] is False


def test_membership(synadm, admin):
    admin.create("hermit")
    assert synadm("user", "membership", name("hermit")).json == {"joined_rooms": [], "total": 0}
    assert "User is member of 0 rooms." in synadm("-o", "human", "user", "membership", name("hermit")).text


def test_deactivate(synadm, admin, server):
    address = f"{name('leaver')}@example.org"
    admin.create("leaver", password="secret", displayname="Leaver", threepids=[{"medium": "email", "address": address}])
    token = server.login("leaver", "secret")[1]["access_token"]

    shown, rooms, answer = synadm("user", "deactivate", name("leaver")).documents
    assert (shown["deactivated"], rooms["total"]) == (False, 0)
    assert answer == {"id_server_unbind_result": "success"}
    account = admin.details("leaver")
    assert (account["deactivated"], account["erased"]) == (True, False)
    assert (account["displayname"], account["threepids"]) == ("Leaver", [])
    assert server.whoami(token)[1]["errcode"] == "M_UNKNOWN_TOKEN"
    assert server.login("leaver", "secret")[0] == 403

    _, after = synadm("user", "modify", name("leaver"), "--activate", "-P", "new secret").documents
    assert after["deactivated"] is False
    assert server.login("leaver", "new secret")[0] == 200


def test_erase(synadm, admin):
    admin.create("erased", password="secret", displayname="To be forgotten")
    answer = synadm("user", "deactivate", "--gdpr-erase", name("erased")).documents[-1]
    assert answer == {"id_server_unbind_result": "success"}
    account = admin.details("erased")
    assert (account["deactivated"], account["erased"], account["displayname"]) == (True, True, None)

    human = synadm("-o", "human", "user", "deactivate", "--gdpr-erase", name("erased"))
    assert "User successfully gdpr-erased." in human.text, "a second time is as good"


def test_deactivate_nobody(synadm):
    documents = synadm("user", "deactivate", name("nobody"), errors=[404, 404]).documents
    assert documents[-1] == {"errcode": "M_NOT_FOUND", "error": "User not found"}


def test_deactivate_by_modify(synadm, admin):
    admin.create("modified", password="secret")
    assert synadm("user", "modify", name("modified"), "--deactivate").documents[1]["deactivated"] is True


def test_deactivate_regex(synadm, admin):
    for word in ("spam-1", "spam-2", "ham"):
        admin.create(word)
    pattern = rf"@spam-\d-{name('')[1:]}:"
    planned = synadm("user", "deactivate-regex", "--dry-run", "--batch-size", "7", pattern).text.splitlines()
    assert planned == [f"Would deactivate: {mxid('spam-1')}", f"Would deactivate: {mxid('spam-2')}"]

    answers = synadm("user", "deactivate-regex", pattern).documents[2::3]
    assert answers == [{"id_server_unbind_result": "success"}] * 2
    assert [admin.details(word)["deactivated"] for word in ("spam-1", "spam-2", "ham")] == [True, True, False]
