//! The container of an instance: made, limited, started, and cleared away.

use crate::im::{
    ImError,
    cgroup::{AGENT, APP, SSH},
    error::Context,
    process::Process,
    runtime::{
        Descriptors,
        spec::{self, Container, ContainerProcess},
    },
    shim::{agent, complain, files::write_json, supervisor::Supervisor, user},
};

impl Supervisor {
    pub(super) async fn start_container(&mut self) -> Result<Process, ImError> {
        let (arguments, more) = if self.instance.process.command.is_empty() {
            // The agent's program knows how to idle: it waits for the end and buries orphans.
            let image = self.image.try_clone().context(|| "duplicate a descriptor".to_owned())?;
            (vec![agent::IMAGE.to_owned(), "idle".to_owned()], vec![image])
        } else {
            (self.instance.process.command.clone(), Vec::new())
        };
        let read = |path| self.root.read(path).unwrap_or_default();
        let user = user::find(&self.instance.process.user, &read("etc/passwd"), &read("etc/group"))?;
        let (user_namespace, network_namespace) = (self.root.user_namespace(), self.root.network_namespace());
        let (root, sys, etc, cgroup) = (self.root.path(), self.root.sys(), self.root.etc(), self.cgroups.absolute());
        let config = spec::container(&Container {
            process: ContainerProcess {
                arguments,
                environment: &self.instance.process.environment,
                working_directory: &self.instance.process.working_directory,
                uid: user.uid,
                gid: user.gid,
                groups: user.groups,
            },
            root: &root,
            sys: &sys,
            etc: &etc,
            hostname: &self.hostname,
            cgroup: &cgroup,
            user_namespace: &user_namespace,
            network_namespace: &network_namespace,
            uid_base: self.specification.uid_base,
            shared_memory_bytes: (self.instance.resources.memory_bytes / 2).min(64 << 20),
        })?;
        write_json(&self.files.bundle().join("config.json"), &config)?;
        // One pipe for both, so that the log has them in the order in which they were written.
        let (stderr, reader) = self.output.pipe()?;
        let stdout = stderr.try_clone().context(|| "duplicate a descriptor".to_owned())?;
        self.reader = Some(reader);
        let descriptors = Descriptors { stdout, stderr, more };
        // The runtime would make them too, and fail where another instance that ends tidies above them meanwhile.
        self.cgroups.make("")?;
        let pid = self.runtime.create(&self.id, &self.files.bundle(), descriptors).await?;
        let process = Process::open(pid)?.ok_or_else(|| ImError::Unusable("the container ended at once".to_owned()))?;
        self.limit(&process)?;
        self.runtime.start(&self.id).await?;
        Ok(process)
    }

    /// Moves the first process, which still waits, from the container's cgroup to `app` with the job's limits.
    fn limit(&self, process: &Process) -> Result<(), ImError> {
        for folder in ["", APP, SSH, AGENT] {
            self.cgroups.make(folder)?;
        }
        self.cgroups.place(APP, process.pid())?;
        self.cgroups.delegate("")?;
        self.cgroups.limit(APP, &self.instance.resources)?;
        self.cgroups.limit(SSH, &self.specification.reserve)
    }

    /// Removes everything of the container but its files, so that it can start anew.
    pub(super) async fn clean(&mut self) {
        self.kill_ssh().await;
        for done in [self.cgroups.kill("").await, self.runtime.delete(&self.id).await, self.cgroups.remove("").await] {
            if let Err(error) = done {
                complain(&self.files, &error.to_string());
            }
        }
    }
}
