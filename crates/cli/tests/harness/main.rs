//! homing notifies real agent harnesses. They run in their own network namespace with a scripted model. A test is
//! skipped with a message if its harness is not installed.

mod claude_code;
mod claude_code_mcp;
mod claude_terminal;
mod codex;
mod codex_mcp;
mod codex_terminal;
mod gemini;
mod gemini_mcp;
mod mcp_round;
mod offline;
mod opencode;
mod opencode_mcp;
mod stage;
mod terminal;
