//! Disks that are full or read-only, homes that other users can access, and links planted where homing writes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use homing::{
    DiskError, Error, FollowUpState, Hint, Job, JobId, JobState, ListOptions, OpenOptions, Outcome,
};
use tempfile::TempDir;
use testkit::{TempHome, skip, wait_until};

use crate::evidence::{assert_no_half_job, assert_output, everything_below, ids, list, names_in, refusal};
use crate::setup::{PROGRAM, Setup, is_root, outcome, program, stdout};

/// Runs mount(8) or umount(8). Returns the error.
fn mount(program: &str, arguments: &[&str]) -> Result<(), String> {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A mount that is removed when it is dropped.
struct Mount(PathBuf);

impl Mount {
    /// Mounts. Reports a skipped test and returns `None` where mounting is not allowed.
    fn new(arguments: &[&str], at: &Path) -> Option<Mount> {
        if !is_root() {
            skip("only root can mount");
            return None;
        }
        match mount("mount", &[arguments, &[at.to_str().expect("text")]].concat()) {
            Ok(()) => Some(Mount(at.to_owned())),
            Err(error) => {
                skip(&format!("nothing can be mounted here: {error}"));
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let at = self.0.to_str().expect("text");
        if mount("umount", &[at]).is_err() {
            let _ = mount("umount", &["--lazy", at]);
        }
    }
}

/// A home on its own small disk: one megabyte, a hundred files.
struct SmallDisk {
    setup: Setup,
    /// A path that is not on the small disk.
    outside: TempDir,
    ballast: PathBuf,
    mount: Mount,
    _folder: TempDir,
}

impl SmallDisk {
    fn new() -> Option<SmallDisk> {
        let folder = tempfile::Builder::new().prefix("homing-disk-").tempdir().expect("a temporary folder");
        let options = ["-t", "tmpfs", "-o", "size=1m,nr_inodes=100,mode=0700", "homing-test"];
        let mount = Mount::new(&options, folder.path())?;
        let setup = Setup::in_home(TempHome::under(folder.path()));
        let outside = tempfile::tempdir().expect("a temporary folder");
        Some(SmallDisk { setup, outside, ballast: folder.path().join("ballast"), mount, _folder: folder })
    }

    /// Fills the disk, except for some pages.
    fn fill_but_for(&self, pages: u64) {
        let mut ballast = fs::File::create(&self.ballast).expect("a file");
        while ballast.write_all(&[1; 4096]).is_ok() {}
        let length = ballast.metadata().expect("its length").len();
        ballast.set_len(length - pages * 4096).expect("it can be cut");
    }

    fn fill(&self) {
        self.fill_but_for(0);
    }

    /// Uses up all inodes.
    fn use_up_inodes(&self) {
        let folder = self.ballast.with_extension("names");
        fs::create_dir(&folder).expect("a directory");
        for number in 0.. {
            match fs::File::create(folder.join(number.to_string())) {
                Ok(_) => {}
                Err(error) => return assert_eq!(error.raw_os_error(), Some(28), "no space is left"),
            }
        }
    }

    /// Enlarges the disk.
    fn grow(&self) {
        let at = self.mount.0.to_str().expect("text");
        mount("mount", &["-o", "remount,size=64m,nr_inodes=10000", at]).expect("it grows");
    }

    fn outside(&self, name: &str) -> PathBuf {
        self.outside.path().join(name)
    }
}

/// The numbers up to `last`, one per line, as seq(1) prints them.
fn numbers(last: u32) -> Vec<u8> {
    (1..=last).map(|number| format!("{number}\n")).collect::<String>().into_bytes()
}

#[test]
fn a_job_keeps_running_when_its_output_fills_the_disk() {
    let Some(disk) = SmallDisk::new() else { return };
    let setup = &disk.setup;
    let id = setup.launch("seq 500000; exit 3").id;
    wait_until("it has finished", || setup.home.processes().is_empty());
    disk.grow();

    let job = setup.end_of(id);
    assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 3 });
    assert_eq!(job.follow_up.state, FollowUpState::Pending);
    let pieces = assert_output(setup, &job, &numbers(500_000));
    assert!(job.output.dropped_bytes > 2_000_000, "{:?}", job.output);
    assert!(pieces[0].start == 0 && pieces[0].len() > 100_000, "{pieces:?}");
    assert_eq!(job.output.omitted_bytes, 0, "nothing was overwritten");
    assert!(setup.homing.result_text(id).expect("a text").contains("bytes of output could not be stored"));
}

#[test]
fn output_is_stored_again_when_the_disk_has_free_space() {
    let Some(disk) = SmallDisk::new() else { return };
    let setup = &disk.setup;
    let [first, go] = ["first", "go"].map(|name| disk.outside(name));
    let (first_path, go_path) = (first.display(), go.display());
    let wait = format!("until [ -e {go_path} ]; do sleep 0.01; done");
    let script = format!("{wait}; rm {go_path}; seq 20000; : > {first_path}; {wait}; seq 1000; exit 4");
    let job = setup.launch(&script);
    disk.fill();
    fs::write(&go, "").expect("a file");
    wait_until("the first part is written", || first.exists() && !go.exists());
    wait_until("the first part is read", || unread_output(&job) == 0);
    fs::remove_file(&disk.ballast).expect("the disk has free space");
    disk.grow();
    fs::write(&go, "").expect("a file");

    let job = setup.end_of(job.id);
    assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 4 });
    let (lost, stored) = (numbers(20_000), numbers(1_000));
    let pieces = assert_output(setup, &job, &[&lost[..], &stored[..]].concat());
    assert_eq!(
        pieces.last(),
        Some(&(lost.len()..lost.len() + stored.len())),
        "all of the second part is there"
    );
    assert!(job.output.dropped_bytes > 0, "{:?}", job.output);
}

