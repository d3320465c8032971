//! The walk over uploads that were not used for long.

use reeve_db::{DbError, ReadTx};
use reeve_store::media::{self, Media, Unused, UnusedPlace};

/// A part of the walk.
#[derive(Debug)]
pub struct Part {
    /// The uploads that may be deleted.
    pub unused: Vec<Media>,
    /// The number of uploads that are avatars of accounts or rooms.
    pub avatars: usize,
    /// The place after which the next part begins; `None` at the end.
    pub next: Option<UnusedPlace>,
}

/// Returns the next `most` unused uploads after a place. Quarantined and protected uploads are left out, and so are avatars
/// unless `with_avatars` is true.
pub fn walk(
    tx: &ReadTx<'_>,
    server_name: &str,
    unused: Unused,
    with_avatars: bool,
    after: Option<UnusedPlace>,
    most: i64,
) -> Result<Part, DbError> {
    let page = media::unused(tx, unused, after, most)?;
    let is_full = i64::try_from(page.len()).is_ok_and(|length| length == most);
    let next = page.last().map(UnusedPlace::from).filter(|_| is_full);
    let (mut doomed, mut avatars) = (Vec::new(), 0);
    for media in page {
        if !with_avatars && media::is_avatar(tx, &format!("mxc://{server_name}/{}", media.media_id))? {
            avatars += 1;
        } else {
            doomed.push(media);
        }
    }
    Ok(Part { unused: doomed, avatars, next })
}
