//! Routes about what a job writes: its output, live and from any offset, and its result as the agent reads it.

use std::pin::pin;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use homing::{Homing, JobId, OutputChunk};
use serde::{Deserialize, Serialize};

use super::answer::{Answered, json, text, with_type};
use super::app::{App, Grant};
use super::extract::{Named, Params};
use super::jobs::find;
use super::problem::Problem;
use super::sse::{self, Frame};

/// Most bytes of output in one answer.
const MAX_BYTES: usize = 1 << 20;

/// Bytes of output in one answer, if the request does not say how many.
const DEFAULT_BYTES: usize = 64 << 10;

/// The longest character in UTF-8, in bytes.
const MAX_CHAR_BYTES: usize = 4;

const FROM_HEADER: HeaderName = HeaderName::from_static("x-homing-from");
const NEXT_HEADER: HeaderName = HeaderName::from_static("x-homing-next");

/// Which part of the output to read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct OutputParams {
    /// The offset of the first byte; a negative one counts from the end. Default: 0.
    #[serde(default)]
    #[cfg_attr(test, param(value_type = Option<i64>))]
    from: i64,
    /// The maximum number of bytes, 1 to 1,048,576. Default: 65,536.
    #[cfg_attr(test, param(minimum = 1, maximum = 1_048_576))]
    limit: Option<usize>,
    /// How the bytes are encoded. Default: `json`.
    #[serde(default)]
    #[cfg_attr(test, param(inline, value_type = Option<Encoding>))]
    encoding: Encoding,
}

/// How bytes of output are encoded: as text in UTF-8 in a document, which replaces what is not UTF-8; in base64 in a document;
/// or as they are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(utoipa::ToSchema))]
enum Encoding {
    #[default]
    Json,
    Base64,
    Raw,
}

/// From where to follow the output.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct LiveParams {
    /// The offset of the first byte; a negative one counts from the end. Default: 0.
    #[serde(default)]
    #[cfg_attr(test, param(value_type = Option<i64>))]
    from: i64,
}

/// A part of the output.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct OutputDocument {
    /// The offset of the first byte that was asked for.
    from: u64,
    /// The offset to continue from.
    next: u64,
    /// Bytes that the job has written so far.
    total_bytes: u64,
    /// Bytes between `from` and `next` that were not kept.
    omitted_bytes: u64,
    /// Bytes of the whole output that could not be stored, because the disk was full.
    dropped_bytes: u64,
    /// The bytes as text; what is not UTF-8 is replaced. Untrusted.
    text: Option<String>,
    /// The exact bytes, if asked for.
    base64: Option<String>,
    /// Whether the job had finished before this was read. Then `next` equal to `total_bytes` is the end. Absent in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<bool>,
}

/// The last message of a live output.
#[derive(Serialize)]
struct EndDocument {
    finished: bool,
    next: u64,
}

/// A part of the output of a job, from any offset.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/output",
    operation_id = "read_output",
    tag = "output",
    params(("id" = String, Path, description = "The id of a job."), OutputParams),
    responses((status = 200, description = "A part of the output. With `encoding=raw` the bytes, and the headers X-Homing-From and X-Homing-Next.", content(
        (OutputDocument = "application/json"),
        (Vec<u8> = "application/octet-stream"),
    ))),
))]
pub(super) async fn read(
    State(app): State<Arc<App>>,
    grant: Grant,
    Named(id): Named,
    Params(params): Params<OutputParams>,
) -> Answered {
    let limit = match params.limit.unwrap_or(DEFAULT_BYTES) {
        limit if (1..=MAX_BYTES).contains(&limit) => limit,
        limit => return Err(Problem::invalid(format!("limit is {limit}; give 1 to {MAX_BYTES}"))),
    };
    app.on_home(move |homing| {
        let job = find(&homing, &grant, &id)?;
        // Whether it has finished is found out first: then everything that it wrote can be read.
        let finished = job.outcome().is_some();
        let from = start(&homing, job.id, params.from)?;
        let chunk = homing.output(job.id, from, limit)?;
        if params.encoding == Encoding::Raw {
            return Ok(raw(chunk, from));
        }
        let total_bytes = homing.output_end(job.id)?.max(chunk.end());
        let is_end = finished && chunk.end() == total_bytes;
        let mut piece = Piece::new(chunk, from);
        if params.encoding == Encoding::Json && !is_end {
            piece.hold_back_incomplete();
        }
        let mut document = piece.document(params.encoding);
        document.total_bytes = total_bytes;
        document.dropped_bytes = job.output.dropped_bytes;
        document.finished = Some(finished);
        Ok(json(&document))
    })
    .await
}

