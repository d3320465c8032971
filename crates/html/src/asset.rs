//! Files that pages load from this server: the stylesheet, and the logo.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use reeve_model::encoding::hex;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// The maximum size of a logo, in bytes.
const MAX_LOGO: usize = 512 * 1024;
/// The number of bytes of the digest that are in a name.
const DIGEST: usize = 8;

/// The kinds of pictures that a logo can be, by the end of the file name.
const PICTURES: [(&str, &str); 6] = [
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
];

/// A file that pages load. Its name changes with its contents, so that browsers can keep it for ever.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// Its contents.
    pub bytes: Bytes,
}

impl Asset {
    fn new(name: &str, extension: &str, media_type: &'static str, bytes: Vec<u8>) -> Self {
        let digest: [u8; 32] = Sha256::digest(&bytes).into();
        let digest = hex(digest.get(..DIGEST).unwrap_or_default());
        Self { name: format!("{name}-{digest}.{extension}"), media_type, bytes: bytes.into() }
    }

    /// Makes the stylesheet.
    pub(crate) fn stylesheet(text: String) -> Self {
        Self::new("style", "css", "text/css; charset=utf-8", text.into_bytes())
    }

    /// Reads the logo from its file.
    pub(crate) fn logo(path: &Path) -> Result<Self, Error> {
        let refused = |reason| Error::Logo { path: path.to_owned(), reason };
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let kind = PICTURES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
        let (extension, media_type) =
            kind.ok_or_else(|| refused("its name must end with .svg, .png, .webp, .jpg or .gif"))?;
        let bytes = fs::read(path).map_err(|reason| Error::Unreadable { path: path.to_owned(), reason })?;
        if bytes.len() > MAX_LOGO {
            return Err(refused("it must not be larger than 512 KiB"));
        }
        Ok(Self::new("logo", extension, media_type, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_with_contents() {
        let style = Asset::stylesheet("a".to_owned());
        assert_eq!(style.name, "style-ca978112ca1bbdca.css");
        assert_ne!(Asset::stylesheet("b".to_owned()).name, style.name);
    }

    #[test]
    fn logos_are_small_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, size: usize| {
            let path = folder.path().join(name);
            fs::write(&path, vec![b'x'; size]).unwrap();
            path
        };
        assert_eq!(Asset::logo(&write("logo.SVG", 1)).unwrap().media_type, "image/svg+xml");
        assert!(matches!(Asset::logo(&write("logo.txt", 1)), Err(Error::Logo { .. })));
        assert!(matches!(Asset::logo(&write("logo.png", MAX_LOGO + 1)), Err(Error::Logo { .. })));
        assert!(matches!(Asset::logo(&folder.path().join("none.png")), Err(Error::Unreadable { .. })));
    }
}
