//! Events as a stream of pages.

use std::sync::Arc;

use futures_util::stream::{self, Stream};

use super::change::Change;
use super::{blocking, step};
use crate::Result;
use crate::context::Context;
use crate::events::page::EventOptions;
use crate::events::watch::EventWatch;
use crate::ledger::EventPage;

/// What the stream does next.
enum Next {
    Begin(Arc<Context>, EventOptions),
    /// The first page is returned even if it is empty.
    Follow {
        watch: Box<EventWatch>,
        change: Change,
        is_first: bool,
    },
}

/// The events from a place on, in pages. Never ends, except with an error.
pub(crate) fn event_stream(
    context: Arc<Context>,
    options: EventOptions,
) -> impl Stream<Item = Result<EventPage>> + Send {
    stream::try_unfold(Next::Begin(context, options), async |next| {
        let (mut watch, change, is_first) = match next {
            Next::Begin(context, options) => {
                let watch = Box::new(blocking(move || EventWatch::new(context, options)).await?);
                let change = Change::of(Some(watch.readable()));
                (watch, change, true)
            }
            Next::Follow { watch, change, is_first } => (watch, change, is_first),
        };
        loop {
            let page;
            (watch, page) = step(watch, |watch| watch.next_page()).await?;
            if is_first || page.truncated || page.has_more || !page.events.is_empty() {
                return Ok(Some((page, Next::Follow { watch, change, is_first: false })));
            }
            change.wait().await;
        }
    })
}