/// The output of a job while it is written.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/output/live",
    operation_id = "follow_output",
    tag = "output",
    params(("id" = String, Path, description = "The id of a job."), LiveParams),
    responses((status = 200, description = "A stream of messages `output`, whose data is a part of the output without `finished`, and one message `end`. A comment each 15 seconds.", body = String, content_type = "text/event-stream")),
))]
pub(super) async fn live(
    State(app): State<Arc<App>>,
    grant: Grant,
    Named(id): Named,
    Params(params): Params<LiveParams>,
) -> Answered {
    let (homing, job, from) = app
        .on_home(move |homing| {
            let job = find(&homing, &grant, &id)?;
            let from = start(&homing, job.id, params.from)?;
            Ok((homing, job.id, from))
        })
        .await?;
    let place = app.stream()?;
    let followed = homing.output_stream(job, from)?;
    let (sender, response) = sse::stream(app.closing.clone(), place);
    tokio::spawn(async move {
        let mut followed = pin!(followed);
        let mut unsent = Piece { from, start: from, bytes: Vec::new() };
        loop {
            let next = tokio::select! {
                next = followed.next() => next,
                () = sender.closed() => return,
            };
            let is_end = next.is_none();
            match next {
                Some(Ok(chunk)) => unsent = unsent.and(chunk),
                None => {}
                // The client connects again, and is told the error then.
                Some(Err(_)) => return,
            }
            let (now, rest) = unsent.split_incomplete(is_end);
            if now.end() > now.from {
                let mut document = now.document(Encoding::Json);
                let (watched, total) = (homing.clone(), now.end());
                let end = crate::server::blocking(move || watched.output_end(job)).await;
                document.total_bytes = end.unwrap_or(0).max(total);
                if sender.send(Frame::of("output", &document)).await.is_err() {
                    return;
                }
            }
            unsent = rest;
            if is_end {
                let end = EndDocument { finished: true, next: unsent.end() };
                let _ = sender.send(Frame::of("end", &end)).await;
                return;
            }
        }
    });
    Ok(response)
}

/// The result of a job as its agent reads it. Does not acknowledge it.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/result",
    operation_id = "read_result",
    tag = "output",
    params(("id" = String, Path, description = "The id of a job.")),
    responses((status = 200, description = "How the job ended, and its output in a frame.", body = String, content_type = "text/plain")),
))]
pub(super) async fn result(State(app): State<Arc<App>>, grant: Grant, Named(id): Named) -> Answered {
    app.on_home(move |homing| {
        let job = find(&homing, &grant, &id)?;
        Ok(text(homing.result_text(job.id)?))
    })
    .await
}

/// The offset to start from. A negative one counts from the end.
fn start(homing: &Homing, id: JobId, from: i64) -> Result<u64, Problem> {
    match u64::try_from(from) {
        Ok(from) => Ok(from),
        Err(_) => Ok(homing.output_end(id)?.saturating_sub(from.unsigned_abs())),
    }
}

fn raw(chunk: OutputChunk, from: u64) -> Response {
    let number = |number: u64| HeaderValue::from_str(&number.to_string()).expect("digits are plain text");
    let (first, next) = if chunk.bytes.is_empty() { (from, from) } else { (chunk.offset, chunk.end()) };
    let mut response = with_type(StatusCode::OK, "application/octet-stream", chunk.bytes);
    response.headers_mut().insert(FROM_HEADER, number(first));
    response.headers_mut().insert(NEXT_HEADER, number(next));
    response
}

/// Bytes of output on their way to a client.
struct Piece {
    /// The offset that the client knows.
    from: u64,
    /// The offset of the first byte. Bytes between `from` and this were not kept.
    start: u64,
    bytes: Vec<u8>,
}

