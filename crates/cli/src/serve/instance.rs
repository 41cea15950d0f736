//! One server for each home: a lock, and a file that describes the running server to other processes.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use homing_supervisor::platform::lock::{self, Attempt};
use serde::{Deserialize, Serialize};

use super::directory::Directory;
use crate::exit::Failure;

/// The lock that the server of the home holds.
const LOCK: &str = "lock";

/// Describes the running server.
const DESCRIPTION: &str = "server.json";

/// Beginning of the names of sockets of private servers.
pub(super) const PRIVATE_SOCKET: &str = "sock.";

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a starting server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A server that accepts connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Description {
    /// The address for browsers and hosts; `None` if the server listens only on its socket.
    pub(super) url: Option<String>,
    /// The path of its socket; `None` if it has none.
    pub(super) socket: Option<PathBuf>,
    /// The file with its token.
    pub(super) token_file: PathBuf,
    pub(super) pid: u32,
    pub(super) version: String,
}

/// The right to be the server of a home, until it is dropped.
#[derive(Debug)]
pub(super) struct Instance {
    directory: Directory,
    /// `None` for a private server, of which a home may have several.
    lock: Option<File>,
}

/// Who serves the home.
#[derive(Debug)]
pub(super) enum Claim {
    /// This process.
    Own(Instance),
    /// Another process.
    Other(Description),
}

impl Instance {
    /// Becomes the server of the home, unless another process is.
    ///
    /// # Errors
    /// When the directory cannot be used, or the other process does not accept connections in time.
    pub(super) fn claim(directory: &Directory) -> Result<Claim, Failure> {
        let began = Instant::now();
        let file = directory.lock_file(LOCK)?;
        loop {
            if lock::try_exclusive(&file)? == Attempt::Acquired {
                // Left by a server that was killed.
                directory.remove(DESCRIPTION);
                return Ok(Claim::Own(Instance { directory: directory.clone(), lock: Some(file) }));
            }
            if let Some(description) = running(directory)? {
                return Ok(Claim::Other(description));
            }
            if began.elapsed() > START_TIMEOUT {
                return Err(Failure::Refused {
                    code: "server_not_ready",
                    message: format!("another server starts and is not ready after {START_TIMEOUT:?}"),
                    hint: Some(format!(
                        "see who holds the lock: fuser -v {}",
                        directory.file(LOCK).display()
                    )),
                });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// A server beside others.
    pub(super) fn private(directory: &Directory) -> Instance {
        Instance { directory: directory.clone(), lock: None }
    }

    /// The name of its socket.
    pub(super) fn socket_name(&self) -> String {
        match self.lock {
            Some(_) => "sock".to_owned(),
            None => format!("{PRIVATE_SOCKET}{}", std::process::id()),
        }
    }

    /// Describes this server to other processes: it accepts connections.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn describe(&self, description: &Description) -> Result<(), Failure> {
        if self.lock.is_none() {
            return Ok(());
        }
        let text = serde_json::to_string(description).map_err(std::io::Error::from)?;
        self.directory.replace(DESCRIPTION, &text)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            self.directory.remove(DESCRIPTION);
            lock::unlock(lock);
        }
    }
}

/// The server that holds the lock, if it accepts connections.
fn running(directory: &Directory) -> Result<Option<Description>, Failure> {
    let Some(text) = directory.read(DESCRIPTION)? else { return Ok(None) };
    let Ok(description) = serde_json::from_str::<Description>(&text) else { return Ok(None) };
    // A server that has just begun has not removed the description of a killed one yet.
    let holder = lock::holder(&directory.file(LOCK)).ok().flatten();
    let is_of_holder = holder.is_none_or(|holder| holder.pid == description.pid);
    Ok(is_of_holder.then_some(description))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_serves_and_the_next_one_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let Claim::Own(first) = Instance::claim(&directory).unwrap() else { panic!("nobody serves") };
        let description = Description {
            url: Some("http://127.0.0.1:1".to_owned()),
            socket: None,
            token_file: folder.path().join("serve.token"),
            pid: std::process::id(),
            version: "0".to_owned(),
        };
        first.describe(&description).unwrap();
        match Instance::claim(&directory).unwrap() {
            Claim::Other(other) => assert_eq!(other.url, description.url),
            Claim::Own(_) => panic!("two serve"),
        }
        drop(first);
        assert!(matches!(Instance::claim(&directory).unwrap(), Claim::Own(_)));
    }
}
