//! Gemini CLI with the tools of `homing mcp`. It tells a server nothing of its sessions, so nobody is woken, and the
//! model is told to wait.

use crate::gemini::{set_up, turn};
use crate::mcp_round::{WAIT_INSTEAD, assert_read_and_not_woken, launches_and_waits, turn_that_waits};
use crate::offline::offline;
use crate::stage::Stage;

#[test]
fn the_model_is_told_to_wait_for_its_job_and_reads_the_result() {
    offline("gemini_mcp::the_model_is_told_to_wait_for_its_job_and_reads_the_result", || {
        let Some(stage) = Stage::following(launches_and_waits(), "gemini", "Gemini CLI") else { return };
        let stage = set_up(stage);
        let turn = turn_that_waits(&stage, || turn(&stage, &["-p", "LAUNCH please"]));
        let asked = stage.model.asked();
        assert_eq!(Stage::document(&turn)["response"], "READ", "{turn:?} {asked:#?}");
        assert!(asked.iter().any(|asked| asked.text.contains(WAIT_INSTEAD)), "{asked:#?}");
        assert_eq!(stage.job()["session"], "default", "{:#}", stage.job());
        assert_read_and_not_woken(&stage);
    });
}
