//! Reads the body of a request: completely, within a time limit, up to a size.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Body;
use tokio::time::timeout;

/// How long a client may take to send the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a body that is too large is read nevertheless, in bytes. If a connection is closed before its client has sent
/// everything, the client may not see the answer.
const MAX_DISCARDED: usize = 4 << 20;

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It has more bytes than are accepted.
    TooLarge {
        /// The largest accepted size, in bytes.
        limit: usize,
    },
    /// The client did not send it in time.
    TimedOut,
    /// The connection broke, or the client did not follow HTTP.
    Broken(String),
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// [`BodyError`]. The connection must be closed after it, because the rest of the body was not read.
pub(crate) async fn read_body<B>(body: B, limit: usize) -> Result<Bytes, BodyError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    timeout(BODY_TIMEOUT, read(body, limit)).await.unwrap_or(Err(BodyError::TimedOut))
}

async fn read<B>(body: B, limit: usize) -> Result<Bytes, BodyError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // The client says how much it will send: it need not send it.
    if body.size_hint().lower() > (limit + MAX_DISCARDED) as u64 {
        return Err(BodyError::TooLarge { limit });
    }
    let mut body = std::pin::pin!(body);
    let (mut bytes, mut length) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Broken(error.into().to_string()))?;
        let Ok(mut data) = frame.into_data() else { continue };
        length += data.remaining();
        if length <= limit {
            bytes.put(&mut data);
        } else if length > limit + MAX_DISCARDED {
            break;
        }
    }
    if length > limit { Err(BodyError::TooLarge { limit }) } else { Ok(bytes.freeze()) }
}

impl BodyError {
    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TimedOut => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// A message for the developer of the client.
    pub(crate) fn message(&self) -> String {
        match self {
            BodyError::TooLarge { limit } => {
                format!("the body of a request may have at most {limit} bytes")
            }
            BodyError::TimedOut => "timed out while reading the request".to_owned(),
            BodyError::Broken(reason) => reason.clone(),
        }
    }
}
