//! Every setting with its documentation, type and default.

use std::path::PathBuf;

use reeve_app::{Accent, Inactive, NewGroups};
use ruma::OwnedServerName;

use super::{
    describe::sections,
    mail::Email,
    oauth::OAuth,
    upkeep::{Batches, Exports, Retention},
    values::{BaseUrl, Database, Listen, LogFormat, Networks, PageAccent, ScimGroups, ScimInactive, Secret},
};

sections! {
    Settings {
        /// The name of this homeserver: the part of user ids after the colon. It cannot be changed once
        /// accounts exist.
        server_name: OwnedServerName = ruma::owned_server_name!("localhost");
        /// The addresses to listen on for plain HTTP: one `ADDRESS:PORT` or a list of them. A reverse proxy in
        /// front provides encryption.
        listen: Listen = Listen(vec![([127, 0, 0, 1], 8008).into()]);
        /// The URL at which clients reach this server. Clients receive it when they log in, and from
        /// `/.well-known/matrix/client`. When not set, clients keep the URL that they used.
        public_base_url: Option<BaseUrl> = None;
        /// The folder for everything the server stores itself. It is created if missing.
        data_dir: PathBuf = PathBuf::from("reeve-data");
        /// The database: `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`.
        /// When not set, SQLite in the file `reeve.db` of the data folder.
        database: Option<Database> = None;
        /// A file to read `database` from instead, for a URL with a password; white space around it is ignored.
        database_path: Option<PathBuf> = None;
        /// Number of connections to PostgreSQL, or of threads that read from SQLite. When not set: 8 on
        /// PostgreSQL; on SQLite one for each processor, but at least 2 and at most 8.
        database_connections: Option<u32> = None;
        /// Addresses and networks of reverse proxies. A request from one of them is attributed to the address
        /// in its `X-Forwarded-For` header; the header is ignored in all other requests.
        trusted_proxies: Networks = Networks::default();
        /// Registration of accounts, other than by administrators.
        registration: Registration = Registration::default();
        /// Login with passwords, and how they are hashed (Argon2id).
        password: Password = Password::default();
        /// Lifetimes of sessions.
        tokens: Tokens = Tokens::default();
        /// Signing in with OAuth 2.0, on pages of this server.
        oauth: OAuth = OAuth::default();
        /// Rate limits: `burst` actions at once, then `per_second` on average. Administrators can exempt or
        /// restrict single accounts. Limits can be changed while the server runs: it reads its settings again
        /// on SIGHUP.
        rate_limits: RateLimits = RateLimits::default();
        /// Limits of storage per account.
        limits: Limits = Limits::default();
        /// Uploads: their limits and their store.
        media: Media = Media::default();
        /// Rooms that administrators delete.
        rooms: Rooms = Rooms::default();
        /// Kinds of accounts, and what is kept of deactivated ones.
        account: Account = Account::default();
        /// Accounts that expire unless they are renewed.
        account_validity: AccountValidity = AccountValidity::default();
        /// Messages of the operator to single accounts.
        server_notices: ServerNotices = ServerNotices::default();
        /// Presence of users.
        presence: Presence = Presence::default();
        /// Visibility in the user directory.
        user_directory: UserDirectory = UserDirectory::default();
        /// Notifications to users whose clients are not connected.
        push: Push = Push::default();
        /// Messages to other systems about what happens.
        webhooks: Webhooks = Webhooks::default();
        /// Provisioning of accounts and groups with SCIM 2.0, under `/scim/v2/`.
        scim: Scim = Scim::default();
        /// Previews of web pages, for links in messages.
        url_previews: UrlPreviews = UrlPreviews::default();
        /// The server through which e-mail is sent, and what it is sent for.
        email: Email = Email::default();
        /// TURN servers for voice and video calls.
        voip: Voip = Voip::default();
        /// Support contacts. `/.well-known/matrix/support` returns them, if any is set.
        support: Support = Support::default();
        /// Requests that the server makes: to push gateways and webhooks, and for previews of web pages.
        outgoing: Outgoing = Outgoing::default();
        /// Acts of administrators on many accounts.
        batches: Batches = Batches::default();
        /// Deletion of old data, once a day. A rule that is new here runs a day later for the first time: until then
        /// `reeve retention run RULE --dry-run` counts what it would delete.
        retention: Retention = Retention::default();
        /// Archives of everything about single accounts.
        exports: Exports = Exports::default();
        /// Pages for people, on which they sign in and manage their accounts.
        pages: Pages = Pages::default();
        /// Limits on single requests.
        http: Http = Http::default();
        /// The log, on standard error.
        log: Log = Log::default();
    }

    Registration {
        /// Allow people to register. Needs one of the next three.
        enabled: bool = false;
        /// Require a registration token to register.
        require_token: bool = false;
        /// Require a confirmed e-mail address to register, which the account gets. Needs `email.host`. When false, people
        /// can register with an address if the server sends e-mail.
        require_email: bool = false;
        /// Allow everybody to register, without a token. Spammers find and use servers with open registration
        /// within days.
        without_verification: bool = false;
        /// Allow guest accounts.
        guests: bool = false;
        /// The secret of `/_synapse/admin/v1/register`, with which scripts create accounts without being logged
        /// in. That endpoint is disabled while this is not set.
        shared_secret: Option<Secret> = None;
        /// A file to read `shared_secret` from instead; white space around the secret is ignored.
        shared_secret_path: Option<PathBuf> = None;
    }

    Password {
        /// Allow login with passwords, and changes of passwords.
        enabled: bool = true;
        /// A secret mixed into every password before hashing. Changing it makes all passwords invalid.
        pepper: Secret = Secret::default();
        /// A file to read `pepper` from instead; white space around it is ignored.
        pepper_path: Option<PathBuf> = None;
        /// Memory for one hash, in KiB.
        memory_kib: u32 = 19_456;
        /// Passes over that memory.
        iterations: u32 = 2;
        /// Number of passwords hashed concurrently, by threads of the lowest priority. When not set, the number
        /// of processors.
        workers: Option<u32> = None;
        /// Rules for passwords that users choose when they register or change theirs. The name of the account
        /// is always refused. Passwords that administrators set are not checked.
        policy: PasswordPolicy = PasswordPolicy::default();
    }

    PasswordPolicy {
        /// Minimum length of a password, in characters.
        min_length: u32 = 8;
        /// Require a digit.
        require_digit: bool = false;
        /// Require a character that is neither a letter nor a digit.
        require_symbol: bool = false;
        /// Require a lowercase letter.
        require_lowercase: bool = false;
        /// Require an uppercase letter.
        require_uppercase: bool = false;
    }

    Tokens {
        /// Lifetime of an access token in milliseconds. When not set, access tokens do not expire, except in
        /// sessions with refresh tokens, where they live for five minutes.
        lifetime_ms: Option<i64> = None;
        /// Lifetime of a refresh token in milliseconds. When not set, refresh tokens do not expire.
        refresh_lifetime_ms: Option<i64> = None;
        /// Allow a client that is logged in to get a token with which another device of the same user logs in.
        login_via_existing_session: bool = false;
    }

    RateLimits {
        /// Enable these limits.
        enabled: bool = true;
        /// Per account: everything that is sent to other users, and changes of names and avatars.
        message: RateLimit = RateLimit { per_second: 0.2, burst: 10 };
        /// Per account: changes of the profile; those of names and avatars also count as `message`.
        profile: RateLimit = RateLimit { per_second: 0.5, burst: 50 };
        /// Per account: rooms created or upgraded; also count as `message`.
        room_creation: RateLimit = RateLimit { per_second: 0.016, burst: 10 };
        /// Per account: rooms joined; also count as `message`.
        joins: RateLimit = RateLimit { per_second: 0.1, burst: 10 };
        /// Per room: joins of all accounts together.
        joins_per_room: RateLimit = RateLimit { per_second: 1.0, burst: 10 };
        /// Per account: invites sent; also count as `message`. A new room invites at most `burst` users at
        /// once.
        invites_per_sender: RateLimit = RateLimit { per_second: 0.3, burst: 10 };
        /// Per account: invites received, from all senders together.
        invites_per_recipient: RateLimit = RateLimit { per_second: 0.003, burst: 5 };
        /// Per room: invites into it, by all senders together.
        invites_per_room: RateLimit = RateLimit { per_second: 0.3, burst: 10 };
        /// Per account: requests that send messages to devices.
        to_device: RateLimit = RateLimit { per_second: 5.0, burst: 500 };
        /// Per account: reports of events, rooms and users.
        reports: RateLimit = RateLimit { per_second: 1.0, burst: 5 };
        /// Per account: uploads.
        media: RateLimit = RateLimit { per_second: 10.0, burst: 50 };
        /// Per account: previews of web pages.
        url_previews: RateLimit = RateLimit { per_second: 2.0, burst: 30 };
        /// Per address: registrations. Here and in the others, all addresses of an IPv6 network of 64 bits are one.
        registration: RateLimit = RateLimit { per_second: 0.17, burst: 3 };
        /// Per address: registration requests, of which a registration needs two or three, and requests that set a new
        /// password by mail.
        registration_attempts: RateLimit = RateLimit { per_second: 0.5, burst: 30 };
        /// Per address: logins, successful or not.
        login: RateLimit = RateLimit { per_second: 0.003, burst: 5 };
        /// Per account: logins, from any address.
        login_account: RateLimit = RateLimit { per_second: 0.003, burst: 5 };
        /// Per account: logins with a wrong password.
        login_failed: RateLimit = RateLimit { per_second: 0.17, burst: 3 };
        /// Per address: clients registered with OAuth 2.0, and requests of clients for access.
        oauth_requests: RateLimit = RateLimit { per_second: 0.2, burst: 20 };
        /// Per address: codes and tokens of OAuth 2.0 that are not valid, and requests of clients that ask too often whether
        /// a person has answered.
        oauth_failed: RateLimit = RateLimit { per_second: 0.17, burst: 10 };
        /// Per address: requests for mails that confirm an e-mail address, or lead to a new password.
        email_requests: RateLimit = RateLimit { per_second: 0.01, burst: 10 };
        /// Per account: requests for such mails.
        email_account: RateLimit = RateLimit { per_second: 0.003, burst: 5 };
        /// Per e-mail address: such mails to it, from all clients together.
        email_recipient: RateLimit = RateLimit { per_second: 0.002, burst: 4 };
        /// Per service token: requests.
        service_tokens: RateLimit = RateLimit { per_second: 100.0, burst: 1000 };
    }

    RateLimit {
        /// Number of actions allowed per second in the long run; may be a fraction.
        per_second: f64 = 1.0;
        /// Number of actions allowed at once.
        burst: u32 = 1;
    }

    Limits {
        /// Maximum number of account data entries of an account, of all rooms and global.
        account_data: u32 = 20_000;
        /// Maximum size of the account data of an account, in bytes.
        account_data_bytes: u32 = 10_485_760;
        /// Maximum number of devices of an account.
        devices: u32 = 1_000;
        /// Maximum number of one-time keys of a device for each algorithm.
        one_time_keys: u32 = 1_000;
        /// Maximum number of backups of room keys of an account.
        key_backups: u32 = 100;
        /// Maximum number of room keys in the backups of an account.
        backed_up_keys: u32 = 500_000;
        /// Maximum size of these room keys, encrypted, in bytes.
        key_backup_bytes: u32 = 134_217_728;
        /// Maximum number of pushers of an account.
        pushers: u32 = 100;
        /// Maximum number of push rules of an account, including the default rules.
        push_rules: u32 = 1_000;
        /// Maximum number of stored filters of an account.
        filters: u32 = 500;
        /// Maximum number of e-mail addresses of an account that its person adds.
        email_addresses: u32 = 20;
        /// Maximum number of aliases created by an account.
        aliases_per_account: u32 = 1_000;
        /// Maximum number of aliases of a room.
        aliases_per_room: u32 = 100;
        /// Maximum number of reports of each kind by an account that administrators have neither resolved nor deleted.
        reports: u32 = 1_000;
        /// Maximum number of messages that wait for a device. Beyond it, the oldest are dropped.
        waiting_messages: u32 = 20_000;
        /// Maximum size of the messages that wait for a device, in bytes. Beyond it, the oldest are dropped.
        waiting_message_bytes: u32 = 33_554_432;
        /// Maximum size of the messages that wait for all devices of an account, in bytes. Each device may use an equal
        /// part of it.
        waiting_message_bytes_per_account: u32 = 134_217_728;
    }

    Media {
        /// Maximum size of an upload, in bytes.
        max_upload_bytes: i64 = 52_428_800;
        /// Maximum size of all uploads of an account, in bytes. When not set there is no limit.
        max_bytes_per_account: Option<i64> = None;
        /// Maximum number of bytes stored for all accounts together; equal files are stored once. When not set
        /// there is no limit.
        max_bytes: Option<i64> = None;
        /// Maximum number of media URIs of an account that wait for their files.
        max_pending: u32 = 20;
        /// The time for which such a URI waits for its file, in milliseconds.
        pending_ms: i64 = 86_400_000;
        /// Maximum size of a picture that thumbnails are made of, in pixels. Each pixel needs four bytes of
        /// memory during that.
        max_picture_pixels: u32 = 32_000_000;
        /// Number of thumbnails made concurrently. When not set, half the number of processors.
        thumbnail_workers: Option<u32> = None;
        /// The time for which uploads that administrators delete wait in the bin before they are deleted for good, in
        /// milliseconds. Until then they can be brought back. When 0, they are deleted for good at once.
        bin_ms: i64 = 604_800_000;
        /// The folder of uploads. When not set, `media` in the data folder. Servers that share a database must
        /// share this folder, too.
        folder: Option<PathBuf> = None;
        /// A bucket of an S3-compatible service in which uploads are stored instead. The bucket should have a
        /// lifecycle rule that aborts incomplete multipart uploads.
        bucket: MediaBucket = MediaBucket::default();
    }

    MediaBucket {
        /// The name of the bucket. When not set, uploads are stored in a folder.
        name: Option<String> = None;
        /// The URL of the service. When not set, that of Amazon S3.
        endpoint: Option<BaseUrl> = None;
        /// The region of the bucket.
        region: String = "us-east-1".to_owned();
        /// The id of the access key.
        access_key_id: Option<String> = None;
        /// The access key.
        secret_access_key: Option<Secret> = None;
        /// A file to read `secret_access_key` from instead; white space around it is ignored.
        secret_access_key_path: Option<PathBuf> = None;
        /// A prefix for the names of all objects, such as `reeve/`.
        prefix: String = String::new();
        /// Use URLs with the name of the bucket in the path. When false, it is a part of the host name.
        path_style: bool = true;
    }

    Rooms {
        /// The time for which rooms that administrators delete wait in the bin before they are deleted for good, in
        /// milliseconds. Until then they can be brought back. When 0, they are deleted for good at once.
        bin_ms: i64 = 604_800_000;
    }

    Account {
        /// Values of `user_type` that are allowed besides `bot` and `support`.
        user_types: Vec<String> = Vec::new();
        /// The `user_type` of new accounts without one. When not set, they have none.
        default_user_type: Option<String> = None;
        /// The time for which what a deactivated account loses is kept, so that it can be restored, in milliseconds: its
        /// addresses, rooms, account data and backups of room keys. 0 keeps nothing. A new value holds for accounts
        /// that are deactivated from then on; of an erased account nothing is ever kept.
        keep_deactivated_ms: i64 = 2_592_000_000;
    }

    AccountValidity {
        /// Let accounts expire.
        enabled: bool = false;
        /// The time for which an account is valid after it was created or renewed, in milliseconds.
        period_ms: Option<i64> = None;
        /// The time before an account expires at which its owner gets a mail with a link that renews it, in milliseconds. Needs
        /// `email.host`. When not set, only administrators renew accounts.
        remind_ms: Option<i64> = None;
    }

    ServerNotices {
        /// The localpart of the account that sends notices, such as `server`. It is created when first needed.
        /// When not set, notices cannot be sent.
        localpart: Option<String> = None;
        /// The display name of that account.
        display_name: String = "Server Notices".to_owned();
        /// Its avatar, an `mxc://` URI. When not set, it keeps its avatar.
        avatar_url: Option<String> = None;
        /// The name of the rooms for notices. A change of this or the following two settings is applied to a
        /// room with the next notice in it.
        room_name: String = "Server Notices".to_owned();
        /// The topic of these rooms. When not set, they keep their topics.
        room_topic: Option<String> = None;
        /// The avatar of these rooms, an `mxc://` URI. When not set, they keep their avatars.
        room_avatar_url: Option<String> = None;
        /// Join users to their room at once. When false, they are invited.
        auto_join: bool = false;
    }

    Presence {
        /// Show users who is online, idle or offline.
        enabled: bool = true;
    }

    UserDirectory {
        /// Find all users. When false, a search finds users who share a room with the caller or are in a public
        /// room.
        search_all_users: bool = false;
    }

    Push {
        /// Send the content of events to push gateways. When false, they receive only the type, the sender and
        /// the room. Encrypted content stays encrypted in both cases.
        include_content: bool = true;
        /// Show the number of rooms with unread messages on devices. When false, the number of unread messages.
        group_unread_count_by_room: bool = true;
    }

    Webhooks {
        /// Maximum number of webhooks.
        max: u32 = 100;
        /// The time for which events are kept for webhooks, in milliseconds: those that a receiver did not take, and those
        /// that can be replayed. Nothing is kept while there is no webhook.
        history_ms: i64 = 2_592_000_000;
    }

    Scim {
        /// The id of the identity provider under which the `externalId` of a user is kept among the external ids of
        /// the account.
        external_id_provider: String = "scim".to_owned();
        /// The domain of user names that are e-mail addresses, such as `example.com`: `alice@example.com` is then the
        /// account `alice`. Other characters that user ids cannot have are always escaped, as in `alice=40example.org`.
        /// When not set, no domain is left out.
        user_name_domain: Option<String> = None;
        /// The effect of `active: false` on an account: `lock` keeps everything until it is active again, `deactivate`
        /// ends its sessions, makes it leave its rooms, and deletes its password and addresses.
        inactive: ScimInactive = ScimInactive(Inactive::Lock);
        /// The localpart of the account that manages groups that are rooms or spaces: those that it has joined. It is
        /// created when first needed. When not set, only roles are groups, and none can be created.
        groups_localpart: Option<String> = None;
        /// The kind of group that SCIM creates: a `space` or a `room`.
        new_groups: ScimGroups = ScimGroups(NewGroups::Space);
        /// Give an erased account to a user who is created with its name. What it wrote is then shown again, as that
        /// user's. When false, the name of an erased account is taken for good.
        reuse_erased: bool = false;
    }

    UrlPreviews {
        /// Fetch web pages for previews of links. The server thereby requests pages that users link to in rooms
        /// that are not encrypted.
        enabled: bool = false;
        /// Maximum size of a picture of a page that is stored, in bytes.
        max_picture_bytes: i64 = 10_485_760;
        /// The language in which pages are requested, as in the header `Accept-Language`.
        language: String = "en".to_owned();
    }

    Voip {
        /// The URIs of TURN servers, such as `turn:turn.example.org?transport=udp`. Without them, most calls
        /// between users behind routers fail.
        turn_uris: Vec<String> = Vec::new();
        /// The secret that this server shares with the TURN servers. It is used to create user names and
        /// passwords that expire. When not set, all clients receive `turn_username` and `turn_password`.
        turn_shared_secret: Option<Secret> = None;
        /// A file to read `turn_shared_secret` from instead; white space around the secret is ignored.
        turn_shared_secret_path: Option<PathBuf> = None;
        /// The user name at the TURN servers.
        turn_username: Option<String> = None;
        /// The password of that user.
        turn_password: Option<Secret> = None;
        /// A file to read `turn_password` from instead; white space around the password is ignored.
        turn_password_path: Option<PathBuf> = None;
        /// The time for which clients may use the credentials, in milliseconds.
        turn_user_lifetime_ms: i64 = 3_600_000;
        /// Give guests credentials, too.
        turn_allow_guests: bool = true;
    }

    Support {
        /// The Matrix user id of the administrator, which may be on another server.
        admin_matrix_id: Option<String> = None;
        /// The e-mail address of the administrator.
        admin_email: Option<String> = None;
        /// The Matrix user id of the contact for security reports.
        security_matrix_id: Option<String> = None;
        /// The e-mail address of the contact for security reports.
        security_email: Option<String> = None;
        /// The URL of a support page.
        page: Option<BaseUrl> = None;
    }

    Outgoing {
        /// Users choose where requests go, so the server makes none to addresses that are not on the public
        /// internet (private, loopback, link-local, multicast and reserved ones), except to these addresses and
        /// networks: for example for a push gateway, or the receiver of a webhook, in the own network.
        allow_ranges: Networks = Networks::default();
    }

    Pages {
        /// The name of the service on pages. When not set, `server_name`.
        name: Option<String> = None;
        /// A picture that is shown beside the name, as a file (SVG, PNG, WebP, JPEG or GIF). When not set, only the name is shown.
        logo: Option<PathBuf> = None;
        /// The colour of buttons, as `#rrggbb`. The text on them is black or white, as can be read better.
        accent: PageAccent = PageAccent(Accent::default());
        /// A folder with templates (`*.html`), and perhaps a stylesheet (`style.css`), that replace built-in ones of the same names.
        templates: Option<PathBuf> = None;
        /// The time after which a session in a browser that is not used ends, in milliseconds.
        session_idle_ms: i64 = 2_592_000_000;
        /// The time after which a session in a browser ends in any case, in milliseconds.
        session_lifetime_ms: i64 = 7_776_000_000;
    }

    Http {
        /// Maximum size of a JSON body, in bytes.
        max_body_bytes: usize = 1_048_576;
        /// The time in which a client must send the head of a request, in milliseconds.
        header_timeout_ms: u32 = 10_000;
        /// The time in which a client must send the body of a request, in milliseconds.
        body_timeout_ms: u32 = 30_000;
        /// The time for which a client may read nothing of a response, in milliseconds. Then the connection is
        /// closed; media, which is streamed, may pause three times as long.
        answer_timeout_ms: u32 = 10_000;
        /// Maximum number of bytes of responses in memory that clients have not read yet; an account may use an
        /// eighth of it. A request whose response finds no room receives 429.
        max_unsent_bytes: usize = 268_435_456;
    }

    Log {
        /// The format: `text` for people, `json` for programs.
        format: LogFormat = LogFormat::Text;
        /// The filter of log lines: a level (`error`, `warn`, `info`, `debug`, `trace`), or a list such as
        /// `info,reeve_db=debug`. Can be changed while the server runs: it reads its settings again on SIGHUP.
        /// The default leaves out the messages of room rules about each event that they allow.
        filter: String = "info,ruma_state_res=warn".to_owned();
    }
}
