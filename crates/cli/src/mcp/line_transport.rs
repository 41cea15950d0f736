//! JSON-RPC, one message a line. A line that is not a message is answered: a client that waits for a reply to it would wait
//! for ever.

use std::io;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::ErrorData;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// Longest line that is read, in bytes.
const MAX_LINE_BYTES: usize = 16 << 20;

/// A line that was read.
enum Line {
    Whole,
    TooLong,
    End,
}

/// Messages from a reader, and to a writer.
pub(super) struct LineTransport<R, W> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// Whether the rest of a line that is too long is skipped.
    skips: bool,
    writer: Arc<Mutex<Option<W>>>,
    /// The answer to a line that is not a message. The next line is read once it is written, so answers never pile up.
    answer: Option<JoinHandle<io::Result<()>>>,
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin + 'static> LineTransport<R, W> {
    pub(super) fn new(reader: R, writer: W) -> LineTransport<R, W> {
        LineTransport {
            reader: BufReader::new(reader),
            line: Vec::new(),
            skips: false,
            writer: Arc::new(Mutex::new(Some(writer))),
            answer: None,
        }
    }

    /// Reads a line into `self.line`. May be cancelled: what was read until then stays there.
    async fn read_line(&mut self) -> Line {
        loop {
            let Ok(piece) = self.reader.fill_buf().await else { return Line::End };
            if piece.is_empty() {
                return Line::End;
            }
            let line_end = piece.iter().position(|byte| *byte == b'\n');
            let length = line_end.map_or(piece.len(), |at| at + 1);
            let is_too_long = !self.skips && self.line.len() + length > MAX_LINE_BYTES;
            if !self.skips && !is_too_long {
                self.line.extend_from_slice(&piece[..length]);
            }
            self.reader.consume(length);
            if is_too_long {
                self.line = Vec::new();
                self.skips = line_end.is_none();
                return Line::TooLong;
            }
            match (line_end, self.skips) {
                (Some(_), true) => self.skips = false,
                (Some(_), false) => return Line::Whole,
                (None, _) => {}
            }
        }
    }

    /// Writes a line as a whole, also where nobody waits for that any more.
    fn write(&self, message: Result<Vec<u8>, serde_json::Error>) -> JoinHandle<io::Result<()>> {
        let writer = Arc::clone(&self.writer);
        tokio::spawn(async move {
            let mut line = message?;
            line.push(b'\n');
            let mut writer = writer.lock().await;
            let writer = writer.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            writer.write_all(&line).await?;
            writer.flush().await
        })
    }
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin + 'static> Transport<RoleServer>
    for LineTransport<R, W>
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let written = self.write(serde_json::to_vec(&item));
        async move { written.await.map_err(io::Error::other)? }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(answer) = &mut self.answer {
                let written = answer.await;
                self.answer = None;
                if !matches!(written, Ok(Ok(()))) {
                    return None;
                }
            }
            let refused = match self.read_line().await {
                Line::Whole => {
                    let read = read_message(&self.line);
                    self.line.clear();
                    match read {
                        Ok(Some(message)) => return Some(message),
                        Ok(None) => continue,
                        Err(refused) => refused,
                    }
                }
                Line::TooLong => {
                    let message = format!("a message has at most {MAX_LINE_BYTES} bytes");
                    Refused { id: Value::Null, error: ErrorData::invalid_request(message, None) }
                }
                Line::End => return None,
            };
            let answer = json!({"jsonrpc": "2.0", "id": refused.id, "error": refused.error});
            self.answer = Some(self.write(serde_json::to_vec(&answer)));
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        drop(self.writer.lock().await.take());
        Ok(())
    }
}

/// What is answered to a line that is not a message.
struct Refused {
    /// The id of the request, where it has one that can be told; null otherwise, as JSON-RPC 2.0 wants it (5.1).
    id: Value,
    error: ErrorData,
}

/// The message of a line. `None` for a blank line, and for a notification that is not known: those are never answered.
fn read_message(line: &[u8]) -> Result<Option<RxJsonRpcMessage<RoleServer>>, Refused> {
    // A mark at the beginning may be ignored (RFC 8259, 8.1).
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let error = match serde_json::from_slice(line) {
        Ok(message) => return Ok(Some(message)),
        Err(error) => error,
    };
    match serde_json::from_slice::<Value>(line) {
        Err(error) => {
            let error = ErrorData::parse_error(format!("not JSON: {error}"), None);
            Err(Refused { id: Value::Null, error })
        }
        Ok(value) if value["method"].is_string() && value.get("id").is_none() => Ok(None),
        Ok(value) => {
            let id = value.get("id").filter(|id| id.is_string() || id.is_number()).cloned();
            let error = ErrorData::invalid_request(format!("not a message: {error}"), None);
            Err(Refused { id: id.unwrap_or_default(), error })
        }
    }
}
