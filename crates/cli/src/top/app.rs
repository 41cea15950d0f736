//! The loop of `homing top`: waits for keys, signals, changes of the home and output in one wait, and draws.

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use homing::{Error, Homing, JobId, KilledBy, Killing, Origin, SessionId, WaitSource};
use homing_supervisor::crash_point;
use homing_supervisor::platform::wait::{is_ready_within, wait};

use super::entry::Section;
use super::feed::Feed;
use super::keys::{Key, KeyReader};
use super::last_outputs::LastOutputs;
use super::model::{Effect, Mode, Model};
use super::output_feed::OutputFeed;
use super::painter::Painter;
use super::screen::{Screen, TakenScreen};
use super::view::draw;
use crate::exit::{CALLER_GONE, Failure};
use crate::local_time::now;
use crate::render::{shows_colors, summary};

/// How often ages are drawn again while a job runs.
const AGE_PAUSE: Duration = Duration::from_secs(1);

/// The shortest pause between two reads of the jobs or of the output, and how much longer than a read a pause is.
const READ_PAUSE: Duration = Duration::from_millis(50);
const READ_SHARE: u32 = 3;

/// The shortest pause between two looks at the output of jobs in the list.
const LAST_OUTPUT_PAUSE: Duration = Duration::from_secs(1);

/// How long a control sequence of a key may take to arrive.
const KEY_PAUSE: Duration = Duration::from_millis(30);

/// How long after an error the jobs are read again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// How often a source is asked that the system does not watch.
const ASK_PAUSE: Duration = Duration::from_millis(100);

/// Shows the jobs of a session, or of all, until the user quits.
///
/// # Errors
/// If the home cannot be read, or no watch is left.
pub(crate) fn run(homing: &Homing, session: Option<SessionId>) -> Result<ExitCode, Failure> {
    let mut app = App::new(homing, session)?;
    let screen = Screen::open().and_then(Screen::take).map_err(no_terminal)?;
    let ended = app.run(&screen);
    drop(screen);
    match ended {
        Ok(End::Quit) => Ok(ExitCode::SUCCESS),
        Ok(End::TerminalClosed) => Ok(ExitCode::from(CALLER_GONE)),
        Err(failure) => Err(failure),
    }
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Quit,
    TerminalClosed,
}

/// A time before which a source is not looked at again, so that a busy home does not keep this process busy.
#[derive(Debug, Default)]
struct Pause {
    until: Option<Instant>,
}

impl Pause {
    fn begin(&mut self, pause: Duration) {
        self.until = Instant::now().checked_add(pause);
    }

    /// The rest of the pause; `None` if it is over.
    fn left(&self) -> Option<Duration> {
        let left = self.until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

/// What a wait waits for.
#[derive(Default)]
struct Waits<'a> {
    sources: Vec<WaitSource<'a>>,
    timeout: Option<Duration>,
}

impl<'a> Waits<'a> {
    /// At most so long.
    fn within(&mut self, timeout: Duration) {
        self.timeout = Some(self.timeout.map_or(timeout, |before| before.min(timeout)));
    }

    /// For a source, or for the end of the pause in which it is not looked at.
    fn add(&mut self, source: WaitSource<'a>, pause: &Pause) {
        match pause.left() {
            Some(left) => self.within(left),
            None => self.sources.push(source),
        }
    }
}

/// The view and what it reads from.
struct App {
    homing: Homing,
    /// The session of this process, if it has one: it is not notified of jobs that it kills.
    caller: Option<SessionId>,
    model: Model,
    feed: Feed,
    feed_pause: Pause,
    /// Whether the last read failed, so that the jobs must be read although nothing changes.
    feed_has_failed: bool,
    /// `None` if the system has no watcher left: then the times are not shown.
    last_outputs: Option<LastOutputs>,
    last_outputs_pause: Pause,
    output: Option<OutputFeed>,
    output_pause: Pause,
    /// Whether the output has more to read.
    has_more_output: bool,
    killings: Vec<(JobId, Killing)>,
    keys: KeyReader,
    /// Until the rest of a control sequence has arrived.
    key_pause: Pause,
}

impl App {
    fn new(homing: &Homing, session: Option<SessionId>) -> Result<App, Failure> {
        let mut app = App {
            homing: homing.clone(),
            caller: Origin::named(None)?.map(|origin| origin.session),
            feed: Feed::new(homing, session.clone())?,
            model: Model::new(session),
            feed_pause: Pause::default(),
            feed_has_failed: false,
            last_outputs: LastOutputs::new(homing).ok(),
            last_outputs_pause: Pause::default(),
            output: None,
            output_pause: Pause::default(),
            has_more_output: false,
            killings: Vec::new(),
            keys: KeyReader::default(),
            key_pause: Pause::default(),
        };
        if let Some(jobs) = app.feed.read()? {
            app.model.set_jobs(jobs);
        }
        Ok(app)
    }

