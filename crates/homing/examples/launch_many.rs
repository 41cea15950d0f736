//! Launches many jobs from one process, as a host does, and says how long that took. For measuring; see
//! `scripts/bench-monitor`.
//!
//!     launch_many JOBS SESSIONS THREADS [detached]

use std::time::Instant;

use homing::{JobSpec, OpenOptions};

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    homing::supervise_if_asked();
    let (detached, numbers): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word == "detached");
    let numbers: Vec<usize> = numbers.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
    let [jobs, sessions, threads] = numbers[..] else {
        return Err("JOBS SESSIONS THREADS [detached]".into());
    };
    let options = OpenOptions::new();
    let homing = if detached.is_empty() { options } else { options.detached() }.open()?;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let homing = &homing;
        let launchers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || -> homing::Result<()> {
                    for number in (thread..jobs).step_by(threads) {
                        let session = format!("session-{}", number % sessions).parse()?;
                        homing.launch(JobSpec::program("true").session(session))?;
                    }
                    Ok(())
                })
            })
            .collect();
        launchers.into_iter().try_for_each(|launcher| launcher.join().expect("no launcher panics"))
    })?;
    #[allow(clippy::print_stdout, reason = "it is what this program is for")]
    {
        println!("{}", started.elapsed().as_secs_f64());
    }
    Ok(())
}
