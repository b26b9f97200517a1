//! [`SimulatedScribe`]: texts without a model.

use std::{str::FromStr, time::Duration};

use muster_protocol::image::GenerationState;
use tokio::time::Instant;

use crate::{
    backend::{BackendError, Progress, TextBackend, TextJob, Written},
    random::{self, Stream},
};

/// How fast a simulated scribe writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// All at once.
    Instant,
    /// So many tokens a second in each thread.
    Tokens(f64),
}

impl Default for Pace {
    /// Twenty tokens a second, like a small model on a usual GPU.
    fn default() -> Self {
        Self::Tokens(20.0)
    }
}

/// A number of tokens a second; 0 or `instant` for no waiting.
impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("instant") {
            return Ok(Self::Instant);
        }
        match text.parse::<f64>() {
            Ok(0.0) => Ok(Self::Instant),
            Ok(pace) if pace.is_finite() && pace > 0.0 => Ok(Self::Tokens(pace)),
            _ => Err("neither `instant` nor a number of tokens a second".to_owned()),
        }
    }
}

/// The backend that only pretends to write.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimulatedScribe {
    /// How fast it is.
    pub pace: Pace,
}

/// Characters that count as one token.
const CHARS_PER_TOKEN: usize = 4;
/// What every text begins with.
const DISCLAIMER: &str = " (simulated)";
const OPENINGS: [&str; 8] = [
    "the keeper",
    "a stranger",
    "the old ship",
    "the storm",
    "nobody",
    "the light",
    "a letter",
    "the tide",
];
const DEEDS: [&str; 8] = [
    "waited for",
    "remembered",
    "lost",
    "followed",
    "carried",
    "forgot",
    "drew",
    "answered",
];
const ENDS: [&str; 8] = [
    "the morning",
    "an open door",
    "its own shadow",
    "the last train",
    "a quiet song",
    "the far shore",
    "no one",
    "the same map",
];

impl TextBackend for SimulatedScribe {
    async fn write(&self, job: &TextJob, progress: &Progress<'_>) -> Result<Vec<Written>, BackendError> {
        let mut texts = Vec::with_capacity(job.ids.len());
        for (index, id) in job.ids.iter().enumerate() {
            let seed = random::hash(&id.to_string()) >> 32;
            let mut scribe = Scribe::new(job, seed);
            let start = Instant::now();
            // Word by word, as a model writes token by token.
            while scribe.next_word() {
                let share = (index as f32 + scribe.share()) / job.ids.len() as f32;
                progress(share);
                if let Pace::Tokens(pace) = self.pace {
                    let due = Duration::try_from_secs_f64(scribe.tokens() as f64 / pace);
                    tokio::time::sleep_until(start + due.unwrap_or(Duration::from_hours(1))).await;
                }
            }
            texts.push(Written {
                text: scribe.text,
                seed: seed.cast_signed(),
                state: GenerationState::Ok,
            });
        }
        progress(1.0);
        Ok(texts)
    }
}

/// A text in the making.
struct Scribe<'a> {
    text: String,
    /// Words of the sentence that are still to be written, last one first.
    words: Vec<String>,
    stream: Stream,
    /// The most characters.
    limit: usize,
    stops: Vec<&'a str>,
    one_line: bool,
    ended: bool,
}

impl<'a> Scribe<'a> {
    fn new(job: &'a TextJob, seed: u64) -> Self {
        let mut stream = Stream::new(random::hash(&job.prompt) ^ seed);
        // Texts end by themselves, too.
        let share = stream.range(0.5, 1.0);
        let limit = job.params.length() as usize * CHARS_PER_TOKEN;
        let stops = job.params.stop_sequence.iter().flatten();
        Self {
            text: String::new(),
            words: vec![DISCLAIMER.to_owned()],
            stream,
            limit: (limit as f32 * share) as usize,
            stops: stops
                .map(String::as_str)
                .filter(|stop| !stop.is_empty())
                .collect(),
            one_line: job.params.singleline == Some(true),
            ended: false,
        }
    }

