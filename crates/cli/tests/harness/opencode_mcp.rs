//! opencode with the tools of `homing mcp`. Without a plugin it sends no session id, so the answer tells the model to wait.

use crate::mcp_round::{MUST_WAIT, assert_read_and_not_delivered_again, launches_and_waits, turn_that_waits};
use crate::offline::offline;
use crate::opencode::config;
use crate::stage::Stage;
use crate::transcript;

#[test]
fn the_answer_tells_the_model_to_wait_and_the_model_reads_the_result() {
    offline("opencode_mcp::the_answer_tells_the_model_to_wait_and_the_model_reads_the_result", || {
        let Some(mut stage) = Stage::following(launches_and_waits(), "opencode", "opencode") else { return };
        stage.set("npm_config_fetch_retries", "0");
        stage.write(".config/opencode/opencode.json", &config(&stage.model.url()).to_string());
        stage.set_up("opencode");
        // Without the plugin that adds the session to the calls.
        let plugin = stage.home.scratch().join(".config/opencode/plugins/homing.js");
        std::fs::remove_file(plugin).expect("a plugin");
        let turn = turn_that_waits(&stage, || {
            stage.command("opencode").args(["run", "LAUNCH please"]).output().expect("it runs")
        });
        let asked = stage.model.asked();
        let output = String::from_utf8_lossy(&turn.stdout);
        assert!(output.contains("READ"), "{turn:?} {asked:#?}");
        assert!(asked.iter().any(|asked| asked.text.contains(MUST_WAIT)), "{asked:#?}");
        assert_eq!(stage.job()["session"], "default", "{:#}", stage.job());
        assert_read_and_not_delivered_again(&stage);
        let what = "Without a hook or plugin of homing, the harness sends no session id to MCP servers. The \
                    answer tells the model to wait, and the model does.";
        transcript::write(&stage, "opencode", "opencode", "opencode", what);
    });
}