/// Bytes in the pipe between a job and its supervisor.
fn unread_output(job: &Job) -> u64 {
    let started = job.state.started().expect("it has started");
    let pipe = fs::File::open(format!("/proc/{}/fd/1", started.pid)).expect("its output");
    rustix::io::ioctl_fionread(pipe).expect("a pipe")
}

#[test]
fn the_exit_code_survives_a_disk_that_is_full_when_the_job_ends() {
    for known_before in [true, false] {
        let Some(disk) = SmallDisk::new() else { return };
        let setup = &disk.setup;
        let go = disk.outside("go");
        let id = setup.launch(&format!("until [ -e {} ]; do sleep 0.01; done; exit 7", go.display())).id;
        if known_before {
            let jobs = setup.homing.list(&ListOptions::default()).expect("a list");
            assert!(matches!(jobs[..], [Job { state: JobState::Running(_), .. }]), "{jobs:#?}");
        }
        disk.fill();
        disk.use_up_inodes();
        fs::write(&go, "").expect("a file");
        wait_until("it has finished", || setup.home.processes().is_empty());
        // The ledger cannot store it now. The error reports that, and the attempt loses nothing.
        let listed = Command::new(PROGRAM).arg("list").env("HOMING_HOME", setup.home.path()).output();
        let message = refusal(&listed.expect("the program runs"));
        assert!(message.contains("No space left on device") || message.contains("disk is full"), "{message}");
        assert!(message.contains("\nhint: the disk is full"), "{message}");
        disk.grow();

        let job = setup.homing.get(id).expect("the job");
        assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 7 });
        assert_eq!(job.follow_up.state, FollowUpState::Pending);
        assert_eq!(ids(&setup.homing.list(&ListOptions::default()).expect("a list")), [id]);
    }
}

#[test]
fn a_launch_onto_a_full_disk_is_refused_and_nothing_runs() {
    let mut successes = Vec::new();
    for pages in 0..6 {
        let Some(disk) = SmallDisk::new() else { return };
        let ran = disk.outside("ran");
        let mut run = disk.setup.program();
        let list_later = || list(disk.setup.program());
        run.args(["run", &format!("echo ran > {}", ran.display())]);
        disk.fill_but_for(pages);
        let launched = run.output().expect("the program runs");
        wait_until("it has finished", || disk.setup.home.processes().is_empty());
        let jobs_directory = disk.setup.home.path().join("jobs");
        if !launched.status.success() {
            let message = refusal(&launched);
            assert!(message.contains("No space left on device"), "{message}");
            assert!(message.contains("\nhint: the disk is full"), "{message}");
            assert_eq!(names_in(&jobs_directory), [""; 0], "nothing is left lying");
        }
        disk.grow();
        assert_no_half_job(&launched, list_later, &ran);
        successes.push(launched.status.success());

        let job = disk.setup.run("exit 5");
        assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 5 }, "and with room it works");
    }
    assert_eq!(successes.first(), Some(&false), "{successes:?}");
    assert_eq!(successes.last(), Some(&true), "{successes:?}");
}

