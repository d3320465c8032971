//! An upload on its way to the store.

use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::library::Library;
use crate::store::{CHUNK, Writer, blocking};

/// Bytes that are on their way to the store. Dropped before it is kept, it leaves nothing behind.
pub struct Upload {
    library: Library,
    object: String,
    /// `None` only while it is lent to another thread, or after a failure.
    pen: Option<Pen>,
    buffer: Vec<u8>,
    length: u64,
    kept: bool,
}

struct Pen {
    writer: Writer,
    hash: Sha256,
}

/// What came of an upload: its bytes are complete and durable, and belong to nothing yet.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where the bytes are.
    pub object: String,
    /// Their SHA-256, in lower-case hexadecimal.
    pub sha256: String,
    /// How many they are.
    pub length: i64,
}

impl Upload {
    pub(crate) fn new(library: Library, object: String, writer: Writer) -> Self {
        let pen = Some(Pen { writer, hash: Sha256::new() });
        Self { library, object, pen, buffer: Vec::new(), length: 0, kept: false }
    }

    /// Takes the next bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.length += bytes.len() as u64;
        if self.length > self.library.settings().max_upload_bytes {
            return Err(Error::TooLarge);
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let mut pen = self.pen.take().ok_or_else(|| Error::store("an upload went on after it failed"))?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let (mut pen, buffer) = blocking(move || {
            pen.hash.update(&buffer);
            pen.writer.write(&buffer).map_err(Error::store)?;
            buffer.clear();
            Ok((pen, buffer))
        })
        .await?;
        let sent = pen.writer.send().await;
        (self.pen, self.buffer) = (Some(pen), buffer);
        sent
    }

    /// Ends the upload: its bytes are complete and durable after this.
    pub(crate) async fn finish(&mut self) -> Result<Stored, Error> {
        self.flush().await?;
        let Pen { writer, hash } = self.pen.take().ok_or_else(|| Error::store("an upload ended twice"))?;
        writer.finish().await?;
        let sha256 = hash.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let length = i64::try_from(self.length).map_err(|_| Error::TooLarge)?;
        Ok(Stored { object: self.object.clone(), sha256, length })
    }

    /// Says that the bytes belong to something now, or are known not to.
    pub(crate) fn settle(mut self) {
        self.kept = true;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.kept {
            let writer = self.pen.take().map(|pen| pen.writer);
            self.library.abandon(std::mem::take(&mut self.object), writer);
        }
    }
}
