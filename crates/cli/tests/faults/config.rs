//! A configuration that another user can write is not trusted: the programs that it names are not run.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use testkit::{TempHome, skip, wait_until};

use crate::setup::{PROGRAM, is_root, stdout};

/// A user id that is neither the user's nor root's.
const OTHER_USER: u32 = 65_534;

/// A home with a configuration whose sink creates a file.
struct Configured {
    home: TempHome,
    folder: PathBuf,
    file: PathBuf,
    trace: PathBuf,
}

impl Configured {
    fn new() -> Configured {
        let home = TempHome::new();
        let (folder, trace) = (home.scratch().join("config/homing"), home.scratch().join("trace"));
        std::fs::create_dir_all(&folder).expect("the folder is made");
        let file = folder.join("config.toml");
        let sink = format!(
            "[sinks.app]\ncommand = [\"touch\", \"{}\"]\n[[routes]]\nsink = \"app\"\n",
            trace.display()
        );
        std::fs::write(&file, sink).expect("the configuration is written");
        let configured = Configured { home, folder, file, trace };
        configured.set_mode(&configured.folder, 0o755);
        configured.set_mode(&configured.file, 0o644);
        configured
    }

    fn set_mode(&self, path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("the mode is set");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(PROGRAM);
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.home.scratch().join("config"))
            .env_remove("HOMING_CONFIG");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    /// Asserts that no command uses the configuration, and that every command that needs it reports `why`.
    #[track_caller]
    fn is_refused(&self, why: &str) {
        let launched = self.run(&["run", "--wait", "true"]);
        let text = output_of(&launched);
        assert!(launched.status.success(), "jobs still run: {text}");
        assert_eq!(text.matches("cannot trust").count(), 1, "one warning: {text}");
        assert!(text.contains(why) && text.contains("hint:"), "{why}: {text}");

        let failed = self.run(&["run", "--wait", "exit 3"]);
        assert_eq!(failed.status.code(), Some(3));
        let monitor = self.run(&["monitor", "--once"]);
        assert!(monitor.status.code() == Some(1) && mentions(&monitor, why), "{}", output_of(&monitor));
        let sink = self.run(&["run", "--sink", "app", "true"]);
        assert!(!sink.status.success() && mentions(&sink, why), "{}", output_of(&sink));
        let tried = self.run(&["doctor", "--wake", "default"]);
        assert!(!tried.status.success() && mentions(&tried, why), "{}", output_of(&tried));
        let doctor = self.run(&["doctor"]);
        assert!(!doctor.status.success() && mentions(&doctor, why), "{}", output_of(&doctor));
        stdout(&self.run(&["run", "exit 3"]));
        let event = "{\"session_id\":\"default\",\"hook_event_name\":\"Stop\"}";
        let file = self.home.scratch().join("event.json");
        std::fs::write(&file, event).expect("the event is written");
        let event = std::fs::File::open(&file).expect("it is there");
        let hook = self.command(&["hook", "claude-code"]).stdin(event).output().expect("it runs");
        assert!(
            hook.status.success() && hook.stdout.is_empty() && mentions(&hook, why),
            "{}",
            output_of(&hook)
        );
        assert!(!self.trace.exists(), "its program ran");
    }

    /// Asserts that the configuration is used without a warning.
    #[track_caller]
    fn is_accepted(&self) {
        let launched = self.run(&["run", "--wait=10s", "--follow-up", "never", "true"]);
        assert_eq!(output_of(&launched), "");
        let doctor = stdout(&self.run(&["doctor"]));
        assert!(doctor.contains(&self.file.display().to_string()), "{doctor}");
    }

    /// Asserts that the program of its sink is run.
    #[track_caller]
    fn wakes(&self) {
        stdout(&self.run(&["run", "exit 3"]));
        wait_until("the program of the sink has run", || self.trace.exists());
    }
}

