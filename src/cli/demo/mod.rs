//! `apcd demo`: a whole cluster on this machine and a guided scene, played with the real `apc`.

mod cluster;
mod image;
mod person;
mod scene;

use std::{
    fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::cli::demo::{cluster::Cluster, person::say};

/// The scene's documents, as they stand in `policies/demo`.
const DOCUMENTS: [(&str, &str); 3] = [
    ("readers.pol", include_str!("../../../policies/demo/readers.pol")),
    ("auditors.pol", include_str!("../../../policies/demo/auditors.pol")),
    ("on-call.pol", include_str!("../../../policies/demo/on-call.pol")),
];

/// Flags of `apcd demo`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Stop after the scene, also at a terminal (`DEMO=batch` in the environment does the same)
    #[arg(long)]
    batch: bool,
    /// Import the scene's documents from this directory instead of the ones in the program
    #[arg(long, value_name = "DIR")]
    documents: Option<PathBuf>,
    /// Play with this client instead of the `apc` beside this program
    #[arg(long, value_name = "FILE")]
    apc: Option<PathBuf>,
}

/// Why the demo does not go on: what was done, and what was wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {problem}")]
pub(crate) struct Trouble {
    what: String,
    problem: String,
}

impl Trouble {
    fn new(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { what: what.into(), problem: problem.into() }
    }

    fn start(program: &Path, err: &io::Error) -> Self {
        Self::new(program.display().to_string(), format!("it could not be started: {err}"))
    }

    fn path(path: &Path, err: &io::Error) -> Self {
        Self::new(path.display().to_string(), err.to_string())
    }
}

impl Arguments {
    /// The directory with the scene's documents; those of the program are written out below `directory`.
    fn documents_in(&self, directory: &Path) -> Result<PathBuf, Trouble> {
        if let Some(given) = &self.documents {
            return Ok(given.clone());
        }
        let documents = directory.join("documents");
        fs::create_dir_all(&documents).map_err(|err| Trouble::path(&documents, &err))?;
        for (name, text) in DOCUMENTS {
            fs::write(documents.join(name), text).map_err(|err| Trouble::path(&documents, &err))?;
        }
        Ok(documents)
    }

    /// Whether nobody is there to go on by hand.
    fn is_batch(&self) -> bool {
        let asked = std::env::var_os("DEMO").is_some_and(|it| it == "batch");
        self.batch || asked || !io::stdin().is_terminal()
    }
}

/// Plays the scene; success only if every step did what it claims.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match play(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            drop(say(&format!("\nthe demo FAILED at: {trouble}")));
            ExitCode::FAILURE
        }
    }
}

fn play(arguments: &Arguments) -> Result<(), Trouble> {
    if !rustix::process::geteuid().is_root() {
        return Err(Trouble::new("apcd demo", "containers and NAT want root; run it as root"));
    }
    let mut cluster = Cluster::start(arguments)?;
    scene::play(&cluster)?;
    say("\nEvery step did what it claims.")?;
    if !arguments.is_batch() {
        say(&cluster.invitation())?;
        cluster.wait()?;
    }
    Ok(())
}
