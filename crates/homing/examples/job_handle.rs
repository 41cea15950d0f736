//! Launches a job, shows its output line by line while it runs, and reads the result.
//!
//! ```console
//! $ cargo run -p homing --example job_handle -- 'for i in 1 2 3; do echo $i; sleep 1; done'
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io::{BufRead, BufReader};

use homing::{Homing, JobSpec};

fn main() -> Result<(), Box<dyn Error>> {
    // First: lets this program supervise the jobs it launches.
    homing::supervise_if_asked();
    let script = std::env::args().nth(1).ok_or("usage: job_handle SCRIPT")?;

    let homing = Homing::open()?;
    let job = homing.spawn(JobSpec::script(script)?)?;
    println!("job {}", job.id());
    for line in BufReader::new(job.output()?).lines() {
        println!("| {}", line?);
    }

    let finished = job.wait()?;
    println!("{}", finished.outcome().ok_or("it has finished")?);
    // The result was read here, so the session needs no notification.
    job.acknowledge()?;
    Ok(())
}
