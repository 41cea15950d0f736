//! The state of the view, and how keys and changes of the home change it. Pure: what must be done is returned.

use std::collections::HashSet;

use homing::core::Timestamp;
use homing::{JobId, SessionId};
use ratatui_core::layout::Size;

use super::entry::{Entry, Section};
use super::keys::Key;
use super::layout::{Place, Places};
use super::output_view::OutputView;

/// Longest filter, in characters.
const MAX_FILTER_CHARS: usize = 100;

/// What the driver must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// End the program.
    Quit,
    /// Read the output of a job, and follow it.
    OpenOutput(JobId),
    /// Stop reading the output.
    CloseOutput,
    /// Kill a running job.
    Kill(JobId),
    /// Change the follow-up of a finished job.
    Acknowledge(JobId),
    Retry(JobId),
    Drop(JobId),
    /// Clear the terminal and draw everything.
    Redraw,
}

/// What the home contains, as the list shows it.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub(super) entries: Vec<Entry>,
    /// Whether older jobs that have finished were left out.
    pub(super) has_more: bool,
    /// Number of jobs that a newer program wrote, which are not shown.
    pub(super) unsupported: usize,
}

/// What the keys mean.
#[derive(Debug, Default)]
pub(super) enum Mode {
    /// The list of jobs.
    #[default]
    List,
    /// The list, while a filter is typed.
    Filter,
    /// The help.
    Help,
    /// The output of one job.
    Output(Box<OutputView>),
}

/// A message in the last line, until the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// The state of the view.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// The session whose jobs are shown; `None` for all sessions.
    pub(super) session: Option<SessionId>,
    pub(super) mode: Mode,
    /// The job that is killed if the next key says yes.
    pub(super) asks_to_kill: Option<JobId>,
    pub(super) notice: Option<Notice>,
    pub(super) filter: String,
    pub(super) jobs: Jobs,
    /// The indexes of the jobs that match the filter, in the order of the screen.
    pub(super) shown: Vec<usize>,
    pub(super) selected: Option<JobId>,
    /// The position of the selected job, which the next one gets when the job is no longer shown.
    place: usize,
    /// When the jobs that are watched last wrote output.
    pub(super) last_outputs: Vec<(JobId, Timestamp)>,
    /// Jobs that are being killed.
    pub(super) killing: HashSet<JobId>,
}

impl Model {
    pub(super) fn new(session: Option<SessionId>) -> Model {
        Model { session, ..Model::default() }
    }

    /// Replaces the jobs. The selection stays on its job, also if the job is in another section now.
    pub(super) fn set_jobs(&mut self, jobs: Jobs) {
        self.jobs = jobs;
        // A stable sort: the jobs of a section stay in their order, the newest first.
        self.jobs.entries.sort_by_key(|entry| entry.section);
        self.apply_filter();
    }

