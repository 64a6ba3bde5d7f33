//! Sessions have cgroups of their own, and the agent is believed nothing.

use std::net::TcpStream;

use gatehouse::wire::job::Resources;

use crate::{
    Test,
    network::{loopback, talk},
    rig::{Rig, cgroups, in_network, test},
};

pub(crate) const TESTS: &[Test] = &[
    ("session_is_placed_in_its_own_cgroup_and_killed_whole", placed),
    ("hostile_agent_moves_nothing_but_its_own_children", hostile),
    ("job_at_its_limits_can_be_entered", full),
    ("agent_that_dies_or_talks_nonsense_is_started_again", revived),
];

/// An instance with SSH, and a connection to its agent.
async fn entered(rig: &mut Rig) -> (uuid::Uuid, TcpStream) {
    let instance = rig.capsule();
    rig.api.desire(std::slice::from_ref(&instance)).await;
    let port = rig.api.served(instance.uuid).await;
    let stream = in_network(rig.network_path(), move || TcpStream::connect(loopback(port)).unwrap()).await;
    (instance.uuid, stream)
}

/// Processes in a cgroup of an instance, in each hierarchy.
fn inside(rig: &Rig, instance: uuid::Uuid, folder: &str) -> Vec<usize> {
    let path = format!("gatehouse-test/{}/{instance}/{folder}", rig.name());
    let count = |it: &std::path::PathBuf| std::fs::read_to_string(it.join("cgroup.procs")).unwrap().lines().count();
    cgroups(&path).iter().map(count).collect()
}

fn placed() {
    test(async |rig| {
        let (instance, mut agent) = entered(rig).await;
        let mut other = agent.try_clone().unwrap();
        assert_eq!(talk(&mut agent, "session api-1-aa").unwrap(), r#"{"type":"entered","request":1,"error":null}"#);
        assert_eq!(talk(&mut other, "session api-1-bb").unwrap(), r#"{"type":"entered","request":2,"error":null}"#);
        let first = inside(rig, instance, "ssh/api-1-aa");
        assert!(!first.is_empty() && first.iter().all(|it| 1 <= *it), "{first:?}");
        assert_eq!(talk(&mut agent, "leave api-1-aa").unwrap(), "left");
        rig.eventually("the session's cgroup is gone", |rig| inside(rig, instance, "ssh/api-1-aa").is_empty()).await;
        assert!(inside(rig, instance, "ssh/api-1-bb").iter().all(|it| 1 <= *it), "the other session lives");
        assert_eq!(talk(&mut agent, "hello").unwrap(), "echo hello");
    });
}

fn hostile() {
    test(async |rig| {
        let (instance, mut agent) = entered(rig).await;
        let refused = |answer: Option<String>| assert!(answer.as_ref().unwrap().contains(r#""error":""#), "{answer:?}");
        refused(talk(&mut agent, "enter-first api-1-aa"));
        refused(talk(&mut agent, "enter-nothing api-1-aa"));
        refused(talk(&mut agent, "enter-file api-1-aa"));
        refused(talk(&mut agent, "enter-two api-1-aa"));
        refused(talk(&mut agent, "enter-self ../app"));
        refused(talk(&mut agent, "enter-self ../../../evil"));
        refused(talk(&mut agent, "enter-self agent"));
        assert!(inside(rig, instance, "ssh/api-1-aa").is_empty());
        assert_eq!(talk(&mut agent, "leave ../app").unwrap(), "left");
        assert_eq!(talk(&mut agent, "leave agent").unwrap(), "left");
        assert_eq!(talk(&mut agent, "hello").unwrap(), "echo hello");
        assert!(inside(rig, instance, "app").iter().all(|it| *it == 1), "the job lives");
    });
}

fn full() {
    test(async |rig| {
        let mut instance = rig.probe(&["fill"]);
        instance.ssh = true;
        instance.resources = Resources { pids: 12, memory_bytes: 16 << 20, ..Resources::default() };
        rig.api.desire(std::slice::from_ref(&instance)).await;
        rig.api.logs_until(instance.uuid, "full").await;
        let port = rig.api.served(instance.uuid).await;
        let mut agent = in_network(rig.network_path(), move || TcpStream::connect(loopback(port)).unwrap()).await;
        assert_eq!(talk(&mut agent, "session api-1-aa").unwrap(), r#"{"type":"entered","request":1,"error":null}"#);
        assert_eq!(talk(&mut agent, "run hostname").unwrap(), "web");
    });
}

fn revived() {
    test(async |rig| {
        let (instance, mut agent) = entered(rig).await;
        for (number, last_word) in ["die", "nonsense"].into_iter().enumerate() {
            let session = format!("session api-1-{number}");
            assert!(talk(&mut agent, &session).unwrap().contains(r#""error":null"#));
            drop(talk(&mut agent, last_word));
            rig.api.one(instance, "ssh is not served", |it| it.host_key.is_none()).await;
            let port = rig.api.served(instance).await;
            assert!(inside(rig, instance, &format!("ssh/api-1-{number}")).is_empty(), "its sessions ended with it");
            agent = in_network(rig.network_path(), move || TcpStream::connect(loopback(port)).unwrap()).await;
            assert_eq!(talk(&mut agent, "hello").unwrap(), "echo hello");
        }
    });
}
