//! Service tokens: credentials of administration that belong to no account.

mod create;
mod delete;
mod get;
mod list;
mod rotate;
pub(super) mod terms;
mod update;

use reeve_accounts::service_tokens::Issued;
use reeve_app::{Head, Route};
use reeve_model::{ActorKind, Millis, Network, Scopes};
use reeve_store::service_tokens::ServiceToken;
use serde::Serialize;
use utoipa::ToSchema;

const PATH: &str = "/_reeve/admin/v1/service_tokens";
const ONE: &str = "/_reeve/admin/v1/service_tokens/{name}";
const MISSING: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such service token");
const NOT_HELD: (u16, &str, &str) =
    (403, "M_FORBIDDEN", "the caller cannot do all that the service token can do");

pub(crate) fn routes() -> Vec<Route> {
    vec![list::route(), create::route(), get::route(), update::route(), rotate::route(), delete::route()]
}

/// A service token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceTokenView {
    /// The name, which the audit log shows.
    #[schema(example = "provisioning")]
    name: String,
    /// Its purpose.
    description: String,
    /// The scopes that it holds.
    #[schema(value_type = Vec<String>, example = json!(["users:read", "users:write"]))]
    scopes: Scopes,
    /// The addresses and networks from which it can be used; empty for anywhere.
    #[schema(value_type = Vec<String>, example = json!(["10.0.0.0/8"]))]
    networks: Vec<Network>,
    /// The kind of the actor who created it, as in the audit log.
    #[schema(value_type = String)]
    created_by_kind: ActorKind,
    /// The id of that actor among those of the kind.
    created_by: String,
    /// When it was created, in milliseconds.
    created_ts: i64,
    /// When it expires, in milliseconds; null for never.
    #[schema(required)]
    expires_ts: Option<i64>,
    /// When it was last used, in milliseconds; null if it never was.
    #[schema(required)]
    last_used_ts: Option<i64>,
    /// The address from which it was last used.
    #[schema(required)]
    last_used_ip: Option<String>,
}

impl ServiceTokenView {
    /// Returns the token, with its last use even if that is not written yet.
    fn new(call: &Head, mut token: ServiceToken) -> Self {
        call.app.service_uses.see(&mut token);
        let (last_used_ts, last_used_ip) = token.last_used.map(|last| (last.ts.get(), last.ip)).unzip();
        let last_used_ip = last_used_ip.flatten();
        Self {
            name: token.name,
            description: token.terms.description,
            scopes: token.terms.scopes,
            networks: token.terms.networks,
            created_by_kind: token.created_by_kind,
            created_by: token.created_by,
            created_ts: token.created_ts.get(),
            expires_ts: token.terms.expires_ts.map(Millis::get),
            last_used_ts,
            last_used_ip,
        }
    }
}

/// A service token with its new secret, which is never shown again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuedServiceToken {
    #[serde(flatten)]
    token: ServiceTokenView,
    /// The secret, to be sent as an access token is.
    #[schema(example = "rvs_QmVzdCBrZXB0IGluIGEgc2VjcmV0IHN0b3Jl")]
    secret: String,
}

impl IssuedServiceToken {
    fn new(call: &Head, Issued { token, secret }: Issued) -> Self {
        Self { token: ServiceTokenView::new(call, token), secret }
    }
}
