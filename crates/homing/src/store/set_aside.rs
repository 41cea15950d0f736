//! Moves foreign files, directories, FIFOs and links from the places where homing keeps its own files. Readers skip
//! such entries; the monitor, `recover` and `doctor --fix` move them.
//! Deletes nothing, and does not touch files that could be homing's own.

use std::io;
use std::path::PathBuf;

use homing_core::{JobId, Shell};
use homing_supervisor::DiskError;
use homing_supervisor::layout::{
    Directory, INBOX, LEDGER, LOCK, OUTPUT_HEAD, OUTPUT_TAIL, RECORD, SPEC, SPEC_NEW,
};
use homing_supervisor::platform::errors::is_link_or_not_directory;

use crate::store::job_store::JobStore;

/// The directory in the home that foreign entries are moved to.
const SET_ASIDE: &str = "set-aside";

/// Files of a job.
const JOB_FILES: [&str; 6] = [SPEC, SPEC_NEW, LOCK, RECORD, OUTPUT_HEAD, OUTPUT_TAIL];

/// Which part of a home is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The home, its inbox, and the names of its jobs.
    Names,
    /// Every job directory too.
    Jobs,
}

/// A foreign file, directory or link in the home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planted {
    /// The directory that contains it.
    folder: Folder,
    name: String,
    /// Its path.
    pub(crate) path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Folder {
    Root,
    Jobs,
    Inbox,
    Job(JobId),
}

impl JobStore {
    /// Finds foreign files in the home. Changes nothing.
    ///
    /// # Errors
    /// When the home cannot be read.
    pub(crate) fn planted(&self, depth: Depth) -> Result<Vec<Planted>, DiskError> {
        let home = &self.home;
        let mut found = Vec::new();
        let mut add = |folder, directory: &Directory, name: String| {
            let path = directory.path().join(&name);
            found.push(Planted { folder, name, path });
        };
        for name in home.root.names()? {
            if is_file_of_the_home(&name) && !home.root.is_regular_file(&name) {
                add(Folder::Root, &home.root, name);
            }
        }
        for name in home.inbox.names()? {
            if name.parse::<JobId>().is_err() || !home.inbox.is_regular_file(&name) {
                add(Folder::Inbox, &home.inbox, name);
            }
        }
        for name in home.jobs.names()? {
            let Ok(id) = name.parse::<JobId>() else {
                add(Folder::Jobs, &home.jobs, name);
                continue;
            };
            match home.jobs.open_job(id) {
                Ok(directory) if depth == Depth::Jobs => {
                    for file in JOB_FILES.into_iter().chain(Shell::ALL.map(Shell::script_name)) {
                        if directory.contains(file) && !directory.is_regular_file(file) {
                            add(Folder::Job(id), &directory, file.to_owned());
                        }
                    }
                }
                Ok(_) => {}
                Err(error) if is_link_or_not_directory(&error.source) => add(Folder::Jobs, &home.jobs, name),
                // It was removed meanwhile, or cannot be opened now.
                Err(_) => {}
            }
        }
        Ok(found)
    }

    /// Moves foreign entries into `set-aside/`. Returns the new path of each.
    ///
    /// # Errors
    /// If an entry cannot be moved. Entries that were moved before stay moved.
    pub(crate) fn set_planted_aside(&self, depth: Depth) -> Result<Vec<(Planted, PathBuf)>, DiskError> {
        let planted = self.planted(depth)?;
        if planted.is_empty() {
            return Ok(Vec::new());
        }
        self.home.root.make_directory(SET_ASIDE)?;
        let aside = self.home.root.open_directory(SET_ASIDE)?;
        let mut moved = Vec::with_capacity(planted.len());
        for entry in planted {
            if let Some(new_path) = self.move_aside(&entry, &aside)? {
                moved.push((entry, new_path));
            }
        }
        Ok(moved)
    }

    /// Moves one entry; `None` if it was removed meanwhile.
    fn move_aside(&self, entry: &Planted, aside: &Directory) -> Result<Option<PathBuf>, DiskError> {
        let home = &self.home;
        let job;
        let (from, prefix) = match entry.folder {
            Folder::Root => (&home.root, String::new()),
            Folder::Jobs => (&home.jobs, "jobs-".to_owned()),
            Folder::Inbox => (&home.inbox, format!("{INBOX}-")),
            Folder::Job(id) => {
                job = home.jobs.open_job(id)?;
                (&job, format!("{id}-"))
            }
        };
        for number in 1.. {
            let name = format!("{prefix}{}.{number}", entry.name);
            match from.handle().rename_without_replacing(&entry.name, aside.handle(), &name) {
                Ok(true) => return Ok(Some(aside.path().join(name))),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(from.error("set aside", &entry.name, error)),
            }
        }
        unreachable!("there is always a greater number")
    }
}

/// Whether homing creates a file of that name in the home itself.
fn is_file_of_the_home(name: &str) -> bool {
    let of_the_ledger = name.strip_prefix(LEDGER).is_some_and(|rest| matches!(rest, "" | "-wal" | "-shm"));
    let is_lock = name.ends_with(".lock");
    of_the_ledger || is_lock || matches!(name, "ledger.highest" | "monitor.log")
}
