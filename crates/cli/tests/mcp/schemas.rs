//! The schemas of tools are a contract: one golden file per tool.

use rmcp::model::PaginatedRequestParams;
use serde_json::json;

use crate::client::{CONNECTIONS, Client, Traits};
use crate::server::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn tool_schemas_match_their_golden_files() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    let tools = client.service.list_all_tools().await.expect("tools");
    assert_eq!(tools.len(), 7);
    for tool in tools {
        insta::assert_json_snapshot!(format!("tool_{}", tool.name), tool);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transport_and_revision_lists_the_same_tools() {
    let mut seen = Vec::new();
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let page = client.service.list_tools(Some(PaginatedRequestParams::default())).await.expect("tools");
        seen.push(json!(page.tools));
        let info = client.service.peer_info().expect("it sent its info");
        assert!(info.capabilities.supports_tasks(), "{connection:?}");
        assert_eq!(info.server_info.as_ref().map(|server| server.name.as_str()), Some("homing"));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}