    fn run(&mut self, screen: &TakenScreen) -> Result<End, Failure> {
        let mut painter = Painter::new(shows_colors());
        loop {
            self.watch_last_outputs(screen);
            if screen.take_unknown() {
                painter.forget();
            }
            let frame = painter.paint(screen.size(), |buffer| draw(&self.model, now(), buffer));
            crash_point("top/draw");
            if screen.draw(&frame).is_err() {
                return Ok(End::TerminalClosed);
            }
            self.wait(screen).map_err(cannot_watch)?;
            screen.clear_changed();
            if let Some(end) = self.handle_keys(screen, &mut painter)? {
                return Ok(end);
            }
            self.handle_changes()?;
        }
    }

    /// Waits for everything that can change what is shown.
    fn wait(&self, screen: &TakenScreen) -> io::Result<()> {
        let mut waits = Waits { sources: vec![screen.keys(), screen.changed()], timeout: None };
        waits.add(self.feed.readable(), &self.feed_pause);
        if self.feed_has_failed {
            waits.within(self.feed_pause.left().unwrap_or_default());
        }
        for (_, killing) in &self.killings {
            match killing.readable() {
                Some(source) => waits.sources.push(source),
                None => waits.within(ASK_PAUSE),
            }
        }
        if let Some(output) = self.output.as_ref().filter(|_| self.follows_output()) {
            match output.readable() {
                _ if self.has_more_output => waits.within(self.output_pause.left().unwrap_or_default()),
                Some(source) => waits.add(source, &self.output_pause),
                None => waits.within(ASK_PAUSE),
            }
        }
        if let Some(last_outputs) = &self.last_outputs {
            waits.add(last_outputs.readable(), &self.last_outputs_pause);
        }
        if self.model.shows_ages() {
            waits.within(AGE_PAUSE);
        }
        if self.keys.is_incomplete() {
            waits.within(self.key_pause.left().unwrap_or_default());
        }
        wait(&waits.sources, waits.timeout).map(drop)
    }

    /// Handles the keys that were pressed.
    fn handle_keys(&mut self, screen: &TakenScreen, painter: &mut Painter) -> Result<Option<End>, Failure> {
        let mut pressed = Vec::new();
        if is_ready(screen.keys()).map_err(cannot_watch)? {
            let mut bytes = Vec::new();
            match screen.read_keys(&mut bytes) {
                Ok(true) => pressed = self.keys.push(&bytes),
                Ok(false) | Err(_) => return Ok(Some(End::TerminalClosed)),
            }
            self.key_pause.begin(KEY_PAUSE);
        } else if self.keys.is_incomplete() && self.key_pause.left().is_none() {
            pressed.extend(self.keys.end());
        }
        for key in pressed {
            if self.handle_key(key, screen, painter) {
                return Ok(Some(End::Quit));
            }
        }
        Ok(None)
    }

    /// Handles one key. Returns whether to quit.
    fn handle_key(&mut self, key: Key, screen: &TakenScreen, painter: &mut Painter) -> bool {
        match self.model.on_key(key, screen.size()) {
            None => {}
            Some(Effect::Quit) => return true,
            Some(Effect::Redraw) => painter.forget(),
            Some(Effect::OpenOutput(id)) => self.open_output(id),
            Some(Effect::CloseOutput) => self.output = None,
            Some(Effect::Kill(id)) => self.kill(id),
            Some(Effect::Acknowledge(id)) => self.change(id, "acknowledged", Homing::acknowledge),
            Some(Effect::Retry(id)) => self.change(id, "to be delivered again", Homing::retry),
            Some(Effect::Drop(id)) => self.change(id, "dropped", Homing::drop_follow_ups),
        }
        false
    }

    /// Reads what has changed.
    fn handle_changes(&mut self) -> Result<(), Failure> {
        if self.feed_pause.left().is_none()
            && (self.feed_has_failed || is_ready(self.feed.readable()).map_err(cannot_watch)?)
        {
            self.read_jobs()?;
        }
        self.step_killings();
        if self.output_pause.left().is_none() && self.follows_output() && self.has_output()? {
            self.read_output();
        }
        if let Some(last_outputs) = &mut self.last_outputs
            && self.last_outputs_pause.left().is_none()
            && is_ready(last_outputs.readable()).map_err(cannot_watch)?
        {
            last_outputs.update();
            self.model.last_outputs = last_outputs.times();
            self.last_outputs_pause.begin(LAST_OUTPUT_PAUSE);
        }
        Ok(())
    }

