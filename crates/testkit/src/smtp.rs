//! A mail server that keeps received mails. Of mails with one `Message-ID` it keeps the first, as mail programs show one: a server
//! that stops in the moment of a delivery sends the mail again.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

/// Maximum time to wait for a mail before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A received mail.
#[derive(Clone, Debug)]
pub struct Received {
    /// The sender in the envelope.
    pub from: String,
    /// The recipient in the envelope.
    pub to: String,
    /// The whole message.
    pub message: String,
}

/// A mail server on a free port of 127.0.0.1.
pub struct Smtp {
    /// The address that it listens on.
    pub address: SocketAddr,
    mails: Mutex<mpsc::UnboundedReceiver<Received>>,
    closed: Arc<AtomicBool>,
}

impl Smtp {
    /// A server that accepts every mail.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (told, mails) = mpsc::unbounded_channel();
        let closed = Arc::new(AtomicBool::new(false));
        let (refuses, known) = (Arc::clone(&closed), Arc::new(Known::default()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, told.clone(), Arc::clone(&refuses), Arc::clone(&known)));
            }
        });
        Self { address, mails: Mutex::new(mails), closed }
    }

    /// Makes it refuse mails, or accept them again.
    pub fn set_closed(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
    }

    /// The next mail, received or to be received. A refused one has no message.
    pub async fn mail(&self) -> Received {
        let mut mails = self.mails.lock().await;
        let next = tokio::time::timeout(PATIENCE, mails.recv()).await;
        next.expect("a mail comes").expect("the server runs")
    }

    /// The number of received mails that were not read.
    pub async fn waiting(&self) -> usize {
        self.mails.lock().await.len()
    }
}

/// The ids of the mails that were kept.
#[derive(Default)]
struct Known(std::sync::Mutex<HashSet<String>>);

impl Known {
    /// Returns true if a message has an id that none had before, or none at all.
    fn is_new(&self, message: &str) -> bool {
        let id = message.lines().find(|line| line.starts_with("Message-ID:"));
        id.is_none_or(|id| self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned()))
    }
}

/// One connection; it ends when the other side closes it.
async fn talk(
    stream: TcpStream,
    mails: mpsc::UnboundedSender<Received>,
    closed: Arc<AtomicBool>,
    known: Arc<Known>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut mail = Received { from: String::new(), to: String::new(), message: String::new() };
    stream.write_all(b"220 test\r\n").await.ok()?;
    let mut line = String::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let address = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let answer: &[u8] = match line.get(..4).unwrap_or_default() {
            "EHLO" => b"250-test\r\n250 8BITMIME\r\n",
            "MAIL" => {
                mail.from = address();
                b"250 ok\r\n"
            }
            "RCPT" => {
                mail.to = address();
                if closed.load(Ordering::SeqCst) {
                    mails.send(mail.clone()).ok()?;
                    b"451 not now\r\n"
                } else {
                    b"250 ok\r\n"
                }
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await.ok()?;
                mail.message.clear();
                loop {
                    line.clear();
                    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
                    if line == ".\r\n" {
                        break;
                    }
                    mail.message.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                if known.is_new(&mail.message) {
                    mails.send(mail.clone()).ok()?;
                }
                b"250 taken\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer).await.ok()?;
    }
}
