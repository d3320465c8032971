//! Experimental features of single accounts: reads and sets them.

use std::collections::BTreeMap;

use reeve_accounts::features;
use reeve_app::{Access, Answer, Call, MatrixError, Reading, Route, body, json, reply, shape};
use reeve_model::Scope;
use reeve_store::{features as store, users};
use serde_json::{Value, json};

use crate::target;

const PATH: &str = "/_synapse/admin/v1/experimental_features/{user_id}";

body! {
    /// The experimental features that are enabled.
    pub(crate) struct ExperimentalFeatures {
        /// By name: `msc3881`, `msc3575`, `msc4222`.
        features: BTreeMap<String, bool>,
    }
}

pub(crate) fn get() -> Route {
    Route::read(PATH, read)
        .access(Access::Admin(Scope::UsersRead))
        .id("getExperimentalFeatures")
        .summary("Lists the experimental features that are enabled for an account")
        .description("An account that does not exist has none.")
        .returns::<ExperimentalFeatures>(200)
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (400, "M_UNKNOWN", "the account is on another server"),
        ])
}

pub(crate) fn put() -> Route {
    Route::put(PATH, write)
        .access(Access::Admin(Scope::UsersWrite))
        .id("setExperimentalFeatures")
        .returns::<shape::Empty>(200)
        .summary("Enables or disables experimental features for an account")
        .description("Features that are not named are not changed.")
        .takes::<ExperimentalFeatures>()
        .errors(&[
            (400, "M_INVALID_PARAM", "the user id is malformed"),
            (
                400,
                "M_UNKNOWN",
                "the account is on another server, no feature is given, or a feature is unknown",
            ),
            (400, "M_BAD_JSON", "`features` is not an object of booleans"),
            (404, "M_NOT_FOUND", "there is no such account"),
        ])
}

fn read(call: &Reading<'_>) -> Answer {
    let user_id =
        target::local_user(call, "User must be local to check what experimental features are enabled.")?;
    let num = users::num(call.tx, &user_id)?;
    let stored = num.map_or(Ok(Vec::new()), |num| store::of_user(call.tx, num))?;
    let on = |feature: &str| stored.iter().any(|(name, enabled)| name == feature && *enabled);
    let features = features::KNOWN.iter().map(|feature| ((*feature).to_owned(), on(feature)));
    reply::ok(&json!({ "features": features.collect::<BTreeMap<_, _>>() }))
}

async fn write(mut call: Call) -> Answer {
    let body: ExperimentalFeatures = call.take().await?;
    let user_id = target::local_user(&call, "User must be local to enable experimental features.")?;
    let features = body.features.value().filter(|features| json::truthy(features));
    let features = features.ok_or_else(|| MatrixError::unknown("You must provide features to set."))?;
    let wanted = wanted(features)?;
    let ctx = call.admin_ctx()?;
    call.write(move |tx| features::set(tx, &ctx, &user_id, &wanted)).await?;
    reply::empty()
}

fn wanted(features: &Value) -> Result<Vec<(String, bool)>, MatrixError> {
    let bad_json = || MatrixError::bad_json("'features' must be an object of booleans");
    let features = features.as_object().ok_or_else(bad_json)?;
    if let Some(unknown) = features.keys().find(|name| !features::KNOWN.contains(&name.as_str())) {
        let text = format!("'{unknown}' is not recognised as a valid experimental feature.");
        return Err(MatrixError::unknown(text));
    }
    let pair = |(name, value): (&String, &Value)| Some((name.clone(), value.as_bool()?));
    features.iter().map(pair).collect::<Option<_>>().ok_or_else(bad_json)
}