#[test]
fn a_launch_without_a_free_inode_is_refused_and_nothing_runs() {
    let Some(disk) = SmallDisk::new() else { return };
    let ran = disk.outside("ran");
    disk.use_up_inodes();
    match disk.setup.homing.launch(disk.setup.script(&format!("echo ran > {}", ran.display()))) {
        Err(error @ Error::Disk(_)) => {
            assert!(error.to_string().contains("No space left on device"), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.to_string().contains("the disk is full")));
        }
        other => panic!("{other:#?}"),
    }
    // A home that cannot be created.
    match OpenOptions::new().home(disk.setup.scratch("another/home")).open() {
        Err(error @ Error::HomeRefused { .. }) => {
            assert!(error.to_string().contains("No space left on device"), "{error}");
            assert_eq!(error.hint(), Some(Hint::Text("the disk is full".to_owned())));
        }
        other => panic!("{other:#?}"),
    }
    disk.grow();
    assert_eq!(disk.setup.homing.list(&ListOptions::default()).expect("a list"), []);
    assert!(!ran.exists());
}

/// Tries to run a job in a home that must be refused, through both front ends. Returns the error message.
fn refused(home: &Path, spare: &TempHome) -> String {
    let ran = spare.scratch().join("ran");
    let script = format!("echo ran > {}", ran.display());
    let run =
        program(spare).env("HOMING_HOME", home).args(["run", &script]).current_dir(spare.scratch()).output();
    let message = refusal(&run.expect("the program runs"));
    assert!(message.contains("\nhint: "), "{message}");
    assert!(!ran.exists(), "refused, and run all the same");
    let opened = OpenOptions::new().home(home).config(homing::Config::default()).supervisor(PROGRAM).open();
    assert_eq!(opened.expect_err("refused here too").code(), "home_refused");
    message
}

#[test]
fn a_home_that_others_can_write_to_is_refused() {
    for (part, mode) in [("", 0o777), ("", 0o770), ("", 0o702), ("jobs", 0o720), ("inbox", 0o777)] {
        let setup = Setup::new();
        let path = PathBuf::from_iter(setup.home.path().join(part).components());
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        let message = refused(&setup.home.path(), &setup.home);
        assert!(message.contains(&format!("others can write to it (mode {mode:04o})")), "{message}");
        assert!(message.contains(&format!("hint: chmod 700 {}", path.display())), "{message}");
    }
}

#[test]
fn a_home_of_another_user_is_refused() {
    let setup = Setup::new();
    let user = rustix::process::geteuid().as_raw();
    if !is_root() {
        let message = refused(Path::new("/etc"), &setup.home);
        assert!(
            message.contains(&format!("it belongs to user 0, but this process runs as user {user}")),
            "{message}"
        );
        return;
    }
    for part in ["", "jobs", "inbox"] {
        let setup = Setup::new();
        std::os::unix::fs::chown(setup.home.path().join(part), Some(65_534), None).expect("chown");
        let message = refused(&setup.home.path(), &setup.home);
        assert!(message.contains("it belongs to user 65534, but this process runs as user 0"), "{message}");
        assert!(message.contains("hint: set HOMING_HOME to a directory that you own"), "{message}");
    }
}

#[test]
fn a_home_that_is_not_a_directory_is_refused() {
    let spare = TempHome::new();
    let file = spare.scratch().join("file");
    fs::write(&file, "precious").expect("a file");
    for home in [file.clone(), file.join("below")] {
        let message = refused(&home, &spare);
        assert!(message.contains("Not a directory") || message.contains("not a directory"), "{message}");
        assert!(message.contains("hint: set HOMING_HOME to a directory"), "{message}");
    }
    assert_eq!(fs::read(file).expect("the file"), b"precious");
}

#[test]
fn a_relative_home_is_refused() {
    let spare = TempHome::new();
    let message = refused(Path::new("some/where"), &spare);
    assert!(message.contains("the path is relative"), "{message}");
    assert_eq!(names_in(spare.scratch()), ["config.toml"], "nothing was made");
}

