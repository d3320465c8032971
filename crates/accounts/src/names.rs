//! Names of things that operators make: service tokens, roles.

/// The longest name, in characters.
const MAX: usize = 64;
/// The rule, for people.
pub const RULE: &str = "The name must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit; server, cli and system are taken";

/// Names that would be taken for another actor where only the id of an actor is shown: the server, the command line, and what
/// the server does by itself.
const RESERVED: &[&str] = &["server", "cli", "system"];

/// Returns true if a name follows [`RULE`].
pub fn is_plain(name: &str) -> bool {
    (1..=MAX).contains(&name.len())
        && !RESERVED.contains(&name)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
