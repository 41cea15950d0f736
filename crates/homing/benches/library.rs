//! The library with 0, 10,000 and 100,000 finished jobs in the home: launching, listing, syncing.
//!
//! `cargo bench -p homing --bench library`. `HOMING_BENCH_JOBS=0,1000` chooses other numbers of jobs;
//! `HOMING_BENCH_DIR` another directory than the system's for temporary files (a real disk, to measure what syncing to
//! disk costs).

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use homing::{
    Config, FollowUpOptions, Homing, JobId, JobSpec, ListOptions, OpenOptions, StateName, WaitFor,
    WakeOptions,
};
use homing_core::{JobCommand, Outcome, Shell};
use homing_supervisor::layout::{Directory, notify_change};
use homing_supervisor::platform::{ProcessIdentity, clock};
use homing_supervisor::{FinishedRecord, Record, RunBy, SpecFile, StartedRecord};

fn main() {
    homing::supervise_if_asked();
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .configure_from_args();
    for jobs in numbers_of_jobs() {
        let folder = match std::env::var_os("HOMING_BENCH_DIR") {
            Some(parent) => tempfile::tempdir_in(parent),
            None => tempfile::tempdir(),
        };
        let folder = folder.expect("a temporary folder");
        let homing = home_with(&folder.path().join("home"), jobs);
        launch(&mut criterion, &homing, jobs);
        list(&mut criterion, &homing, jobs);
        sync(&mut criterion, &homing, jobs);
    }
    spawning(&mut criterion);
    criterion.final_summary();
}

fn numbers_of_jobs() -> Vec<u32> {
    let numbers = std::env::var("HOMING_BENCH_JOBS").unwrap_or_else(|_| "0,10000,100000".to_owned());
    numbers.split(',').map(|number| number.trim().parse().expect("a number of jobs")).collect()
}

/// Until `launch` has returned: the job runs and is durable. Waiting for its end is not counted.
fn launch(criterion: &mut Criterion, homing: &Homing, jobs: u32) {
    for (name, spec) in
        [("launch/argv", Ok(JobSpec::program("true"))), ("launch/script", JobSpec::script("true"))]
    {
        let spec = spec.expect("a job");
        criterion.bench_with_input(BenchmarkId::new(name, jobs), &spec, |bencher, spec| {
            bencher.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    let begin = Instant::now();
                    let job = homing.launch(spec.clone()).expect("it is launched");
                    total += begin.elapsed();
                    homing.wait(&[job.id], WaitFor::All, None).expect("it ends");
                }
                total
            });
        });
    }
}

fn list(criterion: &mut Criterion, homing: &Homing, jobs: u32) {
    let newest = ListOptions { limit: Some(20), ..ListOptions::default() };
    criterion.bench_with_input(BenchmarkId::new("list/newest 20", jobs), &newest, |bencher, newest| {
        bencher.iter(|| homing.list(newest).expect("a list"));
    });
    let running = ListOptions { state: Some(StateName::Running), ..ListOptions::default() };
    criterion.bench_with_input(BenchmarkId::new("list/running", jobs), &running, |bencher, running| {
        bencher.iter(|| homing.list(running).expect("a list"));
    });
    pages(criterion, homing, jobs);
    let open = FollowUpOptions { limit: Some(20), ..FollowUpOptions::default() };
    criterion.bench_with_input(BenchmarkId::new("follow-ups", jobs), &open, |bencher, open| {
        bencher.iter(|| homing.follow_ups(open).expect("follow-ups"));
    });
}

/// Pages of 50 jobs in the middle of the list, jobs by id, and the counts of sessions.
fn pages(criterion: &mut Criterion, homing: &Homing, jobs: u32) {
    let until_middle = ListOptions { limit: Some((jobs / 2).max(1)), ..ListOptions::default() };
    let middle = homing.listing(&until_middle).expect("a list");
    let page = ListOptions { limit: Some(50), before: middle.next, ..ListOptions::default() };
    let of_session = ListOptions { session: Some("chat-7".parse().expect("a session")), ..page.clone() };
    let failed = ListOptions { failed: true, before: None, ..page.clone() };
    let finished = ListOptions { state: Some(StateName::Finished), ..page.clone() };
    let ids = middle.jobs.iter().rev().take(100).map(|job| job.id).collect();
    let by_id = ListOptions { ids, ..ListOptions::default() };
    for (name, options) in [
        ("list/page of 50", page),
        ("list/page of 50 of a session", of_session),
        ("list/page of 50 finished", finished),
        ("list/page of 50 failed", failed),
        ("list/100 by id", by_id),
    ] {
        criterion.bench_with_input(BenchmarkId::new(name, jobs), &options, |bencher, options| {
            bencher.iter(|| homing.listing(options).expect("a list"));
        });
    }
    criterion.bench_function(&format!("sessions/{jobs}"), |bencher| {
        bencher.iter(|| homing.sessions().expect("a list"));
    });
    criterion.bench_function(&format!("open wakes/{jobs}"), |bencher| {
        bencher.iter(|| homing.open_wakes(&WakeOptions::default()).expect("wakes"));
    });
}

