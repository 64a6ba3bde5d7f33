//! `apc audit`: tail and verify.

use crate::{
    cli::client::{
        error::ClientError,
        home::Home,
        output::{Output, json, print, safe},
        rest::{Rest, encode},
    },
    wire::audit::{AuditPage, AuditRecord, AuditReport},
};

/// Seconds that one answer may be waited for while following.
const WAIT: u64 = 25;

/// What to do with the audit log.
#[derive(Debug, clap::Subcommand)]
pub enum AuditCommand {
    /// Show the last entries
    Tail {
        /// Go on as entries come
        #[arg(long, short)]
        follow: bool,
        /// How many to begin with
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Only this name and what lies below it
        #[arg(long)]
        fqn: Option<String>,
        /// Only this type of event, or all below it (`ssh.session`)
        #[arg(long = "type")]
        event_type: Option<String>,
    },
    /// Check that no entry was changed, taken out or cut off
    Verify,
}

pub(crate) async fn run(home: &Home, command: AuditCommand, output: Output) -> Result<(), ClientError> {
    let rest = Rest::open(home)?;
    match command {
        AuditCommand::Tail { follow, limit, fqn, event_type } => {
            let filters = [("fqn", fqn), ("event_type", event_type)];
            let filters = filters.into_iter().filter_map(|(name, value)| Some(format!("&{name}={}", encode(&value?))));
            tail(&rest, follow, limit, &filters.collect::<String>(), output).await
        }
        AuditCommand::Verify => verify(&rest, output).await,
    }
}

async fn tail(rest: &Rest, follow: bool, limit: u16, filters: &str, output: Output) -> Result<(), ClientError> {
    let mut page: AuditPage = rest.get(&format!("/v1/audit?limit={limit}{filters}")).await?;
    loop {
        for record in &page.records {
            // One entry a line in both forms, so that a pipe sees each when it comes.
            print(&if output.json { json(record)? } else { line(record) });
        }
        if !follow {
            return Ok(());
        }
        let path = format!("/v1/audit?limit=1000&wait={WAIT}&cursor={}{filters}", page.cursor);
        page = rest.get(&path).await?;
    }
}

async fn verify(rest: &Rest, output: Output) -> Result<(), ClientError> {
    let report: AuditReport = rest.get("/v1/audit/verify").await?;
    let broken = report.broken.as_ref().map(|it| format!("record {}: {}", it.position, safe(&it.reason)));
    output.answer(&report, |report| {
        let writers: Vec<String> =
            report.writers.iter().map(|(name, count)| format!("{} {count}", safe(name))).collect();
        let sealed = report.sealed.map_or_else(
            || "no signed head".to_owned(),
            |sealed| match report.records.saturating_sub(sealed) {
                0 => "all under the signed head".to_owned(),
                after => format!("{after} after the signed head"),
            },
        );
        format!("{} records ({}), {sealed}", report.records, writers.join(", "))
    })?;
    match broken {
        Some(broken) => Err(ClientError::Failed(format!("the audit log is broken at {broken}"))),
        None => Ok(()),
    }
}

/// `time  event  who  what  decision  because`.
fn line(record: &AuditRecord) -> String {
    let item = &record.item;
    let mut parts =
        vec![item.timestamp.clone(), item.event_type.clone(), item.principal_name.clone(), item.fqn.clone()];
    if let Some(behalf) = &item.on_behalf_of {
        parts.push(format!("for {behalf}"));
    }
    if let Some(decision) = &item.decision {
        parts.push(decision.wanted.join(", "));
        if !decision.missing.is_empty() {
            parts.push(format!("missing {}", decision.missing.join(", ")));
        }
        if !decision.because.is_empty() {
            parts.push(format!("because {}", decision.because.join(" ")));
        }
        parts.push(format!("revision {}", decision.revision));
    }
    if let Some(session) = &item.session {
        parts.push(format!("session {session}"));
    }
    // The login's id is for programs.
    let payload = item.payload.iter().filter(|(name, _)| *name != "sid");
    parts.extend(payload.map(|(name, value)| format!("{name}={value}")));
    let parts: Vec<String> = parts.iter().map(|part| crate::wire::printable::Printable(part).to_string()).collect();
    parts.join("  ")
}
