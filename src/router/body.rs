//! A body that may neither grow nor stall without bound.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Error,
    body::{Body, Bytes, HttpBody},
};
use http_body_util::Limited;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// Between two parts of a body.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Nothing came for too long.
#[derive(Debug, thiserror::Error)]
#[error("the body did not come in time")]
pub(in crate::router) struct Stalled;

/// Passes parts on as they come, and fails when they are too many or too slow. Nothing is kept.
pub(in crate::router) struct Bounded {
    body: Limited<Body>,
    idle: Pin<Box<Sleep>>,
    /// We have asked and nothing was there. Back-pressure is no stall of the sender's: time runs only while we wait.
    waiting: bool,
}

impl Bounded {
    pub(in crate::router) fn new(body: Body, bytes_max: usize) -> Self {
        Self { body: Limited::new(body, bytes_max), idle: Box::pin(sleep(IDLE_TIMEOUT)), waiting: false }
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = false;
            return Poll::Ready(frame.map(|it| it.map_err(Error::new)));
        }
        if !std::mem::replace(&mut self.waiting, true) {
            self.idle.as_mut().reset(Instant::now() + IDLE_TIMEOUT);
        }
        self.idle.as_mut().poll(context).map(|()| Some(Err(Error::new(Stalled))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
