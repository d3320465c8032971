//! Files of the repository that are generated from the code.

use std::path::Path;
use std::{env, fs};

/// Fails unless a file of the repository, such as `docs/settings.md`, holds this text. With `REEVE_WRITE_DOCS` in the
/// environment it is written first.
pub fn check_generated(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if env::var_os("REEVE_WRITE_DOCS").is_some() {
        fs::write(&file, text).expect("the generated file can be written");
    }
    let stored = fs::read_to_string(&file).unwrap_or_default();
    assert!(stored == text, "{path} is not what the code says: run `scripts/dev docs`");
}
