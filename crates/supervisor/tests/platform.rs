//! The contract of the platform modules: what every system must offer. Uses nothing else, so that the same tests run
//! on each system.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use homing_supervisor::platform::access::{Access, private_directory, secret, trusted, trusted_link};
use homing_supervisor::platform::dir::{Directory, EntryKind};
use homing_supervisor::platform::file::{FileIdentity, open_null, read_at, reserve, write_at};
use homing_supervisor::platform::file_id::FileId;
use homing_supervisor::platform::file_system::FreeSpace;
use homing_supervisor::platform::lock::{self, Attempt};
use homing_supervisor::platform::notifier::{Notifier, Timer};
use homing_supervisor::platform::notify::{ChangeEvent, ChangeKinds, ChangeWatcher, WatchId};
use homing_supervisor::platform::pipe::{PipeContent, nonblocking_pipe, pipe};
use homing_supervisor::platform::prefork::prefork;
use homing_supervisor::platform::process::{ProcessGroup, ProcessHandle, Signal};
use homing_supervisor::platform::wait::{AsWaitSource, WaitEnd, WaitGroup, is_ready_within, wait};
use homing_supervisor::platform::{ProcessIdentity, clock, errors, file, limits, random, spawn};

/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

fn folder() -> (tempfile::TempDir, Directory) {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = Directory::open(folder.path()).expect("it opens");
    (folder, directory)
}

/// A program that runs until its standard input is closed.
fn waiting_program() -> Command {
    let mut command = Command::new(if cfg!(windows) { "cmd.exe" } else { "cat" });
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command
}

#[cfg(feature = "terminal")]
#[test]
fn a_keyboard_needs_a_terminal() {
    use std::io::IsTerminal;

    use homing_supervisor::platform::keyboard::Keyboard;
    assert!(io::stdin().is_terminal() || Keyboard::open().is_err());
}

