//! The subset of HTTP/1.1 that harnesses use.

use std::io::{self, BufRead, Read, Write};

use serde_json::Value;

/// Maximum size of a request body, in bytes: a long conversation with all tools.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// An HTTP request.
pub(super) struct HttpRequest {
    pub(super) method: String,
    /// The path without the query.
    pub(super) path: String,
    /// The body; `None` if it is not JSON.
    pub(super) body: Option<Value>,
}

/// Reads a request; `None` at the end of the connection.
pub(super) fn read(reader: &mut impl BufRead, writer: &mut impl Write) -> io::Result<Option<HttpRequest>> {
    let first = line(reader)?;
    let mut words = first.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = line(reader)?.to_ascii_lowercase();
        match header.split_once(':').map(|(name, value)| (name, value.trim())) {
            None => break,
            Some(("content-length", value)) => length = value.parse().unwrap_or(0),
            Some(("transfer-encoding", "chunked")) => chunked = true,
            Some(("expect", _)) => writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?,
            Some(_) => {}
        }
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            let size = u64::from_str_radix(line(reader)?.trim(), 16).unwrap_or(0);
            reader.take(size.min(MAX_BODY_BYTES)).read_to_end(&mut body)?;
            line(reader)?;
            if size == 0 {
                break;
            }
        }
    } else {
        reader.take(u64::min(length, MAX_BODY_BYTES)).read_to_end(&mut body)?;
    }
    let path = target.split('?').next().unwrap_or(target).to_owned();
    Ok(Some(HttpRequest { method: method.to_owned(), path, body: serde_json::from_slice(&body).ok() }))
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(64 << 10).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// Writes a response; without the body if `head_only`.
pub(super) fn write(writer: &mut impl Write, kind: &str, body: &str, head_only: bool) -> io::Result<()> {
    let length = body.len();
    write!(writer, "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n")?;
    if !head_only {
        writer.write_all(body.as_bytes())?;
    }
    writer.flush()
}