    /// The jobs that match the filter, in the order of the screen.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> + Clone {
        self.shown.iter().map(|index| &self.jobs.entries[*index])
    }

    /// The jobs of one section that match the filter.
    pub(super) fn section(&self, section: Section) -> impl Iterator<Item = &Entry> + Clone {
        self.entries().filter(move |entry| entry.section == section)
    }

    /// Number of jobs in a section that match the filter.
    pub(super) fn count(&self, section: Section) -> usize {
        self.section(section).count()
    }

    /// Where the sections stand on a screen of this size.
    pub(super) fn places(&self, size: Size) -> Places {
        let selected = self.selected().and_then(|selected| {
            let mut section = self.section(selected.section);
            Some((selected.section, section.position(|entry| entry.job.id == selected.job.id)?))
        });
        Places::of(Section::ALL.map(|section| self.count(section)), selected, size)
    }

    /// The selected job.
    pub(super) fn selected(&self) -> Option<&Entry> {
        let id = self.selected?;
        self.entries().find(|entry| entry.job.id == id)
    }

    /// The position of the selected job among all that are shown.
    pub(super) fn position(&self) -> Option<usize> {
        let id = self.selected?;
        self.entries().position(|entry| entry.job.id == id)
    }

    /// A job of the list, whether it matches the filter or not.
    pub(super) fn entry(&self, id: JobId) -> Option<&Entry> {
        self.jobs.entries.iter().find(|entry| entry.job.id == id)
    }

    /// Whether a displayed time changes by itself.
    pub(super) fn shows_ages(&self) -> bool {
        match &self.mode {
            Mode::List | Mode::Filter => self.count(Section::Running) > 0,
            Mode::Help => false,
            Mode::Output(view) => self.entry(view.id).is_some_and(|entry| entry.job.outcome().is_none()),
        }
    }

    /// Shows a message until the next key.
    pub(super) fn notify(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), is_error: false });
    }

    /// Shows an error until the next key.
    pub(super) fn report(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), is_error: true });
    }

    /// Handles a key on a terminal of this size.
    pub(super) fn on_key(&mut self, key: Key, size: Size) -> Option<Effect> {
        self.notice = None;
        if key == Key::Redraw {
            return Some(Effect::Redraw);
        }
        if let Some(id) = self.asks_to_kill.take() {
            return (key == Key::Char('y')).then_some(Effect::Kill(id));
        }
        match self.mode {
            Mode::List => self.on_list_key(key, size),
            Mode::Filter => self.on_filter_key(key),
            Mode::Help => {
                // The next key only closes the help.
                if !matches!(key, Key::Pasted(_)) {
                    self.mode = Mode::List;
                }
                None
            }
            Mode::Output(_) => self.on_output_key(key, size),
        }
    }

    fn on_list_key(&mut self, key: Key, size: Size) -> Option<Effect> {
        match key {
            Key::Char('q') => return Some(Effect::Quit),
            Key::Char('?') => self.mode = Mode::Help,
            Key::Char('/') => self.mode = Mode::Filter,
            Key::Escape => self.set_filter(String::new()),
            Key::Up => self.move_by(-1),
            Key::Down => self.move_by(1),
            Key::PageUp => self.move_by(-self.page(size)),
            Key::PageDown => self.move_by(self.page(size)),
            Key::Home => self.select_at(0),
            Key::End => self.select_at(usize::MAX),
            Key::Tab => self.select_section(true),
            Key::BackTab => self.select_section(false),
            Key::Enter => return self.selected.map(Effect::OpenOutput),
            Key::Char(c) => return self.on_action(self.selected?, c),
            Key::Backspace | Key::Pasted(_) | Key::Redraw => {}
        }
        None
    }

    /// A key that acts on a job.
    fn on_action(&mut self, id: JobId, key: char) -> Option<Effect> {
        let entry = self.entry(id)?;
        let (is_finished, what) = (entry.job.outcome().is_some(), entry.described());
        match key {
            'k' if is_finished => self.report(format!("{what} has finished already")),
            'k' if self.killing.contains(&id) => self.notify(format!("{what} is being killed")),
            'k' => self.asks_to_kill = Some(id),
            'a' if is_finished => return Some(Effect::Acknowledge(id)),
            'r' if is_finished => return Some(Effect::Retry(id)),
            'a' | 'r' => self.report(format!("{what} has not finished yet")),
            'd' => return Some(Effect::Drop(id)),
            _ => {}
        }
        None
    }

    fn on_filter_key(&mut self, key: Key) -> Option<Effect> {
        match key {
            Key::Enter => self.mode = Mode::List,
            Key::Escape => {
                self.mode = Mode::List;
                self.set_filter(String::new());
            }
            Key::Backspace => {
                let mut filter = std::mem::take(&mut self.filter);
                filter.pop();
                self.set_filter(filter);
            }
            Key::Up => self.move_by(-1),
            Key::Down => self.move_by(1),
            Key::Char(c) | Key::Pasted(c) if self.filter.chars().count() < MAX_FILTER_CHARS => {
                let filter = format!("{}{c}", self.filter);
                self.set_filter(filter);
            }
            Key::Char(_)
            | Key::Pasted(_)
            | Key::Tab
            | Key::BackTab
            | Key::Home
            | Key::End
            | Key::PageUp
            | Key::PageDown
            | Key::Redraw => {}
        }
        None
    }

    fn on_output_key(&mut self, key: Key, size: Size) -> Option<Effect> {
        let Mode::Output(view) = &mut self.mode else { return None };
        match key {
            Key::Char('q') | Key::Escape | Key::Backspace => {
                self.mode = Mode::List;
                return Some(Effect::CloseOutput);
            }
            Key::Char('?' | '/') | Key::Enter | Key::Tab | Key::BackTab | Key::Pasted(_) | Key::Redraw => {}
            Key::Char(' ') => view.toggle(size),
            Key::Up => view.move_by(-1, size),
            Key::Down => view.move_by(1, size),
            Key::PageUp => view.move_by(-OutputView::page(size), size),
            Key::PageDown => view.move_by(OutputView::page(size), size),
            Key::Home => view.move_to_start(),
            Key::End => view.follow(),
            Key::Char(c) => {
                let id = view.id;
                return self.on_action(id, c);
            }
        }
        None
    }

    /// How far the keys for pages move.
    fn page(&self, size: Size) -> isize {
        let section = self.selected().map(|entry| entry.section);
        let places = self.places(size);
        let rows = places.sections.iter().find(|place| Some(place.section) == section).map_or(1, Place::rows);
        isize::try_from(rows.max(1)).unwrap_or(1)
    }

    fn move_by(&mut self, distance: isize) {
        let position = self.position().unwrap_or(0);
        self.select_at(position.saturating_add_signed(distance));
    }

    fn select_at(&mut self, position: usize) {
        self.place = position.min(self.shown.len().saturating_sub(1));
        let selected = self.entries().nth(self.place).map(|entry| entry.job.id);
        self.selected = selected;
    }

    /// Selects the first job of the next or the previous section that has jobs.
    fn select_section(&mut self, forward: bool) {
        let Some(current) = self.selected().map(|entry| entry.section) else { return };
        let mut firsts: Vec<&Entry> =
            Section::ALL.iter().filter_map(|section| self.section(*section).next()).collect();
        if !forward {
            firsts.reverse();
        }
        let at = firsts.iter().position(|first| first.section == current).unwrap_or(0);
        self.selected = firsts.get((at + 1) % firsts.len().max(1)).map(|first| first.job.id);
        self.place = self.position().unwrap_or(0);
    }

    fn set_filter(&mut self, filter: String) {
        self.filter = filter;
        self.apply_filter();
    }

    /// Finds the jobs that match. A job that is no longer shown gives the selection to the one at its place.
    fn apply_filter(&mut self) {
        let filter = self.filter.trim().to_lowercase();
        let matching = self.jobs.entries.iter().enumerate().filter(|(_, entry)| entry.matches(&filter));
        self.shown = matching.map(|(index, _)| index).collect();
        match self.position() {
            Some(position) => self.place = position,
            None => self.select_at(self.place),
        }
    }
}
