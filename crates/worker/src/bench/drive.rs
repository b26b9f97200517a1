//! The run itself: lanes that send one call after the other until the time is up.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use hyper::{Method, header::HeaderValue};
use serde::Deserialize;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    BenchConfig, BenchError, BenchEvent, Delivery, Driven, Length, Listener, Load, RATE_LIMIT_HINT, Scenario,
    link::{Answer, Link},
    plan::{Plan, Popper, Track},
    record::{self, Endpoint, Recordings, Step},
};

/// A lane that finds no job in this many pops gives its cycle up.
const POPS_A_CYCLE: u32 = 3;
/// The pause after the rate limiter refused a call, so that a limited run doesn't spin.
const LIMITED_PAUSE: Duration = Duration::from_millis(100);
/// A timer may fire this much late without the cycle counting as late.
const TIMER_GRAIN: Duration = Duration::from_millis(2);

/// When the run is, and how far.
struct Gate {
    /// The timetable of an open loop begins here.
    opened: Instant,
    /// The measurement begins here.
    measured_from: Instant,
    ends: Option<Instant>,
    cycles_wanted: u64,
    rate: Option<f64>,
    /// Places on the timetable that were taken.
    tickets: AtomicU64,
    /// Cycles that were begun, warm-up included.
    begun: AtomicU64,
    /// Cycles since the measurement began.
    cycles: AtomicU64,
    stop: CancellationToken,
}

impl Gate {
    fn new(config: &BenchConfig, stop: CancellationToken) -> Self {
        let opened = Instant::now();
        let measured_from = opened + config.warmup;
        let (ends, cycles_wanted) = match config.length {
            Length::Time(time) => (Some(measured_from + time), u64::MAX),
            Length::Cycles(cycles) => (None, cycles),
        };
        Self {
            opened,
            measured_from,
            ends,
            cycles_wanted,
            rate: match config.load {
                Load::Closed { .. } => None,
                Load::Open { rate, .. } => Some(rate),
            },
            tickets: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            cycles: AtomicU64::new(0),
            stop,
        }
    }

    /// Waits for the next cycle to begin. Returns the moment it counts from: in an open loop the
    /// moment on the timetable, however late the lane is. Only the grain of the timer is forgiven,
    /// because that delay is not the server's.
    async fn next_start(&self) -> Option<Instant> {
        let now = Instant::now();
        let intended = match self.rate {
            None => now,
            Some(rate) => {
                let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
                self.opened + Duration::from_secs_f64(ticket as f64 / rate)
            }
        };
        if self.ends.is_some_and(|end| intended.max(now) >= end) {
            return None;
        }
        if intended > now {
            tokio::select! {
                () = tokio::time::sleep_until(intended) => (),
                () = self.stop.cancelled() => (),
            }
        }
        let now = Instant::now();
        if self.stop.is_cancelled() || self.cycles.load(Ordering::Relaxed) >= self.cycles_wanted {
            return None;
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        let late = now.duration_since(intended);
        Some(if late <= TIMER_GRAIN { now } else { intended })
    }

    /// Cycles that were due but not begun when the time was up: an overloaded server's debt.
    fn missed(&self) -> u64 {
        match (self.rate, self.ends) {
            (Some(rate), Some(end)) if !self.stop.is_cancelled() => {
                let due = ((end - self.opened).as_secs_f64() * rate) as u64;
                due.saturating_sub(self.begun.load(Ordering::Relaxed))
            }
            _ => 0,
        }
    }
}

/// Runs all lanes and collects what they measured.
pub(super) async fn drive(
    config: &BenchConfig,
    plan: Arc<Plan>,
    stop: CancellationToken,
    listener: Listener,
) -> Result<Driven, BenchError> {
    let gate = Arc::new(Gate::new(config, stop));
    let recorder = Arc::new(Mutex::new(Recordings::default()));
    let ticker = tokio::spawn(tick(gate.clone(), listener));
    let windows = config
        .window
        .map(|window| tokio::spawn(end_windows(gate.clone(), window, recorder.clone())));
    let mut lanes = JoinSet::new();
    for number in 0..config.load.lanes() {
        let link = Link::to(&plan.server).ok_or_else(|| BenchError::Broken("no link".to_owned()))?;
        let lane = Lane {
            number: number as usize,
            turn: 0,
            scenario: config.scenario,
            link,
            storage: None,
            plan: plan.clone(),
            gate: gate.clone(),
            recorder: recorder.clone(),
        };
        lanes.spawn(lane.run());
    }
    while let Some(ended) = lanes.join_next().await {
        ended.map_err(|panic| BenchError::Broken(panic.to_string()))?;
    }
    ticker.abort();
    if let Some(windows) = windows {
        windows.abort();
    }
    let (recorder, windows) = std::mem::take(&mut *lock(&recorder)).finish();
    let mut notes = plan.notes.clone();
    let limited = recorder.rate_limited();
    if limited > 0 {
        notes.push(format!("{limited} calls were refused: {RATE_LIMIT_HINT}"));
    }
    let missed = gate.missed();
    if missed > 0 {
        notes.push(format!(
            "{missed} cycles were due but never begun: the server cannot keep up with this rate"
        ));
    }
    Ok(Driven {
        recorder,
        windows,
        elapsed: gate.measured_from.elapsed(),
        cycles: gate.cycles.load(Ordering::Relaxed),
        notes,
    })
}

async fn tick(gate: Arc<Gate>, listener: Listener) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        listener(BenchEvent::Tick {
            elapsed: gate.measured_from.elapsed(),
            cycles: gate.cycles.load(Ordering::Relaxed),
        });
    }
}

