//! Restoring a deactivated account.

use reeve_accounts::Error;
use reeve_accounts::restore::{self, Order, Overview};
use reeve_app::{Access, Answer, Call, Reading, Route, body, reply};
use reeve_model::Scope;
use reeve_store::threepids::Threepid;
use serde::Serialize;
use utoipa::ToSchema;

use crate::target;

const PATH: &str = "/_reeve/admin/v1/users/{user_id}/restore";
const REMOTE: &str = "Can only restore local users";
const NO_USER: &str = "User not found";

body! {
    /// The options of a restoration.
    pub(crate) struct Restore {
        /// A new password, which needs `users:write`. Without one the account has the password that it has now: none, unless it was
        /// reactivated before.
        password?: String,
        /// False to leave the account out of its rooms, which are then forgotten; true by default.
        rejoin?: bool,
    }
}

/// A third-party id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RestoredAddress {
    /// `email` or `msisdn`.
    medium: String,
    address: String,
}

impl From<Threepid> for RestoredAddress {
    fn from(threepid: Threepid) -> Self {
        Self { medium: threepid.medium, address: threepid.address }
    }
}

/// The data that was brought back at once, and the job that brings back the rest.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Restored {
    /// The id of the job `restore_user`. Its result is the whole report.
    job_id: String,
    /// True if the account was deactivated.
    reactivated: bool,
    /// The addresses that the account has again.
    threepids: Vec<RestoredAddress>,
    /// The addresses that another account has now.
    threepids_taken: Vec<RestoredAddress>,
    /// The number of backups of room keys that the account has again.
    key_backups: u64,
    /// The number of kept pieces of account data. Those that the account set anew stay as they are.
    account_data: i64,
    /// The number of rooms that it left when it was deactivated, which it joins again if they let it in.
    rooms: i64,
}

/// The data that can be restored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Restorable {
    /// True if the account is deactivated now.
    deactivated: bool,
    /// The data kept of each deactivation, the last one first.
    kept: Vec<KeptView>,
}

/// The data kept of one deactivation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeptView {
    /// The time of the deactivation, in milliseconds.
    deactivated_ts: i64,
    /// The time until which it is kept, in milliseconds.
    purge_ts: i64,
    /// The number of addresses.
    threepids: i64,
    /// The number of rooms that the account left; while the job of the deactivation works, of those that it has left so far.
    rooms: i64,
    /// The number of pieces of account data.
    account_data: i64,
    /// The number of backups of room keys.
    key_backups: i64,
    /// The number of keys in these.
    backed_up_keys: i64,
}

impl From<Overview> for KeptView {
    fn from(overview: Overview) -> Self {
        Self {
            deactivated_ts: overview.kept.deactivated_ts.get(),
            purge_ts: overview.kept.purge_ts.get(),
            threepids: overview.threepids,
            rooms: overview.rooms,
            account_data: overview.account_data,
            key_backups: overview.key_backups.backups,
            backed_up_keys: overview.key_backups.keys,
        }
    }
}

pub(crate) fn get() -> Route {
    Route::read(PATH, read)
        .access(Access::Admin(Scope::UsersRead))
        .id("getRestorable")
        .summary("Returns what is kept of a deactivated account, and until when")
        .returns::<Restorable>(200)
        .errors(target::ERRORS)
        .errors(&[(404, "M_NOT_FOUND", "nothing is kept of the account")])
}

pub(crate) fn post() -> Route {
    Route::post(PATH, handle)
        .access(Access::Admin(Scope::UsersDeactivate))
        .id("restoreUser")
        .summary("Restores a deactivated account, with what is kept of it")
        .description(
            "Reactivates the account and brings back its addresses, unless another account has them now, its validity, backups of \
             room keys and account data. A durable job lets it join its rooms again, as it could itself: the rooms that do not let it \
             in are in the result of the job, with the reason. A room in the bin stays kept: when it is back, the account can be \
             restored once more. The account may have been reactivated before; what it got since then wins.",
        )
        .may_take::<Restore>()
        .returns::<Restored>(200)
        .errors(target::ERRORS)
        .errors(&[
            (400, "M_BAD_JSON", "`password` is not a string, or `rejoin` not a boolean"),
            (403, "M_FORBIDDEN", "a password is given, and the caller lacks `users:write` or passwords cannot be changed"),
            (404, "M_NOT_FOUND", "nothing is kept of the account: it was not deactivated, was erased, or the time is over"),
            (409, "M_UNKNOWN", "the account is being restored"),
        ])
}

fn read(call: &Reading<'_>) -> Answer {
    let user_id = target::local_user(call, REMOTE)?;
    let user = target::found(call.tx, &user_id, NO_USER)?;
    let overview = restore::overview(call.tx, &user, call.app.clock.now())?;
    let kept = overview.into_iter().map(KeptView::from).collect();
    reply::ok(&Restorable { deactivated: user.deactivated, kept })
}

async fn handle(mut call: Call) -> Answer {
    let user_id = target::local_user(&call, REMOTE)?;
    target::existing(&call, &user_id, NO_USER).await?;
    let body: Restore = call.take().await?;
    let rejoin = body.rejoin.read()?.unwrap_or(true);
    let password_hash = match body.password.read()? {
        Some(_) if !call.app.policy.password_enabled => return Err(Error::PasswordChangeDisabled.into()),
        Some(password) => Some(call.app.hasher.hash(&password).await?),
        None => None,
    };
    let order = Order { password_hash, rejoin };
    let (ctx, policy) = (call.admin_ctx()?, call.app.policy.clone());
    let restored = call.write(move |tx| restore::restore(tx, &ctx, &policy, &user_id, &order)).await?;
    call.app.jobs.wait(&restored.job, super::JOB_WAIT).await?;
    let addresses = |threepids: Vec<Threepid>| threepids.into_iter().map(RestoredAddress::from).collect();
    reply::ok(&Restored {
        job_id: restored.job,
        reactivated: restored.reactivated,
        threepids: addresses(restored.threepids),
        threepids_taken: addresses(restored.threepids_taken),
        key_backups: restored.key_backups,
        account_data: restored.account_data,
        rooms: restored.rooms,
    })
}
