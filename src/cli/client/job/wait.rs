//! Waits until a job is as it was told to be, and shows that it waits.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    cli::client::{error::ClientError, output::Output, rest::Rest},
    wire::{
        job::{JobState, JobView},
        printable::Printable,
    },
};

/// For all of it; an instance that takes longer has a reason that `instances` tells.
const WAIT_MAX: Duration = Duration::from_mins(3);

/// Seconds that one answer may take; the server answers as soon as the job has settled.
const STEP: u64 = 20;

/// The job once it has settled. That it failed is an error.
pub(crate) async fn settled(rest: &Rest, mut job: JobView, output: Output) -> Result<JobView, ClientError> {
    let began = Instant::now();
    let progress = progress(&job, output);
    while !job.settled {
        if WAIT_MAX < began.elapsed() {
            let name = job.job.fqn;
            return Err(ClientError::Failed(format!(
                "`{name}` is not there after {} s; see `apc job instances {name}`",
                WAIT_MAX.as_secs()
            )));
        }
        job = rest.get(&format!("/v1/jobs/{}?wait={STEP}", job.job.uuid)).await?;
        if let Some(progress) = &progress {
            progress.set_message(what(&job));
        }
    }
    if let Some(progress) = progress {
        progress.finish_and_clear();
    }
    if job.job.state == JobState::Errored {
        let message = job.job.message.unwrap_or_else(|| "it cannot run".to_owned());
        return Err(ClientError::Failed(format!("`{}`: {message}", job.job.fqn)));
    }
    Ok(job)
}

fn progress(job: &JobView, output: Output) -> Option<ProgressBar> {
    if !output.shows_progress() || job.settled {
        return None;
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(what(job));
    bar.enable_steady_tick(Duration::from_millis(100));
    Some(bar)
}

fn what(job: &JobView) -> String {
    let name = Printable(&job.job.fqn);
    match job.job.state {
        JobState::Started => format!("starting {name}: {} of {}", job.running_instances, job.job.num_instances),
        JobState::Stopped => format!("stopping {name}"),
        JobState::Created | JobState::Ready | JobState::Finished | JobState::Errored => format!("waiting for {name}"),
    }
}