    fn read_jobs(&mut self) -> Result<(), Failure> {
        let begin = Instant::now();
        let read = self.feed.read();
        self.feed_has_failed = read.is_err();
        let pause = if self.feed_has_failed { RETRY_PAUSE } else { READ_PAUSE };
        match read {
            Ok(Some(jobs)) => self.model.set_jobs(jobs),
            Ok(None) => {}
            // The open home never comes back.
            Err(error @ Error::HomeReplaced { .. }) => return Err(error.into()),
            // Another program may use the ledger for long.
            Err(error) => self.model.report(error.to_string()),
        }
        self.feed_pause.begin(pause.max(begin.elapsed() * READ_SHARE));
        Ok(())
    }

    /// Watches the output of the running jobs that are on the screen.
    fn watch_last_outputs(&mut self, screen: &TakenScreen) {
        let Some(last_outputs) = &mut self.last_outputs else { return };
        let visible: Vec<JobId> = match self.model.mode {
            Mode::List | Mode::Filter => self
                .model
                .places(screen.size())
                .sections
                .into_iter()
                .filter(|place| place.section == Section::Running)
                .flat_map(|place| {
                    let running = self.model.section(Section::Running);
                    running
                        .skip(place.shown.start)
                        .take(place.rows())
                        .map(|entry| entry.job.id)
                        .collect::<Vec<_>>()
                })
                .collect(),
            Mode::Help | Mode::Output(_) => Vec::new(),
        };
        last_outputs.watch(&visible);
        self.model.last_outputs = last_outputs.times();
    }

    fn follows_output(&self) -> bool {
        matches!(&self.model.mode, Mode::Output(view) if view.is_followed() && !view.is_complete)
    }

    /// Whether there may be output to read.
    fn has_output(&self) -> Result<bool, Failure> {
        match self.output.as_ref().and_then(OutputFeed::readable) {
            Some(source) if !self.has_more_output => is_ready(source).map_err(cannot_watch),
            Some(_) | None => Ok(true),
        }
    }

    fn open_output(&mut self, id: JobId) {
        match OutputFeed::open(&self.homing, id) {
            Ok((output, view)) => {
                self.output = Some(output);
                self.model.mode = Mode::Output(Box::new(view));
                self.read_output();
            }
            Err(error) => self.model.report(error.to_string()),
        }
    }

    fn read_output(&mut self) {
        let (Some(output), Mode::Output(view)) = (&mut self.output, &mut self.model.mode) else { return };
        match output.step(view) {
            Ok(has_more) => self.has_more_output = has_more,
            Err(error) => {
                // The last part stays on the screen.
                view.is_complete = true;
                self.model.report(error.to_string());
            }
        }
        self.output_pause.begin(READ_PAUSE);
    }

    /// Asks a job to end. The list shows when it has.
    fn kill(&mut self, id: JobId) {
        let Some(entry) = self.model.entry(id) else { return };
        let by = self.caller.as_ref().map_or(KilledBy::Operator, |caller| entry.job.killer(caller));
        self.killings.push((id, self.homing.begin_killing(&[(id, by)])));
        self.model.killing.insert(id);
        self.step_killings();
    }

    fn step_killings(&mut self) {
        let (homing, model) = (&self.homing, &mut self.model);
        self.killings.retain_mut(|(id, killing)| {
            let ended = match homing.has_killed(killing) {
                Ok(false) => return true,
                Ok(true) => homing.get(*id),
                Err(error) => Err(error),
            };
            model.killing.remove(id);
            match ended {
                Ok(job) => model.notify(summary(&job)),
                Err(error) => model.report(error.to_string()),
            }
            false
        });
    }

    /// Changes the follow-up of a job.
    fn change(
        &mut self,
        id: JobId,
        done: &str,
        apply: impl FnOnce(&Homing, &[JobId]) -> homing::Result<Vec<homing::Job>>,
    ) {
        match apply(&self.homing, &[id]) {
            Ok(_) => self.model.notify(format!("The result of {id} is {done}.")),
            Err(error) => self.model.report(error.to_string()),
        }
    }
}

fn is_ready(source: WaitSource<'_>) -> io::Result<bool> {
    is_ready_within(source, Duration::ZERO)
}

/// The terminal cannot be used.
fn no_terminal(error: io::Error) -> Failure {
    Failure::Refused {
        code: "terminal_unusable",
        message: format!("cannot use the terminal: {error}"),
        hint: Some("use homing list --watch, which needs no keys".to_owned()),
    }
}

/// A limit of the system is reached.
fn cannot_watch(error: io::Error) -> Failure {
    Failure::Refused {
        code: "cannot_watch",
        message: format!("cannot watch for changes: {error}"),
        hint: Some("use homing list, or homing wait to wait for jobs".to_owned()),
    }
}
