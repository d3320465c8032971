//! The account, and what belongs to it alone.

use reeve_db::{DbError, ReadTx};
use reeve_rooms::push;
use reeve_store::{
    account_data as stored_data, browser_sessions, connections as stored_connections,
    devices as stored_devices, ephemeral, external_ids, features, profile_fields, pushers as stored_pushers,
    ratelimits, rooms, threepids, users, validity,
};
use serde_json::{Value, json};

use super::{PAGE, Page, Source, Whole, is_full, parsed};
use crate::error::Failure;
use crate::format;

/// Maximum number of aliases in an archive; the settings allow far fewer.
const MAX_ALIASES: i64 = 100_000;

/// Returns the account.
pub(super) fn account(source: &Source, tx: &ReadTx<'_>) -> Result<format::Account, Failure> {
    let num = source.export.user_num;
    let user = users::by_num(tx, num)?.ok_or(DbError::NoRow)?;
    let role = user.role().map(str::to_owned);
    let fields = profile_fields::of_user(tx, num)?;
    let threepids = threepids::of_user(tx, num)?.into_iter().map(|id| format::Threepid {
        medium: id.medium,
        address: id.address,
        validated_at: id.validated_at,
        added_at: id.added_at,
    });
    let external_ids = external_ids::of_user(tx, num)?
        .into_iter()
        .map(|id| format::ExternalId { auth_provider: id.auth_provider, external_id: id.external_id });
    let aliases = rooms::aliases_by(tx, &user.user_id, MAX_ALIASES)?;
    let aliases =
        aliases.into_iter().map(|alias| format::RoomAlias { alias: alias.alias, room_id: alias.room_id });
    let features = features::of_user(tx, num)?;
    Ok(format::Account {
        created_ts: user.created_ts,
        profile_fields: fields.iter().map(|(field, value)| (field.clone(), parsed(value))).collect(),
        role,
        has_password: users::password_hash(tx, num)?.is_some(),
        consent: format::Consent {
            version: user.consent_version,
            notice_sent: user.consent_server_notice_sent,
            ts: user.consent_ts,
        },
        expiration_ts: validity::find(tx, &user.user_id)?.map(|validity| validity.expiration_ts),
        last_seen_ts: user.last_seen_ts,
        threepids: threepids.collect(),
        external_ids: external_ids.collect(),
        experimental_features: features.into_iter().map(|(name, on)| (name, json!(on))).collect(),
        rate_limit: ratelimits::find(tx, num)?.map(|limit| format::RateLimit {
            messages_per_second: limit.messages_per_second,
            burst_count: limit.burst_count,
        }),
        presence: ephemeral::presence(tx, &user.user_id)?.map(|presence| format::Presence {
            presence: presence.presence,
            status_msg: presence.status_msg,
            last_active_ts: presence.last_active_ts,
        }),
        room_aliases: aliases.collect(),
        user_id: user.user_id,
        displayname: user.displayname,
        avatar_url: user.avatar_url,
        user_type: user.user_type,
        is_guest: user.is_guest,
        deactivated: user.deactivated,
        erased: user.erased,
        locked: user.locked,
        suspended: user.suspended,
        shadow_banned: user.shadow_banned,
        appservice_id: user.appservice_id,
    })
}

/// Returns the push rules. Stored rules that cannot be read are in the account data only.
pub(super) fn push_rules(source: &Source, tx: &ReadTx<'_>) -> Result<Value, Failure> {
    match push::as_account_data(tx, source.export.user_num, &source.export.user_id) {
        Ok(rules) => Ok(rules),
        Err(reeve_rooms::Error::Db(error)) => Err(error.into()),
        Err(_) => Ok(json!({})),
    }
}

/// Returns the devices, of which an account has a limited number.
pub(super) fn devices(source: &Source, tx: &ReadTx<'_>, Whole: &Whole) -> Result<Page<Whole>, Failure> {
    let num = source.export.user_num;
    let created = stored_devices::created(tx, num)?;
    let devices = stored_devices::of_user(tx, num)?.into_iter().map(|device| format::Device {
        created_ts: created.get(&device.device_id).copied(),
        device_id: device.device_id,
        display_name: device.display_name,
        last_seen_ts: device.last_seen_ts,
        last_seen_ip: device.last_seen_ip,
        last_seen_user_agent: device.last_seen_user_agent,
    });
    Page::of(devices, None)
}

/// Returns the browsers in which the person is signed in, of which there is a limited number.
pub(super) fn browsers(source: &Source, tx: &ReadTx<'_>, Whole: &Whole) -> Result<Page<Whole>, Failure> {
    let browsers = browser_sessions::of_user(tx, source.export.user_num, source.began)?;
    let browsers = browsers.into_iter().map(|browser| format::Browser {
        signed_in_ts: browser.created_ts,
        last_seen_ts: browser.last_seen_ts,
        ip: browser.ip,
        user_agent: browser.user_agent,
    });
    Page::of(browsers, None)
}

/// The connection after which a page begins.
type LastConnection = Option<stored_connections::Connection>;

/// Returns some of the connections. They are those of the account's own sessions: an administrator who acts as the account is
/// seen as the administrator.
pub(super) fn connections(
    source: &Source,
    tx: &ReadTx<'_>,
    after: &LastConnection,
) -> Result<Page<LastConnection>, Failure> {
    let rows = stored_connections::page_of_user(tx, source.export.user_num, after.as_ref(), PAGE)?;
    let next = rows.last().filter(|_| is_full(&rows)).map(|last| Some(last.clone()));
    let connections = rows.into_iter().map(|connection| format::Connection {
        ip: connection.ip,
        user_agent: connection.user_agent,
        device_id: connection.device_id,
        last_seen_ts: connection.last_seen_ts,
    });
    Page::of(connections, next)
}

/// Returns the pushers, of which an account has a limited number.
pub(super) fn pushers(source: &Source, tx: &ReadTx<'_>, Whole: &Whole) -> Result<Page<Whole>, Failure> {
    let pushers = stored_pushers::of_user(tx, source.export.user_num)?;
    let pushers = pushers.into_iter().map(|pusher| format::Pusher {
        data: parsed(&pusher.data),
        kind: pusher.kind,
        app_id: pusher.app_id,
        pushkey: pusher.pushkey,
        app_display_name: pusher.app_display_name,
        device_display_name: pusher.device_display_name,
        profile_tag: pusher.profile_tag,
        lang: pusher.lang,
        device_id: pusher.device_id,
        enabled: pusher.enabled,
    });
    Page::of(pushers, None)
}

/// The piece of account data after which a page begins.
#[derive(Clone, Default)]
pub(super) struct Piece {
    room_id: String,
    data_type: String,
}

/// Returns some of the account data.
pub(super) fn account_data(source: &Source, tx: &ReadTx<'_>, after: &Piece) -> Result<Page<Piece>, Failure> {
    let Piece { room_id, data_type } = after;
    let rows = stored_data::page_of_user(tx, source.export.user_num, room_id, data_type, PAGE)?;
    let next = rows.last().filter(|_| is_full(&rows));
    let next = next.map(|last| Piece { room_id: last.room_id.clone(), data_type: last.data_type.clone() });
    let data = rows.into_iter().map(|data| format::AccountData {
        content: parsed(&data.content),
        room_id: Some(data.room_id).filter(|room_id| !room_id.is_empty()),
        data_type: data.data_type,
    });
    Page::of(data, next)
}
