//! Start, restart, lease and end, also when the manager or a shim dies.

use std::{net::TcpStream, time::Duration};

use gatehouse::wire::{
    im::{DesiredInstance, ToIm},
    job::InstanceState,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Test,
    network::{ask, loopback, talk},
    rig::{in_network, run, test},
};

pub(crate) const TESTS: &[Test] = &[
    ("killed_manager_leaves_instance_session_and_port_and_the_next_takes_them_up", adopted),
    ("manager_killed_at_any_moment_of_a_start_leaves_nothing", interrupted),
    ("disconnect_removes_nothing", disconnected),
    ("what_a_killed_shim_leaves_is_removed_at_the_next_start", swept),
    ("killed_shim_is_replaced_if_the_job_restarts", replaced),
    ("lease_that_is_not_renewed_ends_the_instance_though_the_manager_is_dead", lease_alone),
    ("renewed_lease_goes_on", lease_renewed),
    ("three_failures_in_five_minutes_end_the_restarts", flapping),
    ("failed_process_is_started_again", restarted),
    ("process_that_catches_the_signal_ends_by_itself", graceful),
    ("process_that_ignores_the_end_is_killed", stubborn),
    ("epoch_is_taken_over_while_it_runs", epoch),
    ("second_manager_on_one_state_is_refused", twice),
];

/// Whether a process runs; one that nobody has buried yet does not.
fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|it| !it.trim().is_empty() && !it.trim().starts_with('Z'))
}