#[test]
fn a_home_that_is_read_only_is_refused_before_anything_runs() {
    let setup = Setup::new();
    let before = setup.run("exit 5");
    let home = setup.home.path();
    let path = home.to_str().expect("text");
    let ran = setup.scratch("ran");
    let script = format!("echo ran > {}", ran.display());
    {
        let Some(_mount) = Mount::new(&["--bind", path], &home) else { return };
        mount("mount", &["-o", "remount,bind,ro", path]).expect("it becomes read-only");
        let message = refusal(&setup.program().args(["run", &script]).output().expect("the program runs"));
        assert!(message.contains("Read-only file system") && message.contains(path), "{message}");
        assert!(message.contains("\nhint: "), "{message}");
        assert!(!ran.exists());
        // Existing entries of the ledger can be read.
        let listed = stdout(&setup.program().arg("list").output().expect("the program runs"));
        assert!(listed.contains(before.id.as_str()), "{listed}");
    }
    assert_eq!(setup.homing.list(&ListOptions::default()).expect("a list"), [before]);

    // A home that was never used.
    let fresh = TempHome::new();
    fs::create_dir(fresh.path()).expect("a directory");
    fs::set_permissions(fresh.path(), fs::Permissions::from_mode(0o700)).expect("its mode");
    let path = fresh.path();
    let Some(_mount) = Mount::new(&["--bind", path.to_str().expect("text")], &path) else { return };
    mount("mount", &["-o", "remount,bind,ro", path.to_str().expect("text")]).expect("it becomes read-only");
    let message = refused(&path, &fresh);
    assert!(message.contains("Read-only file system"), "{message}");
}

/// The target of a planted link, outside the home. It must not change.
struct LinkTarget {
    path: PathBuf,
    before: Vec<(PathBuf, Vec<u8>, u32, u64, i64, i64)>,
}

impl LinkTarget {
    /// A file.
    fn file(setup: &Setup) -> LinkTarget {
        let path = setup.scratch("link_target");
        fs::write(&path, "precious\n").expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("its mode");
        LinkTarget::at(path)
    }

    /// A directory with a file in it.
    fn directory(setup: &Setup) -> LinkTarget {
        let path = setup.scratch("victims");
        fs::create_dir(&path).expect("a directory");
        fs::write(path.join("link_target"), "precious\n").expect("a file");
        LinkTarget::at(path)
    }

    /// A missing target: the link dangles.
    fn nothing(setup: &Setup) -> LinkTarget {
        LinkTarget::at(setup.scratch("nothing"))
    }

    fn at(path: PathBuf) -> LinkTarget {
        LinkTarget { before: LinkTarget::snapshot(&path), path }
    }

    fn snapshot(path: &Path) -> Vec<(PathBuf, Vec<u8>, u32, u64, i64, i64)> {
        let below = if path.is_dir() { everything_below(path) } else { Vec::new() };
        let all = std::iter::once(path.to_owned()).chain(below);
        all.filter_map(|path| {
            let status = fs::symlink_metadata(&path).ok()?;
            let content = if status.is_file() { fs::read(&path).ok()? } else { Vec::new() };
            Some((path, content, status.mode(), status.nlink(), status.mtime(), status.mtime_nsec()))
        })
        .collect()
    }

    /// Creates a link to it.
    fn link_from(&self, link: &Path) {
        let _ = fs::remove_file(link);
        symlink(&self.path, link).expect("a link");
    }

    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(LinkTarget::snapshot(&self.path), self.before);
    }
}

#[test]
fn a_link_in_place_of_a_part_of_the_home_is_refused() {
    for part in ["jobs", "inbox"] {
        for make in [LinkTarget::directory, LinkTarget::file, LinkTarget::nothing] {
            let setup = Setup::new();
            let link_target = make(&setup);
            let link = setup.home.path().join(part);
            fs::remove_dir(&link).expect("it is empty");
            link_target.link_from(&link);
            let message = refused(&setup.home.path(), &setup.home);
            assert!(message.contains(&format!("remove {}", link.display())), "{message}");
            link_target.assert_untouched();
        }
    }
}