/// With nothing new, and with one job that is new.
fn sync(criterion: &mut Criterion, homing: &Homing, jobs: u32) {
    criterion.bench_function(&format!("sync/nothing new/{jobs}"), |bencher| {
        bencher.iter(|| homing.sync().expect("a sync"));
    });
    let home = Directories::open(homing.home_path());
    let mut number = u64::from(u32::MAX);
    criterion.bench_function(&format!("sync/one new/{jobs}"), |bencher| {
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                number += 1;
                home.add_finished_job(number);
                let begin = Instant::now();
                homing.sync().expect("a sync");
                total += begin.elapsed();
            }
            total
        });
    });
}

/// What the machine itself needs to start a process, for comparison.
fn spawning(criterion: &mut Criterion) {
    criterion.bench_function("machine/spawn true and wait", |bencher| {
        bencher.iter(|| {
            let mut command = Command::new("true");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().expect("true runs")
        });
    });
}

fn home_with(path: &Path, jobs: u32) -> Homing {
    let homing = OpenOptions::new().home(path).config(Config::default()).open().expect("a home");
    let home = Directories::open(path);
    (0..u64::from(jobs)).for_each(|number| home.add_finished_job(number));
    homing.sync().expect("the jobs are taken in");
    // Old jobs are already durable. Without this, the first measured sync would also write these jobs to disk.
    rustix::fs::sync();
    homing
}

/// The directories of a home, to put jobs into that ran long ago.
struct Directories {
    jobs: Directory,
    inbox: Directory,
    place: RunBy,
}

impl Directories {
    fn open(home: &Path) -> Directories {
        let open = |name: &str| Directory::open(&home.join(name)).expect("a directory of the home");
        Directories {
            jobs: open("jobs"),
            inbox: open("inbox"),
            place: RunBy::this_process().expect("where this runs"),
        }
    }

    fn add_finished_job(&self, number: u64) {
        let mut bytes = [0; 6];
        bytes.copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[..6]);
        let id = JobId::from_random(bytes);
        self.jobs.make_directory(id.as_str()).expect("a job directory");
        let directory = self.jobs.open_job(id).expect("a job directory");
        let started_at_ms = clock::wall_millis();
        let spec = SpecFile {
            schema: SpecFile::schema(),
            id,
            session: format!("chat-{}", number % 100).parse().expect("a session"),
            name: None,
            command: JobCommand::script("cargo test --workspace --all-features").expect("a command"),
            shell: Shell::Bash,
            cwd: "/".into(),
            env_names: Vec::new(),
            created_at_ms: started_at_ms,
            created_uptime_us: number,
            boot_id: self.place.boot_id.clone(),
            launched_from: None,
            timeout_ms: Some(3_600_000),
            grace_ms: 10_000,
            head_bytes: 1 << 20,
            tail_bytes: 4 << 20,
            leftovers: Default::default(),
            // Most of them have no pending follow-up, as in a home that has been used for a long time.
            follow_up: if number.is_multiple_of(1000) {
                Default::default()
            } else {
                homing::FollowUpPolicy::Never
            },
            key: None,
            harness: None,
            sink: None,
            executor: None,
        };
        let record = Record::create(&directory).expect("a record");
        let no_process = ProcessIdentity { pid: 1, start_ticks: 0 };
        let started = StartedRecord {
            main: no_process,
            supervisor: no_process,
            run_by: self.place.clone(),
            started_at_ms,
            output_pipe: 0,
            error_pipe: None,
            group: None,
            decided: None,
            service: None,
            ended: None,
        };
        record.write_started(&started).expect("a record");
        let finished = FinishedRecord::bare(Outcome::Exited { exit_code: 0 }, started_at_ms);
        record.write_finished_unsynced(&finished).expect("a record");
        drop(spec.write(&directory).expect("a spec"));
        notify_change(&self.inbox, id).expect("an inbox entry");
    }
}
