//! The progress of an import: a bar at a terminal, else a line at intervals.

use std::{
    cell::Cell,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use reeve_accounts::import::Tally;
use reeve_model::clock::monotonic;

use super::terminal::say;

/// Interval of the lines without a terminal.
const EVERY: Duration = Duration::from_secs(10);
/// Number of steps of the bar while lists and search are rebuilt.
const STEPS: u64 = 1000;

pub(super) struct Progress {
    /// `None` without a terminal.
    bar: Option<ProgressBar>,
    start: Instant,
    told: Cell<Instant>,
    finishing: Cell<bool>,
}

impl Progress {
    /// `size`: the size of the file in bytes, if known.
    pub(super) fn new(size: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = size.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let template =
                if size.is_some() { "{wide_bar} {percent}%  {msg}  {eta} left" } else { "{spinner}  {msg}" };
            bar.with_style(style(template))
        });
        let now = monotonic();
        Self { bar, start: now, told: Cell::new(now), finishing: Cell::new(false) }
    }

    /// Reports the bytes of the file that were imported.
    pub(super) fn read(&self, bytes: u64, tally: Tally) {
        let done = tally.added + tally.present + tally.refused;
        let took = self.start.elapsed();
        let rate = u128::from(done.unsigned_abs()) * 1000 / took.as_millis().max(1);
        let message = format!("{done} accounts, {rate}/s, {} refused", tally.refused);
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            bar.set_message(message);
        } else {
            self.tell(&message);
        }
    }

    /// Reports the rebuilding of lists and search, from 0 to 1.
    pub(super) fn finishing(&self, share: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to STEPS")]
        let steps = (share * 1000.0).clamp(0.0, 1000.0) as u64;
        if let Some(bar) = &self.bar {
            if !self.finishing.replace(true) {
                bar.set_style(style("{wide_bar} {percent}%  {msg}"));
                bar.set_length(STEPS);
                bar.set_message("rebuilding the lists");
            }
            bar.set_position(steps);
        } else {
            self.tell(&format!("rebuilding the lists: {}%", steps / 10));
        }
    }

    /// Removes the bar.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn tell(&self, message: &str) {
        let now = monotonic();
        if now.duration_since(self.told.get()) >= EVERY {
            self.told.set(now);
            say(&format!("{message} after {} s", now.duration_since(self.start).as_secs()));
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
