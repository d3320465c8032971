//! Files with secrets that other users of the machine can read.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use reeve_db::DatabaseUrl;
use reeve_media::StoreSettings;

use super::Config;

/// The files and folders of a server that every user of the machine can read, judged by their modes and those
/// of the folders around them. `secrets` are the files that its secrets are read from.
pub(crate) fn readable_by_others(config: &Config, secrets: &[PathBuf]) -> Vec<PathBuf> {
    let mut paths = secrets.to_vec();
    if let DatabaseUrl::Sqlite(database) = &config.database {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = database.clone().into_os_string();
            path.push(suffix);
            paths.push(path.into());
        }
    }
    if let StoreSettings::Folder(folder) = &config.media.store {
        paths.push(folder.clone());
    }
    paths.retain(|path| is_readable_by_others(path));
    paths
}

fn is_readable_by_others(path: &Path) -> bool {
    let mode = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.mode());
    let Ok(path) = path.canonicalize() else { return false };
    mode(&path) & 0o004 != 0 && path.ancestors().skip(1).all(|folder| mode(folder) & 0o001 != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_readable_if_its_folders_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (folder_mode, file_mode, readable) in
            [(0o755, 0o644, true), (0o711, 0o604, true), (0o700, 0o644, false), (0o755, 0o640, false)]
        {
            set(folder.path(), folder_mode);
            set(&file, file_mode);
            assert_eq!(is_readable_by_others(&file), readable, "{folder_mode:o} {file_mode:o}");
        }
        assert!(!is_readable_by_others(&folder.path().join("none")));
    }
}