#[test]
fn lock_excludes_other_handles_until_it_is_released() {
    let (_folder, directory) = folder();
    let first = directory.open_or_create("lock").unwrap();
    let second = directory.open_or_create("lock").unwrap();
    assert_eq!(lock::try_exclusive(&first).unwrap(), Attempt::Acquired);
    assert_eq!(lock::try_exclusive(&second).unwrap(), Attempt::HeldByAnother);
    assert_eq!(lock::try_shared(&second).unwrap(), Attempt::HeldByAnother);
    let error = lock::exclusive_within(&second, Duration::from_millis(5)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    lock::unlock(&first);
    lock::exclusive_within(&second, LONG).unwrap();
    lock::unlock(&second);
    assert_eq!(lock::try_shared(&first).unwrap(), Attempt::Acquired);
    assert_eq!(lock::try_shared(&second).unwrap(), Attempt::Acquired);
}

#[test]
fn holder_of_a_lock_is_found_without_disturbing_it() {
    let (folder, _directory) = folder();
    let path = folder.path().join("lock");
    assert_eq!(lock::holder(&path).expect("a missing file is not locked"), None);
    let file = fs::File::create(&path).expect("a file");
    assert_eq!(lock::holder(&path).expect("locks are listed"), None);
    lock::exclusive(&file).expect("it is locked");
    // Windows does not tell who holds a lock.
    let known = ProcessIdentity::of_this_process().filter(|_| !cfg!(windows));
    assert_eq!(lock::holder(&path).expect("locks are listed"), known);
    lock::unlock(&file);
    assert_eq!(lock::holder(&path).expect("locks are listed"), None);
    assert_eq!(lock::try_shared(&file).expect("it is locked"), Attempt::Acquired);
    assert_eq!(lock::holder(&path).expect("locks are listed"), None, "a shared lock excludes no reader");
}

#[test]
fn waiting_lock_is_acquired_when_the_other_handle_is_closed() {
    let (_folder, directory) = folder();
    let first = directory.open_or_create("lock").unwrap();
    let second = directory.open_or_create("lock").unwrap();
    lock::exclusive(&first).unwrap();
    let (sender, acquired) = channel();
    let waiting = std::thread::spawn(move || {
        lock::exclusive(&second).unwrap();
        sender.send(()).unwrap();
    });
    assert!(acquired.try_recv().is_err());
    drop(first);
    acquired.recv_timeout(LONG).expect("the lock is released");
    waiting.join().unwrap();
}

#[test]
fn lock_does_not_restrict_reading_and_writing() {
    let (_folder, directory) = folder();
    let writer = directory.create("record").unwrap();
    let reader = directory.open_to_read("record").unwrap();
    lock::shared(&reader).unwrap();
    write_at(&writer, b"outcome", 3).unwrap();
    let mut bytes = [0; 16];
    assert_eq!(read_at(&reader, &mut bytes, 3).unwrap(), 7);
    assert_eq!(&bytes[..7], b"outcome");
}

#[test]
fn directory_creates_files_once_and_lists_them() {
    let (_folder, directory) = folder();
    directory.create("a").unwrap();
    assert_eq!(directory.create("a").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert!(directory.make_directory("b").unwrap());
    assert!(!directory.make_directory("b").unwrap());
    assert_eq!(directory.open_to_read("c").unwrap_err().kind(), io::ErrorKind::NotFound);
    let mut entries = directory.entries().unwrap();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(directory.kind_of("a").unwrap(), EntryKind::File);
    assert_eq!(directory.kind_of("b").unwrap(), EntryKind::Directory);
    directory.remove_file("a".as_ref()).unwrap();
    directory.remove_directory("b").unwrap();
    assert_eq!(directory.kind_of("a").unwrap_err().kind(), io::ErrorKind::NotFound);
    directory.sync().unwrap();
}

#[test]
fn directory_in_place_of_a_file_is_not_opened() {
    let (_folder, directory) = folder();
    directory.make_directory("record").unwrap();
    assert!(directory.open_to_read("record").is_err());
    assert!(directory.open_to_update("record").is_err());
    assert!(directory.open_or_create("record").is_err());
}

#[test]
fn renaming_replaces_files_and_never_directories_in_use() {
    let (_folder, directory) = folder();
    for name in ["stage", "jobs"] {
        directory.make_directory(name).unwrap();
    }
    let [stage, jobs] = ["stage", "jobs"].map(|name| directory.open_directory(name.as_ref()).unwrap());
    directory.create("new").unwrap().write_all(b"new").unwrap();
    directory.create("old").unwrap();
    assert!(directory.rename_without_replacing("new", &stage, "file").unwrap());
    assert!(!directory.rename_without_replacing("old", &stage, "file").unwrap());
    stage.rename("file", &directory, "old").unwrap();
    let mut bytes = [0; 8];
    assert_eq!(read_at(&directory.open_to_read("old").unwrap(), &mut bytes, 0).unwrap(), 3);
    for owner in [&stage, &jobs] {
        owner.make_directory("job").unwrap();
        owner.open_directory("job".as_ref()).unwrap().create("spec").unwrap();
    }
    assert!(!stage.rename_directory("job", &jobs, "job").unwrap());
    assert!(stage.rename_directory("job", &jobs, "another").unwrap());
}

#[test]
fn identity_follows_a_file_and_not_its_name() {
    let (folder, directory) = folder();
    let file = directory.create("a").unwrap();
    let identity = FileIdentity::of(&file).unwrap();
    assert_eq!(directory.identity_of("a").unwrap(), identity);
    assert_eq!(FileIdentity::of_path(&folder.path().join("a")).unwrap(), identity);
    directory.rename("a", &directory, "b").unwrap();
    directory.create("a").unwrap();
    assert_ne!(directory.identity_of("a").unwrap(), identity);
    assert_eq!(directory.identity_of("b").unwrap(), identity);
    assert_eq!(FileId::of_open(&file), FileId::of_path(&folder.path().join("b")));
    assert_ne!(FileId::of_open(&file), FileId::of_entry(&directory, "a"));
    assert_eq!(FileId::of_entry(&directory, "missing"), None);
    assert_eq!(directory.try_clone().unwrap().identity().unwrap(), directory.identity().unwrap());
}

#[test]
fn reserved_file_is_long_enough_and_reads_as_zeros() {
    let (_folder, directory) = folder();
    let file = directory.create("ring").unwrap();
    reserve(&file, 10_000).unwrap();
    file::start_writing(&file);
    file::sync_content(&file).unwrap();
    let mut bytes = [1; 16];
    assert_eq!(read_at(&file, &mut bytes, 9_992).unwrap(), 8);
    assert_eq!(bytes[..8], [0; 8]);
    assert!(FreeSpace::of(&directory).unwrap().bytes > 0);
}

#[test]
fn pipe_reports_bytes_silence_and_its_end() {
    let (reader, writer) = nonblocking_pipe().unwrap();
    assert_eq!(reader.content(), PipeContent::Nothing);
    assert!(errors::would_block(&reader.read(&mut [0; 4]).unwrap_err()));
    assert_eq!(writer.write(b"hello").unwrap(), 5);
    assert_eq!(reader.content(), PipeContent::Bytes);
    let mut bytes = [0; 8];
    assert_eq!(reader.read(&mut bytes).unwrap(), 5);
    drop(writer);
    assert_eq!(reader.content(), PipeContent::Ended);
    assert_eq!(reader.read(&mut bytes).unwrap(), 0);
}

#[test]
fn pipe_moves_its_bytes_to_a_position_of_a_file() {
    let (_folder, directory) = folder();
    let file = directory.create("output").unwrap();
    let (reader, writer) = nonblocking_pipe().unwrap();
    writer.write(b"0123456789").unwrap();
    assert_eq!(reader.move_to_file(&file, 100, 4).unwrap(), 4);
    assert_eq!(reader.discard(&open_null().unwrap(), 3).unwrap(), 3);
    assert_eq!(reader.move_to_file(&file, 104, 64).unwrap(), 3);
    assert!(errors::would_block(&reader.move_to_file(&file, 0, 64).unwrap_err()));
    let mut bytes = [0; 16];
    assert_eq!(read_at(&file, &mut bytes, 100).unwrap(), 7);
    assert_eq!(&bytes[..7], b"0123789");
    drop(writer);
    assert_eq!(reader.move_to_file(&file, 0, 64).unwrap(), 0);
}

#[test]
fn full_pipe_refuses_more_until_it_is_read() {
    let (reader, writer) = pipe().unwrap();
    writer.set_nonblocking().unwrap();
    let mut written = 0;
    let error = loop {
        match writer.write(&[b'x'; 4096]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert!(errors::would_block(&error), "{error}");
    assert!(!is_ready_within(writer.as_wait_source().writable(), Duration::ZERO).unwrap());
    let mut bytes = vec![0; written];
    let mut read = 0;
    while read < written {
        read += reader.read(&mut bytes[read..]).unwrap();
    }
    assert!(is_ready_within(writer.as_wait_source().writable(), LONG).unwrap());
    drop(reader);
    assert!(is_ready_within(writer.as_wait_source().disconnected(), LONG).unwrap());
}

#[test]
fn wait_ends_when_any_source_is_ready() {
    let sources: Vec<Notifier> = (0..12).map(|_| Notifier::new().unwrap()).collect();
    let all: Vec<_> = sources.iter().map(AsWaitSource::as_wait_source).collect();
    for some in [&all[..1], &all[..2], &all[..8], &all[..]] {
        assert_eq!(wait(some, Some(Duration::ZERO)).unwrap(), WaitEnd::TimedOut);
        let last = &sources[some.len() - 1];
        last.notify();
        assert_eq!(wait(some, None).unwrap(), WaitEnd::Ready);
        last.clear();
        assert_eq!(wait(some, Some(Duration::ZERO)).unwrap(), WaitEnd::TimedOut);
    }
}

#[test]
fn wait_without_sources_lasts_for_its_timeout() {
    let begun = Instant::now();
    let timeout = Duration::from_millis(20);
    assert_eq!(wait(&[], Some(timeout)).unwrap(), WaitEnd::TimedOut);
    assert!(begun.elapsed() >= timeout);
    let nothing = Notifier::new().unwrap();
    assert!(!is_ready_within(nothing.as_wait_source(), timeout).unwrap());
    assert!(begun.elapsed() >= 2 * timeout);
}

#[test]
fn notifier_wakes_a_wait_in_another_thread() {
    let notifier = Notifier::new().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| is_ready_within(notifier.as_wait_source(), LONG).unwrap());
        notifier.notify();
        notifier.notify();
        assert!(waiting.join().unwrap());
    });
    notifier.clear();
    assert!(!is_ready_within(notifier.as_wait_source(), Duration::ZERO).unwrap());
}

#[test]
fn timer_is_ready_at_its_time_and_can_be_stopped() {
    let timer = Timer::new().unwrap();
    let is_ready = |timeout| is_ready_within(timer.as_wait_source(), timeout).unwrap();
    assert!(!is_ready(Duration::ZERO));
    let at = clock::uptime() + Duration::from_millis(20);
    timer.set(Some(at));
    assert!(is_ready(LONG));
    assert!(clock::uptime() >= at);
    timer.set(Some(at + LONG));
    assert!(!is_ready(Duration::ZERO));
    timer.set(Some(Duration::ZERO));
    assert!(is_ready(LONG));
    timer.set(None);
    assert!(!is_ready(Duration::ZERO));
}

#[test]
fn group_is_ready_while_one_of_its_members_is() {
    let (first, second) = (Notifier::new().unwrap(), Notifier::new().unwrap());
    let group = WaitGroup::of(&[first.as_wait_source(), second.as_wait_source()]).unwrap();
    let copy = group.as_wait_source().try_clone_to_owned().unwrap();
    let is_ready = || is_ready_within(copy.source(), Duration::ZERO).unwrap();
    assert!(!is_ready());
    second.notify();
    assert!(is_ready());
    second.clear();
    assert!(!is_ready());
}

/// The changes that a watcher reports within [`LONG`], each once.
fn changes(watcher: &ChangeWatcher) -> Vec<(WatchId, Option<String>)> {
    let is_ready = is_ready_within(watcher.as_wait_source(), LONG).expect("it can be waited for");
    assert!(is_ready, "nothing was reported");
    let mut changes = Vec::new();
    watcher.for_each_event(|event| match event {
        ChangeEvent::Changed { watch, name } => {
            changes.push((watch, name.map(|name| name.to_str().expect("our own name").to_owned())));
        }
        ChangeEvent::Overflow => panic!("few events do not overflow"),
    });
    changes.dedup();
    changes
}

#[test]
fn watcher_reports_closed_files_of_a_directory_by_name() {
    let (folder, directory) = folder();
    let watcher = ChangeWatcher::new().unwrap();
    let watch = watcher.watch(folder.path(), ChangeKinds::CLOSED).unwrap().expect("it exists");
    let mut file = directory.open_or_create("0123456789ab").unwrap();
    file.write_all(b"!").unwrap();
    assert!(!is_ready_within(watcher.as_wait_source(), Duration::ZERO).unwrap());
    drop(file);
    assert_eq!(changes(&watcher), [(watch, Some("0123456789ab".to_owned()))]);
    assert!(!is_ready_within(watcher.as_wait_source(), Duration::ZERO).unwrap());
    watcher.unwatch(watch);
    drop(directory.open_or_create("0123456789ab").unwrap());
    watcher.for_each_event(|event| assert!(matches!(event, ChangeEvent::Changed { name: None, .. })));
}

#[test]
fn watcher_reports_each_of_many_files() {
    const COUNT: usize = 300;
    let (folder, directory) = folder();
    let watcher = ChangeWatcher::new().unwrap();
    watcher.watch(folder.path(), ChangeKinds::CLOSED).unwrap().expect("it exists");
    // Names of different lengths.
    let names: BTreeSet<String> = (0..COUNT).map(|index| format!("file-{index}")).collect();
    for name in &names {
        file::announce_write(&directory.open_or_create(name).unwrap()).unwrap();
    }
    let mut reported = BTreeSet::new();
    while reported.len() < COUNT {
        reported.extend(changes(&watcher).into_iter().filter_map(|(_, name)| name));
    }
    assert_eq!(reported, names);
}

#[test]
fn watcher_reports_writes_to_one_file() {
    let (folder, directory) = folder();
    let path = folder.path().join("record");
    let file = directory.create("record").unwrap();
    let watcher = ChangeWatcher::new().unwrap();
    let kinds = ChangeKinds::WRITTEN | ChangeKinds::CLOSED;
    let watch = watcher.watch_without_links(&path, kinds).unwrap().expect("it exists");
    write_at(&file, b"started", 0).unwrap();
    // Windows may report a write only when it is flushed.
    file::sync_content(&file).unwrap();
    assert_eq!(changes(&watcher), [(watch, None)]);
    drop(file);
    // Windows reports that a file was closed only if it was written after the last report.
    if !ChangeWatcher::NEEDS_WRITER {
        assert_eq!(changes(&watcher), [(watch, None)]);
    }
    assert_eq!(watcher.watch(Path::new("/no/such/path"), kinds).unwrap(), None);
}

#[test]
fn ended_process_is_reported_and_never_signalled() {
    let mut child = waiting_program().spawn().expect("it starts");
    let identity = ProcessIdentity::of(child.id()).expect("it runs");
    let handle = ProcessHandle::of_child(&child).unwrap();
    assert!(identity.is_alive() && !handle.has_ended_within(Duration::ZERO).unwrap());
    identity.signal(Signal::Kill).unwrap();
    assert!(handle.has_ended_within(LONG).unwrap());
    child.wait().expect("our own child can be reaped");
    assert!(!identity.is_alive());
    assert!(errors::is_no_such_process(&identity.signal(Signal::Kill).unwrap_err()));
    assert!(errors::is_no_such_process(&identity.open().unwrap_err()));
    assert!(handle.has_ended_within(LONG).unwrap());
}

#[test]
fn process_holds_what_it_has_open() {
    let (folder, directory) = folder();
    let me = ProcessIdentity::of_this_process().expect("it runs");
    assert!(me.holds_open(directory.identity().unwrap()));
    fs::create_dir(folder.path().join("other")).unwrap();
    // Windows does not tell which files a process has open: a process that is alive may have all of them open.
    assert_eq!(me.holds_open(directory.identity_of("other").unwrap()), cfg!(windows));
    let started_at = me.started_at();
    assert!(started_at > Duration::ZERO && started_at <= clock::uptime());
}

#[test]
fn created_files_are_private() {
    let (folder, directory) = folder();
    let path = folder.path().join("record");
    let record = directory.create("record").unwrap();
    assert_eq!((secret(&record, &path).unwrap(), trusted(&record, &path).unwrap()), (None, None));
    let access = Access::of(&record).unwrap();
    assert!(access.is_regular && !access.is_null_device);
    let path = folder.path().join("settings");
    file::create_private(&path).unwrap();
    assert_eq!(secret(fs::File::open(&path).unwrap(), &path).unwrap(), None);
    assert_eq!(trusted_link(&path).unwrap(), None);
    assert!(Access::of_link(&path).unwrap().is_regular);
    assert_eq!(file::create_private(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert!(file::open_regular(&path).unwrap().is_some());
    let path = folder.path().join("a").join("b");
    file::make_private_directories(&path).unwrap();
    file::make_private_directory(&path).unwrap();
    let made = Directory::open(&path).unwrap();
    assert_eq!(private_directory(&made, &path).unwrap(), None);
    assert_eq!(trusted(&made, &path).unwrap(), None);
    assert!(file::open_regular(&path).ok().flatten().is_none());
    assert!(Access::of(open_null().unwrap()).unwrap().is_null_device);
}

#[test]
fn group_of_a_program_is_signalled_as_a_whole() {
    let mut command = waiting_program();
    spawn::own_group(&mut command);
    let mut child = command.spawn().expect("it starts");
    let group = ProcessGroup::led_by(&child);
    assert!(group.contains(child.id()) && !group.contains(std::process::id()));
    group.signal(Signal::Kill).unwrap();
    let status = child.wait().expect("our own child can be reaped");
    if cfg!(windows) {
        // A process is never ended by a signal there, but with an exit code.
        assert!(status.code().is_some_and(|code| code != 0) && spawn::ending_signal(status).is_none());
    } else {
        assert_eq!((status.code(), spawn::ending_signal(status)), (None, Some(9)));
    }
}

#[test]
fn random_bytes_differ() {
    assert_ne!(random::bytes::<16>().unwrap(), random::bytes::<16>().unwrap());
    assert!(limits::descriptors() > 2);
}

#[test]
fn a_process_with_several_threads_is_not_forked() {
    let forked = || prefork(Duration::ZERO, || (), |(), _| false).map(drop);
    let other =
        std::thread::spawn(move || forked().expect_err("the thread that runs the tests is there too").kind());
    assert_eq!(other.join().unwrap(), io::ErrorKind::Unsupported);
}
