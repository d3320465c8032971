//! The requester of a batch, and the rights that it holds now.

use std::sync::Arc;

use reeve_accounts::Policy;
use reeve_accounts::rights::{self, Gone, TOKEN_DELETED};
use reeve_db::{DbError, ReadTx};
use reeve_model::{Actor, ActorKind, Ctx, Millis, Scopes, ServiceTokenNum};
use reeve_store::service_tokens;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The actor who ordered a batch.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Requester {
    pub(crate) kind: ActorKind,
    /// The id of the actor among those of the kind.
    pub(crate) id: String,
    /// The number of a service token, whose name may be given again.
    service: Option<ServiceTokenNum>,
}

impl Requester {
    /// The actor of a context.
    pub(crate) fn of(tx: &ReadTx<'_>, ctx: &Ctx) -> Result<Self, Error> {
        let actor = ctx.actor.as_ref().filter(|actor| match actor {
            Actor::User(_) | Actor::Service(_) | Actor::Cli => true,
            Actor::Appservice { .. } | Actor::Server | Actor::Job(_) => false,
        });
        let actor = actor.ok_or(Error::Invalid("This caller cannot order a batch"))?;
        let service = match actor {
            Actor::Service(name) => service_tokens::find(tx, name)?.map(|token| token.num),
            Actor::User(_) | Actor::Appservice { .. } | Actor::Server | Actor::Cli | Actor::Job(_) => None,
        };
        Ok(Self { kind: actor.kind(), id: actor.id().to_owned(), service })
    }

    /// The actor for the audit log.
    pub(crate) fn actor(&self) -> Actor {
        match self.kind {
            ActorKind::User => Actor::User(Arc::from(self.id.as_str())),
            ActorKind::Service => Actor::Service(Arc::from(self.id.as_str())),
            // Others order no batches.
            ActorKind::Cli | ActorKind::Appservice | ActorKind::Server | ActorKind::Job => Actor::Cli,
        }
    }

    /// Returns the scopes that the requester holds at present.
    pub(crate) fn scopes(
        &self,
        tx: &ReadTx<'_>,
        policy: &Policy,
        now: Millis,
    ) -> Result<Result<Scopes, Gone>, DbError> {
        if self.kind == ActorKind::Service {
            let found = service_tokens::find(tx, &self.id)?.map(|token| token.num);
            if found.is_none() || found != self.service {
                return Ok(Err(TOKEN_DELETED));
            }
        }
        rights::held_now(tx, policy, self.kind, &self.id, now)
    }
}
