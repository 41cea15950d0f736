//! Measures, as ratios within one run: a launch in processes of this system, the time from the end of a job to its sink, and
//! wake-ups of supervisors and of a monitor that have nothing to do. `scripts/windows/bench` runs it with the released
//! program. Asserts only what no busy machine changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use homing::{Config, Homing, JobSpec, OpenOptions};
use testkit::wait_until;

use crate::monitor::{configure, monitor};
use crate::setup::{Setup, program};

const ROUNDS: usize = 100;

/// After each launch, so that what was launched has ended before the next one.
const PAUSE: Duration = Duration::from_millis(50);

/// How long processes without work are observed.
const IDLE: Duration = Duration::from_secs(20);

/// Jobs that do nothing meanwhile.
const IDLE_JOBS: usize = 5;

#[test]
#[ignore = "a measurement: scripts/windows/bench"]
fn a_launch_in_processes_of_this_system() {
    let setup = Setup::new();
    let tool = setup.tool_words(&[])[0].to_owned();
    let options = OpenOptions::new().home(setup.home.path()).config(Config::default());
    let library = options.supervisor(program()).open().expect("the home opens");
    let run = setup.run_words(&[], &["exit", "0"]);
    let kinds: [(&str, &dyn Fn()); 3] = [
        ("a process of this system, from its start to its end", &|| {
            complete(Command::new(&tool).args(["exit", "0"]));
        }),
        ("a launch by the library", &|| launch(&library, &tool)),
        ("`homing run`, the whole process", &|| complete(&mut setup.command(&run))),
    ];
    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 0..=ROUNDS {
        for (kind, times) in kinds.iter().zip(&mut times) {
            let begin = Instant::now();
            kind.1();
            let took = begin.elapsed();
            // The first round reads the programs from the disk.
            if round > 0 {
                times.push(took);
            }
            std::thread::sleep(PAUSE);
        }
    }
    wait_until("all jobs have ended", || setup.home.processes().is_empty());
    say("| launch | ms: median (10 %–90 %) | ÷ a process |\n| --- | --- | --- |");
    for ((name, _), own) in kinds.iter().zip(&times) {
        let ratios = own.iter().zip(&times[0]).map(|(own, process)| own.div_duration_f64(*process)).collect();
        say(&format!("| {name} | {} | {:.2} |", spread(own), quantile(&sorted(ratios), 0.5)));
    }
}

fn complete(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{status}");
}

fn launch(homing: &Homing, tool: &str) {
    let spec = JobSpec::program(tool).args(["exit", "0"]).session("chat".parse().expect("a session"));
    homing.launch(spec).expect("it launches");
}

#[test]
#[ignore = "a measurement: scripts/windows/bench"]
fn the_time_from_the_end_of_a_job_to_its_sink() {
    let setup = Setup::new();
    let (ended, begun) = (setup.path("ended"), setup.path("begun"));
    configure(&setup, &["stamp", &begun]);
    let _monitor = monitor(&setup);
    for round in 1..=ROUNDS {
        setup.launch(&[], &["stamp", &ended]);
        wait_until("the sink has run", || setup.lines("begun").len() == round);
        std::thread::sleep(PAUSE);
    }
    let stamps = |name: &str| -> Vec<u64> {
        setup.lines(name).iter().map(|line| line.parse().expect("a number")).collect()
    };
    let times: Vec<Duration> = stamps("begun")
        .into_iter()
        .zip(stamps("ended"))
        .map(|(begun, ended)| Duration::from_nanos(begun.saturating_sub(ended)))
        .collect();
    let starts: Vec<Duration> = (0..ROUNDS).map(|_| start_of_a_program(&setup)).collect();
    say("| from the end of a job to its sink | ms: median (10 %–90 %) |\n| --- | --- |");
    say(&format!("| the last write of the job until the program of the sink runs | {} |", spread(&times)));
    say(&format!("| of this, the start of the program alone | {} |", spread(&starts)));
}