    /// Writes a word; whether there was room for one.
    fn next_word(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let word = match self.words.pop() {
            Some(word) => word,
            None => self.sentence(),
        };
        if self.text.len() + word.len() > self.limit && !self.text.is_empty() {
            return false;
        }
        self.text.push_str(&word);
        if let Some(end) = self.stops.iter().filter_map(|stop| self.text.find(stop)).min() {
            self.text.truncate(end);
            self.ended = true;
        }
        true
    }

    /// Thinks of a sentence and begins it.
    fn sentence(&mut self) -> String {
        let mut pick = |from: &[&'static str]| from[self.stream.below(from.len() as u64) as usize];
        let sentence = format!("{} {} {}.", pick(&OPENINGS), pick(&DEEDS), pick(&ENDS));
        let paragraph = self.stream.below(6) == 0 && !self.one_line;
        let mut words: Vec<String> = sentence.split(' ').map(|word| format!(" {word}")).collect();
        if let Some(first) = words.first_mut() {
            let capital: String = first
                .trim()
                .chars()
                .take(1)
                .flat_map(char::to_uppercase)
                .collect();
            let rest: String = first.trim().chars().skip(1).collect();
            *first = format!("{}{capital}{rest}", if paragraph { "\n" } else { " " });
        }
        words.reverse();
        let first = words.pop().unwrap_or_default();
        self.words = words;
        first
    }

    fn tokens(&self) -> usize {
        self.text.len().div_ceil(CHARS_PER_TOKEN)
    }

    fn share(&self) -> f32 {
        (self.text.len() as f32 / self.limit.max(1) as f32).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use muster_protocol::{JobId, text::Params};
    use uuid::Uuid;

    use super::*;

    fn job(ids: u128, params: Params) -> TextJob {
        TextJob {
            ids: (0..ids).map(|id| JobId(Uuid::from_u128(id))).collect(),
            model: "m".to_owned(),
            prompt: "Once".to_owned(),
            params,
        }
    }

    async fn written(job: &TextJob) -> Vec<Written> {
        let scribe = SimulatedScribe { pace: Pace::Instant };
        scribe.write(job, &|_| ()).await.unwrap()
    }

    #[tokio::test]
    async fn the_same_job_gives_the_same_text_and_says_what_it_is() {
        let two = job(2, Params::default());
        let texts = written(&two).await;
        assert_eq!(texts, written(&two).await);
        assert_ne!(texts[0].text, texts[1].text);
        for text in &texts {
            assert!(text.text.starts_with(" (simulated)"), "{}", text.text);
            assert!(
                text.text.len() > 100 && text.text.len() <= 320,
                "{}",
                text.text.len()
            );
        }
    }

    #[tokio::test]
    async fn limits_and_stops_are_kept() {
        let short = Params {
            max_length: Some(16),
            ..Params::default()
        };
        assert!(written(&job(1, short)).await[0].text.len() <= 64);
        let stopped = Params {
            stop_sequence: Some(vec![".".to_owned(), "never".to_owned()]),
            ..Params::default()
        };
        assert!(!written(&job(1, stopped)).await[0].text.contains('.'));
        let one_line = Params {
            max_length: Some(4000),
            singleline: Some(true),
            ..Params::default()
        };
        assert!(!written(&job(1, one_line)).await[0].text.contains('\n'));
    }

    #[tokio::test(start_paused = true)]
    async fn words_come_one_after_the_other() {
        let scribe = SimulatedScribe {
            pace: Pace::Tokens(10.0),
        };
        let start = Instant::now();
        let shares = Mutex::new(Vec::new());
        let texts = scribe
            .write(&job(1, Params::default()), &|share| {
                shares.lock().unwrap().push(share);
            })
            .await
            .unwrap();
        let expected = texts[0].text.len().div_ceil(4) as f64 / 10.0;
        assert!((start.elapsed().as_secs_f64() - expected).abs() < 0.01);
        let shares = shares.into_inner().unwrap();
        assert!(shares.len() > 20 && shares.is_sorted());
    }

    #[test]
    fn paces_are_numbers_or_instant() {
        assert_eq!("instant".parse(), Ok(Pace::Instant));
        assert_eq!("12.5".parse(), Ok(Pace::Tokens(12.5)));
        assert!("-1".parse::<Pace>().is_err());
    }
}