impl Piece {
    fn new(chunk: OutputChunk, from: u64) -> Piece {
        let start = if chunk.bytes.is_empty() { from } else { chunk.offset.max(from) };
        Piece { from, start, bytes: chunk.bytes }
    }

    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Adds the next bytes. Bytes that were held back and have no continuation stay incomplete.
    fn and(mut self, chunk: OutputChunk) -> Piece {
        if self.bytes.is_empty() {
            return Piece::new(chunk, self.from);
        }
        if chunk.offset == self.end() {
            self.bytes.extend_from_slice(&chunk.bytes);
            return self;
        }
        // Few bytes, at most three: they belong to what was not kept.
        Piece::new(chunk, self.from)
    }

    /// Splits off an incomplete character at the end, unless nothing can follow.
    fn split_incomplete(mut self, is_end: bool) -> (Piece, Piece) {
        let kept = if is_end { self.bytes.len() } else { complete_length(&self.bytes) };
        let held_back = self.bytes.split_off(kept);
        let end = self.end();
        (self, Piece { from: end, start: end, bytes: held_back })
    }

    /// Leaves out an incomplete character at the end, unless there is nothing else.
    fn hold_back_incomplete(&mut self) {
        let complete = complete_length(&self.bytes);
        if complete > 0 {
            self.bytes.truncate(complete);
        }
    }

    fn document(&self, encoding: Encoding) -> OutputDocument {
        let is_base64 = encoding == Encoding::Base64;
        OutputDocument {
            from: self.from,
            next: self.end(),
            total_bytes: self.end(),
            omitted_bytes: self.start - self.from,
            dropped_bytes: 0,
            text: (!is_base64).then(|| String::from_utf8_lossy(&self.bytes).into_owned()),
            base64: is_base64.then(|| BASE64_STANDARD.encode(&self.bytes)),
            finished: None,
        }
    }
}

/// The length without an incomplete character at the end.
fn complete_length(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(MAX_CHAR_BYTES - 1);
    // The first byte of the last character, which is not a continuation (10xxxxxx).
    let Some(begin) = (last..bytes.len()).rev().find(|&at| bytes[at] & 0xc0 != 0x80) else {
        return bytes.len();
    };
    match std::str::from_utf8(&bytes[begin..]) {
        // More bytes may complete it.
        Err(error) if error.error_len().is_none() => begin,
        Ok(_) | Err(_) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(offset: u64, bytes: &[u8]) -> OutputChunk {
        OutputChunk { offset, bytes: bytes.to_vec() }
    }

    #[test]
    fn a_character_is_not_cut() {
        let text = "a€".as_bytes();
        assert_eq!(
            (0..=text.len()).map(|cut| complete_length(&text[..cut])).collect::<Vec<_>>(),
            [0, 1, 1, 1, 4]
        );
        // Not UTF-8: nothing completes it.
        for bytes in [&b"\xff"[..], b"a\xff\xff", b"\x80\x80\x80\x80", b"\xe2a"] {
            assert_eq!(complete_length(bytes), bytes.len(), "{bytes:?}");
        }
    }

    #[test]
    fn pieces_continue_each_other_and_count_what_was_not_kept() {
        let empty = Piece { from: 0, start: 0, bytes: Vec::new() };
        let (now, rest) = empty.and(chunk(0, b"a\xe2\x82")).split_incomplete(false);
        assert_eq!((now.document(Encoding::Json).text.unwrap(), now.end()), ("a".to_owned(), 1));
        let (now, rest) = rest.and(chunk(3, b"\xac!")).split_incomplete(false);
        let document = now.document(Encoding::Json);
        assert_eq!((document.from, document.next, document.text.unwrap().as_str()), (1, 5, "€!"));
        let (now, rest) = rest.and(chunk(1_000, b"z")).split_incomplete(false);
        let document = now.document(Encoding::Json);
        assert_eq!((document.from, document.next, document.omitted_bytes), (5, 1_001, 995));
        assert_eq!((rest.from, rest.end()), (1_001, 1_001));
        let (now, _) = rest.and(chunk(1_001, b"\xe2")).split_incomplete(true);
        assert_eq!(now.document(Encoding::Json).text.unwrap(), "\u{fffd}");
    }
}
