//! Devices that were not seen.

use std::collections::BTreeMap;

use reeve_accounts::{Error, rights};
use reeve_db::Tx;
use reeve_jobs::StepError;
use reeve_model::UserNum;
use reeve_store::devices::{self, UnseenPlace};
use reeve_store::{dehydrated_devices, users};

use crate::run::{Counts, Part, Run};

/// The number of devices that one step deletes.
const STEP: i64 = 50;

/// Deletes devices, each with its session, keys and messages. Dehydrated devices, which nobody sees before they are needed,
/// are kept, and so are those of accounts above the administrator who ordered the run.
pub(crate) fn step(
    tx: &mut Tx<'_>,
    run: &Run<'_>,
    after: Option<UnseenPlace>,
) -> Result<Part<UnseenPlace>, StepError> {
    let most = run.at_once(STEP);
    let page = devices::unseen(tx, run.before, &after.unwrap_or_default(), most)?;
    let is_full = i64::try_from(page.len()).is_ok_and(|length| length == most);
    let next = page.last().cloned().filter(|_| is_full);
    let mut by_user: BTreeMap<UserNum, Vec<String>> = BTreeMap::new();
    for device in page {
        by_user.entry(device.user_num).or_default().push(device.device_id);
    }
    let mut counts = Counts::default();
    for (user_num, mut device_ids) in by_user {
        let Some(user) = users::by_num(tx, user_num)? else { continue };
        let all = device_ids.len();
        if let Some(dehydrated) = dehydrated_devices::of_user(tx, user_num)? {
            device_ids.retain(|device_id| *device_id != dehydrated.device_id);
        }
        match rights::check_may_change(tx, &run.ctx, &user) {
            Ok(()) => {}
            Err(Error::Db(error)) => return Err(error.into()),
            Err(_) => device_ids.clear(),
        }
        if !run.dry_run && !device_ids.is_empty() {
            reeve_accounts::devices::delete_all(tx, &run.ctx, &user.user_id, &device_ids)
                .map_err(crate::accounts::failed)?;
        }
        counts.deleted += i64::try_from(device_ids.len()).unwrap_or(0);
        counts.kept += i64::try_from(all - device_ids.len()).unwrap_or(0);
    }
    Ok(Part { counts, next })
}
