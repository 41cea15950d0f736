//! A host on tokio: launches a job for a session, and receives the wake with its result as an item of a stream.
//!
//! ```console
//! $ cargo run -p homing --features async --example async_host -- /tmp/async-host 'sleep 1; echo built'
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use homing::{Delivery, JobSpec, OpenOptions};

/// How long this host may take to answer a wake.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    // Before the runtime starts its threads.
    homing::supervise_if_asked();
    let mut arguments = std::env::args().skip(1);
    let (Some(home), Some(script)) = (arguments.next(), arguments.next()) else {
        return Err("usage: async_host HOME SCRIPT".into());
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(host(home.as_ref(), script))
}

async fn host(home: &Path, script: String) -> Result<(), Box<dyn Error>> {
    let homing = OpenOptions::new().home(std::path::absolute(home)?).detached().open()?;
    let mut wakes = homing.wakes("chat-*", ANSWER_TIMEOUT)?;
    let job = homing.launch(JobSpec::script(script)?.session("chat-1".parse()?))?;
    println!("launched {}", job.id);

    while let Some(offer) = wakes.next().await {
        let offer = offer?;
        // Here a host stores the text in the session's history, and starts a turn of its agent.
        println!("{} is resumed with:\n{}", offer.wake().session, offer.wake().content.text);
        let has_job = offer.wake().content.job_ids.contains(&job.id);
        offer.answer(Delivery::Delivered);
        if has_job {
            wakes.stop();
        }
    }
    Ok(())
}
