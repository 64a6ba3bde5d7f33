//! `apc app update`.

use axum::http::Method;

use crate::{
    cli::client::{
        error::ClientError,
        job::{
            create::{LimitArgs, environment, pair},
            find, show, wait,
        },
        output::Output,
        rest::Rest,
    },
    wire::job::{JobView, UpdateJob},
};

/// What to change.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, clap::Args)]
pub struct UpdateArgs {
    /// Short name, `/namespace::name`, or full name
    name: String,
    /// Serve SSH on port 222, from the next start
    #[arg(long, conflicts_with = "remove_ssh")]
    allow_ssh: bool,
    /// Close port 222 at once and end what is open
    #[arg(long)]
    remove_ssh: bool,
    /// Environment, in place of all that there was; may be given several times
    #[arg(long = "env", short, value_name = "NAME=VALUE", value_parser = pair, conflicts_with = "clear_env")]
    environment: Vec<(String, String)>,
    /// No environment any more
    #[arg(long)]
    clear_env: bool,
    /// How many instances, at once
    #[arg(long, value_name = "COUNT")]
    instances: Option<u32>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Replace running instances by ones with the new settings
    #[arg(long)]
    restart: bool,
    /// Do not wait until it is so
    #[arg(long)]
    no_wait: bool,
    /// Program and arguments, in place of the present ones
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(rest: &Rest, args: UpdateArgs, output: Output) -> Result<(), ClientError> {
    let job = find(rest, &args.name).await?;
    let ssh = (args.allow_ssh || args.remove_ssh).then_some(args.allow_ssh);
    let given = (args.clear_env || !args.environment.is_empty()).then(|| environment(args.environment));
    let update = UpdateJob {
        // The change was thought of for what was just seen. Who sees only a part has thought of SSH alone.
        for_version: Some(job.job.version),
        state: None,
        ssh,
        environment: given.transpose()?,
        command: (!args.command.is_empty()).then_some(args.command),
        num_instances: args.instances,
        resources: args.limits.over(job.job.resources),
        restart: args.restart,
    };
    let changed: JobView = rest.send(Method::PUT, &format!("/v1/jobs/{}", job.job.uuid), &update).await?;
    let waits = !args.no_wait && (args.restart || args.instances.is_some());
    let settled = if waits { wait::settled(rest, changed, output).await? } else { changed };
    output.answer(&settled, show::job)
}