/// Ends a window whenever its time is up.
async fn end_windows(gate: Arc<Gate>, window: Duration, recorder: Arc<Mutex<Recordings>>) {
    let mut until = window;
    loop {
        tokio::time::sleep_until(gate.measured_from + until).await;
        lock(&recorder).end_window(until);
        until += window;
    }
}

/// A lane that panicked is reported as such; the counts of the others are still good.
fn lock(recorder: &Mutex<Recordings>) -> MutexGuard<'_, Recordings> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a cycle needs of an accepted request.
#[derive(Deserialize)]
struct Accepted<'a> {
    id: &'a str,
}

/// What a cycle needs of a pop: a job, or one of forms.
#[derive(Deserialize)]
struct Popped<'a> {
    #[serde(default, borrow)]
    id: Option<&'a str>,
    #[serde(default)]
    r2_upload: Option<String>,
    #[serde(default, borrow)]
    forms: Option<Vec<Accepted<'a>>>,
}

impl Popped<'_> {
    fn job(self) -> Option<Job> {
        let form = self.forms.and_then(|forms| forms.first().map(|form| form.id));
        let id = self.id.or(form)?;
        Some(Job {
            id: id.to_owned(),
            upload: self.r2_upload,
        })
    }
}

struct Lane {
    number: usize,
    /// Cycles begun, which walks through users and bodies.
    turn: usize,
    scenario: Scenario,
    link: Link,
    /// A second connection, if uploads go elsewhere.
    storage: Option<Link>,
    plan: Arc<Plan>,
    gate: Arc<Gate>,
    recorder: Arc<Mutex<Recordings>>,
}

impl Lane {
    async fn run(mut self) {
        while let Some(start) = self.gate.next_start().await {
            let done = match self.scenario {
                Scenario::Cycles => self.cycle(start).await,
                Scenario::Mixed => self.mixed(start).await,
                Scenario::Pop => self.pop_and_submit(start).await,
                Scenario::User | Scenario::Workers | Scenario::FindUser => self.read(start).await,
            };
            if done.is_some() && start >= self.gate.measured_from {
                self.gate.cycles.fetch_add(1, Ordering::Relaxed);
                lock(&self.recorder)
                    .current()
                    .success(self.endpoint(Step::Cycle), start.elapsed());
            }
            self.turn += 1;
        }
    }

    /// What this cycle is about. Lanes begin their rounds at different places.
    fn track(plan: &Plan, number: usize, turn: usize) -> &Track {
        &plan.tracks[plan.round[(number + turn) % plan.round.len()]]
    }

    fn endpoint(&self, step: Step) -> Endpoint {
        Endpoint(Self::track(&self.plan, self.number, self.turn).kind, step)
    }

    /// Looks at something.
    async fn read(&mut self, start: Instant) -> Option<()> {
        let plan = self.plan.clone();
        let path = plan.reading.as_deref()?;
        let key = &plan.requesters[(self.number + self.turn) % plan.requesters.len()];
        self.call(Step::Read, start, Method::GET, path, Some(key), Bytes::new())
            .await
            .map(drop)
    }

    /// Request, pop, submit, status. `None` if it broke off.
    async fn cycle(&mut self, start: Instant) -> Option<()> {
        let id = self.request(start).await?;
        self.work().await?;
        self.look(Step::Status, &id).await
    }

    async fn mixed(&mut self, start: Instant) -> Option<()> {
        let id = self.request(start).await?;
        self.look(Step::Check, &id).await?;
        self.pop(false, Instant::now()).await;
        self.work().await?;
        for _ in 0..2 {
            self.look(Step::Check, &id).await?;
        }
        if self.turn.is_multiple_of(4) {
            let path = self.plan.heartbeat.clone();
            self.call(
                Step::Heartbeat,
                Instant::now(),
                Method::GET,
                &path,
                None,
                Bytes::new(),
            )
            .await?;
        }
        self.look(Step::Status, &id).await
    }

    /// One pop; every second lane is an idle worker's.
    async fn pop_and_submit(&mut self, start: Instant) -> Option<()> {
        let busy = self.number.is_multiple_of(2);
        match self.pop(busy, start).await? {
            Some(job) => self.submit(job).await,
            None => Some(()),
        }
    }

