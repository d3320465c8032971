//! The requester of a batch, and the rights that it holds now.

use std::sync::Arc;

use reeve_db::{DbError, ReadTx};
use reeve_model::{Actor, ActorKind, Ctx, Millis, Scopes, ServiceTokenNum};
use reeve_store::{roles, service_tokens, users, validity};
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

/// The requester can do nothing any more; the text says why.
pub(crate) type Gone = &'static str;

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
    pub(crate) fn scopes(&self, tx: &ReadTx<'_>, now: Millis) -> Result<Result<Scopes, Gone>, DbError> {
        Ok(match self.kind {
            ActorKind::User => match users::find(tx, &self.id)? {
                Some(user) if user.deactivated => Err("the requester was deactivated"),
                Some(user) if user.locked => Err("the requester was locked"),
                Some(user) if user.suspended => Err("the requester was suspended"),
                Some(user) if user.password_change_required => Err("the requester must change the password"),
                Some(user) => {
                    if validity::find(tx, &self.id)?.is_some_and(|known| known.expiration_ts <= now) {
                        return Ok(Err("the account of the requester has expired"));
                    }
                    Ok(roles::scopes(tx, &user)?)
                }
                None => Err("the requester does not exist any more"),
            },
            ActorKind::Service => match service_tokens::find(tx, &self.id)? {
                Some(token) if Some(token.num) == self.service => match token.terms.expires_ts {
                    Some(expires) if expires <= now => Err("the service token of the requester has expired"),
                    Some(_) | None => Ok(token.terms.scopes),
                },
                Some(_) | None => Err("the service token of the requester was deleted"),
            },
            ActorKind::Cli => Ok(Scopes::ALL),
            ActorKind::Appservice | ActorKind::Server | ActorKind::Job => Ok(Scopes::NONE),
        })
    }
}
