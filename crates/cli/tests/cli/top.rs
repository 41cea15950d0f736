//! `homing top` on a terminal: what it shows, what its keys do, and how it gives the terminal back.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::wait_until;

use crate::names::library;
use crate::setup::{Setup, send};
use crate::terminal::OnTerminal;

const ENTER_SCREEN: &str = "\x1b[?1049h";
const LEAVE_SCREEN: &str = "\x1b[?1049l";

/// The program on a terminal.
struct Top(OnTerminal);

impl Top {
    fn start(setup: &Setup, arguments: &[&str]) -> Top {
        Top::of_size(setup, arguments, 80, 24)
    }

    fn of_size(setup: &Setup, arguments: &[&str], columns: u16, lines: u16) -> Top {
        let command = setup.command(&[&["top"], arguments].concat());
        Top(OnTerminal::start(command, columns, lines))
    }

    /// What the terminal shows.
    fn shown(&self) -> String {
        screen_of(&self.0.text())
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        let give_up_at = Instant::now() + testkit::WAIT_TIMEOUT;
        while !self.shown().contains(text) {
            assert!(Instant::now() < give_up_at, "{text:?} is not shown:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[track_caller]
    fn wait_until_gone(&self, text: &str) {
        let give_up_at = Instant::now() + testkit::WAIT_TIMEOUT;
        while self.shown().contains(text) {
            assert!(Instant::now() < give_up_at, "{text:?} is still shown:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn press(&self, keys: &str) {
        self.0.type_keys(keys);
    }

    /// Quits, and checks that the terminal is as before.
    fn quit(self) {
        self.press("q");
        let mode = || self.0.has_usual_mode();
        wait_until("the mode of the terminal is restored", mode);
        let (status, text) = self.0.end();
        assert_eq!(status, Some(0), "{text:?}");
        assert!(text.starts_with(ENTER_SCREEN) && text.ends_with(LEAVE_SCREEN), "{text:?}");
        assert!(text.ends_with("\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l"), "{text:?}");
    }
}

/// What a terminal shows after it has received these bytes: those that the program uses.
fn screen_of(text: &str) -> String {
    let mut lines: Vec<Vec<char>> = Vec::new();
    let (mut row, mut column) = (0, 0);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        // The message of a panic has line breaks.
        if c.is_control() && c != '\x1b' {
            continue;
        }
        if c != '\x1b' {
            if lines.len() <= row {
                lines.resize(row + 1, Vec::new());
            }
            if lines[row].len() <= column {
                lines[row].resize(column + 1, ' ');
            }
            lines[row][column] = c;
            column += 1;
            continue;
        }
        // The last sequence may not have arrived completely.
        if chars.next().is_none() {
            break;
        }
        let mut parameters = String::new();
        let last = chars.by_ref().find(|c| {
            let is_last = ('@'..='~').contains(c);
            if !is_last {
                parameters.push(*c);
            }
            is_last
        });
        match last {
            Some('H') => {
                let (line, place) = parameters.split_once(';').expect("a line and a column");
                row = line.parse::<usize>().expect("a number") - 1;
                column = place.parse::<usize>().expect("a number") - 1;
            }
            Some('J') => lines.clear(),
            Some('h') if parameters == "?1049" => lines.clear(),
            Some(_) | None => {}
        }
    }
    let lines: Vec<String> = lines.iter().map(|line| line.iter().collect()).collect();
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_job_is_watched_killed_and_acknowledged() {
    let setup = Setup::new();
    let top = Top::start(&setup, &[]);
    top.wait_for("There are no jobs.");
    let id = setup.launch_with(&["--name", "nightly", "--session", "chat-1"], "echo started; sleep MARK");
    top.wait_for("1 running");
    top.wait_for("nightly");
    top.wait_for("chat-1");
    top.wait_for(" of 1h");
    top.wait_for("s ago");
    top.press("k");
    top.wait_for(&format!("Kill nightly ({id})?"));
    top.press("n");
    top.wait_until_gone("Kill nightly");
    assert_eq!(setup.job(&id)["state"], "running");
    top.press("ky");
    top.wait_for("killed");
    top.wait_for("1 needs attention");
    top.wait_for("Nobody is notified: no sink is configured  a acknowledge");
    assert_eq!(setup.job(&id)["outcome"]["reason"], "operator");
    top.press("a");
    top.wait_for("0 need attention  0 running  1 finished");
    top.wait_for("acknowledged");
    assert_eq!(setup.follow_up(&id), "acknowledged");
    top.press("r");
    top.wait_for("1 needs attention");
    top.press("d");
    top.wait_for("no follow-up");
    assert_eq!(setup.follow_up(&id), "suppressed");
    top.quit();
}

#[test]
fn a_job_that_its_own_session_kills_is_not_reported_to_it() {
    let setup = Setup::new();
    let id = setup.launch_with(&["--session", "chat-1"], "sleep MARK");
    let mut command = setup.command(&["top"]);
    command.env("HOMING_SESSION", "chat-1");
    let top = Top(OnTerminal::start(command, 80, 24));
    top.wait_for("1 running");
    top.wait_for("session chat-1");
    top.press("ky");
    top.wait_for("0 need attention  0 running  1 finished");
    assert_eq!(setup.job(&id)["outcome"]["reason"], "session");
    top.quit();
}

#[test]
fn the_output_is_followed_and_paused() {
    let setup = Setup::new();
    let gate = setup.home.scratch().join("gate");
    let script = format!(
        "seq 1 100; printf '\\033[31mred\\033[0m\\033]0;title\\007 text\\n'; \
         while [ ! -e '{0}' ]; do sleep 0.01; done; echo after the gate; sleep MARK",
        gate.display()
    );
    let id = setup.launch(&script);
    let top = Top::start(&setup, &[]);
    top.wait_for("1 running");
    top.press("\r");
    top.wait_for("red text");
    top.wait_for("following");
    top.press(" ");
    top.wait_for("paused");
    top.press("\x1b[H");
    top.wait_for("\n1\n");
    std::fs::write(&gate, "").expect("the gate opens");
    wait_until("the job has gone on", || setup.run(&["output", &id]).stdout.contains("after the gate"));
    assert!(!top.shown().contains("after the gate"), "{}", top.shown());
    top.press("\x1b[F");
    top.wait_for("after the gate");
    top.wait_for("following");
    setup.kill(&id);
    top.wait_for("complete");
    top.wait_for("killed");
    top.press("\x1b");
    // Who killed it knows: nothing needs attention.
    top.wait_for("0 need attention");
    top.quit();
}

#[test]
fn colors_of_the_output_are_shown_and_nothing_else_of_it_reaches_the_terminal() {
    let setup = Setup::new();
    setup.finished("printf 'a\\033[1;31mred\\033[0m\\033]52;c;cm0=\\007\\033[2J\\033[6nz\\n'");
    let mut command = setup.command(&["top"]);
    command.env_remove("NO_COLOR");
    let top = Top(OnTerminal::start_with_colors(command, 80, 24));
    top.wait_for("needs attention");
    top.press("\r");
    top.wait_for("aredz");
    let text = top.0.text();
    assert!(text.contains("\x1b[0;1;31mred"), "{text:?}");
    assert!(!text.contains("\x1b]") && !text.contains("\x1b[6n") && !text.contains('\x07'), "{text:?}");
    top.press("q");
    top.quit();
}

#[test]
fn omitted_output_is_counted() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--output-head", "4k", "--output-tail", "8k"], "seq 1 100000");
    let top = Top::start(&setup, &[]);
    top.wait_for("needs attention");
    top.press("\r");
    top.wait_for("100000");
    let omitted = setup.job(&id)["output"]["omitted_bytes"].as_u64().expect("a number");
    assert!(omitted > 500_000, "{omitted}");
    let shown = omitted.to_string();
    let (thousands, rest) = shown.split_at(shown.len() - 3);
    top.wait_for(&format!("{thousands},{rest} bytes omitted"));
    top.press("q");
    top.quit();
}

#[test]
fn hostile_names_do_not_leave_their_row() {
    let setup = Setup::new();
    let evil = "\x1b]0;owned\x07\x1b[2J\x1b[1;1Hevil\r\nline\u{202e}";
    let spec = homing::JobSpec::script("exit 3").expect("a command").name(evil);
    let id = library(&setup).launch(spec).expect("it is launched").id.to_string();
    setup.wait_for_end(&id);
    let top = Top::start(&setup, &[]);
    top.wait_for("evil");
    top.press("\r");
    top.wait_for("complete");
    let text = top.0.text();
    assert!(!text.contains("\x1b]") && !text.contains(['\x07', '\u{202e}', '\r', '\n']), "{text:?}");
    top.press("q");
    top.wait_for("needs attention");
    top.quit();
}

#[test]
fn the_size_of_the_terminal_is_used() {
    let setup = Setup::new();
    setup.finished("exit 3");
    let top = Top::of_size(&setup, &[], 80, 24);
    top.wait_for("1 needs attention  0 running  0 finished");
    top.0.resize(40, 12);
    top.wait_for("1 attention  0 running  0 finished");
    wait_until("the small screen is used", || {
        let shown = top.shown();
        shown.lines().count() <= 12 && shown.lines().all(|line| line.chars().count() <= 40)
    });
    top.quit();
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_given_back() {
    let setup = Setup::new();
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let top = Top::start(&setup, &[]);
        top.wait_for("There are no jobs.");
        assert!(!top.0.has_usual_mode());
        top.0.send(signal);
        wait_until("the mode of the terminal is restored", || top.0.has_usual_mode());
        let (ended, text) = top.0.end();
        assert_eq!(ended, Some(status), "{text:?}");
        assert!(text.ends_with(LEAVE_SCREEN), "{text:?}");
    }
}

#[test]
fn a_stopped_program_gives_the_terminal_back_until_it_continues() {
    let setup = Setup::new();
    setup.finished("exit 3");
    let top = Top::start(&setup, &[]);
    top.wait_for("needs attention");
    top.0.send(Signal::TSTP);
    let pid = top.0.pid();
    wait_until("the program is stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    });
    assert!(top.0.has_usual_mode());
    wait_until("the screen is left", || top.0.text().ends_with(LEAVE_SCREEN));
    send(pid, Signal::CONT);
    wait_until("the screen is entered", || top.0.text().matches(ENTER_SCREEN).count() == 2);
    top.wait_for("needs attention");
    assert!(!top.0.has_usual_mode());
    top.quit();
}

#[test]
fn it_ends_when_the_terminal_is_closed() {
    let setup = Setup::new();
    let top = Top::start(&setup, &[]);
    top.wait_for("There are no jobs.");
    assert_eq!(top.0.hang_up(), Some(129));
}

#[cfg(feature = "failpoints")]
#[test]
fn a_panic_gives_the_terminal_back_and_is_shown() {
    let setup = Setup::new();
    let mut command = setup.command(&["top"]);
    command.env("FAILPOINTS", "top/draw=1*off->panic");
    let top = Top(OnTerminal::start(command, 80, 24));
    top.wait_for("There are no jobs.");
    top.press("?");
    let (status, text) = top.0.end();
    assert_ne!(status, Some(0));
    let (_, after) = text.rsplit_once(LEAVE_SCREEN).expect("the screen is left");
    assert!(after.contains("panicked at"), "{text:?}");
}

#[test]
fn it_needs_a_terminal() {
    let setup = Setup::new();
    let answer = setup.run(&["top"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""));
    assert!(answer.stderr.contains("standard input is not a terminal"), "{answer:?}");
    assert!(answer.stderr.contains("hint: use homing list --watch"), "{answer:?}");
    assert!(!setup.home.path().exists());
}

#[test]
fn it_does_not_wake_up_while_nothing_runs() {
    let setup = Setup::new();
    setup.finished("exit 3");
    let top = Top::start(&setup, &[]);
    top.wait_for("needs attention");
    let pid = top.0.pid();
    let switches = || -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
        let of_task = |task: std::path::PathBuf| -> Option<u64> {
            let status = std::fs::read_to_string(task.join("status")).ok()?;
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
        };
        tasks.filter_map(|task| of_task(task.ok()?.path())).sum()
    };
    let mut before = (switches(), Instant::now());
    wait_until("it sleeps for two seconds", || {
        let now = switches();
        if now != before.0 {
            before = (now, Instant::now());
        }
        before.1.elapsed() > Duration::from_secs(2)
    });
    let id = setup.finished("exit 4");
    top.wait_for("exit 4");
    assert_eq!(setup.run(&["ack", &id]).status, Some(0));
    top.wait_for("1 finished");
    top.quit();
}
