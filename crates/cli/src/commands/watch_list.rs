//! `homing list --watch`: a list that stays on the terminal and is drawn again when a job, a follow-up or the size of the
//! terminal changes. Shows it on the alternate screen, and gives the terminal back however this process is ended.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homing::{Homing, Job, JobState, ListOptions, Listing};
use homing_supervisor::platform::interrupt::{ScreenEvent, on_screen_event};
use homing_supervisor::platform::notifier::Notifier;
use homing_supervisor::platform::wait::{AsWaitSource, is_ready_within, wait};

use crate::exit::Failure;
use crate::local_time::{now, time_of_day};
use crate::render::job_table_text;

/// Shows the alternate screen without a cursor, and cuts lines at its edge (xterm control sequences: private modes 1049,
/// 25 and 7).
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
/// The reverse of [`ENTER`].
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Moves to the first line.
const TOP: &str = "\x1b[H";
/// Clears to the end of the line, and to the end of the screen.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// How often times are drawn again while a job runs, and while none does.
const RUNNING_PAUSE: Duration = Duration::from_secs(1);
const IDLE_PAUSE: Duration = Duration::from_secs(60);

/// The height of a terminal that does not report one, in lines.
const UNKNOWN_HEIGHT: usize = 24;

/// Lines around the table: the title, and the header of the table.
const OTHER_LINES: usize = 3;

/// The terminal. A frame and the sequences that leave the screen never mix.
#[derive(Debug, Default)]
struct Screen {
    is_shown: Mutex<bool>,
}

impl Screen {
    /// Shows or leaves the alternate screen.
    fn show(&self, shown: bool) -> io::Result<()> {
        let mut is_shown = self.is_shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_shown == shown {
            return Ok(());
        }
        *is_shown = shown;
        write_now(if shown { ENTER } else { LEAVE })
    }

    /// Draws a frame, unless the screen was left.
    fn draw(&self, frame: &str) -> io::Result<()> {
        let is_shown = self.is_shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_shown { write_now(frame) } else { Ok(()) }
    }
}

/// Leaves the screen when the command ends by itself.
struct LeaveOnDrop(Arc<Screen>);

impl Drop for LeaveOnDrop {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to leave.
        let _ = self.0.show(false);
    }
}

/// Shows the list until a signal ends this process.
pub(super) fn watch_list(homing: &Homing, options: ListOptions) -> Result<ExitCode, Failure> {
    let screen = Arc::new(Screen::default());
    let resized = Arc::new(Notifier::new().map_err(cannot_watch)?);
    let mut watch = homing.watch_list(options)?;
    let (of_signals, notifier) = (Arc::clone(&screen), Arc::clone(&resized));
    on_screen_event(move |event| {
        // After SIGHUP the terminal is gone, so ignore write errors.
        let _ = match event {
            ScreenEvent::Ended(interrupt) => {
                let _ = of_signals.show(false);
                std::process::exit(interrupt.exit_status());
            }
            ScreenEvent::Resized => Ok(()),
            ScreenEvent::Left => of_signals.show(false),
            ScreenEvent::Entered => of_signals.show(true),
        };
        notifier.notify();
    });
    let _leave = LeaveOnDrop(Arc::clone(&screen));
    screen.show(true)?;
    let mut listing = watch.list()?;
    loop {
        screen.draw(&frame(&listing))?;
        let is_running = listing.jobs.iter().any(|job| matches!(job.state, JobState::Running(_)));
        let pause = if is_running { RUNNING_PAUSE } else { IDLE_PAUSE };
        let sources = [watch.readable(), resized.as_wait_source()];
        wait(&sources, Some(pause)).map_err(cannot_watch)?;
        resized.clear();
        if is_ready_within(watch.readable(), Duration::ZERO).map_err(cannot_watch)? {
            listing = watch.list()?;
        }
    }
}

/// One picture of the list, cut to the height of the terminal.
fn frame(listing: &Listing) -> String {
    let height =
        terminal_size::terminal_size_of(io::stdout()).map_or(UNKNOWN_HEIGHT, |(_, height)| height.0.into());
    let at = now();
    let count = |accepts: fn(&Job) -> bool| listing.jobs.iter().filter(|job| accepts(job)).count();
    let running = count(|job| job.outcome().is_none());
    let shown = listing.jobs.len().min(height.saturating_sub(OTHER_LINES));
    let mut title =
        format!("{}  {running} running, {} finished", time_of_day(at), listing.jobs.len() - running);
    let hidden = listing.jobs.len() - shown;
    if hidden > 0 || listing.has_more {
        let _ = write!(title, ", showing the newest {shown}");
    }
    let mut frame = format!("{TOP}{title}{CLEAR_LINE}\r\n{CLEAR_LINE}");
    if shown > 0 {
        for line in job_table_text(&listing.jobs[..shown], at).lines() {
            let _ = write!(frame, "\r\n{line}{CLEAR_LINE}");
        }
    }
    frame + CLEAR_BELOW
}

/// A limit of the system is reached.
fn cannot_watch(error: io::Error) -> Failure {
    Failure::Refused {
        code: "cannot_watch",
        message: format!("cannot watch for changes: {error}"),
        hint: Some("use homing list without --watch, or homing wait to wait for jobs".to_owned()),
    }
}

fn write_now(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
