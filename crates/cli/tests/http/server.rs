//! A server on its own home. Dropping it stops the server and checks that no process of the test survives.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use homing::{Homing, Job, JobId, OpenOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use testkit::{TempHome, wait_until};

use crate::client::{Address, Answer, Messages, Request};

/// A home and the program.
pub(crate) struct Setup {
    pub(crate) home: TempHome,
}

impl Setup {
    pub(crate) fn new() -> Setup {
        Setup { home: TempHome::new() }
    }

    /// The program with these arguments, without the outer session.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(env!("CARGO_BIN_EXE_homing"));
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.home.scratch())
            .env_remove("HOMING_CONFIG")
            .current_dir(self.home.scratch());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("it ends")
    }

    /// What the program prints.
    #[track_caller]
    pub(crate) fn printed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it prints text")
    }

    /// Serves on a free port and on the socket.
    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub(crate) fn serve_with(&self, arguments: &[&str]) -> Server {
        Server::start(self.command(&[&["serve", "--listen", "127.0.0.1:0", "--json"], arguments].concat()))
    }

    /// A token with this scope.
    pub(crate) fn token(&self, scope: &str) -> String {
        self.printed(&["token", "create", "--scope", scope]).trim_end().to_owned()
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

    pub(crate) fn homing(&self) -> Homing {
        let options = OpenOptions::new().home(self.home.path()).config(homing::Config::default());
        options.supervisor(env!("CARGO_BIN_EXE_homing")).open().expect("the home opens")
    }

    /// A job, read through the library.
    pub(crate) fn job(&self, id: &str) -> Job {
        let id: JobId = id.parse().expect("an id");
        self.homing().get(id).expect("there is such a job")
    }

    /// Waits until a job finishes, without acknowledging it.
    pub(crate) fn wait_for_end(&self, id: &str) {
        wait_until("the job finishes", || self.job(id).outcome().is_some());
    }

    /// The state of the follow-up of a job.
    pub(crate) fn follow_up(&self, id: &str) -> String {
        self.job(id).follow_up.state.to_string()
    }
}

/// A server that is ready. Dropping it stops it.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) ready: Value,
    /// The token of the server, with all rights.
    pub(crate) token: String,
}

impl Server {
    /// Starts a server that prints one line when it is ready.
    pub(crate) fn start(mut command: Command) -> Server {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is open"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it prints its addresses");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let token_file = ready["token_file"].as_str().expect("a path");
        let token = std::fs::read_to_string(token_file).expect("there is a token").trim().to_owned();
        Server { child, ready, token }
    }

    /// The address for TCP.
    #[track_caller]
    pub(crate) fn address(&self) -> Address {
        let url = self.ready["url"].as_str().expect("it listens on TCP");
        let host = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
        Address::Tcp(host.to_owned())
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        match self.address() {
            Address::Tcp(host) => host,
            Address::Socket(_) => unreachable!("it is the address for TCP"),
        }
    }

    pub(crate) fn socket(&self) -> Address {
        Address::Socket(PathBuf::from(self.ready["socket"].as_str().expect("it has a socket")))
    }

    /// Sends a request with the token of the server.
    pub(crate) fn send(&self, request: Request) -> Answer {
        request.token(&self.token).send(&self.address())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Request::new("GET", path))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Request::new("POST", path).json(body))
    }

    /// Opens a stream with the token of the server.
    pub(crate) fn stream(&self, path: &str) -> Messages {
        Request::new("GET", path).token(&self.token).open(&self.address()).messages()
    }

    /// Launches a script in the session `default`, and returns the id of the job.
    #[track_caller]
    pub(crate) fn launch(&self, command: &str) -> String {
        self.launch_with(json!({"command": command}))
    }

    #[track_caller]
    pub(crate) fn launch_with(&self, request: Value) -> String {
        let job = self.post("/api/v1/jobs", &request).expect(201);
        job["id"].as_str().expect("an id").to_owned()
    }

    /// Launches a script and waits for its end.
    #[track_caller]
    pub(crate) fn finished(&self, command: &str) -> String {
        let id = self.launch(command);
        self.wait(&id);
        id
    }

    /// Waits for the end of a job, and returns the job.
    #[track_caller]
    pub(crate) fn wait(&self, id: &str) -> Value {
        let job = self.get(&format!("/api/v1/jobs/{id}/wait?timeout_ms=60000")).expect(200);
        assert_eq!(job["state"], "finished", "{job}");
        job
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it is signaled");
    }

    /// Kills the server, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it is gone");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            self.signal(Signal::TERM);
            let _ = self.child.wait();
        }
    }
}
