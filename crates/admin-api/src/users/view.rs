//! One account in responses.

use reeve_db::{DbError, ReadTx};
use reeve_model::{Millis, User};
use reeve_store::external_ids::ExternalId;
use reeve_store::threepids::Threepid;
use reeve_store::{external_ids, threepids, users};
use serde::Serialize;
use utoipa::ToSchema;

/// A third-party id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThreepidView {
    /// `email` or `msisdn`.
    medium: String,
    /// The canonical address.
    address: String,
    /// When it was validated, in milliseconds.
    validated_at: i64,
    /// When it was added, in milliseconds.
    added_at: i64,
}

/// An external id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExternalIdView {
    /// The identity provider.
    auth_provider: String,
    /// The name of the account there.
    external_id: String,
}

impl From<Threepid> for ThreepidView {
    fn from(threepid: Threepid) -> Self {
        Self {
            medium: threepid.medium,
            address: threepid.address,
            validated_at: threepid.validated_at.get(),
            added_at: threepid.added_at.get(),
        }
    }
}

impl From<ExternalId> for ExternalIdView {
    fn from(id: ExternalId) -> Self {
        Self { auth_provider: id.auth_provider, external_id: id.external_id }
    }
}

/// One account. Every key is always present; values that are not set are null.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    /// The full user id.
    #[schema(example = "@alice:example.org")]
    name: String,
    admin: bool,
    deactivated: bool,
    locked: bool,
    shadow_banned: bool,
    /// When the account was created, in **seconds**.
    #[schema(example = 1_700_000_000)]
    creation_ts: i64,
    /// The application service that registered it in an exclusive namespace.
    #[schema(required)]
    appservice_id: Option<String>,
    /// The version of the policy for which a notice was sent.
    #[schema(required)]
    consent_server_notice_sent: Option<String>,
    /// The version of the policy it consented to.
    #[schema(required)]
    consent_version: Option<String>,
    /// When it consented, in milliseconds.
    #[schema(required)]
    consent_ts: Option<i64>,
    /// `bot`, `support`, or a type from the settings.
    #[schema(required)]
    user_type: Option<String>,
    is_guest: bool,
    suspended: bool,
    #[schema(required)]
    displayname: Option<String>,
    #[schema(required)]
    avatar_url: Option<String>,
    threepids: Vec<ThreepidView>,
    external_ids: Vec<ExternalIdView>,
    erased: bool,
    /// When it was last seen, in milliseconds.
    #[schema(required)]
    last_seen_ts: Option<i64>,
}

impl UserView {
    /// Returns the account with this user id.
    pub(crate) fn find(tx: &ReadTx<'_>, user_id: &str) -> Result<Option<Self>, DbError> {
        users::find(tx, user_id)?.map(|user| Self::read(tx, user)).transpose()
    }

    fn read(tx: &ReadTx<'_>, user: User) -> Result<Self, DbError> {
        let threepids = threepids::of_user(tx, user.num)?.into_iter().map(ThreepidView::from);
        let external_ids = external_ids::of_user(tx, user.num)?.into_iter().map(ExternalIdView::from);
        Ok(Self {
            admin: user.admin,
            deactivated: user.deactivated,
            locked: user.locked,
            shadow_banned: user.shadow_banned,
            creation_ts: user.created_ts.secs(),
            appservice_id: user.appservice_id,
            consent_server_notice_sent: user.consent_server_notice_sent,
            consent_version: user.consent_version,
            consent_ts: user.consent_ts.map(Millis::get),
            user_type: user.user_type,
            is_guest: user.is_guest,
            suspended: user.suspended,
            displayname: user.displayname,
            avatar_url: user.avatar_url,
            threepids: threepids.collect(),
            external_ids: external_ids.collect(),
            erased: user.erased,
            last_seen_ts: user.last_seen_ts.map(Millis::get),
            name: user.user_id,
        })
    }
}
