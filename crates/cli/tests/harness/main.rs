//! Real agent harnesses, woken by homing. They run in a network namespace of their own, in which there is nothing but
//! a model that follows a script. What is not installed is skipped, and says so.

mod claude_code;
mod claude_code_mcp;
mod claude_terminal;
mod codex;
mod codex_mcp;
mod gemini;
mod gemini_mcp;
mod mcp_round;
mod offline;
mod opencode;
mod opencode_mcp;
mod stage;
