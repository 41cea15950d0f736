//! A real client, from rmcp, over both transports and both revisions of the protocol.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig, ContentBlock,
    Implementation, ProgressNotificationParam, ProtocolVersion, RequestMetaObject,
};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceError};
use serde_json::Value;

use crate::server::{HttpServer, Setup};

/// How a client reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Stdio,
    Http,
}

/// The revision of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revision {
    With2025,
    With2026,
}

/// Every transport with every revision.
pub(crate) const CONNECTIONS: [(Transport, Revision); 4] = [
    (Transport::Stdio, Revision::With2025),
    (Transport::Stdio, Revision::With2026),
    (Transport::Http, Revision::With2025),
    (Transport::Http, Revision::With2026),
];

/// Properties of a client.
#[derive(Clone, Default)]
pub(crate) struct Traits {
    /// Whether it supports tasks.
    pub(crate) tasks: bool,
    /// The metadata of every call.
    pub(crate) meta: Option<Value>,
    /// Its name.
    pub(crate) name: Option<&'static str>,
    /// Arguments of its server.
    pub(crate) arguments: &'static [&'static str],
    /// Environment of its server.
    pub(crate) environment: &'static [(&'static str, &'static str)],
}

/// A connected client.
pub(crate) struct Client {
    pub(crate) service: RunningService<RoleClient, Listener>,
    /// The server process, if the client started it.
    pub(crate) child: Option<tokio::process::Child>,
    _server: Option<HttpServer>,
    meta: Option<RequestMetaObject>,
}

/// Receives notifications of the server.
#[derive(Clone, Default)]
pub(crate) struct Listener {
    pub(crate) progress: Arc<Mutex<Vec<ProgressNotificationParam>>>,
    tasks: bool,
    name: Option<&'static str>,
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let capabilities = if self.tasks {
            ClientCapabilities::builder().enable_tasks().build()
        } else {
            ClientCapabilities::default()
        };
        ClientConfig::new(capabilities, Implementation::new(self.name.unwrap_or("test"), "1"))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.lock().expect("no panic").push(params);
    }
}

impl Client {
    /// Connects to a new server.
    pub(crate) async fn connect(setup: &Setup, connection: (Transport, Revision), traits: Traits) -> Client {
        match connection.0 {
            Transport::Stdio => Client::over_stdio(setup, connection.1, traits).await,
            Transport::Http => {
                let mut command = setup.command(&[&["--http", "0"], traits.arguments].concat());
                command.envs(traits.environment.iter().copied());
                let server = setup.start_http(command);
                let mut client = Client::over_http(&server, connection.1, traits).await;
                client._server = Some(server);
                client
            }
        }
    }

    pub(crate) async fn over_stdio(setup: &Setup, revision: Revision, traits: Traits) -> Client {
        let mut command = setup.command(traits.arguments);
        command.envs(traits.environment.iter().copied());
        let mut command = tokio::process::Command::from(command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the server starts");
        let ends = (child.stdout.take().expect("open"), child.stdin.take().expect("open"));
        let service = traits.listener().serve_with_lifecycle(ends, revision.lifecycle());
        let service = service.await.expect("the server answers");
        Client { service, child: Some(child), _server: None, meta: traits.meta() }
    }

    pub(crate) async fn over_http(server: &HttpServer, revision: Revision, traits: Traits) -> Client {
        let config =
            StreamableHttpClientTransportConfig::with_uri(server.url.clone()).auth_header(server.token());
        let transport = StreamableHttpClientTransport::from_config(config);
        let service = traits.listener().serve_with_lifecycle(transport, revision.lifecycle());
        let service = service.await.expect("the server answers");
        Client { service, child: None, _server: None, meta: traits.meta() }
    }

    /// Calls a tool and returns any response.
    pub(crate) async fn try_call(
        &self,
        tool: &str,
        arguments: Value,
    ) -> Result<CallToolResponse, ServiceError> {
        self.service.call_tool_once(self.params(tool, arguments)).await
    }

    fn params(&self, tool: &str, arguments: Value) -> CallToolRequestParams {
        let arguments = arguments.as_object().expect("arguments are an object").clone();
        let mut params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        params.meta = self.meta.clone();
        params
    }

    /// Calls a tool and expects a result.
    #[track_caller]
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> impl Future<Output = Reply> {
        let answer = self.try_call(tool, arguments);
        async move {
            match answer.await.expect("the server answers") {
                CallToolResponse::Complete(result) => Reply(result),
                other => panic!("no result: {other:?}"),
            }
        }
    }

    /// Runs a script in the background, and returns the id of its job.
    pub(crate) async fn run_in_background(&self, command: &str) -> String {
        let arguments = serde_json::json!({"command": command, "run_in_background": true});
        let reply = self.call("run_command", arguments).await;
        assert!(!reply.is_error(), "{}", reply.text());
        reply.id()
    }

    /// The result or the state of a job, without waiting.
    pub(crate) fn result(&self, id: &str) -> impl Future<Output = Reply> {
        self.call("wait_for_jobs", serde_json::json!({"job_ids": [id], "wait_ms": 0}))
    }
}

impl Traits {
    fn listener(&self) -> Listener {
        Listener { tasks: self.tasks, name: self.name, ..Listener::default() }
    }

    fn meta(&self) -> Option<RequestMetaObject> {
        self.meta.clone().map(|meta| serde_json::from_value(meta).expect("metadata"))
    }
}

impl Revision {
    fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Revision::With2025 => ClientLifecycleMode::Initialize,
            Revision::With2026 => {
                ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
            }
        }
    }
}

/// The result of a tool.
#[derive(Debug)]
pub(crate) struct Reply(pub(crate) CallToolResult);

impl Reply {
    pub(crate) fn text(&self) -> &str {
        match &self.0.content[..] {
            [ContentBlock::Text(text)] => &text.text,
            other => panic!("not one text: {other:?}"),
        }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.0.is_error == Some(true)
    }

    /// The facts about the one job.
    #[track_caller]
    pub(crate) fn job(&self) -> &Value {
        self.meta("homing/job")
    }

    /// The facts about several jobs.
    #[track_caller]
    pub(crate) fn jobs(&self) -> &[Value] {
        self.meta("homing/jobs").as_array().expect("a list")
    }

    #[track_caller]
    fn meta(&self, name: &str) -> &Value {
        let meta = self.0.meta.as_ref().and_then(|meta| meta.get(name));
        meta.unwrap_or_else(|| panic!("no {name}: {}", self.text()))
    }

    /// The output in the text, without its frame.
    #[track_caller]
    pub(crate) fn output(&self) -> String {
        testkit::unframe(self.text()).inside
    }

    /// The last line.
    pub(crate) fn last_line(&self) -> &str {
        self.text().lines().last().unwrap_or_default()
    }

    /// The id of the one job.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        self.job()["id"].as_str().expect("an id").to_owned()
    }
}
