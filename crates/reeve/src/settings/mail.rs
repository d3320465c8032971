//! The settings of e-mail.

use std::path::PathBuf;

use reeve_model::Language;

use super::{
    describe::sections,
    values::{BaseUrl, EmailLanguage, EmailTls, Secret},
};

sections! {
    Email {
        /// The name or address of an SMTP server. When not set, no e-mail is sent. Notifications that stay
        /// unread for ten minutes are sent to users who enabled e-mail notifications; about the same room less
        /// and less often, down to once a day. People confirm addresses and choose new passwords by mail.
        host: Option<String> = None;
        /// Its port. When not set: 465 with `tls`, 587 with `starttls`, 25 with `none`.
        port: Option<u32> = None;
        /// The encryption of the connection: `tls` from the beginning, `starttls` after a greeting, `none` for
        /// no encryption, which is suitable only for a server on the same machine.
        tls: EmailTls = EmailTls::StartTls;
        /// The user name at that server, if it requires one.
        user: Option<String> = None;
        /// The password of that user.
        password: Option<Secret> = None;
        /// A file to read `password` from instead; white space around it is ignored.
        password_path: Option<PathBuf> = None;
        /// The sender: `name@example.org` or `Name <name@example.org>`. Required when `host` is set.
        from: Option<String> = None;
        /// The name of this service in mails.
        app_name: String = "Matrix".to_owned();
        /// The URL of a web client whose rooms mails link to. When not set, mails link to `https://matrix.to`.
        client_base_url: Option<BaseUrl> = None;
        /// The language of mails to people whose language is not known: `en` or `de`.
        language: EmailLanguage = EmailLanguage(Language::English);
        /// The time for which a link in a mail can be used, in milliseconds: to confirm an address, or to choose a new
        /// password.
        link_ms: i64 = 3_600_000;
        /// Hide from clients whether an account has an e-mail address: only the mail to the address says so. When false,
        /// everybody can find out which addresses have accounts.
        hide_addresses: bool = true;
        /// Let people add e-mail addresses to their accounts, and remove them. Each is confirmed by a mail. When false, only
        /// administrators change addresses.
        own_addresses: bool = true;
        /// Hosts of web pages at which a browser may continue after an address is confirmed, if the client asks for it. Those of
        /// `public_base_url` and `client_base_url` are among them in any case. The link to a page of another host is not
        /// shown.
        next_link_hosts: Vec<String> = Vec::new();
        /// Mails that tell people what happens to their accounts.
        notices: EmailNotices = EmailNotices::default();
    }

    EmailNotices {
        /// Tell of sign-ins on new devices and in new browsers.
        sign_in: bool = true;
        /// Tell that the password was changed.
        password: bool = true;
        /// Tell the addresses of an account that others were added, or that one of them was removed.
        addresses: bool = true;
    }
}
