//! A server on its own home. Dropping it stops the server and checks that no process of the test survives.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use homing::{Job, JobId, OpenOptions};
use rustix::process::{Pid, Signal, kill_process};
use testkit::{TempHome, wait_until};

/// A home and the program.
pub(crate) struct Setup {
    pub(crate) home: TempHome,
}

impl Setup {
    pub(crate) fn new() -> Setup {
        Setup { home: TempHome::new() }
    }

    /// `homing mcp` with these arguments, without the outer session.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(env!("CARGO_BIN_EXE_homing"));
        command
            .arg("mcp")
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.home.scratch())
            .env_remove("HOMING_CONFIG")
            .current_dir(self.home.scratch());
        command
    }

    /// Serves over HTTP on a free port.
    pub(crate) fn serve_http(&self, arguments: &[&str]) -> HttpServer {
        self.start_http(self.command(&[&["--http", "0"], arguments].concat()))
    }

    pub(crate) fn start_http(&self, mut command: Command) -> HttpServer {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("it is open"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("it prints its address");
        let url = line.split_whitespace().find(|word| word.starts_with("http://"));
        let url = url.unwrap_or_else(|| panic!("no address in {line:?}")).trim_end_matches(',').to_owned();
        // Drain standard error, so that the server never blocks on it.
        std::thread::spawn(move || stderr.lines().for_each(drop));
        HttpServer { child, url, token_file: self.home.path().join("mcp.token") }
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, text: &str) {
        let path = self.home.scratch().join("homing/config.toml");
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        std::fs::write(path, text).expect("the file is written");
    }

    /// Replaces `MARK` in a script by a number of seconds that is unique to this test.
    pub(crate) fn marked(&self, script: &str) -> String {
        script.replace("MARK", self.home.mark())
    }

    /// A job, read through the library.
    pub(crate) fn job(&self, id: &str) -> Job {
        let id: JobId = id.parse().expect("an id");
        self.homing().get(id).expect("there is such a job")
    }

    pub(crate) fn homing(&self) -> homing::Homing {
        let options = OpenOptions::new().home(self.home.path()).config(homing::Config::default());
        options.supervisor(env!("CARGO_BIN_EXE_homing")).open().expect("the home opens")
    }

    /// Waits until a job finishes, without acknowledging it.
    pub(crate) fn wait_for_end(&self, id: &str) {
        wait_until("the job finishes", || self.job(id).outcome().is_some());
    }

    /// Waits until the follow-up of a job has this state.
    pub(crate) fn wait_for_follow_up(&self, id: &str, state: &str) {
        wait_until("the follow-up reaches the state", || self.follow_up(id) == state);
    }

    /// The state of the follow-up of a job.
    pub(crate) fn follow_up(&self, id: &str) -> String {
        self.job(id).follow_up.state.to_string()
    }

    /// Kills all jobs of this home.
    pub(crate) fn kill_all_jobs(&self) {
        let homing = self.homing();
        for job in homing.list(&homing::ListOptions::default()).expect("a list") {
            homing.kill(job.id, homing::KilledBy::Operator).expect("it ends");
        }
    }
}

/// A listening server. Dropping it stops it.
pub(crate) struct HttpServer {
    child: Child,
    pub(crate) url: String,
    token_file: PathBuf,
}

impl HttpServer {
    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(&self.token_file).expect("there is a token").trim().to_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        self.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it is signaled");
    }

    /// Waits until every client has closed its connections: the server's ends are no longer ESTABLISHED (proc_net(5)).
    pub(crate) fn wait_for_clients_to_leave(&self) {
        let port =
            self.address().rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).expect("a port");
        let own_end = format!(":{port:04X}");
        wait_until("the clients have left", || {
            let sockets = std::fs::read_to_string("/proc/net/tcp").expect("the sockets");
            !sockets.lines().any(|line| {
                let mut fields = line.split_whitespace().skip(1);
                fields.next().is_some_and(|local| local.ends_with(&own_end)) && fields.nth(1) == Some("01")
            })
        });
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
