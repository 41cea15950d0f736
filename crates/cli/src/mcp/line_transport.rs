//! JSON-RPC, one message per line. An invalid line is answered with an error, because its client may wait for a
//! reply.

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

use super::listen_filter;

/// Longest line that is read, in bytes.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Result of reading a line.
enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads messages from a reader and writes them to a writer.
pub(super) struct LineTransport<R, W> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// Whether the rest of a line that is too long is being skipped.
    is_skipping: bool,
    writer: Arc<Mutex<Option<W>>>,
    /// The answer to an invalid line. The next line is read after it is written, so answers never pile up.
    answer: Option<JoinHandle<io::Result<()>>>,
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin + 'static> LineTransport<R, W> {
    pub(super) fn new(reader: R, writer: W) -> LineTransport<R, W> {
        LineTransport {
            reader: BufReader::new(reader),
            line: Vec::new(),
            is_skipping: false,
            writer: Arc::new(Mutex::new(Some(writer))),
            answer: None,
        }
    }

    /// Reads a line into `self.line`. Cancel-safe: the bytes read so far stay there.
    async fn read_line(&mut self) -> Line {
        loop {
            let Ok(piece) = self.reader.fill_buf().await else { return Line::End };
            if piece.is_empty() {
                return Line::End;
            }
            let line_end = piece.iter().position(|byte| *byte == b'\n');
            let length = line_end.map_or(piece.len(), |at| at + 1);
            let is_too_long = !self.is_skipping && self.line.len() + length > MAX_LINE_BYTES;
            if !self.is_skipping && !is_too_long {
                self.line.extend_from_slice(&piece[..length]);
            }
            self.reader.consume(length);
            if is_too_long {
                self.line = Vec::new();
                self.is_skipping = line_end.is_none();
                return Line::TooLong;
            }
            match (line_end, self.is_skipping) {
                (Some(_), true) => self.is_skipping = false,
                (Some(_), false) => return Line::Whole,
                (None, _) => {}
            }
        }
    }

    /// Writes a whole line, even if the caller is cancelled.
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
                    let message = format!("a message may have at most {MAX_LINE_BYTES} bytes");
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

/// The answer to an invalid line.
struct Refused {
    /// The id of the request if it can be determined; otherwise null, as JSON-RPC 2.0 requires (5.1).
    id: Value,
    error: ErrorData,
}

/// Parses a line. `None` for a blank line and for an unknown notification: these are never answered.
fn read_message(line: &[u8]) -> Result<Option<RxJsonRpcMessage<RoleServer>>, Refused> {
    // A parser may ignore a byte order mark (RFC 8259, 8.1).
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    let error = match serde_json::from_slice(&listen_filter::keep(line)) {
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
