//! The archive as it is written: a zip file with 64-bit sizes, as a stream to the media store, encrypted if there is a recipient.

use std::io::{self, Write};
use std::iter;
use std::sync::{Arc, Mutex, PoisonError};

use age::x25519::Recipient;
use age::{Encryptor, stream};
use reeve_media::Upload;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use crate::error::Failure;

/// Number of bytes that are collected before they are packed.
const CHUNK: usize = 256 * 1024;

/// The packing of a file of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Compressed, for texts.
    Deflated,
    /// As it is: most uploads are compressed already.
    Stored,
}

/// Collects what was packed until it is sent to the store.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The zip file goes to the sink, or is encrypted before.
enum Output {
    Plain(Sink),
    Sealed(Box<stream::StreamWriter<Sink>>),
}

impl Output {
    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Sealed(sealed) => sealed.finish().map(drop),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(sink) => sink.write(bytes),
            Self::Sealed(sealed) => sealed.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.flush(),
            Self::Sealed(sealed) => sealed.flush(),
        }
    }
}

/// Returns the options of a file. Its size, which is not known before it is written, may take 64 bits.
fn options(packing: Packing) -> SimpleFileOptions {
    let method = match packing {
        Packing::Deflated => CompressionMethod::Deflated,
        Packing::Stored => CompressionMethod::Stored,
    };
    SimpleFileOptions::default().compression_method(method).large_file(true).unix_permissions(0o600)
}

type Zip = ZipWriter<StreamWriter<Output>>;

/// An archive in progress.
pub(crate) struct Archive {
    /// `None` only while it is lent to another thread, or after a failure.
    zip: Option<Zip>,
    sink: Sink,
    upload: Upload,
    /// Bytes of the present file that are not packed yet.
    buffer: Vec<u8>,
}

impl Archive {
    /// Begins an archive in an upload, encrypted to an age recipient if one is given.
    pub(crate) fn begin(upload: Upload, recipient: Option<&str>) -> Result<Self, Failure> {
        let sink = Sink::default();
        let output = match recipient {
            None => Output::Plain(sink.clone()),
            Some(recipient) => {
                let wrong = |_| Failure::Hopeless("the recipient of the archive is not valid");
                let recipient: Recipient = recipient.parse().map_err(wrong)?;
                let encryptor = Encryptor::with_recipients(iter::once(&recipient as &dyn age::Recipient))
                    .map_err(Failure::transient)?;
                Output::Sealed(Box::new(encryptor.wrap_output(sink.clone())?))
            }
        };
        Ok(Self { zip: Some(ZipWriter::new_stream(output)), sink, upload, buffer: Vec::new() })
    }

    /// Begins a file of the archive. The name is made of words and numbers of this program alone.
    pub(crate) async fn start(&mut self, name: String, packing: Packing) -> Result<(), Failure> {
        self.flush().await?;
        self.pack(move |zip| Ok(zip.start_file(name, options(packing))?)).await
    }

    /// Writes the next bytes of the present file.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK { self.flush().await } else { Ok(()) }
    }

    /// Writes a whole file.
    pub(crate) async fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.start(name.to_owned(), Packing::Deflated).await?;
        self.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.buffer);
        self.pack(move |zip| Ok(zip.write_all(&bytes)?)).await
    }

    /// Packs something on a thread for blocking work, and sends the result to the store.
    async fn pack(
        &mut self,
        work: impl FnOnce(&mut Zip) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        let mut zip = self.taken()?;
        let packed = tokio::task::spawn_blocking(move || work(&mut zip).map(|()| zip));
        self.zip = Some(packed.await.map_err(Failure::transient)??);
        self.send().await
    }

    fn taken(&mut self) -> Result<Zip, Failure> {
        self.zip.take().ok_or_else(|| Failure::transient("an archive continued after it failed"))
    }

    async fn send(&mut self) -> Result<(), Failure> {
        Ok(self.upload.write(&self.sink.take()).await?)
    }

    /// Writes the end of the archive; returns the upload, which is not complete yet.
    pub(crate) async fn finish(mut self) -> Result<Upload, Failure> {
        self.flush().await?;
        let zip = self.taken()?;
        let ended = tokio::task::spawn_blocking(move || -> Result<(), Failure> {
            Ok(zip.finish()?.into_inner().finish()?)
        });
        ended.await.map_err(Failure::transient)??;
        self.send().await?;
        Ok(self.upload)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use super::*;

    #[test]
    fn more_files_than_sixteen_bits_count() {
        const FILES: usize = 66_000;
        let sink = Sink::default();
        let mut zip = ZipWriter::new_stream(Output::Plain(sink.clone()));
        for number in 0..FILES {
            zip.start_file(format!("media/{number}.bin"), options(Packing::Stored)).unwrap();
            zip.write_all(&number.to_le_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner().finish().unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(sink.take())).unwrap();
        assert_eq!(zip.len(), FILES);
        for number in [0, 65_535, 65_536, FILES - 1] {
            let mut content = Vec::new();
            zip.by_name(&format!("media/{number}.bin")).unwrap().read_to_end(&mut content).unwrap();
            assert_eq!(content, number.to_le_bytes());
        }
    }
}