fn output_of(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

fn mentions(output: &Output, why: &str) -> bool {
    output_of(output).contains(why)
}

#[test]
fn programs_of_a_configuration_that_others_can_write_are_not_run() {
    let configured = Configured::new();
    configured.is_accepted();
    for mode in [0o646, 0o666, 0o602] {
        configured.set_mode(&configured.file, mode);
        configured.is_refused(&format!("others can write to it (mode {mode:04o})"));
    }
    configured.set_mode(&configured.file, 0o600);
    configured.set_mode(&configured.folder, 0o757);
    configured.is_refused("others can write to it (mode 0757)");
    configured.set_mode(&configured.folder, 0o700);
    configured.is_accepted();
    configured.wakes();
}

#[test]
fn programs_of_a_configuration_of_another_user_are_not_run() {
    if !is_root() {
        return skip("only root can give a file away");
    }
    let configured = Configured::new();
    chown(&configured.file, Some(OTHER_USER), None).expect("it gets another owner");
    configured.is_refused("it belongs to user 65534");
    chown(&configured.file, Some(0), None).expect("the owner is restored");
    chown(&configured.folder, Some(OTHER_USER), None).expect("it gets another owner");
    configured.is_refused("it belongs to user 65534");
    chown(&configured.folder, Some(0), None).expect("the owner is restored");

    // A link is followed; the link and its target are both checked.
    let elsewhere = configured.home.scratch().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("a folder");
    std::fs::rename(&configured.file, elsewhere.join("real.toml")).expect("it is moved");
    symlink(elsewhere.join("real.toml"), &configured.file).expect("a link");
    configured.is_accepted();
    chown(&elsewhere, Some(OTHER_USER), None).expect("it gets another owner");
    configured.is_refused("it belongs to user 65534");
    chown(&elsewhere, Some(0), None).expect("the owner is restored");

    // A group with other members.
    configured.set_mode(&elsewhere.join("real.toml"), 0o664);
    chown(elsewhere.join("real.toml"), None, Some(OTHER_USER)).expect("it is shared");
    configured.is_refused("group 65534 can write to it (mode 0664)");
}

#[test]
fn an_ordinary_user_may_use_a_configuration_of_root() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let configured = Configured::new();
    let as_other_user = |configured: &Configured, arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(PROGRAM).args(arguments);
        command
            .env("HOMING_HOME", configured.home.scratch().join("theirs"))
            .env("XDG_CONFIG_HOME", configured.home.scratch().join("config"))
            .env_remove("HOMING_CONFIG")
            .current_dir("/");
        command.output()
    };
    configured.set_mode(configured.home.scratch(), 0o755);
    let home = configured.home.scratch().join("theirs");
    std::fs::create_dir(&home).expect("a home");
    configured.set_mode(&home, 0o700);
    chown(&home, Some(OTHER_USER), Some(OTHER_USER)).expect("it gets another owner");
    let Ok(launched) = as_other_user(&configured, &["run", "--wait=10s", "--follow-up", "never", "true"])
    else {
        return skip("setpriv cannot be run");
    };
    if output_of(&launched).contains("Permission denied") {
        return skip("the program cannot be read by another user here");
    }
    assert_eq!(output_of(&launched), "");
    // A user may write its own configuration. That of a third user is not trusted.
    chown(&configured.file, Some(OTHER_USER), None).expect("it gets another owner");
    assert!(as_other_user(&configured, &["list"]).expect("it runs").stderr.is_empty());
    chown(&configured.file, Some(12_345), None).expect("it gets another owner");
    let listed = as_other_user(&configured, &["list"]).expect("it runs");
    assert!(
        output_of(&listed).contains("it belongs to user 12345, not to you (user 65534) or root"),
        "{}",
        output_of(&listed)
    );
}

#[test]
fn a_configuration_that_is_not_a_short_regular_file_does_not_block() {
    let configured = Configured::new();
    std::fs::remove_file(&configured.file).expect("it goes");
    mknodat(CWD, &configured.file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    let began = Instant::now();
    let listed = configured.run(&["list"]);
    assert!(output_of(&listed).contains("it is not a regular file"), "{}", output_of(&listed));
    std::fs::remove_file(&configured.file).expect("it goes");
    let long = std::fs::File::create(&configured.file).expect("a file");
    long.set_len(1 << 40).expect("a sparse file");
    configured.set_mode(&configured.file, 0o644);
    let listed = configured.run(&["list"]);
    assert!(output_of(&listed).contains("it is longer than 1,048,576 bytes"), "{}", output_of(&listed));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
