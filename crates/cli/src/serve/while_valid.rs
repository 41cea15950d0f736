//! The body of an answer to a token that can end: a stream ends with its token.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::app::App;
use super::tokens::TokenRecord;

/// How long a token counts as valid after it was checked.
const VALID_FOR: Duration = Duration::from_secs(1);

/// Sends a body while a token is valid. The token is checked when there is something to send: streams send a comment at least
/// every 25 seconds.
pub(super) struct WhileValid {
    body: Body,
    app: Arc<App>,
    token: TokenRecord,
    checked_at: Instant,
}

impl WhileValid {
    /// `checked_at` is when the token was valid.
    pub(super) fn new(body: Body, app: Arc<App>, token: TokenRecord, checked_at: Instant) -> WhileValid {
        WhileValid { body, app, token, checked_at }
    }
}

impl HttpBody for WhileValid {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        // Before the body gives away a message: a reply over MCP counts as delivered then.
        if this.checked_at.elapsed() >= VALID_FOR {
            this.checked_at = Instant::now();
            if !this.app.access.tokens.is_valid(&this.token) {
                return Poll::Ready(None);
            }
        }
        Pin::new(&mut this.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