/// From the call that starts a program until the program runs.
fn start_of_a_program(setup: &Setup) -> Duration {
    let started = setup.path("started");
    let begin = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    complete(&mut setup.tool_command(&["stamp", &started]));
    let stamp: u64 = setup.lines("started").last().expect("a line").parse().expect("a number");
    Duration::from_nanos(stamp).saturating_sub(begin)
}

#[test]
#[ignore = "a measurement: scripts/windows/bench"]
fn what_has_nothing_to_do_does_not_wake_up() {
    let Some(processes) = process_files() else { return testkit::skip("nothing counts wake-ups here") };
    let setup = Setup::new();
    configure(&setup, &["exit", "0"]);
    let _monitor = monitor(&setup);
    let delivered = setup.launch(&[], &["exit", "0"]);
    crate::monitor::wait_for_acknowledged(&setup, &delivered);
    let ids: Vec<String> = (0..IDLE_JOBS).map(|_| setup.launch(&[], &["sleep", "MARK"])).collect();
    setup.wait_for_marked(IDLE_JOBS);
    let count = || {
        let supervisors = switches(&processes, &["__supervise", setup.home.path().to_str().expect("text")]);
        let of_monitor = switches(&processes, &[&program(), "monitor"]);
        (supervisors, of_monitor)
    };
    // What follows a launch is over when nothing has changed for a second.
    let mut before = count();
    wait_until("all processes are idle", || {
        std::thread::sleep(Duration::from_secs(1));
        let now = count();
        std::mem::replace(&mut before, now) == now
    });
    std::thread::sleep(IDLE);
    let after = count();
    say(&format!(
        "| in {} s without work | context switches |\n| --- | --- |\n| {IDLE_JOBS} supervisors | {} |\n| the monitor | {} |",
        IDLE.as_secs(),
        after.0.1 - before.0.1,
        after.1.1 - before.1.1
    ));
    assert_eq!((before.0.0, before.1.0), (IDLE_JOBS, 1), "processes that were counted");
    for id in &ids {
        setup.kill(id);
    }
    // The thread pool of Wine, which a supervisor for Windows waits with, wakes up every 5 s (THREADPOOL_WORKER_TIMEOUT).
    let of_pool = if cfg!(windows) { IDLE_JOBS as u64 * (IDLE.as_secs() / 5 + 1) } else { 0 };
    assert!(after.0.1 - before.0.1 <= of_pool, "the supervisors woke up");
    assert_eq!(before.1, after.1, "the monitor woke up");
}

/// The directory in which Linux describes processes, also those of Wine.
fn process_files() -> Option<PathBuf> {
    let candidates = if cfg!(windows) { r"Z:\proc" } else { "/proc" };
    Some(PathBuf::from(candidates)).filter(|path| path.join("self").join("status").exists())
}

/// The processes whose command line contains all these texts: how many, and how often their threads were switched.
fn switches(processes: &Path, texts: &[&str]) -> (usize, u64) {
    let entries = fs::read_dir(processes).expect("processes").filter_map(|entry| Some(entry.ok()?.path()));
    let matching = entries.filter(|process| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        texts.iter().all(|text| line.contains(text))
    });
    let of_thread = |status: String| -> u64 {
        let lines = status.lines().filter_map(|line| line.split_once("_ctxt_switches:"));
        lines.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
    };
    let of_process = |process: PathBuf| -> u64 {
        let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
        threads
            .filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok())
            .map(of_thread)
            .sum()
    };
    matching.map(of_process).fold((0, 0), |(count, sum), switches| (count + 1, sum + switches))
}

/// Median and spread in milliseconds.
fn spread(times: &[Duration]) -> String {
    let millis = sorted(times.iter().map(|time| time.as_secs_f64() * 1e3).collect());
    let [low, median, high] = [0.1, 0.5, 0.9].map(|part| quantile(&millis, part));
    format!("{median:.2} ({low:.2}–{high:.2})")
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index"
)]
fn quantile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

/// Prints lines that the test runner does not capture. It may have begun a line.
fn say(lines: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "\n{lines}");
}
