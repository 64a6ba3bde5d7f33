//! `apc app connect`, `apc capsule connect`, `apc app console`: the client's side of a session.
//!
//! [`connect`] and [`console`] answer the exit status of the program: the remote one; 128 + N where signal N ended the
//! remote process; 255 for every failure of our own, with a sentence on standard error.

mod drive;
mod find;
mod local;
mod modes;
mod quote;
mod standard;
mod tell;
mod terminal;

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};
use uuid::Uuid;

pub use self::{
    drive::{Input, Local, Signals, Streams, drive},
    quote::shell_words,
};
use crate::{
    cli::{
        client::{error::ClientError, rest::Rest},
        connect::{tell::tell, terminal::Terminal},
    },
    limits::FRAME_BYTES_MAX,
    wire::{
        error::ApiError,
        job::{ConsoleOpened, JobKind, JobView},
        sign::Open,
    },
};

/// The subprotocol that is spoken.
const PROTOCOL: &str = "apc.terminal.v1";

/// Header that names the first request.
const OPEN_HEADER: &str = "apc-open";

/// Our own failures.
const FAILED: u8 = 255;

/// How long a console's end is waited for.
const CONSOLE_END: Duration = Duration::from_secs(30);

/// How often it is looked whether a console is gone. The API tells no events of jobs.
const CONSOLE_LOOK: Duration = Duration::from_millis(200);

/// What to enter, and what to run there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Full name: `job::/sandbox/tom::web`.
    pub fqn: String,
    /// App or capsule, where the command says which.
    pub kind: Option<JobKind>,
    /// Instance uuid, or a unique prefix of one.
    pub instance: Option<String>,
    /// Program and arguments; empty for a shell.
    pub command: Vec<String>,
    /// A terminal for the command too.
    pub terminal: bool,
}

/// Enters a running instance.
pub async fn connect(rest: &Rest, target: &Target) -> u8 {
    let terminal = Terminal::of_process();
    let open = request(target, terminal);
    match enter(rest, target, &open, terminal).await {
        Ok(status) => status,
        Err(error) => fail(&error),
    }
}

/// Enters a throw-away clone of an app. The server deletes it afterwards, whatever becomes of us.
pub async fn console(rest: &Rest, target: &Target) -> u8 {
    match clone_and_enter(rest, target).await {
        Ok(status) => status,
        Err(error) => fail(&error),
    }
}

async fn enter(rest: &Rest, target: &Target, open: &Open, terminal: Terminal) -> Result<u8, ClientError> {
    let headers = headers(open)?;
    let job = find::job(rest, &target.fqn, target.kind, &headers).await?;
    let instance = match &target.instance {
        Some(prefix) => Some(find::instance(rest, &job, prefix, &headers).await?),
        None => None,
    };
    tunnel(rest, job.job.uuid, instance, headers, open, terminal).await
}

async fn clone_and_enter(rest: &Rest, target: &Target) -> Result<u8, ClientError> {
    let terminal = Terminal::of_process();
    let open = request(target, terminal);
    let source = find::job(rest, &target.fqn, target.kind, &headers(&open)?).await?;
    tell(format_args!("making a console of \"{}\"", source.job.fqn), false);
    let path = format!("/v1/jobs/{}/console", source.job.uuid);
    let opened: ConsoleOpened = rest.send(axum::http::Method::POST, &path, &serde_json::json!({})).await?;
    let clone = &opened.job.job;
    tell(format_args!("connecting to the console \"{}\"", clone.fqn), false);
    let ended = tunnel(rest, clone.uuid, Some(opened.instance), headers(&open)?, &open, terminal).await;
    // It is deleted after a failure too, and the person wants to know that above all.
    wait_until_gone(rest, &opened.job).await;
    ended
}

async fn wait_until_gone(rest: &Rest, console: &JobView) {
    let path = format!("/v1/jobs/{}", console.job.uuid);
    let deadline = Instant::now() + CONSOLE_END;
    while Instant::now() < deadline {
        match rest.get::<JobView>(&path).await {
            Err(ClientError::Refused(error)) if error.resource_missing => {
                return tell(format_args!("the console \"{}\" was stopped and deleted", console.job.fqn), false);
            }
            Ok(_) => sleep(CONSOLE_LOOK).await,
            Err(error) => {
                tell(format_args!("whether the console is gone cannot be seen: {error}"), false);
                break;
            }
        }
    }
    tell(format_args!("the console \"{}\" is being stopped and deleted by the server", console.job.fqn), false);
}

async fn tunnel(
    rest: &Rest,
    job: Uuid,
    instance: Option<Uuid>,
    headers: HeaderMap,
    open: &Open,
    terminal: Terminal,
) -> Result<u8, ClientError> {
    let path = match instance {
        Some(instance) => format!("/v1/jobs/{job}/tunnel/{instance}"),
        None => format!("/v1/jobs/{job}/tunnel"),
    };
    let upgraded = rest.upgrade(&path, PROTOCOL, headers).await?;
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config())).await;
    let has_pty = matches!(open, Open::Shell { pty: Some(_) } | Open::Exec { pty: Some(_), .. });
    let local = local::start(has_pty, terminal).map_err(|error| ClientError::Failed(error.to_string()))?;
    Ok(drive(socket, local).await)
}

/// A buffer for one message, and bounded messages; there is no compression in this implementation.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(FRAME_BYTES_MAX)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * FRAME_BYTES_MAX + 1024)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
}

/// A shell or the command; with a terminal where both ends of ours are one and no command is given, or if asked for.
fn request(target: &Target, terminal: Terminal) -> Open {
    let wants_pty = target.terminal || (target.command.is_empty() && terminal.is_whole());
    let pty = wants_pty.then(|| terminal.pty());
    if target.command.is_empty() {
        return Open::Shell { pty };
    }
    Open::Exec { command: shell_words(&target.command), pty }
}

fn headers(open: &Open) -> Result<HeaderMap, ClientError> {
    let unfit = |error: String| ClientError::Usage(format!("the command cannot be sent: {error}"));
    let json = serde_json::to_vec(open).map_err(|error| unfit(error.to_string()))?;
    let value = HeaderValue::try_from(URL_SAFE_NO_PAD.encode(json)).map_err(|error| unfit(error.to_string()))?;
    Ok(HeaderMap::from_iter([(axum::http::HeaderName::from_static(OPEN_HEADER), value)]))
}

/// What went wrong, once, and the status that says that it was us.
fn fail(error: &ClientError) -> u8 {
    match error {
        ClientError::Refused(refused) => tell(format_args!("{}", told(refused)), false),
        ClientError::NoTarget
        | ClientError::NotLoggedIn
        | ClientError::BadTarget(_)
        | ClientError::File { .. }
        | ClientError::Tls { .. }
        | ClientError::Unreachable { .. }
        | ClientError::Answer { .. }
        | ClientError::Usage(_)
        | ClientError::Failed(_) => tell(format_args!("{error}"), false),
    }
    FAILED
}

fn told(error: &ApiError) -> &str {
    if error.message.is_empty() { "the server refused without a reason" } else { &error.message }
}
