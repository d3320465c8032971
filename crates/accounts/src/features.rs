//! Experimental features of single accounts.

use reeve_db::Tx;
use reeve_model::Ctx;
use reeve_store::features;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::{audit, rights};

/// The features that can be switched on for single accounts, named after their Matrix spec change.
pub const KNOWN: [&str; 3] = ["msc3881", "msc3575", "msc4222"];

/// Switches features on or off for an account; features that are not named stay as they are.
pub fn set(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str, wanted: &[(String, bool)]) -> Result<(), Error> {
    let user = rights::to_change(tx, ctx, user_id)?;
    let mut changed = Map::new();
    for (feature, enabled) in wanted {
        if features::is_enabled(tx, user.num, feature)? != *enabled {
            features::set(tx, user.num, feature, *enabled)?;
            changed.insert(feature.clone(), Value::Bool(*enabled));
        }
    }
    if !changed.is_empty() {
        audit::record(tx, ctx, "experimental_features.set", user_id, &Value::Object(changed))?;
    }
    Ok(())
}
