"""Synapse's `register_new_matrix_user`: accounts created with the shared secret, without a token."""

from conftest import mxid, name


def test_administrator(admin, register, server):
    made = register("-u", name("boss"), "-p", "boss password", "--admin")
    assert (made.returncode, made.stdout) == (0, "Sending registration request...\nSuccess!\n"), made
    account = admin.details("boss")
    assert (account["name"], account["admin"], account["user_type"]) == (mxid("boss"), True, None)
    assert account["displayname"] == name("boss")
    assert server.login("boss", "boss password")[0] == 200
    assert server.login("boss", "another password")[0] == 403


def test_ordinary_account(admin, register):
    assert register("-u", name("plain"), "-p", "plain password", "--no-admin").returncode == 0
    account = admin.details("plain")
    assert (account["admin"], account["deactivated"], account["is_guest"]) == (False, False, False)


def test_user_types(admin, register):
    for user_type in ("bot", "support"):
        word = f"typed-{user_type}"
        assert register("-u", name(word), "-p", "secret", "--no-admin", "-t", user_type).returncode == 0
        assert admin.details(word)["user_type"] == user_type

    refused = register("-u", name("typed-wrong"), "-p", "secret", "--no-admin", "-t", "robot")
    assert refused.returncode == 1
    assert "ERROR! Received 400" in refused.stdout and "Invalid user type" in refused.stdout


def test_existing_account(admin, register, server):
    first = ("-u", name("twice"), "-p", "first password", "--no-admin")
    second = ("-u", name("twice"), "-p", "second password", "--admin")
    assert register(*first).returncode == 0

    refused = register(*second)
    assert refused.returncode == 1
    assert "ERROR! Received 400" in refused.stdout and "taken" in refused.stdout

    skipped = register(*second, "--exists-ok")
    assert skipped.returncode == 0
    assert "User already exists. Skipping." in skipped.stdout

    assert admin.details("twice")["admin"] is False
    assert server.login("twice", "first password")[0] == 200


def test_wrong_secret(register):
    refused = register("-u", name("thief"), "-p", "secret", "-a", credentials=["-k", "not the secret"])
    assert refused.returncode == 1
    assert "ERROR! Received 403" in refused.stdout and "HMAC incorrect" in refused.stdout


def test_wrong_name(register):
    refused = register("-u", f"no spaces {name('x')}", "-p", "secret", "--no-admin")
    assert refused.returncode == 1
    assert "ERROR! Received 400" in refused.stdout


def test_secret_and_password_from_files(admin, register, server, tmp_path):
    config = tmp_path / "homeserver.yaml"
    config.write_text(f"registration_shared_secret: '{server.secret}'\n")
    password = tmp_path / "password"
    password.write_text("pässword from a file\n")
    arguments = ("-u", name("filed"), "--password-file", password, "--no-admin")
    made = register(*arguments, credentials=["-c", config])
    assert made.returncode == 0, made
    assert server.login("filed", "pässword from a file")[0] == 200