#[test]
fn a_link_in_place_of_a_file_of_the_ledger_is_not_followed_and_jobs_still_run() {
    for (name, is_refused) in
        [("ledger.db", true), ("ledger.db-wal", true), ("ledger.db-shm", true), ("ledger.lock", false)]
    {
        for make in [LinkTarget::file, LinkTarget::nothing] {
            let Setup { homing, home } = Setup::new();
            let before =
                homing.launch(homing::JobSpec::script("exit 4").expect("a script")).expect("launched").id;
            wait_until("it has finished", || home.processes().is_empty());
            assert_eq!(ids(&homing.list(&ListOptions::default()).expect("a list")), [before]);
            drop(homing);
            crate::ledger::write_back_the_log(&home);
            let setup = Setup::in_home(home);
            let link_target = make(&setup);
            let link = setup.home.path().join(name);
            link_target.link_from(&link);

            let id = stdout(&setup.program().args(["run", "exit 5"]).output().expect("the program runs"));
            let id: JobId = id.parse().expect("an id");
            wait_until("it has finished", || setup.home.processes().is_empty());
            let listed = setup.program().arg("list").output().expect("the program runs");
            link_target.assert_untouched();
            assert!(fs::symlink_metadata(&link).is_ok_and(|status| status.is_symlink()), "{name}");
            if is_refused {
                let message = refusal(&listed);
                assert!(message.contains(setup.home.path().to_str().expect("text")), "{name}: {message}");
            }

            fs::remove_file(&link).expect("it can be removed");
            let jobs = setup.homing.list(&ListOptions::default()).expect("a list");
            assert_eq!(ids(&jobs), [id, before], "{name}");
            assert_eq!(outcome(&jobs[0]), &Outcome::Exited { exit_code: 5 }, "{name}");
            link_target.assert_untouched();
        }
    }
}

#[test]
fn links_with_the_names_of_a_future_ledger_are_not_followed() {
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal", "ledger.lock"] {
        for make in [LinkTarget::file, LinkTarget::nothing] {
            let setup = Setup::new();
            let link_target = make(&setup);
            link_target.link_from(&setup.home.path().join(name));
            let id = setup.launch("exit 5").id;
            wait_until("it has finished", || setup.home.processes().is_empty());
            let listed = setup.program().arg("list").output().expect("the program runs");
            link_target.assert_untouched();
            // SQLite removes a file that it considers the log of a deleted database.
            if listed.status.success() {
                assert!(stdout(&listed).contains(id.as_str()), "{name}");
            } else {
                assert!(refusal(&listed).contains(setup.home.path().to_str().expect("text")), "{name}");
            }
        }
    }
}

/// A job that writes when `go` exists, with the path of its directory.
fn writer(setup: &Setup, what: &str) -> (JobId, PathBuf, PathBuf) {
    let go = setup.scratch("go");
    let id = setup.launch(&format!("until [ -e {} ]; do sleep 0.01; done; {what}; exit 6", go.display())).id;
    assert_eq!(ids(&setup.homing.list(&ListOptions::default()).expect("a list")), [id]);
    let directory = setup.homing.job_path(id);
    (id, directory, go)
}

#[test]
fn a_link_in_place_of_output_is_not_followed_and_the_outcome_is_reported() {
    for (name, stored) in [("output.log", true), ("output.tail", false)] {
        for make in [LinkTarget::file, LinkTarget::nothing] {
            let setup = Setup::new();
            let link_target = make(&setup);
            let (id, directory, go) = writer(&setup, "head -c 2000000 /dev/zero");
            link_target.link_from(&directory.join(name));
            fs::write(go, "").expect("a file");

            let job = setup.end_of(id);
            assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 6 }, "{name}");
            assert_eq!(job.follow_up.state, FollowUpState::Pending, "{name}");
            // Without the ring, output that does not fit into the head is dropped and counted. Without the head, the
            // ring gets all of it.
            let dropped_bytes = if stored { 0 } else { 2_000_000 - (1 << 20) };
            assert_eq!(job.output.dropped_bytes, dropped_bytes, "{name}");
            assert_output(&setup, &job, &[0; 2_000_000]);
            setup.homing.result_text(id).expect("a text");
            link_target.assert_untouched();
        }
    }
}

