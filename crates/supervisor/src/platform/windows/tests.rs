//! What is special to files and locks on Windows. `tests/platform.rs` checks what all systems have in common.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::windows::fs::{OpenOptionsExt, symlink_dir, symlink_file};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::access::{private_directory, secret};
use super::dir::{Directory, EntryKind};
use super::file::{self, FileIdentity, read_at};
use super::file_id::FileId;
use super::lock::{self, Attempt};
use super::{errors, file_system};

/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// The directory in which the second process of a test locks.
const LOCK_VARIABLE: &str = "HOMING_TEST_LOCK";

fn folder() -> (tempfile::TempDir, Directory) {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = Directory::open(folder.path()).expect("it opens");
    (folder, directory)
}

/// Wine replaces no open file, keeps the old name of a directory that is renamed, and has no symbolic links.
fn is_wine() -> bool {
    Path::new(r"C:\windows\system32\winecfg.exe").exists()
}

#[test]
fn clones_of_a_directory_share_its_lock() {
    let (_folder, directory) = folder();
    directory.make_directory("a").unwrap();
    let open = || directory.open_directory("a".as_ref()).unwrap();
    let (first, other) = (open(), open());
    let clone = first.try_clone().unwrap();
    assert_eq!(lock::try_exclusive(&clone).unwrap(), Attempt::Acquired);
    assert_eq!(lock::try_exclusive(&first).unwrap(), Attempt::Acquired);
    assert_eq!(lock::try_exclusive(&other).unwrap(), Attempt::HeldByAnother);
    drop(first);
    let error = lock::exclusive_within(&other, Duration::from_millis(5)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    lock::unlock(&clone);
    assert_eq!(lock::try_exclusive(&other).unwrap(), Attempt::Acquired);
    assert_eq!(lock::try_exclusive(&clone).unwrap(), Attempt::HeldByAnother);
    drop(other);
    lock::exclusive(&clone).unwrap();
    assert_eq!(lock::try_shared(&clone).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn lock_of_a_directory_follows_a_rename() {
    let (_folder, directory) = folder();
    directory.make_directory("a").unwrap();
    let locked = directory.open_directory("a".as_ref()).unwrap();
    assert_eq!(lock::try_exclusive(&locked).unwrap(), Attempt::Acquired);
    assert!(directory.rename_directory("a", &directory, "b").unwrap());
    let renamed = directory.open_directory("b".as_ref()).unwrap();
    assert_eq!(lock::try_exclusive(&renamed).unwrap(), Attempt::HeldByAnother);
    drop(locked);
    assert_eq!(lock::try_exclusive(&renamed).unwrap(), Attempt::Acquired);
}

/// Not a test of its own: the second process of the next one.
#[test]
fn second_process_locks_and_waits() {
    let Some(path) = std::env::var_os(LOCK_VARIABLE) else { return };
    let directory = Directory::open(path.as_ref()).unwrap();
    let file = directory.open_or_create("lock").unwrap();
    lock::exclusive(&file).unwrap();
    lock::exclusive(&directory).unwrap();
    directory.create("ready").unwrap();
    std::thread::sleep(LONG);
}

#[test]
fn locks_of_a_killed_process_are_released() {
    let (folder, directory) = folder();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .arg("second_process_locks_and_waits")
        .env(LOCK_VARIABLE, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while directory.kind_of("ready").is_err() {
        assert!(begun.elapsed() < LONG, "the other process has not locked");
        std::thread::sleep(Duration::from_millis(5));
    }
    let file = directory.open_to_update("lock").unwrap();
    assert_eq!(lock::try_shared(&file).unwrap(), Attempt::HeldByAnother);
    assert_eq!(lock::try_exclusive(&directory).unwrap(), Attempt::HeldByAnother);
    process.kill().unwrap();
    process.wait().unwrap();
    lock::exclusive_within(&file, LONG).unwrap();
    lock::exclusive_within(&directory, LONG).unwrap();
}

#[test]
fn removed_file_is_missing_while_it_is_open() {
    let (folder, directory) = folder();
    directory.create("a").unwrap().write_all(b"old").unwrap();
    let reader = directory.open_to_read("a").unwrap();
    directory.remove_file("a".as_ref()).unwrap();
    assert_eq!(directory.open_to_read("a").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(directory.kind_of("a").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(file::open_to_read(&folder.path().join("a")).unwrap_err().kind(), ErrorKind::NotFound);
    let mut bytes = [0; 8];
    assert_eq!(read_at(&reader, &mut bytes, 0).unwrap(), 3);
    directory.create("a").unwrap();
}

#[test]
fn open_file_is_replaced() {
    let (_folder, directory) = folder();
    directory.create("old").unwrap().write_all(b"old").unwrap();
    directory.create("new").unwrap().write_all(b"newer").unwrap();
    let old = directory.open_to_read("old").unwrap();
    match directory.rename("new", &directory, "old") {
        Err(error) if is_wine() && errors::is_access_denied(&error) => return,
        renamed => renamed.unwrap(),
    }
    let mut bytes = [0; 8];
    assert_eq!(read_at(&old, &mut bytes, 0).unwrap(), 3);
    assert_eq!(read_at(&directory.open_to_read("old").unwrap(), &mut bytes, 0).unwrap(), 5);
}

#[test]
fn file_that_another_program_does_not_share_is_in_use() {
    let (folder, directory) = folder();
    directory.create("a").unwrap();
    let path = folder.path().join("a");
    let holder = OpenOptions::new().read(true).share_mode(0).open(&path).unwrap();
    assert!(errors::is_in_use(&directory.remove_file("a".as_ref()).unwrap_err()));
    let releasing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        drop(holder);
    });
    directory.remove_file("a".as_ref()).unwrap();
    releasing.join().unwrap();
}

#[test]
fn errors_have_the_kinds_of_other_systems() {
    let (folder, directory) = folder();
    directory.create("file").unwrap();
    directory.make_directory("dir").unwrap();
    directory.open_directory("dir".as_ref()).unwrap().create("x").unwrap();
    use ErrorKind::{DirectoryNotEmpty, InvalidInput, NotADirectory, NotFound, Unsupported};
    let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(directory.remove_directory("dir")), DirectoryNotEmpty);
    assert_eq!(kind(directory.remove_directory("missing")), NotFound);
    assert_eq!(kind(directory.remove_directory("file")), NotADirectory);
    assert_eq!(kind(directory.remove_file("dir".as_ref())), InvalidInput);
    assert_eq!(kind(directory.open_to_read("dir").map(drop)), InvalidInput);
    assert_eq!(kind(directory.open_directory("missing".as_ref()).map(drop)), NotFound);
    let error = directory.open_directory("file".as_ref()).unwrap_err();
    assert!(error.kind() == NotADirectory && errors::is_link_or_not_directory(&error));
    assert_eq!(kind(directory.rename("missing", &directory, "x")), NotFound);
    for name in ["nul", "dir/x", r"..\x", "a:b", "dot."] {
        assert_eq!(kind(directory.create(name).map(drop)), InvalidInput);
    }
    assert_eq!(kind(Directory::open(&folder.path().join(r"missing\x")).map(drop)), NotFound);
    assert_eq!(kind(Directory::open(&folder.path().join("file")).map(drop)), NotADirectory);
    assert!(!directory.make_directory("file").unwrap());
    assert_eq!(kind(directory.exchange("dir", &directory, "file")), Unsupported);
}

#[test]
fn moved_directory_replaces_an_empty_one() {
    let (_folder, directory) = folder();
    for name in ["full", "empty"] {
        directory.make_directory(name).unwrap();
    }
    directory.open_directory("full".as_ref()).unwrap().create("x").unwrap();
    assert!(!directory.rename_directory("empty", &directory, "full").unwrap());
    assert!(directory.rename_directory("full", &directory, "empty").unwrap());
    assert_eq!(directory.entries().unwrap(), [("empty".to_owned(), Some(EntryKind::Directory))]);
}

#[test]
fn links_are_not_followed() {
    let (folder, directory) = folder();
    directory.create("file").unwrap();
    directory.make_directory("dir").unwrap();
    let [file_link, dir_link] = ["file link", "dir link"].map(|name| folder.path().join(name));
    // Needs the developer mode or an administrator.
    if is_wine() || symlink_file("file", &file_link).and_then(|()| symlink_dir("dir", &dir_link)).is_err() {
        return;
    }
    assert!(errors::is_link(&directory.open_to_read("file link").unwrap_err()));
    assert!(errors::is_link(&directory.open_or_create("file link").unwrap_err()));
    assert!(errors::is_link(&directory.open_any("dir link".as_ref()).unwrap_err()));
    assert!(errors::is_link_or_not_directory(&directory.open_directory("dir link".as_ref()).unwrap_err()));
    assert_eq!(directory.kind_of("dir link").unwrap(), EntryKind::Other);
    assert_ne!(FileId::of_path(&dir_link), FileId::of_resolved_path(&dir_link));
    assert!(file::open_regular(&file_link).unwrap().is_some());
    directory.remove_file("dir link".as_ref()).unwrap();
    directory.remove_file("file link".as_ref()).unwrap();
    assert_eq!(directory.entries().unwrap().len(), 2);
}

#[test]
fn pinned_directory_stays_where_it_is() {
    let (_folder, directory) = folder();
    directory.make_directory("a").unwrap();
    let job = directory.open_directory("a".as_ref()).unwrap();
    let pin = job.pin().unwrap();
    assert!(errors::is_in_use(&directory.rename("a", &directory, "b").unwrap_err()));
    assert!(errors::is_in_use(&directory.remove_directory("a").unwrap_err()));
    job.create("x").unwrap();
    job.rename("x", &job, "y").unwrap();
    job.remove_file("y".as_ref()).unwrap();
    drop(pin);
    directory.rename("a", &directory, "b").unwrap();
}

#[test]
fn long_paths_can_be_used() {
    let (folder, _directory) = folder();
    let path: PathBuf =
        [folder.path().to_owned()].into_iter().chain((0..6).map(|_| "x".repeat(60).into())).collect();
    assert!(path.as_os_str().len() > 300);
    file::make_private_directories(&path).unwrap();
    file::create_private(&path.join("a")).unwrap();
    let directory = Directory::open(&path).unwrap();
    assert_eq!(directory.entries().unwrap(), [("a".to_owned(), Some(EntryKind::File))]);
    assert!(file::open_regular(&path.join("a")).unwrap().is_some());
    assert_eq!(FileId::of_entry(&directory, "a"), FileId::of_path(&path.join("a")));
    let verbatim = PathBuf::from(format!(r"\\?\{}", path.display()));
    assert_eq!(FileIdentity::of_path(&verbatim).unwrap(), directory.identity().unwrap());
    let made = verbatim.join("more").join("y");
    file::make_private_directories(&made).unwrap();
    assert_eq!(private_directory(Directory::open(&made).unwrap(), &made).unwrap(), None);
}

#[test]
fn every_entry_is_listed_once() {
    const COUNT: usize = 400;
    let (_folder, directory) = folder();
    for index in 0..COUNT {
        directory
            .create(&format!("{}-{index}", "a long name, so that one buffer is too small".repeat(2)))
            .unwrap();
    }
    // Each list begins at the first entry.
    for _ in 0..2 {
        let mut names: Vec<String> = directory.entries().unwrap().into_iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), COUNT);
    }
}

#[test]
fn reserving_never_cuts_a_file() {
    let (_folder, directory) = folder();
    let mut file = directory.create("a").unwrap();
    file.write_all(b"0123456789").unwrap();
    file::reserve(&file, 4).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 10);
    file::reserve(&file, 4096).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 4096);
    let mut bytes = [1; 12];
    assert_eq!(read_at(&file, &mut bytes, 0).unwrap(), 12);
    assert_eq!(&bytes, b"0123456789\0\0");
}

#[test]
fn announced_write_is_in_the_file() {
    let (folder, directory) = folder();
    let entry = directory.open_or_create("0123456789ab").unwrap();
    file::announce_write(&entry).unwrap();
    assert_eq!(entry.metadata().unwrap().len(), 1);
    assert_eq!(secret(directory.open_to_read("0123456789ab").unwrap(), folder.path()).unwrap(), None);
    assert!(!file_system::is_on_network(&entry));
}
