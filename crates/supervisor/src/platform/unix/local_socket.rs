//! A socket in the file system that only processes of this user can connect to (unix(7)), in tokio.

use std::fs::Permissions;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use super::access::Access;
use super::file::FileIdentity;
use super::user;

/// Whether this system has such sockets.
pub const IS_SUPPORTED: bool = true;

/// How old a socket is at least that counts as abandoned. Between its creation and the moment at which its process
/// listens, it looks like one.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// Removes the sockets of this user in a directory whose names begin with `prefix` and on which no process listens any more.
/// Errors are ignored: the sockets are then removed later.
pub fn remove_abandoned(directory: &Path, prefix: &str) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) && is_abandoned(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn is_abandoned(path: &Path) -> bool {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return false };
    let is_old =
        || metadata.modified().is_ok_and(|made| made.elapsed().is_ok_and(|age| age > ABANDONED_AFTER));
    metadata.file_type().is_socket() && is_old() && refuses_connections(path).unwrap_or(false)
}

/// Whether no process listens. Does not wait for a process that accepts no connection now.
fn refuses_connections(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let connected = socket.connect(&SockAddr::unix(path)?);
    Ok(connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

/// A connection.
#[derive(Debug)]
pub struct LocalStream(UnixStream);

impl LocalStream {
    /// Looks at the next byte without reading it. Returns 0 if the other process has closed the connection.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is none yet.
    pub fn peek(&self) -> io::Result<usize> {
        SockRef::from(&self.0).peek(&mut [MaybeUninit::uninit()])
    }

    /// Becomes ready when [`LocalStream::try_read`] may succeed.
    ///
    /// # Errors
    /// If the runtime shuts down.
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(context)
    }

    /// Reads without waiting.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing can be read now, or that of the system.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }

    /// Becomes ready when [`LocalStream::try_write_vectored`] may succeed.
    ///
    /// # Errors
    /// If the runtime shuts down.
    pub fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(context)
    }

    /// Writes without waiting.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing can be written now, or that of the system.
    pub fn try_write_vectored(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }

    /// Says that no more bytes follow.
    ///
    /// # Errors
    /// If the connection is closed already.
    pub fn shutdown_write(&self) -> io::Result<()> {
        SockRef::from(&self.0).shutdown(Shutdown::Write)
    }
}

/// A socket that accepts connections. Its file is removed when it is dropped.
#[derive(Debug)]
pub struct LocalListener {
    listener: UnixListener,
    path: PathBuf,
    identity: FileIdentity,
}

impl LocalListener {
    /// Listens at `path`, in a directory of this user that nobody else can use. Replaces a socket that an earlier process
    /// has left there: only one process at a time may use the path.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] if other users can use the directory; [`io::ErrorKind::AlreadyExists`] if
    /// something else than a socket has this path; [`io::ErrorKind::InvalidInput`] if the path is too long (108 bytes on
    /// Linux, 104 on macOS). Also if the socket cannot be created.
    pub fn bind(path: &Path) -> io::Result<LocalListener> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        let access = Access::of_link(directory)?;
        if !access.is_own() || access.is_shared() {
            let reason = format!("other users can use the directory {}", directory.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.file_type().is_socket() => std::fs::remove_file(path)?,
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(LocalListener { listener, path: path.to_owned(), identity: FileIdentity::of_path(path)? })
    }

    /// Waits for the next connection of a process of this user or of root. Closes connections of other users.
    ///
    /// # Errors
    /// If this process has no descriptor left, or a client is gone before it was accepted.
    pub async fn accept(&self) -> io::Result<LocalStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let peer = stream.peer_cred()?.uid();
            if peer == user::effective_id() || peer == 0 {
                return Ok(LocalStream(stream));
            }
        }
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        // A socket that is left is replaced by the next process. One that replaced this one stays.
        if FileIdentity::of_path(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::DirBuilderExt;

    use tokio::io::AsyncWriteExt;

    use super::*;

    fn private_directory(folder: &Path) -> PathBuf {
        let directory = folder.join("d");
        std::fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
        directory
    }

    #[test]
    fn a_process_of_this_user_connects_and_a_left_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = private_directory(folder.path()).join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = LocalListener::bind(&path).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let mut client = UnixStream::connect(&path).await.unwrap();
            client.write_all(b"x").await.unwrap();
            let accepted = listener.accept().await.unwrap();
            std::future::poll_fn(|context| accepted.poll_read_ready(context)).await.unwrap();
            let mut byte = [0];
            assert_eq!(
                (accepted.peek().unwrap(), accepted.try_read(&mut byte).unwrap(), byte),
                (1, 1, *b"x")
            );
            assert_eq!(accepted.peek().unwrap_err().kind(), io::ErrorKind::WouldBlock);
            drop(client);
            assert_eq!(accepted.peek().unwrap(), 0);
        });
        assert!(!path.exists());
    }

    #[test]
    fn abandoned_sockets_are_removed_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let directory = private_directory(folder.path());
        let old = rustix::fs::Timestamps {
            last_access: rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 },
            last_modification: rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 },
        };
        let make = |name: &str| {
            let path = directory.join(name);
            let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
            if !name.ends_with("young") {
                rustix::fs::utimensat(rustix::fs::CWD, &path, &old, rustix::fs::AtFlags::empty()).unwrap();
            }
            listener
        };
        let _served = make("s.served");
        drop([make("s.left"), make("s.young"), make("other")]);
        std::fs::write(directory.join("s.file"), "").unwrap();
        remove_abandoned(&directory, "s.");
        let names = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["other", "s.file", "s.served", "s.young"]);
    }

    #[test]
    fn a_socket_that_replaced_this_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = private_directory(folder.path()).join("s");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _context = runtime.enter();
        let first = LocalListener::bind(&path).unwrap();
        let second = LocalListener::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_others_can_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let directory = private_directory(folder.path());
        std::fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
        let error = LocalListener::bind(&directory.join("s")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        std::fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
        std::fs::write(directory.join("s"), "mine").unwrap();
        assert_eq!(
            LocalListener::bind(&directory.join("s")).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        let long = directory.join("s".repeat(120));
        assert_eq!(LocalListener::bind(&long).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
