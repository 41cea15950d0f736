//! homing notifies real agent harnesses. They run in their own network namespace with a scripted model. A test is
//! skipped with a message if its harness is not installed.

mod claude_code;
mod claude_code_mcp;
mod claude_code_setup;
mod claude_listen;
mod claude_terminal;
mod codex;
mod codex_mcp;
mod codex_terminal;
mod copilot;
mod gemini;
mod gemini_listen;
mod gemini_mcp;
mod listening;
mod mcp_round;
mod offline;
mod opencode;
mod opencode_mcp;
mod printed_rules;
mod stage;
mod terminal;
mod transcript;
