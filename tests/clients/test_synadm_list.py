"""synadm's user list: every filter, every order, and paging through many accounts."""

import pytest

from conftest import RUN, mxid, name

MANY = 57
ORDERS = (
    "name", "is_guest", "admin", "user_type", "deactivated", "shadow_banned", "displayname", "avatar_url",
    "creation_ts", "last_seen_ts",
)  # fmt: skip


@pytest.fixture(scope="module")
def people(admin):
    """A small group of accounts with every flag, found by a unique word in the localpart."""
    admin.create("crowd-admin", admin=True, displayname="Zoë")
    admin.create("crowd-bot", user_type="bot", displayname="beta")
    admin.create("crowd-support", user_type="support", displayname="alpha")
    admin.create("crowd-plain", displayname=f"äpfel APFEL {RUN}")
    admin.create("crowd-locked")
    admin.call("PUT", f"v2/users/{mxid('crowd-locked')}", {"locked": True})
    admin.create("crowd-gone")
    admin.call("POST", f"v1/deactivate/{mxid('crowd-gone')}", {})


@pytest.fixture
def crowd(people, synadm):
    """The words of the group that `user list` shows with these options, in its order."""

    def listed(*options):
        answer = synadm("user", "list", "--name", "crowd", *options).json
        mine = [user["name"] for user in answer["users"] if RUN in user["name"]]
        return [user.removeprefix("@crowd-").removesuffix(f"-{RUN}:localhost") for user in mine]

    return listed


def test_filters(crowd):
    assert crowd() == ["admin", "bot", "plain", "support"]
    assert crowd("--deactivated") == ["admin", "bot", "gone", "plain", "support"]
    assert crowd("--locked") == ["admin", "bot", "locked", "plain", "support"]
    assert crowd("--admins") == ["admin"]
    assert crowd("--non-admins") == ["bot", "plain", "support"]
    assert crowd("--no-guests") == ["admin", "bot", "plain", "support"]
    assert crowd("--guests") == ["admin", "bot", "plain", "support"]
    assert crowd("--exclude-user-type", "bot") == ["admin", "plain", "support"]
    assert crowd("--exclude-user-type", "bot", "--exclude-user-type", "support") == ["admin", "plain"]
    assert crowd("--exclude-user-type", "") == ["bot", "support"]
    assert crowd("--locked", "--deactivated", "--non-admins", "--exclude-user-type", "") == ["bot", "support"]


def test_entry(people, synadm):
    answer = synadm("user", "list", "--user-id", mxid("crowd-bot")).json
    assert (answer["total"], set(answer)) == (1, {"users", "total"})
    [entry] = answer["users"]
    entry.pop("approved", None)
    created = entry.pop("creation_ts")
    assert created > 1_000_000_000_000 and created % 1000 == 0, "milliseconds, of whole seconds"
    assert entry == {
        "name": mxid("crowd-bot"), "displayname": "beta", "avatar_url": None, "user_type": "bot", "admin": False,
        "is_guest": False, "deactivated": False, "erased": False, "shadow_banned": False, "locked": False,
        "last_seen_ts": None,
    }  # fmt: skip


def test_search(people, synadm):
    def names(*options):
        return [user["name"] for user in synadm("user", "list", *options).json["users"]]

    assert names("--name", f"äpfel apfel {RUN}") == [mxid("crowd-plain")], "display names too, whatever the case"
    assert names("--user-id", mxid("crowd-plain").upper().replace(":LOCALHOST", ":localhost")) == [mxid("crowd-plain")]
    assert names("--name", name("crowd-none")) == []

    lower, capitalised = synadm("user", "search", name("crowd-gone")).documents
    assert [user["name"] for user in lower["users"]] == [mxid("crowd-gone")], "deactivated accounts are found"
    assert capitalised == lower


def test_orders(crowd):
    assert crowd("--sort-by", "displayname") == ["admin", "support", "bot", "plain"], "by code point"
    assert crowd("--sort-by", "displayname", "--reverse") == ["plain", "bot", "support", "admin"]
    assert crowd("--sort-by", "admin") == ["bot", "plain", "support", "admin"]
    assert crowd("--sort-by", "admin", "--reverse") == ["admin", "bot", "plain", "support"], "ties stay ascending"
    for order in ORDERS:
        for direction in ([], ["--reverse"]):
            assert sorted(crowd("--sort-by", order, *direction)) == ["admin", "bot", "plain", "support"]


def test_unknown_order(synadm):
    answer = synadm("user", "list", "--sort-by", "shoe_size", errors=[400]).json
    assert answer["errcode"] == "M_INVALID_PARAM"
    assert "order_by" in answer["error"]


def test_paging(synadm, admin):
    made = [admin.create(f"many-{number:02}") for number in range(MANY)]
    seen, position, pages = [], "0", 0
    while position is not None:
        answer = synadm("user", "list", "--name", "many", "--from", position, "--limit", "20").json
        seen += [user["name"] for user in answer["users"] if RUN in user["name"]]
        assert answer["total"] >= MANY
        position = answer.get("next_token")
        pages += 1
    assert seen == made
    assert pages >= MANY / 20

    beyond = synadm("user", "list", "--name", f"many-00-{RUN}", "--from", "5").json
    assert beyond == {"users": [], "total": 1}


def test_for_people(people, synadm):
    text = synadm("-o", "human", "user", "list", "--name", f"crowd-plain-{RUN}").text
    assert "Total users on homeserver (excluding deactivated): 1" in text
    assert mxid("crowd-plain") in text
    text = synadm("-o", "human", "user", "list", "--limit", "1").text
    assert "There are more users than shown, use '--from 1' to go to next page" in text
