//! Gemini CLI with the tools of `homing mcp`. Without a hook it sends no session id, so the answer tells the model to wait.

use crate::gemini::{set_up, turn};
use crate::mcp_round::{MUST_WAIT, assert_read_and_not_delivered_again, launches_and_waits, turn_that_waits};
use crate::offline::offline;
use crate::stage::Stage;
use crate::transcript;

#[test]
fn the_answer_tells_the_model_to_wait_and_the_model_reads_the_result() {
    offline("gemini_mcp::the_answer_tells_the_model_to_wait_and_the_model_reads_the_result", || {
        let Some(stage) = Stage::following(launches_and_waits(), "gemini", "Gemini CLI") else { return };
        let stage = set_up(stage);
        // Without the hook that adds the session to the calls.
        let settings = stage.home.scratch().join(".gemini/settings.json");
        let text = std::fs::read_to_string(&settings).expect("settings");
        let mut document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        document.as_object_mut().expect("an object").remove("hooks");
        stage.write(".gemini/settings.json", &document.to_string());
        let turn = turn_that_waits(&stage, || turn(&stage, &["-p", "LAUNCH please"]));
        let asked = stage.model.asked();
        assert_eq!(Stage::document(&turn)["response"], "READ", "{turn:?} {asked:#?}");
        assert!(asked.iter().any(|asked| asked.text.contains(MUST_WAIT)), "{asked:#?}");
        assert_eq!(stage.job()["session"], "default", "{:#}", stage.job());
        assert_read_and_not_delivered_again(&stage);
        let what = "Without a hook or plugin of homing, the harness sends no session id to MCP servers. The \
                    answer tells the model to wait, and the model does.";
        transcript::write(&stage, "gemini", "Gemini CLI", "gemini", what);
    });
}