    async fn request(&mut self, start: Instant) -> Option<String> {
        let plan = self.plan.clone();
        let turn = self.number + self.turn;
        let key = &plan.requesters[turn % plan.requesters.len()];
        let track = Self::track(&plan, self.number, self.turn);
        let body = track.requests[turn % track.requests.len()].clone();
        let answer = self
            .call(
                Step::Async,
                start,
                Method::POST,
                &track.paths.request,
                Some(key),
                body,
            )
            .await?;
        let accepted = serde_json::from_slice::<Accepted<'_>>(&answer.body);
        self.understood(Step::Async, accepted.map(|accepted| accepted.id.to_owned()).ok())
    }

    /// Pops and hands in a result. Other lanes may be quicker, so it may take several pops; a job
    /// may be another lane's, and another lane does this one's.
    async fn work(&mut self) -> Option<()> {
        for _ in 0..POPS_A_CYCLE {
            if let Some(job) = self.pop(true, Instant::now()).await? {
                return self.submit(job).await;
            }
        }
        None
    }

    /// A pop by a busy or an idle worker.
    async fn pop(&mut self, busy: bool, start: Instant) -> Option<Option<Job>> {
        let plan = self.plan.clone();
        let track = Self::track(&plan, self.number, self.turn);
        let workers = if busy { &track.workers } else { &track.idlers };
        let Popper { key, body } = &workers[self.number % workers.len()];
        let answer = self
            .link
            .call(Method::POST, &track.paths.pop, Some(key), body.clone())
            .await;
        let job = match &answer {
            Ok(answer) if answer.status < 300 => {
                serde_json::from_slice::<Popped<'_>>(&answer.body).map(Popped::job)
            }
            _ => Ok(None),
        };
        let step = match job {
            Ok(Some(_)) => Step::PopJob,
            _ => Step::PopNone,
        };
        self.record(step, start, answer).await?;
        self.understood(step, job.ok())
    }

    async fn submit(&mut self, job: Job) -> Option<()> {
        let plan = self.plan.clone();
        let track = Self::track(&plan, self.number, self.turn);
        if let (Delivery::Upload, Some(url)) = (plan.delivery, &job.upload) {
            self.upload(url, plan.picture.clone()).await?;
        }
        // Only busy workers get jobs, so it is this lane's busy worker that hands in.
        let key = &track.workers[self.number % track.workers.len()].key;
        let body = track.submission(&job.id);
        self.call(
            Step::Submit,
            Instant::now(),
            Method::POST,
            &track.paths.submit,
            Some(key),
            body,
        )
        .await
        .map(drop)
    }

    async fn upload(&mut self, url: &str, picture: Bytes) -> Option<()> {
        let start = Instant::now();
        let Ok(url) = Url::parse(url) else {
            return self.understood(Step::Upload, None);
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        if !self.link.reaches(&url) && !self.storage.as_ref().is_some_and(|link| link.reaches(&url)) {
            self.storage = Link::to(&url);
        }
        let link = match &mut self.storage {
            Some(link) if link.reaches(&url) => link,
            _ => &mut self.link,
        };
        let answer = link.call(Method::PUT, &path, None, picture).await;
        self.record(Step::Upload, start, answer).await.map(drop)
    }

    /// Asks how far a request is.
    async fn look(&mut self, step: Step, id: &str) -> Option<()> {
        let paths = &Self::track(&self.plan, self.number, self.turn).paths;
        let (step, path) = match (step, &paths.check) {
            (Step::Check, Some(check)) => (step, format!("{check}{id}")),
            _ => (Step::Status, format!("{}{id}", paths.status)),
        };
        self.call(step, Instant::now(), Method::GET, &path, None, Bytes::new())
            .await
            .map(drop)
    }

    /// Sends a call and records it. `None` if it did not succeed.
    async fn call(
        &mut self,
        step: Step,
        start: Instant,
        method: Method,
        path: &str,
        key: Option<&HeaderValue>,
        body: Bytes,
    ) -> Option<Answer> {
        let answer = self.link.call(method, path, key, body).await;
        self.record(step, start, answer).await
    }

    async fn record(
        &self,
        step: Step,
        start: Instant,
        answer: Result<Answer, &'static str>,
    ) -> Option<Answer> {
        let measured = start >= self.gate.measured_from;
        let class = match answer {
            Ok(answer) if answer.status < 300 => {
                if measured {
                    lock(&self.recorder)
                        .current()
                        .success(self.endpoint(step), start.elapsed());
                }
                return Some(answer);
            }
            Ok(answer) => record::class(&answer),
            Err(reason) => reason.to_owned(),
        };
        let pause = class == record::RATE_LIMITED;
        if measured {
            lock(&self.recorder).current().failure(self.endpoint(step), class);
        }
        if pause {
            tokio::time::sleep(LIMITED_PAUSE).await;
        }
        None
    }

    /// Counts an answer whose body is not what the API promises.
    fn understood<T>(&self, step: Step, content: Option<T>) -> Option<T> {
        if content.is_none() {
            lock(&self.recorder)
                .current()
                .failure(self.endpoint(step), "unreadable answer".to_owned());
        }
        content
    }
}

/// What a pop brought.
struct Job {
    id: String,
    upload: Option<String>,
}
