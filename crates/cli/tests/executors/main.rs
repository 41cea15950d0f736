//! Jobs on other machines, through a program `ssh` that starts homing on this machine with another home. It can be cut, and
//! refuse to connect.

mod faults;
mod machines;
mod real_ssh;
mod story;
