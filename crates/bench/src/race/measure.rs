//! One workload on one server over some connections for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reeve_model::clock::monotonic;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::stage::Stage;
use super::target::{PATIENCE, Target};
use super::workload::{Request, Who, Workload};
use crate::Fallible;
use crate::http::{Connection, Reply};
use crate::seed::per_second;

/// The pause after an error.
const PAUSE: Duration = Duration::from_millis(100);

/// The target of a workload's requests on a server.
#[derive(Clone)]
pub(super) struct Lane {
    pub(super) target: Arc<Target>,
    pub(super) stage: Arc<Stage>,
    /// The path requested instead, with the same method and the same body; this is how the limit is measured.
    pub(super) instead: Option<String>,
    /// The number of the next request.
    pub(super) next: Arc<AtomicUsize>,
}

/// The result of one measurement.
#[derive(Default)]
pub(super) struct Sample {
    pub(super) took: Vec<Duration>,
    pub(super) errors: usize,
    /// The first error.
    pub(super) error: Option<String>,
    pub(super) per_second: f64,
    /// The time until the last response.
    pub(super) seconds: f64,
    /// Processor time of the server, for all requests together.
    pub(super) cpu_seconds: Option<f64>,
}

impl Lane {
    /// The next request of a connection.
    fn request(&self, workload: &Workload, slot: usize) -> Request {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let request = (workload.request)(&self.stage, slot, number);
        match &self.instead {
            Some(path) => Request { path: path.clone(), ..request },
            None => request,
        }
    }

    fn status(&self, workload: &Workload) -> u16 {
        if self.instead.is_some() { 200 } else { workload.status }
    }

    fn token(&self, who: Who, slot: usize) -> &str {
        let person = |slot: usize| self.stage.people.get(slot).map_or("", |person| person.token.as_str());
        match who {
            Who::Admin => &self.target.token,
            Who::Each => person(slot),
            Who::Reader => person(0),
            Who::Nobody => "",
        }
    }

    /// Sends one request; returns the part of the response that must be equal on all servers, and the length of
    /// the body.
    pub(super) async fn try_once(&self, workload: &Workload) -> Fallible<(Value, usize)> {
        let request = self.request(workload, 0);
        let mut connection = None;
        let reply = self.ask(&mut connection, workload, 0, &request).await?;
        Ok(((workload.essence)(&reply.json()?), reply.body.len()))
    }

    /// Sends a request over the connection, which is opened if there is none. After an error there is none.
    async fn ask(
        &self,
        connection: &mut Option<Connection>,
        workload: &Workload,
        slot: usize,
        request: &Request,
    ) -> Fallible<Reply> {
        let asked = timeout(PATIENCE, async {
            let mut open = match connection.take() {
                Some(open) => open,
                None => Connection::open(self.target.address, self.token(workload.who, slot)).await?,
            };
            let reply = open.send(request.method, &request.path, &request.body).await?;
            *connection = Some(open);
            Fallible::Ok(reply)
        });
        let reply = asked.await.map_err(|_| "no answer in time")??;
        if reply.status == self.status(workload) {
            Ok(reply)
        } else {
            let start: String = String::from_utf8_lossy(&reply.body).chars().take(200).collect();
            Err(format!("status {}: {start}", reply.status).into())
        }
    }

    /// Sends requests repeatedly on one connection. The last request is awaited.
    async fn repeat(&self, workload: &Workload, slot: usize, duration: Duration) -> Sample {
        let (mut sample, mut connection) = (Sample::default(), None);
        let start = monotonic();
        while start.elapsed() < duration {
            let request = self.request(workload, slot);
            match self.ask(&mut connection, workload, slot, &request).await {
                Ok(reply) => sample.took.push(reply.took),
                Err(error) => {
                    sample.errors += 1;
                    sample.error.get_or_insert(error.to_string());
                    sleep(PAUSE).await;
                }
            }
        }
        sample
    }

    /// Measures the workload over some connections.
    pub(super) async fn measure(
        &self,
        workload: &Workload,
        connections: usize,
        duration: Duration,
    ) -> Fallible<Sample> {
        let before = self.target.taken();
        let start = monotonic();
        let mut tasks = JoinSet::new();
        for slot in 0..connections {
            let (lane, workload) = (self.clone(), workload.clone());
            tasks.spawn(async move { lane.repeat(&workload, slot, duration).await });
        }
        let mut all = Sample::default();
        while let Some(sample) = tasks.join_next().await {
            let sample = sample?;
            all.took.extend(sample.took);
            all.errors += sample.errors;
            all.error = all.error.or(sample.error);
        }
        all.seconds = start.elapsed().as_secs_f64();
        all.per_second = per_second(all.took.len(), all.seconds);
        let after = self.target.taken();
        all.cpu_seconds = before.zip(after).map(|(before, after)| after.cpu_seconds - before.cpu_seconds);
        Ok(all)
    }
}
