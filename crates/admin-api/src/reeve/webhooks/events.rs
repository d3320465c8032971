//! The events of a webhook in a request body.

use reeve_app::MatrixError;
use reeve_model::HappeningKind;

/// Reads events, each once, in the order of [`HappeningKind`].
pub(super) fn kinds(words: &[String]) -> Result<Vec<HappeningKind>, MatrixError> {
    let unknown = |word: &str| MatrixError::invalid_param(format!("'{word}' is not an event"));
    let wanted = words.iter().map(|word| word.parse::<HappeningKind>().map_err(|_| unknown(word)));
    let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
    Ok(all().into_iter().filter(|kind| wanted.contains(kind)).collect())
}

/// All events that there are.
pub(super) fn all() -> Vec<HappeningKind> {
    HappeningKind::WORDS.iter().map(|(_, kind)| *kind).collect()
}
