//! The demo's cluster: `apcd all` as a process of its own, with everything in one directory.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use uuid::Uuid;

use crate::cli::demo::{Arguments, Trouble, image, person::Person, person::say};

/// People of the scene; the first is the cluster's first admin.
const PEOPLE: [&str; 3] = ["admin", "tom", "mary"];

/// A running cluster; stopped and removed when it goes.
#[derive(Debug)]
pub(super) struct Cluster {
    directory: PathBuf,
    documents: PathBuf,
    apc: PathBuf,
    server: Child,
    url: String,
    passwords: BTreeMap<&'static str, String>,
}

impl Cluster {
    /// Makes directory, image and configuration, starts the server, waits until it serves, and adds the people.
    pub(super) fn start(arguments: &Arguments) -> Result<Self, Trouble> {
        let directory = std::env::temp_dir().join(format!("gatehouse-demo-{}", Uuid::new_v4().simple()));
        fs::create_dir_all(directory.join("state")).map_err(|err| Trouble::path(&directory, &err))?;
        image::make(&directory.join("image"))?;
        let documents = arguments.documents_in(&directory)?;
        let apcd = std::env::current_exe().map_err(|err| Trouble::new("apcd", err.to_string()))?;
        let apc = arguments.apc.clone().unwrap_or_else(|| apcd.with_file_name("apc"));
        say(&format!("starting a cluster in {} ...", directory.display()))?;
        let (server, url) = serve(&apcd, &directory)?;
        let mut cluster = Self { directory, documents, apc, server, url, passwords: BTreeMap::new() };
        for name in PEOPLE {
            cluster.add_user(&apcd, name)?;
        }
        say(&format!("it serves at {}", cluster.url))?;
        Ok(cluster)
    }

    /// Where clients connect.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// File with the certificate of the local authority that vouches for the router.
    pub(super) fn authority(&self) -> String {
        self.directory.join("state/router/ca.pem").display().to_string()
    }

    /// Directory with the image's root file system.
    pub(super) fn image(&self) -> String {
        self.directory.join("image").display().to_string()
    }

    /// File of one of the scene's documents.
    pub(super) fn document(&self, name: &str) -> String {
        self.documents.join(format!("{name}.pol")).display().to_string()
    }

    /// A person's password with the new line that ends it.
    pub(super) fn password(&self, name: &str) -> &str {
        self.passwords.get(name).map_or("", String::as_str)
    }

    /// A person at a terminal.
    pub(super) fn person(&self, name: &'static str) -> Result<Person, Trouble> {
        Person::new(name, &self.apc, &self.directory.join("homes")).map_err(|err| Trouble::path(&self.directory, &err))
    }

    /// What a person at the keyboard can type now.
    pub(super) fn invitation(&self) -> String {
        let apc = self.apc.display();
        let home = self.directory.join("homes/tom");
        format!(
            "\nThe cluster goes on until you press Ctrl-C. In another terminal:\n\n    export APC_HOME={}\n    {apc} app \
             connect web\n    {apc} app console web\n    {apc} app show web\n",
            home.display()
        )
    }

    /// Waits until the server ends by itself or by a signal to its group.
    pub(super) fn wait(&mut self) -> Result<(), Trouble> {
        self.server.wait().map(drop).map_err(|err| Trouble::new("apcd", err.to_string()))
    }

    fn add_user(&mut self, apcd: &Path, name: &'static str) -> Result<(), Trouble> {
        let password = format!("{}\n", Uuid::new_v4());
        let mut child = Command::new(apcd)
            .args(["user", "add", name, "--password-stdin", "--config"])
            .arg(self.directory.join("gatehouse.toml"))
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|err| Trouble::start(apcd, &err))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(password.as_bytes()).map_err(|err| Trouble::new("apcd user add", err.to_string()))?;
        }
        let status = child.wait().map_err(|err| Trouble::new("apcd user add", err.to_string()))?;
        if !status.success() {
            return Err(Trouble::new("apcd user add", "it failed"));
        }
        self.passwords.insert(name, password);
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGTERM is the clean stop; the directory goes when nothing is mounted below it any more.
        if let Some(pid) = i32::try_from(self.server.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        drop(self.server.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Starts `apcd all`; it says `ready URL` on its standard output when it serves.
fn serve(apcd: &Path, directory: &Path) -> Result<(Child, String), Trouble> {
    let config = directory.join("gatehouse.toml");
    fs::write(&config, configuration(directory)).map_err(|err| Trouble::path(&config, &err))?;
    let log_file = directory.join("apcd.log");
    let log = fs::File::create(&log_file).map_err(|err| Trouble::path(&log_file, &err))?;
    let mut server = Command::new(apcd)
        .args(["all", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|err| Trouble::start(apcd, &err))?;
    let ready = server.stdout.take().and_then(|stdout| {
        BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("ready ")?.to_owned()))
    });
    let Some(url) = ready else {
        drop(server.kill());
        drop(server.wait());
        let log = fs::read_to_string(&log_file).unwrap_or_default();
        return Err(Trouble::new("apcd all", format!("it did not start:\n{log}")));
    };
    Ok((server, url))
}

fn configuration(directory: &Path) -> String {
    format!(
        "cluster = \"demo\"\nstate = \"{}\"\n\n[router]\nlisten = \"127.0.0.1:0\"\n\n[auth]\nfirst_admin = \"{}\"\n\n[im]\n\
         stop_instances_on_exit = true\n",
        directory.join("state").display(),
        PEOPLE[0]
    )
}
