//! Steps that tests of mails need: a mail server, the links in mails, and their confirmation.

use std::time::Duration;

use reeve_accounts::{Error, emails};
use reeve_model::Ctx;
use reeve_outgoing::{MailSettings, MailStyle, MailTls};
use reeve_testkit::{Client, Config, Received, Reply, Server, Smtp, tokio};
use serde_json::{Value, json};

use crate::rooms_kit::CS;

/// The URL of the server in mails.
pub(crate) const BASE: &str = "https://matrix.example.org";

/// Lets the server send mail to a port of 127.0.0.1.
pub(crate) fn through(port: u16) -> impl Fn(&mut Config) {
    move |config| {
        let server = MailSettings {
            host: "127.0.0.1".to_owned(),
            port: Some(port),
            tls: MailTls::None,
            credentials: None,
            from: "Reeve <noreply@example.org>".to_owned(),
            server_name: "test".to_owned(),
        };
        let style = MailStyle {
            app_name: "Example".to_owned(),
            public_base_url: BASE.to_owned(),
            client_base_url: None,
        };
        config.mail = Some((server, style));
    }
}

/// Lets the server send mail, with other settings.
pub(crate) async fn with_mail(server: &mut Server, change: impl FnOnce(&mut Config)) -> Smtp {
    let smtp = Smtp::start().await;
    let send = through(smtp.address.port());
    server
        .restart(|config| {
            send(config);
            change(config);
        })
        .await;
    smtp
}

/// A header of a mail, unfolded.
pub(crate) fn header(mail: &Received, name: &str) -> String {
    let head = mail.message.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
    let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
    line.unwrap_or_else(|| panic!("no {name}: {head}"))
}

/// A mail whose lines are not encoded as quoted-printable (RFC 2045, 6.7).
pub(crate) fn decoded(mail: Received) -> Received {
    let joined = mail.message.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let [first, tail @ ..] = rest {
        let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
        let digits = tail.get(..2).filter(|two| *first == b'=' && two.iter().all(is_digit));
        let byte = digits.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    Received { message: String::from_utf8_lossy(&bytes).into_owned(), ..mail }
}

/// The next mail, which goes to this address and has this subject.
pub(crate) async fn expect(smtp: &Smtp, to: &str, subject: &str) -> Received {
    let mail = decoded(smtp.mail().await);
    assert_eq!((&*mail.to, &*header(&mail, "Subject")), (to, subject), "{}", mail.message);
    mail
}

/// The token of the link in a mail to a page: `email`, `reset` or `renew`.
pub(crate) fn token(mail: &Received, page: &str) -> String {
    let (link, message) = (format!("{BASE}/_reeve/pages/{page}/"), decoded(mail.clone()).message);
    let rest = message.split(&link).nth(1).unwrap_or_else(|| panic!("no link: {message}"));
    rest.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Confirms the address of a mail, as the page of its link does.
pub(crate) async fn confirm(server: &Server, mail: &Received) -> Result<(), String> {
    let (app, token) = (server.app(), token(mail, "email"));
    let (ctx, policy) = (Ctx::system(&server.clock, &app.server_name, "test"), app.policy.clone());
    let confirmed = app.db.write(move |tx| emails::confirm(tx, &ctx, &policy, &token)).await;
    confirmed.map(drop).map_err(|error: Error| error.to_string())
}

/// The endpoints that send mails with links, by what the address is for.
pub(crate) const ADD: &str = "/_matrix/client/v3/account/3pid/email/requestToken";
pub(crate) const REGISTER: &str = "/_matrix/client/v3/register/email/requestToken";
pub(crate) const RESET: &str = "/_matrix/client/v3/account/password/email/requestToken";

/// Asks for a mail.
pub(crate) async fn ask(client: &Client, path: &str, address: &str, secret: &str, attempt: i64) -> Reply {
    let body = json!({ "client_secret": secret, "email": address, "send_attempt": attempt });
    client.post(path, body).await
}

/// Asks for a mail, and returns the id of the proof.
pub(crate) async fn sid(client: &Client, path: &str, address: &str, secret: &str) -> String {
    let reply = ask(client, path, address, secret, 1).await;
    assert_eq!(reply, (200, json!({ "sid": reply.text("sid") })));
    reply.text("sid").to_owned()
}

/// Gives an account an address, as an administrator does.
pub(crate) async fn set_address(admin: &Client, user_id: &str, address: &str) {
    let body = json!({ "threepids": [{ "medium": "email", "address": address }] });
    assert_eq!(admin.put(&format!("/_synapse/admin/v2/users/{user_id}"), body).await.status, 200);
}

/// The addresses of a client's account.
pub(crate) async fn addresses(client: &Client) -> Vec<Value> {
    let reply = client.get(&format!("{CS}/account/3pid")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body["threepids"].as_array().unwrap().iter().map(|threepid| threepid["address"].clone()).collect()
}

/// Proof by password.
pub(crate) fn by_password(name: &str, password: &str) -> Value {
    json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": name }, "password": password })
}

/// Proof by a confirmed address.
pub(crate) fn by_email(sid: &str, secret: &str) -> Value {
    json!({ "type": "m.login.email.identity", "threepid_creds": { "sid": sid, "client_secret": secret } })
}

reeve_db::statements! {
    FAILED = "SELECT count(*) FROM deliveries WHERE kind = 'mail' AND failures > 0 AND claim IS NULL";
}

/// Waits until so many mails wait after a failure.
pub(crate) async fn until_failed(server: &Server, mails: i64) {
    let waiting = async {
        let failed = async || {
            let count = server.app().db.read(|tx| tx.query_one(&FAILED, &[], |row| row.get::<i64>(0)));
            count.await.unwrap()
        };
        while failed().await < mails {}
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    assert!(waited.is_ok(), "{mails} mails do not fail");
}
