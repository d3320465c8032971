//! An upload in progress.

use reeve_model::encoding::hex;
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::kind::HEAD;
use crate::orphans::OrphanGuard;
use crate::store::{CHUNK, Writer, blocking};

/// Bytes on their way to the store. If it is dropped before it is kept, its object is deleted.
pub struct Upload {
    /// The name of its object.
    object: String,
    /// `None` only while it is lent to another thread, or after a failure.
    pen: Option<WriteState>,
    buffer: Vec<u8>,
    head: Vec<u8>,
    length: u64,
    most: u64,
}

/// The writer. If a request is cancelled while the writer is lent to a thread, that thread drops it, so that
/// the object is never abandoned before the last operation on it.
struct WriteState {
    writer: Writer,
    hash: Sha256,
    guard: OrphanGuard,
}

/// The result of an upload: its bytes are complete and durable, and not referred to yet.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The name of the object.
    pub object: String,
    /// Their SHA-256, in lower-case hexadecimal.
    pub sha256: String,
    /// Their number.
    pub length: i64,
}

impl Upload {
    pub(crate) fn new(guard: OrphanGuard, writer: Writer, most: u64) -> Self {
        let object = guard.object().to_owned();
        let pen = Some(WriteState { writer, hash: Sha256::new(), guard });
        Self { object, pen, buffer: Vec::new(), head: Vec::new(), length: 0, most }
    }

    /// The name of its object.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The first bytes.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Writes the next bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.length += bytes.len() as u64;
        if self.length > self.most {
            return Err(Error::TooLarge);
        }
        let wanted = HEAD.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(wanted));
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let mut pen = self.pen.take().ok_or_else(|| Error::store("an upload continued after it failed"))?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let (pen, buffer) = blocking(move || {
            pen.hash.update(&buffer);
            pen.writer.write(&buffer).map_err(Error::store)?;
            buffer.clear();
            Ok((pen, buffer))
        })
        .await?;
        (self.pen, self.buffer) = (Some(pen), buffer);
        Ok(())
    }

    /// Completes the upload: its bytes are then complete and durable.
    pub(crate) async fn finish(mut self) -> Result<(Stored, OrphanGuard), Error> {
        self.flush().await?;
        let WriteState { writer, hash, guard } =
            self.pen.take().ok_or_else(|| Error::store("an upload ended twice"))?;
        let sha256 = hex(&hash.finalize());
        let length = i64::try_from(self.length).map_err(|_| Error::TooLarge)?;
        let stored = Stored { object: self.object, sha256, length };
        // In a separate task, which ends even if the request is cancelled.
        let finishing = tokio::spawn(async move { writer.finish().await.map(|()| guard) });
        Ok((stored, finishing.await.map_err(Error::store)??))
    }
}
