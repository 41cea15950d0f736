//! A wake as a message for a thread of Codex: where it is, and who has the thread open.
//!
//! Codex keeps a queued message in its database until it starts a turn with it, and then in the rollout of the thread.
//! homing keeps no record of its own, so a monitor that takes over finds the same answer.

use std::path::{Path, PathBuf};

use super::database::{Waiting, waiting};
use super::holder::{ArgumentsOf, Holder, holder};
use super::rollout::{Found, Rollout};
use crate::harness::paths::Paths;
use crate::harness::preset::QueueTransport;

/// Where a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MessageState {
    /// Nowhere: it was not queued, or was lost.
    Absent,
    /// In the queue.
    Waiting,
    /// In a turn. The model has not answered yet.
    Running,
    /// The model has answered, or the turn has completed.
    Received,
    /// Its turn has ended before the model answered, for this reason.
    Ended(String),
}

/// A wake as a message for one thread.
#[derive(Debug)]
pub(crate) struct QueuedMessage<'a> {
    session: &'a str,
    wake: String,
    lock: PathBuf,
    databases: Vec<PathBuf>,
    /// The rollout, or why it cannot be read.
    rollout: Option<Result<Rollout, String>>,
    rollout_path: Option<PathBuf>,
}

impl<'a> QueuedMessage<'a> {
    /// Finds the files of a thread. `wake` is the id of the wake, which its text contains.
    ///
    /// # Errors
    /// If the directory of Codex is unknown: for people.
    pub(crate) fn find(
        queue: &QueueTransport,
        session: &'a str,
        wake: String,
        text: &str,
        paths: &Paths,
    ) -> Result<QueuedMessage<'a>, String> {
        let lock = paths.resolve(&queue.lock.replace("{session}", session));
        let lock = lock.ok_or("cannot find the directory of Codex: HOME is not set")?;
        let rollout_path = paths.find(&queue.rollout, session).into_iter().next();
        let rollout = rollout_path.as_deref().map(|path| Rollout::open(path, session, text));
        let databases = databases(queue, session, paths);
        Ok(QueuedMessage { session, wake, lock, databases, rollout, rollout_path })
    }

    /// The process that has the thread open.
    pub(crate) fn holder(&self, arguments_of: ArgumentsOf) -> Holder {
        holder(&self.lock, arguments_of)
    }

    /// The rollout of the thread, to watch it.
    pub(crate) fn rollout_path(&self) -> Option<&Path> {
        self.rollout_path.as_deref()
    }

    /// Where the message is now.
    ///
    /// # Errors
    /// If a file of Codex cannot be read, or has another format: for people.
    pub(crate) fn observe(&mut self) -> Result<MessageState, String> {
        // In the order in which the message moves, so that it is not missed.
        let waiting = self.waiting()?.messages.iter().any(|message| message.contains(&self.wake));
        let (found, is_starting) = match &mut self.rollout {
            None => (Found::Nothing, false),
            Some(Ok(rollout)) => (rollout.read()?, rollout.is_starting()),
            Some(Err(reason)) => return Err(reason.clone()),
        };
        Ok(match found {
            Found::Received => MessageState::Received,
            Found::Nothing | Found::Running | Found::Ended(_) if waiting => MessageState::Waiting,
            Found::Running => MessageState::Running,
            // It has left the queue, and is written to the rollout next.
            Found::Nothing | Found::Ended(_) if is_starting => MessageState::Running,
            Found::Ended(reason) => MessageState::Ended(reason),
            Found::Nothing => MessageState::Absent,
        })
    }

    /// How many messages wait for the thread, of whomever.
    ///
    /// # Errors
    /// As [`QueuedMessage::observe`].
    pub(crate) fn count_waiting(&self) -> Result<usize, String> {
        Ok(self.waiting()?.messages.len())
    }

    /// Checks that homing would find the message after it is queued.
    ///
    /// # Errors
    /// The reason why it would not, for people.
    pub(crate) fn check_traceable(&self) -> Result<(), String> {
        match &self.rollout {
            None => Err("cannot find the rollout of the thread".to_owned()),
            Some(Err(reason)) => Err(reason.clone()),
            Some(Ok(rollout)) if !rollout.is_understood() => {
                Err("the rollout of the thread has no turn in a known format".to_owned())
            }
            Some(Ok(_)) if !self.waiting()?.has_database => Err("cannot find the queue of Codex".to_owned()),
            Some(Ok(_)) => Ok(()),
        }
    }

    /// Forgets the turns so far: the message is queued again.
    pub(crate) fn expect_again(&mut self) {
        if let Some(Ok(rollout)) = &mut self.rollout {
            rollout.expect_again();
        }
    }

    fn waiting(&self) -> Result<Waiting, String> {
        waiting(&self.databases, self.session)
    }
}

/// The databases that may contain queued messages of the thread.
fn databases(queue: &QueueTransport, session: &str, paths: &Paths) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        queue.databases.iter().flat_map(|pattern| paths.find(pattern, session)).collect();
    let config = paths.resolve(&queue.config).and_then(|path| std::fs::read_to_string(path).ok());
    let config: Option<toml::Table> = config.and_then(|text| toml::from_str(&text).ok());
    if let Some(folder) = config.as_ref().and_then(|config| config.get("sqlite_home")?.as_str()) {
        let pattern = format!("{}/queue_*.sqlite", folder.trim_end_matches('/'));
        found.extend(paths.find(&pattern, session));
    }
    // Opening something else, such as a FIFO, could block.
    found.retain(|path| path.is_file());
    found.sort();
    found.dedup();
    found
}