fn adopted() {
    test(async |rig| {
        let instance = rig.capsule();
        rig.api.desire(std::slice::from_ref(&instance)).await;
        let port = rig.api.served(instance.uuid).await;
        let process = rig.first_process(instance.uuid);
        let mut session = in_network(rig.network_path(), move || TcpStream::connect(loopback(port)).unwrap()).await;
        assert!(talk(&mut session, "session api-1-aa").unwrap().contains(r#""error":null"#));
        rig.kill_manager();
        assert_eq!(talk(&mut session, "still there").as_deref(), Some("echo still there"));
        let again = in_network(rig.network_path(), move || ask(loopback(port), "and new ones")).await;
        assert_eq!(again.as_deref(), Some("echo and new ones"));
        rig.start().await;
        assert_eq!(rig.api.served(instance.uuid).await, port, "before anything is desired");
        rig.api.desire(std::slice::from_ref(&instance)).await;
        assert_eq!(rig.api.served(instance.uuid).await, port);
        assert_eq!(talk(&mut session, "still there").as_deref(), Some("echo still there"));
        assert_eq!(rig.first_process(instance.uuid), process);
        let off = DesiredInstance { ssh: false, ..instance.clone() };
        rig.api.desire(&[off]).await;
        rig.api.one(instance.uuid, "ssh is off", |it| it.public_port.is_none()).await;
        rig.api.desire(&[]).await;
        rig.api.until("it is gone", <[_]>::is_empty).await;
    });
}

fn interrupted() {
    test(async |rig| {
        for delay_ms in [0, 60, 120, 180, 240, 300, 400, 600] {
            let instance = rig.capsule();
            rig.api.desire(std::slice::from_ref(&instance)).await;
            // The moment of the kill is what differs, there is nothing to wait for.
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            rig.kill_manager();
            rig.start().await;
            rig.api.desire(&[]).await;
            rig.api.until("it is gone", <[_]>::is_empty).await;
        }
    });
}

fn disconnected() {
    test(async |rig| {
        let instance = rig.capsule();
        rig.api.desire(std::slice::from_ref(&instance)).await;
        rig.api.served(instance.uuid).await;
        let process = rig.first_process(instance.uuid);
        rig.api.hang_up();
        rig.api.welcome(&[]).await;
        rig.api.served(instance.uuid).await;
        assert_eq!(rig.first_process(instance.uuid), process);
    });
}

fn swept() {
    test(async |rig| {
        let instance = rig.capsule();
        let other = DesiredInstance { restart: true, ..rig.capsule() };
        rig.api.desire(&[instance.clone(), other.clone()]).await;
        rig.api.served(instance.uuid).await;
        rig.api.served(other.uuid).await;
        let first = rig.first_process(instance.uuid);
        assert!(!rig.left().is_empty());
        rig.kill_manager();
        let shims = rig.processes();
        assert_eq!(shims.len(), 2);
        for shim in shims {
            kill_process(Pid::from_raw(shim).unwrap(), Signal::KILL).unwrap();
        }
        // The container does not die of that.
        assert!(alive(first));
        // An element of somebody who is not known any more, and half an instance's folder.
        let table = format!("gatehouse_{}", rig.name());
        let element = "{ 20077 : 10.222.0.99 . 222 }";
        run(&["ip", "netns", "exec", &rig.network, "nft", "add", "element", "inet", &table, "ports", element]);
        std::fs::create_dir_all(rig.instance_folder(uuid::Uuid::new_v4()).join("upper/deep")).unwrap();
        rig.start().await;
        rig.api.desire(std::slice::from_ref(&other)).await;
        let new_port =
            rig.api.one(other.uuid, "it is made anew", |it| it.public_port.is_some()).await.public_port.unwrap();
        let answer = in_network(rig.network_path(), move || ask(loopback(new_port), "hello")).await;
        assert_eq!(answer.as_deref(), Some("echo hello"));
        assert_eq!(in_network(rig.network_path(), || ask(loopback(20_077), "hello")).await, None);
        rig.api.desire(&[]).await;
        rig.api.until("it is gone", <[_]>::is_empty).await;
        assert!(!alive(first), "the container is gone");
    });
}

fn replaced() {
    test(async |rig| {
        let instance = DesiredInstance { restart: true, ..rig.capsule() };
        rig.api.desire(std::slice::from_ref(&instance)).await;
        rig.api.served(instance.uuid).await;
        let first = rig.first_process(instance.uuid);
        kill_process(Pid::from_raw(rig.processes()[0]).unwrap(), Signal::KILL).unwrap();
        rig.api.one(instance.uuid, "it is seen", |it| it.host_key.is_none()).await;
        rig.api.served(instance.uuid).await;
        assert_ne!(rig.first_process(instance.uuid), first);
        assert!(!alive(first));
    });
}

fn lease_alone() {
    test(async |rig| {
        let instance = DesiredInstance { lease_ms: Some(4_000), ..rig.capsule() };
        rig.api.desire(std::slice::from_ref(&instance)).await;
        rig.api.served(instance.uuid).await;
        rig.kill_manager();
        rig.eventually("the shim has ended", |rig| rig.processes().is_empty()).await;
        rig.start().await;
        let ended = rig.api.over(instance.uuid).await;
        assert_eq!(ended.message.as_deref(), Some("its lease was not renewed"));
        rig.api.desire(std::slice::from_ref(&instance)).await;
        rig.api.over(instance.uuid).await;
        rig.api.desire(&[]).await;
        rig.api.until("it is forgotten", <[_]>::is_empty).await;
    });
}

fn lease_renewed() {
    test(async |rig| {
        let instance = DesiredInstance { lease_ms: Some(3_000), ..rig.capsule() };
        rig.api.desire(std::slice::from_ref(&instance)).await;
        let port = rig.api.served(instance.uuid).await;
        // Longer than one lease; the renewals are what is tested, so time must pass.
        let mut renewals = tokio::time::interval(Duration::from_millis(500));
        for _ in 0..12 {
            renewals.tick().await;
            rig.api.say(&ToIm::Renew { instances: vec![instance.uuid] }).await;
        }
        assert!(in_network(rig.network_path(), move || ask(loopback(port), "hello")).await.is_some());
        let ended = rig.api.over(instance.uuid).await;
        assert_eq!(ended.message.as_deref(), Some("its lease was not renewed"));
    });
}

fn flapping() {
    test(async |rig| {
        let instance = DesiredInstance { restart: true, ..rig.instance(&["/bin/sh", "-c", "echo try; exit 3"]) };
        rig.api.desire(std::slice::from_ref(&instance)).await;
        let ended = rig.api.over(instance.uuid).await;
        assert!(ended.flapping);
        assert_eq!(ended.exit, Some(3));
        assert_eq!(rig.api.logs(instance.uuid).await, "try\ntry\ntry\n");
    });
}

fn restarted() {
    test(async |rig| {
        let script = "if [ -e /tmp/once ]; then echo again; sleep 100000; fi; touch /tmp/once; exit 1";
        let instance = DesiredInstance { restart: true, ssh: true, ..rig.instance(&["/bin/sh", "-c", script]) };
        rig.api.desire(std::slice::from_ref(&instance)).await;
        rig.api.logs_until(instance.uuid, "again").await;
        let port = rig.api.served(instance.uuid).await;
        assert!(in_network(rig.network_path(), move || ask(loopback(port), "hello")).await.is_some());
    });
}

fn graceful() {
    test(async |rig| {
        let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done";
        let instance = rig.instance(&["/bin/sh", "-c", script]);
        rig.api.desire(std::slice::from_ref(&instance)).await;
        rig.api.logs_until(instance.uuid, "ready").await;
        let log = rig.instance_folder(instance.uuid).join("output.log");
        let kept = std::fs::File::open(log).unwrap();
        rig.api.desire(&[]).await;
        rig.api.until("it is gone", <[_]>::is_empty).await;
        assert_eq!(std::io::read_to_string(kept).unwrap(), "ready\nbye\n");
    });
}

fn stubborn() {
    test(async |rig| {
        let instance = rig.instance(&["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000; done"]);
        rig.api.desire(std::slice::from_ref(&instance)).await;
        rig.api.logs_until(instance.uuid, "ready").await;
        rig.api.desire(&[]).await;
        rig.api.one(instance.uuid, "it is being stopped", |it| it.state == InstanceState::Stopping).await;
        rig.api.until("it is gone", <[_]>::is_empty).await;
    });
}

fn epoch() {
    test(async |rig| {
        let instance = rig.capsule();
        rig.api.desire(std::slice::from_ref(&instance)).await;
        rig.api.served(instance.uuid).await;
        let process = rig.first_process(instance.uuid);
        let later = DesiredInstance { epoch: 2, ..instance.clone() };
        rig.api.desire(std::slice::from_ref(&later)).await;
        rig.api.one(instance.uuid, "it has the new epoch", |it| it.epoch == 2 && it.public_port.is_some()).await;
        assert_eq!(rig.first_process(instance.uuid), process);
    });
}

fn twice() {
    test(async |rig| {
        let settings = rig.folder.path().join("told.json");
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let output = command.arg("im").arg(settings).output().unwrap();
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("is in use by another instance manager"), "{text}");
    });
}
