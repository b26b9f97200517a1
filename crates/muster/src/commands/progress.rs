//! [`ProgressLine`]: how a request that is waited for gets on, for people.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use muster_protocol::image::Progress;
use muster_worker::generate::Update;

/// Progress as a bar on a terminal, as lines elsewhere.
pub(crate) struct ProgressLine {
    bar: Option<ProgressBar>,
    last: String,
}

impl ProgressLine {
    /// Nothing is shown before the first update.
    pub(crate) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1);
            if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:20}] {pos}/{len} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            bar,
            last: String::new(),
        }
    }

    /// Shows what is new.
    pub(crate) fn show(&mut self, update: &Update) {
        match update {
            Update::Accepted(accepted) => {
                for warning in &accepted.warnings {
                    self.line(&format!("warning: {}", warning.message));
                }
                let said = |message: &&String| {
                    accepted
                        .warnings
                        .iter()
                        .any(|warning| warning.message == **message)
                };
                if let Some(message) = accepted.message.as_ref().filter(|message| !said(message)) {
                    self.line(message);
                }
            }
            Update::Progress(progress) => self.progress(progress),
            Update::Impossible => {
                self.line("No worker that is online can do this; waiting for one. Ctrl-C cancels.");
            }
            Update::Trouble { error, again_in } => {
                self.line(&format!(
                    "{error}; trying again in {:.0} s",
                    again_in.as_secs_f64()
                ));
            }
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let text = describe(progress);
        match &self.bar {
            Some(bar) => {
                let pictures = progress.finished + progress.processing + progress.waiting;
                bar.set_length(u64::from(pictures.max(1)));
                bar.set_position(u64::from(progress.finished));
                bar.set_message(text);
            }
            None if text != self.last => {
                eprintln!("{text}");
                self.last = text;
            }
            None => (),
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Clears the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Where a request is, in a few words.
fn describe(progress: &Progress) -> String {
    let mut text = if progress.done {
        "done".to_owned()
    } else if progress.processing > 0 {
        format!("{} in the making", progress.processing)
    } else {
        format!("number {} in the queue", progress.queue_position)
    };
    if !progress.done && progress.wait_time > 0 {
        // Writing to a string does not fail.
        let _ = write!(text, ", about {} s", progress.wait_time);
    }
    if progress.restarted > 0 {
        let _ = write!(text, ", {} restarted", progress.restarted);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_words() {
        let mut progress = Progress {
            finished: 0,
            processing: 0,
            restarted: 0,
            waiting: 1,
            done: false,
            faulted: false,
            wait_time: 12,
            queue_position: 3,
            kudos: 0.0,
            is_possible: true,
        };
        assert_eq!(describe(&progress), "number 3 in the queue, about 12 s");
        progress.processing = 1;
        progress.restarted = 1;
        assert_eq!(describe(&progress), "1 in the making, about 12 s, 1 restarted");
        progress.done = true;
        progress.restarted = 0;
        assert_eq!(describe(&progress), "done");
    }
}
