//! `apc session`: list and kill.

use crate::{
    cli::client::{
        error::ClientError,
        home::Home,
        output::{Output, safe, table},
        rest::{Rest, encode},
    },
    wire::session::SessionView,
};

/// What to do with live sessions.
#[derive(Debug, clap::Subcommand)]
pub enum SessionCommand {
    /// List those that you may see: your own, and those into jobs that you may update
    List,
    /// End one
    Kill {
        /// Session id
        id: String,
    },
}

pub(crate) async fn run(home: &Home, command: SessionCommand, output: Output) -> Result<(), ClientError> {
    let rest = Rest::open(home)?;
    match command {
        SessionCommand::List => {
            let sessions: Vec<SessionView> = rest.get("/v1/sessions").await?;
            output.answer(&sessions, |sessions| {
                let row = |it: &SessionView| {
                    vec![
                        it.id.clone(),
                        it.principal.clone(),
                        it.fqn.clone(),
                        it.opened.clone(),
                        it.client_address.clone().unwrap_or_default(),
                        it.requests.join("\n"),
                    ]
                };
                table(&["SESSION", "WHO", "JOB", "SINCE", "FROM", "OPEN"], sessions.iter().map(row))
            })
        }
        SessionCommand::Kill { id } => {
            rest.delete(&format!("/v1/sessions/{}", encode(&id))).await?;
            output.done(&format!("ended {}", safe(&id)));
            Ok(())
        }
    }
}
