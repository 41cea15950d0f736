//! MCP at `/mcp`.

use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::json;

use crate::server::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_the_session_of_its_token() {
    let setup = Setup::new();
    let server = setup.serve();
    let token = setup.token("session:chat-1");
    let uri = format!("http://{}/mcp", server.host());
    let config = StreamableHttpClientTransportConfig::with_uri(uri).auth_header(token);
    let client = ().serve(StreamableHttpClientTransport::from_config(config)).await.expect("it answers");
    let arguments = json!({"command": "echo hello", "run_in_background": true});
    let call =
        CallToolRequestParams::new("run_command").with_arguments(arguments.as_object().unwrap().clone());
    client.call_tool(call).await.expect("it is launched");
    let listed = server.get("/api/v1/jobs").expect(200);
    assert_eq!(listed["jobs"][0]["session"], "chat-1", "{listed}");
    let id = listed["jobs"][0]["id"].as_str().unwrap().to_owned();
    server.wait(&id);
    // Another session is not visible, whatever the client says.
    let other = server.finished("true");
    let arguments = json!({"job_ids": [other]});
    let call =
        CallToolRequestParams::new("wait_for_jobs").with_arguments(arguments.as_object().unwrap().clone());
    let answer = client.call_tool(call).await.expect("it answers");
    assert_eq!(answer.is_error, Some(true), "{answer:?}");
    client.cancel().await.expect("it ends");
}
