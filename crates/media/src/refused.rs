//! Files that no thumbnail can be made of.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reeve_store::media_objects::ThumbnailKey;

use crate::Error;

/// Maximum number of remembered failures.
const MAX_REFUSED: usize = 10_000;

/// Files that no thumbnail can be made of, so that they are not fetched and decoded again.
#[derive(Default)]
pub(crate) struct Refused(Mutex<HashMap<ThumbnailKey, Refusal>>);

#[derive(Clone, Copy)]
enum Refusal {
    NotAPicture,
    TooLarge,
}

impl Refused {
    pub(crate) fn check(&self, key: ThumbnailKey) -> Result<(), Error> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            None => Ok(()),
            Some(Refusal::NotAPicture) => Err(Error::NotAPicture),
            Some(Refusal::TooLarge) => Err(Error::PictureTooLarge),
        }
    }

    pub(crate) fn note(&self, key: ThumbnailKey, error: &Error) {
        let refusal = match error {
            Error::NotAPicture => Refusal::NotAPicture,
            Error::PictureTooLarge => Refusal::TooLarge,
            Error::NotFound
            | Error::NotYetUploaded
            | Error::UnknownId
            | Error::NotYours
            | Error::AlreadyUploaded
            | Error::TooManyPending(_)
            | Error::TooLarge
            | Error::AccountFull
            | Error::ServerFull
            | Error::Busy
            | Error::NotInBin
            | Error::Erased
            | Error::Store(_)
            | Error::Account(_)
            | Error::Db(_) => return,
        };
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= MAX_REFUSED {
            refused.clear();
        }
        refused.insert(key, refusal);
    }
}
