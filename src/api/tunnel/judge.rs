//! Decides what happens in one session: further requests, and whether it may go on.

use std::sync::Arc;

use crate::{
    api::{
        sessions::{Live, Request, guard::Guard},
        tunnel::{
            audit,
            instance::Doing,
            probe::{Probe, Step, reached},
            relay::Judge,
        },
    },
    gate::{Grant, SessionTarget},
    session::frame::{Opened, Stream},
    wire::sign::Open,
};

/// Of one session.
#[derive(Debug, Clone)]
pub(crate) struct SessionJudge {
    pub(crate) guard: Arc<Guard>,
    pub(crate) live: Arc<Live>,
    pub(crate) probe: Option<Arc<dyn Probe>>,
}

impl SessionJudge {
    async fn allow(&self, stream: Stream, open: Open) -> Result<Opened, String> {
        let live = &self.live;
        let (job, source) = self.guard.jobs(live).await.map_err(|it| it.to_string())?;
        let target = SessionTarget {
            job: &job,
            source: source.as_ref(),
            instance: live.subject.instance,
            session: &live.subject.id,
            open: &open,
            client: live.subject.client,
        };
        let gate = &self.guard.gate;
        let grant = gate.request(&live.subject.principal, &target).await.map_err(|it| it.to_api().message)?;
        let opened = opened(&grant);
        let versions = (job.version, source.as_ref().map(|it| it.version));
        let request = Request { open, grant: Arc::new(grant), versions };
        // Watched over from here on: the instance is asked only after the relay has looked again.
        live.allow(stream, request.clone());
        audit::request(gate, live, &request).await.map_err(|it| it.to_string())?;
        Ok(opened)
    }
}

impl Judge for SessionJudge {
    fn decide(&self, stream: Stream, open: Open) -> Doing<'static, Result<Opened, String>> {
        let this = self.clone();
        Box::pin(async move { this.allow(stream, open).await })
    }

    fn recheck(&self) -> Doing<'static, Result<(), String>> {
        let this = self.clone();
        Box::pin(async move { this.guard.review(&this.live).await.map_err(|it| it.to_string()) })
    }

    fn started(&self) -> Doing<'static, ()> {
        let this = self.clone();
        Box::pin(async move { reached(this.probe.as_ref(), Step::Started, &this.live.subject.id).await })
    }

    fn done(&self, stream: Stream) {
        self.live.done(stream);
    }
}

/// What the client is told of a decision.
pub(crate) fn opened(grant: &Grant) -> Opened {
    Opened { decision: grant.decision().into_bytes(), revision: grant.revision() }
}
