//! Two machines on one: a home, and an executor `box` with a home of its own behind a stand-in for ssh(1).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use testkit::{Process, TempHome, kill, processes_where, wait_until};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_homing");

/// A home with an executor.
pub(crate) struct Machines {
    pub(crate) home: TempHome,
    /// The directory of the stand-in: files in it change what it does.
    pub(crate) network: PathBuf,
}

impl Machines {
    pub(crate) fn new() -> Machines {
        let home = TempHome::new();
        let network = home.scratch().join("network");
        for folder in ["bin", "there/bin", "there/user"] {
            fs::create_dir_all(network.join(folder)).expect("a folder");
        }
        std::os::unix::fs::symlink(PROGRAM, network.join("there/bin/homing")).expect("a link");
        // `down`: nothing answers. `greeting`: what a shell prints first. `failpoints`: of the next program there.
        let ssh = format!(
            r#"#!/bin/sh
network={}
while [ "$1" != -- ]; do shift; done
[ "$2" = me@box ] || {{ echo "ssh: Could not resolve hostname $2" >&2; exit 255; }}
[ ! -e $network/down ] || {{ echo "ssh: connect to host box port 22: Connection refused" >&2; exit 255; }}
[ ! -e $network/greeting ] || cat $network/greeting
if mv $network/failpoints $network/failpoints.used 2>/dev/null; then failpoints=$(cat $network/failpoints.used); fi
cd $network/there/user
exec env -i HOME=$network/there/user HOMING_HOME={}-there PATH=$network/there/bin:/usr/bin:/bin \
    FAILPOINTS="$failpoints" sh -c "$3"
"#,
            network.display(),
            home.path().display(),
        );
        let program = network.join("bin/ssh");
        fs::write(&program, ssh).expect("a script");
        fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("it can be executed");
        let machines = Machines { home, network };
        machines.configure("[executors.box]\nssh = \"me@box\"\n");
        machines
    }

    pub(crate) fn configure(&self, text: &str) {
        let path = self.home.scratch().join("config.toml");
        fs::write(&path, text).expect("a configuration");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a private file");
    }

    fn command_in(&self, home: &Path) -> Command {
        let mut command = self.home.command(PROGRAM);
        let path = std::env::var("PATH").expect("a PATH");
        command.env("PATH", format!("{}:{path}", self.network.join("bin").display()));
        command.env("HOMING_CONFIG", self.home.scratch().join("config.toml"));
        command.env("HOMING_HOME", home).env("FAILPOINTS", "mirror_pause=return(20)");
        command
    }

    /// The program at home.
    pub(crate) fn program(&self) -> Command {
        self.command_in(&self.home.path())
    }

    /// The path of the home of the executor.
    pub(crate) fn home_there(&self) -> PathBuf {
        PathBuf::from(format!("{}-there", self.home.path().display()))
    }

    /// Runs the program at home.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.program().args(arguments).output().expect("the program starts")
    }

    /// The standard output of the program at home, which must succeed.
    pub(crate) fn stdout(&self, arguments: &[&str]) -> String {
        text_of(self.run(arguments))
    }

    /// The standard output of the program on the executor, which must succeed.
    pub(crate) fn there(&self, arguments: &[&str]) -> String {
        text_of(self.command_in(&self.home_there()).args(arguments).output().expect("the program starts"))
    }

    /// Launches a script on the executor, and returns its id.
    pub(crate) fn launch(&self, script: &str) -> String {
        self.stdout(&["run", "--on", "box", script]).trim().to_owned()
    }

    /// The document of a job at home.
    pub(crate) fn job(&self, id: &str) -> Value {
        json(&self.stdout(&["show", id, "--json"]))
    }

    /// Waits until a job has finished at home.
    pub(crate) fn finished(&self, id: &str) -> Value {
        wait_until("the job has finished", || self.job(id)["state"] == "finished");
        self.job(id)
    }

    /// What is known at home about the connection.
    pub(crate) fn health(&self) -> Value {
        json(&self.stdout(&["executors", "--json"]))[0]["health"].take()
    }

    /// The programs that serve connections on the executor.
    pub(crate) fn connections(&self) -> Vec<Process> {
        let home = format!("HOMING_HOME={}", self.home_there().display());
        processes_where(|process| {
            process.command_line.contains("__executor") && process.environment.contains(&home)
        })
    }

    /// The mirrors at home.
    pub(crate) fn mirrors(&self) -> Vec<Process> {
        self.home
            .processes()
            .into_iter()
            .filter(|process| process.command_line.contains("__mirror"))
            .collect()
    }

    /// Kills every mirror, and waits until its lock is free.
    pub(crate) fn kill_mirrors(&self) {
        self.mirrors().iter().for_each(|mirror| kill(mirror.pid));
        wait_until("no mirror is left", || self.mirrors().is_empty());
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self) {
        self.connections().iter().for_each(|process| kill(process.pid));
    }

    /// No connection is possible from now on, or is again.
    pub(crate) fn set_down(&self, down: bool) {
        let file = self.network.join("down");
        if down {
            fs::write(file, "").expect("a file");
        } else {
            fs::remove_file(file).expect("it is removed");
        }
    }

    /// The types of the events of a job at home.
    pub(crate) fn events(&self, id: &str) -> Vec<String> {
        let text = self.stdout(&["events", "--json", "--limit", "1000"]);
        let events = text.lines().map(json).filter(|event| event["job"] == id);
        events.map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn text_of(output: Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8(output.stdout).expect("text")
}
