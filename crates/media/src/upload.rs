//! An upload on its way to the store.

use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::kind::HEAD;
use crate::library::Library;
use crate::store::{CHUNK, Writer, blocking};

/// Bytes that are on their way to the store. Dropped before it is kept, it leaves nothing behind.
pub struct Upload {
    /// `None` only while it is lent to another thread, or after a failure.
    pen: Option<Pen>,
    buffer: Vec<u8>,
    head: Vec<u8>,
    length: u64,
    most: u64,
}

/// What writes. A request may be given up at any time while it is lent to a thread: then that thread drops it, so that the
/// object is never given up before the last that is done to it.
struct Pen {
    writer: Writer,
    hash: Sha256,
    trace: Trace,
}

/// What an upload may have left in the store. Dropped before it is settled, it is swept away.
pub(crate) struct Trace {
    library: Library,
    object: String,
    settled: bool,
}

impl Trace {
    pub(crate) fn new(library: Library, object: String) -> Self {
        Self { library, object, settled: false }
    }

    /// Says that the bytes belong to something now, or are known not to.
    pub(crate) fn settle(mut self) {
        self.settled = true;
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if !self.settled {
            self.library.abandon(std::mem::take(&mut self.object));
        }
    }
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
    pub(crate) fn new(trace: Trace, writer: Writer, most: u64) -> Self {
        let pen = Some(Pen { writer, hash: Sha256::new(), trace });
        Self { pen, buffer: Vec::new(), head: Vec::new(), length: 0, most }
    }

    /// How the bytes begin.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Takes the next bytes.
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
        let mut pen = self.pen.take().ok_or_else(|| Error::store("an upload went on after it failed"))?;
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

    /// Ends the upload: its bytes are complete and durable after this.
    pub(crate) async fn finish(mut self) -> Result<(Stored, Trace), Error> {
        self.flush().await?;
        let Pen { writer, hash, trace } =
            self.pen.take().ok_or_else(|| Error::store("an upload ended twice"))?;
        let sha256 = hash.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let length = i64::try_from(self.length).map_err(|_| Error::TooLarge)?;
        let stored = Stored { object: trace.object.clone(), sha256, length };
        // In a task of its own, which comes to an end even if the request is given up.
        let finishing = tokio::spawn(async move { writer.finish().await.map(|()| trace) });
        Ok((stored, finishing.await.map_err(Error::store)??))
    }
}
