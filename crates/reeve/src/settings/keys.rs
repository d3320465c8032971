//! Every setting with its documentation, type and default.

use std::path::PathBuf;

use ruma::OwnedServerName;

use super::{
    describe::sections,
    values::{BaseUrl, Database, EmailTls, Listen, LogFormat, Networks, Secret},
};

sections! {
    Settings {
        /// The name of this homeserver: the part of user ids behind the colon. It can never be changed
        /// once accounts exist.
        server_name: OwnedServerName = ruma::owned_server_name!("localhost");
        /// The addresses to listen on for plain HTTP: one `ADDRESS:PORT` or a list of them.
        /// Encryption is the work of a reverse proxy in front.
        listen: Listen = Listen(vec![([127, 0, 0, 1], 8008).into()]);
        /// The URL at which clients reach this server. They are told it when they log in, and by
        /// `/.well-known/matrix/client`. When not set they are told none, and go on with the URL they used.
        public_base_url: Option<BaseUrl> = None;
        /// The folder for everything the server stores itself. It is created if missing.
        data_dir: PathBuf = PathBuf::from("reeve-data");
        /// The database: `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`.
        /// When not set, SQLite in the file `reeve.db` of the data folder.
        database: Option<Database> = None;
        /// A file to read `database` from instead, for a URL with a password; white space around it is ignored.
        database_path: Option<PathBuf> = None;
        /// How many connections to PostgreSQL, or how many threads that read from SQLite, there are. When
        /// not set: 8 on PostgreSQL; on SQLite one for each processor, but at least 2 and at most 8.
        database_connections: Option<u32> = None;
        /// Addresses and networks of reverse proxies. A request from one of them is taken to come from
        /// the address that its `X-Forwarded-For` header names; nobody else's header is believed.
        trusted_proxies: Networks = Networks::default();
        /// Who may create accounts, apart from administrators.
        registration: Registration = Registration::default();
        /// Login with passwords, and how they are hashed (Argon2id).
        password: Password = Password::default();
        /// How long sessions last.
        tokens: Tokens = Tokens::default();
        /// How often something may be done: `burst` times at once, then `per_second` on average.
        /// Administrators can exempt or restrict single accounts. Limits can be changed while the server runs: it reads
        /// its settings again on SIGHUP.
        rate_limits: RateLimits = RateLimits::default();
        /// How much one account may store.
        limits: Limits = Limits::default();
        /// Uploads: how long they may be, and where they are kept.
        media: Media = Media::default();
        /// Kinds of accounts.
        account: Account = Account::default();
        /// Accounts that expire unless an administrator renews them.
        account_validity: AccountValidity = AccountValidity::default();
        /// Messages of the operator to single accounts.
        server_notices: ServerNotices = ServerNotices::default();
        /// Whether people see who is there.
        presence: Presence = Presence::default();
        /// Who is found in the user directory.
        user_directory: UserDirectory = UserDirectory::default();
        /// Notifications to people whose clients are not looking.
        push: Push = Push::default();
        /// Previews of web pages, for links in messages.
        url_previews: UrlPreviews = UrlPreviews::default();
        /// The server through which e-mail is sent.
        email: Email = Email::default();
        /// TURN servers for voice and video calls.
        voip: Voip = Voip::default();
        /// Contacts for people who need help. `/.well-known/matrix/support` returns them, if any is set.
        support: Support = Support::default();
        /// Requests that the server makes: to push gateways, and for previews of web pages.
        outgoing: Outgoing = Outgoing::default();
        /// Limits on single requests.
        http: Http = Http::default();
        /// What the server writes about its work, to standard error.
        log: Log = Log::default();
    }

    Registration {
        /// Whether people may register themselves. Needs one of the next two.
        enabled: bool = false;
        /// Whether registering needs a registration token.
        require_token: bool = false;
        /// Whether everybody may register, without a token. Servers that let everybody in are found and used by
        /// spammers within days.
        without_verification: bool = false;
        /// Whether guest accounts may be created.
        guests: bool = false;
        /// The secret of `/_synapse/admin/v1/register`, with which scripts create accounts without being
        /// logged in. That endpoint is closed while this is not set.
        shared_secret: Option<Secret> = None;
        /// A file to read `shared_secret` from instead; white space around the secret is ignored.
        shared_secret_path: Option<PathBuf> = None;
    }

    Password {
        /// Whether passwords may be used to log in, and be changed.
        enabled: bool = true;
        /// A secret mixed into every password before hashing. Changing it makes all passwords invalid.
        pepper: Secret = Secret::default();
        /// A file to read `pepper` from instead; white space around it is ignored.
        pepper_path: Option<PathBuf> = None;
        /// Memory for one hash, in KiB.
        memory_kib: u32 = 19_456;
        /// Passes over that memory.
        iterations: u32 = 2;
        /// How many passwords are hashed at the same time, by threads that let all others go first. When not
        /// set, as many as there are processors.
        workers: Option<u32> = None;
        /// What the passwords must be like that people choose when they register or change theirs. The name of the
        /// account is never taken. Passwords that administrators set may be like anything.
        policy: PasswordPolicy = PasswordPolicy::default();
    }

    PasswordPolicy {
        /// How many characters a password has at least.
        min_length: u32 = 8;
        /// Whether it needs a digit.
        require_digit: bool = false;
        /// Whether it needs a character that is neither a letter nor a digit.
        require_symbol: bool = false;
        /// Whether it needs a lowercase letter.
        require_lowercase: bool = false;
        /// Whether it needs an uppercase letter.
        require_uppercase: bool = false;
    }

    Tokens {
        /// Life of an access token in milliseconds. When not set access tokens do not expire, except
        /// in sessions that asked for refresh tokens: there they live for five minutes.
        lifetime_ms: Option<i64> = None;
        /// Life of a refresh token in milliseconds. When not set they do not expire.
        refresh_lifetime_ms: Option<i64> = None;
        /// Whether a client that is logged in can get a token with which another device of the same
        /// person logs in.
        login_via_existing_session: bool = false;
    }

    RateLimits {
        /// Whether any of these limits hold.
        enabled: bool = true;
        /// Per account: everything that sends something to other people, and changes of names and avatars.
        message: RateLimit = RateLimit { per_second: 0.2, burst: 10 };
        /// Per account: profile changes, those of names and avatars besides `message`.
        profile: RateLimit = RateLimit { per_second: 0.5, burst: 50 };
        /// Per account: rooms that it creates or upgrades, besides `message`.
        room_creation: RateLimit = RateLimit { per_second: 0.016, burst: 10 };
        /// Per account: rooms that it joins, besides `message`.
        joins: RateLimit = RateLimit { per_second: 0.1, burst: 10 };
        /// Per room: joins of all accounts together.
        joins_per_room: RateLimit = RateLimit { per_second: 1.0, burst: 10 };
        /// Per account: invites that it sends, besides `message`. A new room invites at most `burst` at once.
        invites_per_sender: RateLimit = RateLimit { per_second: 0.3, burst: 10 };
        /// Per account: invites that it gets, from all together.
        invites_per_recipient: RateLimit = RateLimit { per_second: 0.003, burst: 5 };
        /// Per room: invites into it, by all together.
        invites_per_room: RateLimit = RateLimit { per_second: 0.3, burst: 10 };
        /// Per account: requests that send messages to devices.
        to_device: RateLimit = RateLimit { per_second: 5.0, burst: 500 };
        /// Per account: reports of events, rooms and people.
        reports: RateLimit = RateLimit { per_second: 1.0, burst: 5 };
        /// Per account: uploads.
        media: RateLimit = RateLimit { per_second: 10.0, burst: 50 };
        /// Per account: previews of web pages.
        url_previews: RateLimit = RateLimit { per_second: 2.0, burst: 30 };
        /// Per address: registrations.
        registration: RateLimit = RateLimit { per_second: 0.17, burst: 3 };
        /// Per address: requests that try to register, of which a registration needs two or three.
        registration_attempts: RateLimit = RateLimit { per_second: 0.5, burst: 30 };
        /// Per address: logins, successful or not.
        login: RateLimit = RateLimit { per_second: 0.003, burst: 5 };
        /// Per account: logins, from whatever address.
        login_account: RateLimit = RateLimit { per_second: 0.003, burst: 5 };
        /// Per account: logins with a wrong password.
        login_failed: RateLimit = RateLimit { per_second: 0.17, burst: 3 };
    }

    RateLimit {
        /// How many are allowed per second in the long run; may be a fraction.
        per_second: f64 = 1.0;
        /// How many are allowed at once.
        burst: u32 = 1;
    }

    Limits {
        /// How many pieces of account data an account may have, for all rooms and outside.
        account_data: u32 = 20_000;
        /// How many bytes its account data may have.
        account_data_bytes: u32 = 10_485_760;
        /// How many devices it may have.
        devices: u32 = 1_000;
        /// How many one-time keys a device may have for an algorithm.
        one_time_keys: u32 = 1_000;
        /// How many backups of room keys it may have.
        key_backups: u32 = 100;
        /// How many room keys may be in its backups.
        backed_up_keys: u32 = 500_000;
        /// How many bytes these room keys may have, encrypted.
        key_backup_bytes: u32 = 134_217_728;
        /// How many pushers it may have.
        pushers: u32 = 100;
        /// How many push rules it may have, those that everybody has included.
        push_rules: u32 = 1_000;
        /// How many filters it may store.
        filters: u32 = 500;
        /// How many aliases it may have made.
        aliases_per_account: u32 = 1_000;
        /// How many aliases a room may have.
        aliases_per_room: u32 = 100;
        /// How many reports of each kind by it may be there that administrators have not deleted.
        reports: u32 = 1_000;
        /// How many messages may wait for a device. The oldest of more are dropped.
        waiting_messages: u32 = 20_000;
        /// How many bytes the messages that wait for a device may have. The oldest of more are dropped.
        waiting_message_bytes: u32 = 33_554_432;
    }

    Media {
        /// The longest upload, in bytes.
        max_upload_bytes: i64 = 52_428_800;
        /// How many bytes one account may have uploaded. When not set there is no limit.
        max_bytes_per_account: Option<i64> = None;
        /// How many bytes may be stored for all accounts together; what is uploaded twice is stored once.
        /// When not set there is no limit.
        max_bytes: Option<i64> = None;
        /// How many addresses a client may have been given at a time without having uploaded the files.
        max_pending: u32 = 20;
        /// How long such an address waits for its file, in milliseconds.
        pending_ms: i64 = 86_400_000;
        /// The largest picture that thumbnails are made of, in pixels. Each needs four bytes of memory while
        /// that is done.
        max_picture_pixels: u32 = 32_000_000;
        /// How many thumbnails are made at the same time. When not set, half the processors.
        thumbnail_workers: Option<u32> = None;
        /// The folder where uploads are kept. When not set, `media` in the data folder. Servers that share a
        /// database must share this folder too.
        folder: Option<PathBuf> = None;
        /// A bucket of an S3-compatible service where uploads are kept instead. The bucket should be set to
        /// drop parts of uploads that were never completed.
        bucket: MediaBucket = MediaBucket::default();
    }

    MediaBucket {
        /// The name of the bucket. When not set, uploads are kept in a folder.
        name: Option<String> = None;
        /// The URL of the service. When not set, Amazon's.
        endpoint: Option<BaseUrl> = None;
        /// The region of the bucket.
        region: String = "us-east-1".to_owned();
        /// The id of the access key.
        access_key_id: Option<String> = None;
        /// The access key.
        secret_access_key: Option<Secret> = None;
        /// A file to read `secret_access_key` from instead; white space around it is ignored.
        secret_access_key_path: Option<PathBuf> = None;
        /// What the names of all objects begin with, such as `reeve/`.
        prefix: String = String::new();
        /// Whether the name of the bucket is a part of the path of URLs. If not, it is a part of the host
        /// name.
        path_style: bool = true;
    }

    Account {
        /// Values of `user_type` allowed besides `bot` and `support`.
        user_types: Vec<String> = Vec::new();
        /// The `user_type` of new accounts that are created without one. When not set they have none.
        default_user_type: Option<String> = None;
    }

    AccountValidity {
        /// Whether accounts can expire.
        enabled: bool = false;
        /// How long an account stays valid after it was created or renewed, in milliseconds.
        period_ms: Option<i64> = None;
    }

    ServerNotices {
        /// The localpart of the account that sends notices, such as `server`. It is made when it is first
        /// needed. When not set, notices cannot be sent.
        localpart: Option<String> = None;
        /// The display name of that account.
        display_name: String = "Server Notices".to_owned();
        /// Its avatar, an `mxc://` address. When not set, it keeps the avatar that it has.
        avatar_url: Option<String> = None;
        /// The name of the rooms in which it sends. A change of this or the following two reaches the room of
        /// somebody with the next notice to them.
        room_name: String = "Server Notices".to_owned();
        /// The topic of these rooms. When not set, they keep the topic that they have.
        room_topic: Option<String> = None;
        /// The avatar of these rooms, an `mxc://` address. When not set, they keep the avatar that they have.
        room_avatar_url: Option<String> = None;
        /// Whether people join their room at once. When not, they are invited.
        auto_join: bool = false;
    }

    Presence {
        /// Whether people see who is online, idle or gone.
        enabled: bool = true;
    }

    UserDirectory {
        /// Whether everybody is found, and not only those who share a room with whoever searches or are in a
        /// room that everybody can join.
        search_all_users: bool = false;
    }

    Push {
        /// Whether push gateways are told what an event says. When not, they are told only of which type it is,
        /// who sent it and where. What is encrypted stays so either way.
        include_content: bool = true;
        /// Whether devices show the number of rooms with something unread. When not, they show the number of
        /// unread messages.
        group_unread_count_by_room: bool = true;
    }

    UrlPreviews {
        /// Whether the server fetches web pages to show people what is behind a link. It thereby visits what
        /// people write to each other in rooms that are not encrypted.
        enabled: bool = false;
        /// The longest picture of a page that is kept, in bytes.
        max_picture_bytes: i64 = 10_485_760;
        /// The language in which pages are asked for, as in the header `Accept-Language`.
        language: String = "en".to_owned();
    }

    Email {
        /// The name or address of an SMTP server. When not set, no e-mail is sent, and nobody can be notified
        /// by e-mail. Notifications that stay unread for ten minutes are sent to whoever wants that; about the
        /// same room less and less often, down to once a day.
        host: Option<String> = None;
        /// Its port. When not set: 465 with `tls`, 587 with `starttls`, 25 with `none`.
        port: Option<u32> = None;
        /// How the connection is encrypted: `tls` from the beginning, `starttls` after a greeting, `none` not at
        /// all, which only fits a server on the same machine.
        tls: EmailTls = EmailTls::StartTls;
        /// The user name at that server, if it wants one.
        user: Option<String> = None;
        /// The password of that user.
        password: Option<Secret> = None;
        /// A file to read `password` from instead; white space around it is ignored.
        password_path: Option<PathBuf> = None;
        /// Who writes: `name@example.org` or `Name <name@example.org>`. Needed when there is a server.
        from: Option<String> = None;
        /// What mails call this service.
        app_name: String = "Matrix".to_owned();
        /// The URL of a web client, to whose rooms mails link. When not set they link to `https://matrix.to`.
        client_base_url: Option<BaseUrl> = None;
    }

    Voip {
        /// The URIs of TURN servers, such as `turn:turn.example.org?transport=udp`. Without them, calls between people
        /// behind routers mostly fail.
        turn_uris: Vec<String> = Vec::new();
        /// The secret that this server shares with the TURN servers. From it user names and passwords are made that
        /// expire. When not set, `turn_username` and `turn_password` are given to everybody.
        turn_shared_secret: Option<Secret> = None;
        /// A file to read `turn_shared_secret` from instead; white space around the secret is ignored.
        turn_shared_secret_path: Option<PathBuf> = None;
        /// The user name at the TURN servers.
        turn_username: Option<String> = None;
        /// The password of that user.
        turn_password: Option<Secret> = None;
        /// A file to read `turn_password` from instead; white space around the password is ignored.
        turn_password_path: Option<PathBuf> = None;
        /// How long clients may use the credentials that they get, in milliseconds.
        turn_user_lifetime_ms: i64 = 3_600_000;
        /// Whether guests get credentials.
        turn_allow_guests: bool = true;
    }

    Support {
        /// The Matrix user id of the administrator, which may be on another server.
        admin_matrix_id: Option<String> = None;
        /// The e-mail address of the administrator.
        admin_email: Option<String> = None;
        /// The Matrix user id of the person who takes reports about security.
        security_matrix_id: Option<String> = None;
        /// The e-mail address of the person who takes reports about security.
        security_email: Option<String> = None;
        /// The URL of a page with help.
        page: Option<BaseUrl> = None;
    }

    Outgoing {
        /// Where requests go is chosen by the people who use the server, so it makes none to addresses that are
        /// not on the public internet (private, loopback, link-local, multicast and reserved ones), except to
        /// these addresses and networks: for a push gateway on the own network, for example.
        allow_ranges: Networks = Networks::default();
    }

    Http {
        /// The longest JSON body accepted, in bytes.
        max_body_bytes: usize = 1_048_576;
        /// How long a client may take to send the head of a request, in milliseconds.
        header_timeout_ms: u32 = 10_000;
        /// How long a client may take to send the body of a request, in milliseconds.
        body_timeout_ms: u32 = 30_000;
        /// How long a client may take nothing of an answer, in milliseconds. Then the connection ends; media, which
        /// is sent as it is read, may stand three times as long.
        answer_timeout_ms: u32 = 10_000;
        /// How many bytes of answers may stand in memory that clients have not taken yet; an account may have an
        /// eighth of them. Whoever finds no room is asked to come again.
        max_unsent_bytes: usize = 268_435_456;
    }

    Log {
        /// `text` for people, `json` for machines.
        format: LogFormat = LogFormat::Text;
        /// Which lines are written: a level (`error`, `warn`, `info`, `debug`, `trace`), or a list
        /// such as `info,reeve_db=debug`. Can be changed while the server runs: it reads its settings again on SIGHUP. By default without what the rules of rooms say of each event that they let through.
        filter: String = "info,ruma_state_res=warn".to_owned();
    }
}
