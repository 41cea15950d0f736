//! The jobs of the home on a terminal that stays up to date: what needs attention, what runs, what has finished, and the
//! output of one job. `model`, `layout` and `view` are pure; `app` waits, reads and writes.

mod app;
mod entry;
mod feed;
mod keys;
mod last_outputs;
mod layout;
mod model;
mod output_feed;
mod output_lines;
mod output_view;
mod painter;
mod screen;
mod sgr;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use app::run;
