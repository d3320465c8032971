//! A new password, as a form sets it.

use reeve_accounts::policy::PasswordRules;
use reeve_app::credentials::MAX_PASSWORD;
use serde::Serialize;

use crate::problem::Problem;

/// The rules for passwords, as pages show them.
#[derive(Serialize)]
pub(crate) struct Rules {
    min_length: u32,
    require_digit: bool,
    require_symbol: bool,
    require_lowercase: bool,
    require_uppercase: bool,
}

impl From<PasswordRules> for Rules {
    fn from(rules: PasswordRules) -> Self {
        let PasswordRules { min_length, require_digit, require_symbol, require_lowercase, require_uppercase } =
            rules;
        Self { min_length, require_digit, require_symbol, require_lowercase, require_uppercase }
    }
}

/// Returns what is wrong with a new password in a field, for an account that has none, or without knowing the present one.
pub(crate) fn problem(
    field: &'static str,
    new: &str,
    rules: PasswordRules,
    user_id: &str,
) -> Option<Problem> {
    if new.chars().count() > MAX_PASSWORD {
        return Some(Problem::at(field, "password-too-long"));
    }
    rules.check(new, Some(user_id)).err().map(|weakness| Problem::weak(field, weakness))
}

/// Returns what is wrong with a new password, as [`problem`] does, which the form has twice.
pub(crate) fn problems(
    new: Option<&str>,
    again: Option<&str>,
    rules: PasswordRules,
    user_id: &str,
) -> Vec<Problem> {
    let Some(new) = new else { return vec![Problem::at("new_password", "password-missing-new")] };
    let differs = (again != Some(new)).then(|| Problem::at("again", "password-differs"));
    [problem("new_password", new, rules, user_id), differs].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_new_password() {
        let rules = PasswordRules::default();
        let problems = |new: &str, again: &str| {
            let new = Some(new).filter(|new| !new.is_empty());
            problems(new, Some(again), rules, "@alice-0000:test")
        };
        assert!(problems("a good one", "a good one").is_empty());
        assert_eq!(problems("", "x"), [Problem::at("new_password", "password-missing-new")]);
        assert_eq!(problems("a good one", "a bad one"), [Problem::at("again", "password-differs")]);
        assert_eq!(problems("alice-0000", "alice-0000"), [Problem::at("new_password", "password-is-name")]);
        let long = "x".repeat(MAX_PASSWORD + 1);
        assert_eq!(problems(&long, &long), [Problem::at("new_password", "password-too-long")]);
    }
}
