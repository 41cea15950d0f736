//! Real agent harnesses, woken by homing. They run in a network namespace of their own, in which there is nothing but a
//! model that follows a script. What is not installed is skipped, and says so.

mod claude_code;
mod codex;
mod gemini;
mod offline;
mod opencode;
mod stage;