#[test]
fn a_link_in_place_of_an_inbox_entry_is_moved_aside_and_the_job_is_reported() {
    for make in [LinkTarget::file, LinkTarget::nothing, LinkTarget::directory] {
        let setup = Setup::new();
        let link_target = make(&setup);
        let (id, _, go) = writer(&setup, "true");
        let inbox_entry = setup.home.path().join("inbox").join(id.as_str());
        assert!(!inbox_entry.exists(), "its launch was noticed");
        link_target.link_from(&inbox_entry);
        link_target.link_from(&setup.home.path().join("inbox/stranger"));
        fs::write(go, "").expect("a file");

        wait_until("it has finished", || setup.home.processes().is_empty());
        let jobs = setup.homing.list(&ListOptions::default()).expect("a list");
        assert_eq!((ids(&jobs), outcome(&jobs[0])), (vec![id], &Outcome::Exited { exit_code: 6 }));
        assert_eq!(jobs[0].follow_up.state, FollowUpState::Pending);
        assert_eq!(
            names_in(&setup.home.path().join("inbox")),
            [id.as_str(), "stranger"],
            "readers move nothing"
        );
        link_target.assert_untouched();
        setup.homing.recover(homing::RecoverOptions::default()).expect("they are moved");
        assert_eq!(names_in(&setup.home.path().join("inbox")), [""; 0]);
        link_target.assert_untouched();
    }
}

#[test]
fn a_link_in_place_of_a_lock_is_refused_while_the_job_runs_and_its_end_is_reported() {
    for make in [LinkTarget::file, LinkTarget::nothing] {
        let setup = Setup::new();
        let link_target = make(&setup);
        let (id, directory, go) = writer(&setup, "true");
        link_target.link_from(&directory.join("lock"));
        assert_unreadable(&setup, id, "lock");
        link_target.assert_untouched();
        fs::write(go, "").expect("a file");

        wait_until("it has finished", || setup.home.processes().is_empty());
        let job = setup.homing.get(id).expect("the job");
        assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 6 });
        assert_eq!(job.follow_up.state, FollowUpState::Pending);
        link_target.assert_untouched();
    }
}

/// Asserts that a sync reports a job as unreadable, with the reason.
fn assert_unreadable(setup: &Setup, id: JobId, name: &str) {
    let report = setup.homing.sync().expect("the others are read");
    let unreadable: Vec<(JobId, &DiskError)> =
        report.unreadable.iter().map(|(id, error)| (*id, error)).collect();
    let [(found, error)] = unreadable[..] else { panic!("{report:#?}") };
    assert_eq!((found, error.path.as_path()), (id, setup.homing.job_path(id).join(name).as_path()));
    assert!(error.to_string().contains("symbolic link"), "{error}");
}

#[test]
fn a_link_in_place_of_a_record_or_a_spec_is_refused() {
    for name in ["record", "spec.json"] {
        for make in [LinkTarget::file, LinkTarget::nothing] {
            let setup = Setup::new();
            let link_target = make(&setup);
            let (id, directory, go) = writer(&setup, "true");
            // Moved, so that the original can be restored.
            let aside = setup.scratch("aside");
            fs::rename(directory.join(name), &aside).expect("it is there");
            link_target.link_from(&directory.join(name));
            fs::write(go, "").expect("a file");
            wait_until("it has finished", || setup.home.processes().is_empty());
            assert_unreadable(&setup, id, name);
            link_target.assert_untouched();

            fs::rename(&aside, directory.join(name)).expect("it is restored");
            let job = setup.homing.get(id).expect("the job");
            assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 6 }, "{name}");
            link_target.assert_untouched();
        }
    }
}

#[test]
fn a_link_to_a_job_directory_elsewhere_is_not_a_job() {
    let (setup, other) = (Setup::new(), Setup::new());
    let there = other.run("echo elsewhere; exit 1");
    let here = setup.run("exit 0");
    let link_target = LinkTarget::at(other.homing.job_path(there.id));
    link_target.link_from(&setup.home.path().join("jobs").join(there.id.as_str()));
    fs::write(setup.home.path().join("inbox").join(there.id.as_str()), "").expect("an inbox entry");

    let jobs = setup.homing.list(&ListOptions::default()).expect("a list");
    assert_eq!(ids(&jobs), [here.id]);
    assert!(setup.homing.get(there.id).is_err());
    link_target.assert_untouched();
}
