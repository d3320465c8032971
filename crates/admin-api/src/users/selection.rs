//! Selections of accounts in requests: as query parameters, and as a JSON object with the same names.

use reeve_app::query::Query;
use reeve_app::{MatrixError, Param, ParamKind};
use reeve_store::Selection;
use reeve_store::lists::users::OrderBy;
use serde_json::{Map, Value};

use crate::paging;

/// The meaning of the parameter `deactivated`.
pub(crate) const DEACTIVATED: &str = "`true` for only deactivated accounts, `false` for none of them";

/// The parameters that other lists of accounts have, too. `deactivated` is the meaning of the one of that name.
pub(crate) fn common(deactivated: &'static str) -> [Param; 7] {
    [
        Param::text("user_id", "substring of the user id, in any case; ignored if `name` is given"),
        Param::text("name", "substring of localpart or display name, in any case"),
        Param::boolean("guests", "`false` to exclude guests"),
        Param::boolean("deactivated", deactivated),
        Param::boolean("locked", "`true` to include locked accounts"),
        Param::boolean("admins", "`true` for only administrators, `false` for none of them"),
        Param::texts(
            "not_user_type",
            "a user type to exclude, repeatable; empty for accounts without a type",
        ),
    ]
}

/// The parameters of the order of a list of accounts.
pub(crate) fn order() -> [Param; 2] {
    [Param::choice("order_by", OrderBy::ALL, "sort order; `name` by default"), paging::ascending()]
}

/// The parameters, each of them a field of [`Selection`].
pub(crate) fn params() -> Vec<Param> {
    let others = [
        Param::boolean("is_guest", "`true` for only guests, `false` for none of them"),
        Param::boolean("is_locked", "`true` for only locked accounts, `false` for none of them"),
        Param::text("user_type", "the user type; empty for accounts without a type"),
        Param::text(
            "appservice",
            "id of the application service that registered the account; empty for accounts that none registered",
        ),
        Param::text("role", "name of the role, such as `owner`; empty for accounts without one"),
        Param::boolean("suspended", "`true` for only suspended accounts, `false` for none of them"),
        Param::boolean("shadow_banned", "`true` for only shadow-banned accounts, `false` for none of them"),
        Param::boolean("erased", "`true` for only erased accounts, `false` for none of them"),
        Param::boolean(
            "password_change_required",
            "`true` for only accounts that must change their password, `false` for none of them",
        ),
        Param::integer("created_after", "created at this time or later, in milliseconds"),
        Param::integer("created_before", "created before this time, in milliseconds"),
        Param::integer("last_seen_after", "last seen at this time or later, in milliseconds"),
        Param::integer(
            "last_seen_before",
            "last seen before this time, in milliseconds; accounts that were never seen do not count",
        ),
        Param::boolean(
            "never_seen",
            "`true` for only accounts that were never seen, `false` for none of them",
        ),
        Param::text("email", "substring of an e-mail address, in any case"),
        Param::text("phone", "substring of a telephone number, of which only the digits count"),
        Param::text("external_provider", "id of an identity provider at which the account has an id"),
        Param::text(
            "ip",
            "address, or network such as `10.0.0.0/8`, from which it was seen, as long as addresses are kept: 28 days by default",
        ),
        Param::boolean(
            "has_devices",
            "`true` for only accounts with devices, `false` for only those without",
        ),
        Param::integer("media_size_over", "the size of its uploads is greater than this, in bytes"),
    ];
    common(DEACTIVATED).into_iter().chain(others).collect()
}

/// Reads a selection from query parameters. Parameters that the route does not declare are refused.
pub(crate) fn from_query(query: &Query) -> Result<Selection, MatrixError> {
    query.only_declared()?;
    let mut given = Map::new();
    for param in params() {
        if !query.has(param.name) {
            continue;
        }
        let value = match param.kind {
            ParamKind::Text | ParamKind::Choice(_) => query.utf8(param.name)?.map(Value::from),
            ParamKind::Texts => Some(Value::from(query.all_ascii(param.name)?)),
            ParamKind::Integer => query.integer(param.name)?.map(Value::from),
            ParamKind::Boolean => query.boolean(param.name)?.map(Value::from),
        };
        given.insert(param.name.to_owned(), Value::from(value));
    }
    from_json(Value::Object(given))
}

/// Reads a selection from a JSON object with the names of the parameters.
pub(crate) fn from_json(given: Value) -> Result<Selection, MatrixError> {
    let selection: Selection =
        serde_json::from_value(given).map_err(|error| MatrixError::invalid_param(error.to_string()))?;
    selection.check().map_err(MatrixError::invalid_param)?;
    Ok(selection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_a_field() {
        let fields: Vec<&str> = params().iter().map(|param| param.name).collect();
        // An unknown field is refused with the names of all.
        let refused = from_json(serde_json::json!({ "nonsense": 1 })).unwrap_err().error.into_owned();
        let (_, known) = refused.split_once("expected one of ").unwrap();
        let mut known: Vec<&str> = known.split(", ").map(|name| name.trim_matches('`')).collect();
        let mut fields = fields;
        known.sort_unstable();
        fields.sort_unstable();
        assert_eq!(known, fields);
    }

    #[test]
    fn selections_that_contradict_themselves() {
        for (given, text) in [
            (
                r#"{"created_after":2,"created_before":2}"#,
                "'created_after' must be less than 'created_before'",
            ),
            (
                r#"{"last_seen_after":2,"last_seen_before":1}"#,
                "'last_seen_after' must be less than 'last_seen_before'",
            ),
            (
                r#"{"never_seen":false,"last_seen_before":1}"#,
                "'never_seen' cannot be combined with 'last_seen_after' or 'last_seen_before'",
            ),
            (
                r#"{"user_type":"bot","not_user_type":["","bot"]}"#,
                "'user_type' must not be among 'not_user_type'",
            ),
            (r#"{"is_guest":true,"guests":false}"#, "'is_guest' cannot be true where 'guests' is false"),
            (r#"{"is_locked":true,"locked":false}"#, "'is_locked' cannot be true where 'locked' is false"),
            (r#"{"email":""}"#, "'email' must not be blank"),
            (r#"{"phone":"+"}"#, "'phone' must contain a digit"),
            (r#"{"media_size_over":-1}"#, "'media_size_over' must not be negative"),
            (r#"{"created_after":-1}"#, "'created_after' and 'created_before' must not be negative"),
            (r#"{"ip":"10"}"#, "'10' is neither an address nor a network"),
            (r#"{"suspended":1}"#, "invalid type: integer `1`, expected a boolean"),
        ] {
            let error = from_json(serde_json::from_str(given).unwrap()).unwrap_err();
            assert_eq!((&*error.errcode, &*error.error), ("M_INVALID_PARAM", text), "{given}");
        }
    }
}
