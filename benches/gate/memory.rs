//! What a session that does nothing takes of the servers' memory.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    cluster::{eventually, read_until},
    goals::Goal,
    processes::{ids_below, memory_below_kib, memory_kib},
    router::Router,
    ways::{Client, Way, Ways},
};

/// With those that are open before: as many as an instance takes.
const SESSIONS: u32 = 60;

/// Sessions that are open before it is counted: what is needed once is no session's. They stay, because what they gave
/// back would be taken by those that are counted.
const FIRST: u32 = 4;

/// KiB of processes of one kind each.
#[derive(Clone, Copy)]
struct Memory {
    /// All of sshd; or API server, auth and instance manager in one process.
    servers: f64,
    router: f64,
    /// The SSH server in the instance.
    agent: f64,
}

/// A way; ours through a router of its own.
#[derive(Clone, Copy)]
struct Path<'a> {
    ways: &'a Ways,
    way: Way,
    router: &'a Router,
}

pub fn measure(ways: &Ways) -> (Value, Vec<Goal>) {
    println!("\nmemory: {SESSIONS} idle sessions, KiB of each (proportional set size, without what runs in them)");
    println!(
        "  `servers` of apc is `apcd all`: API server, auth and instance manager in one process. Its router is not in use"
    );
    println!("  here: a second one runs apart, as on a host of its own.");
    println!("  {:<8} {:>9} {:>9} {:>9}", "", "servers", "router", "agent");
    let router = Router::start(&ways.cluster);
    let mut rows = Vec::new();
    let mut goals = Vec::new();
    for way in Way::ALL {
        let Memory { servers, router, agent } = Path { ways, way, router: &router }.grown();
        println!("  {way:<8} {servers:>9.0} {router:>9.0} {agent:>9.0}");
        rows.push(json!({
            "way": way.to_string(), "servers_kib": servers, "router_kib": router, "agent_kib": agent,
        }));
        if way == Way::Ours {
            goals.push(Goal::at_most("memory of an idle session, KiB in the API server", servers, 96.0));
        }
    }
    (json!(rows), goals)
}

impl Path<'_> {
    /// What each session adds.
    fn grown(self) -> Memory {
        let me = std::process::id();
        let without = ids_below(me);
        let mut clients: Vec<Client> = (0..FIRST).map(|_| self.open()).collect();
        let before = self.used();
        clients.extend((0..SESSIONS).map(|_| self.open()));
        let after = self.used();
        clients.into_iter().for_each(Client::finish);
        eventually("the sessions have ended on all sides", || ids_below(me).is_subset(&without));
        let each = |of: fn(&Memory) -> f64| (of(&after) - of(&before)) / f64::from(SESSIONS);
        Memory { servers: each(|it| it.servers), router: each(|it| it.router), agent: each(|it| it.agent) }
    }

    /// A session that has answered once, and waits for input.
    fn open(self) -> Client {
        let mut command = self.ways.command(self.way, false, &["sh", "-c", "echo ready; exec cat"]);
        if self.way == Way::Ours {
            command.env("APC_HOME", &self.router.home);
        }
        let mut client = Client(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        read_until(client.0.stdout.as_mut().unwrap(), "ready\n");
        client
    }

    fn used(self) -> Memory {
        if self.way != Way::Ours {
            let sshd = self.ways.servers.ids().map(|id| memory_kib(id) + memory_below_kib(id, "/sshd"));
            return Memory { servers: sshd.sum(), router: 0.0, agent: 0.0 };
        }
        let apcd = self.ways.cluster.server.id();
        // The agent runs from a sealed copy in memory, which is named like this.
        let agent = memory_below_kib(apcd, "memfd:apc-agent");
        Memory { servers: memory_kib(apcd), router: memory_kib(self.router.id()), agent }
    }
}
