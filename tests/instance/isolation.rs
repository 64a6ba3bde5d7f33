//! What a process in an instance is, and what it cannot do.

use gatehouse::wire::job::Resources;

use crate::{
    Test,
    rig::{append, test},
};

pub(crate) const TESTS: &[Test] = &[
    ("process_is_confined_in_every_way_the_kernel_shows", confined),
    ("dangerous_calls_fail_and_ordinary_ones_work", calls),
    ("job_runs_as_its_user_with_its_environment_and_directory", user),
    ("memory_limit_kills", memory),
    ("process_limit_stops_forks", processes),
    ("program_that_is_not_there_is_said", missing_program),
    ("layers_are_stacked_and_shared_unchanged", stacked),
    ("image_without_a_shell_is_known_as_such", no_shell),
];

fn confined() {
    test(async |rig| {
        let script = "cat /proc/self/status /proc/self/uid_map; hostname; ls /sys/class/net; ls /dev; \
                      cat /proc/self/cgroup; echo x >/proc/sys/kernel/hostname; ls -A /proc/keys; ls /etc; cat /etc/hosts; \
                      cat /proc/self/mountinfo";
        let instance = rig.instance(&["/bin/sh", "-c", script]);
        let (text, exit) = rig.output(&instance).await;
        let line = |name: &str| {
            let line = text.lines().find(|it| it.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
            line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(exit, Some(0), "{text}");
        assert_eq!(line("Seccomp:"), "2");
        assert_eq!(line("NoNewPrivs:"), "1");
        // chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service.
        for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
            assert_eq!(line(set), "00000000000004fb", "{set}");
        }
        assert_eq!(line("CapInh:"), "0000000000000000");
        let map = text.lines().find(|it| it.trim_start().starts_with("0 ")).unwrap();
        let map: Vec<u64> = map.split_whitespace().map(|it| it.parse().unwrap()).collect();
        assert!(map[0] == 0 && 0x6000_0000 <= map[1] && map[2] == 65_536, "{map:?}");
        assert!(text.lines().any(|it| it == "web"), "the host name is the job's: {text}");
        assert!(text.lines().any(|it| it == "eth0") && !text.contains("ifb0"), "its own network devices only: {text}");
        assert!(text.contains("/proc/sys/kernel/hostname: Read-only file system"), "{text}");
        assert!(text.contains("10.222.0.") && text.contains("localhost"), "{text}");
        let writable: Vec<&str> = text
            .lines()
            .filter(|it| {
                it.contains(" - ") && it.split(' ').nth(5).is_some_and(|it| it.split(',').any(|it| it == "rw"))
            })
            .filter_map(|it| it.split(' ').nth(4))
            .filter(|it| !it.starts_with("/dev") && !it.starts_with("/proc"))
            .collect();
        assert_eq!(writable, ["/"], "{text}");
    });
}

fn calls() {
    test(async |rig| {
        let instance = rig.probe(&["refused"]);
        let (text, _) = rig.output(&instance).await;
        assert!(20 < text.lines().count(), "{text}");
        let wrong: Vec<&str> = text.lines().filter(|it| !it.ends_with(" 1")).collect();
        assert_eq!(wrong, Vec::<&str>::new(), "EPERM is 1");
        let instance = rig.probe(&["allowed"]);
        let (text, _) = rig.output(&instance).await;
        assert_eq!(text, "pidfd_open 0\npidfd_send_signal 0\nmemfd_create 0\nthread 0\nprocess 0\n");
    });
}

fn user() {
    test(async |rig| {
        let mut instance =
            rig.instance(&["/bin/sh", "-c", "id; pwd; echo $GREETING; touch /etc/x; touch /tmp/y; exit 7"]);
        instance.process.user = "web".to_owned();
        instance.process.working_directory = "/srv".to_owned();
        let (text, exit) = rig.output(&instance).await;
        assert_eq!(exit, Some(7));
        assert!(text.contains("uid=1000(web) gid=1000(web)"), "{text}");
        assert!(text.contains("/srv\nhello there\n") && text.contains("/etc/x: Permission denied"), "{text}");
        instance.uuid = uuid::Uuid::new_v4();
        instance.process.user = "nobody-here".to_owned();
        rig.api.desire(std::slice::from_ref(&instance)).await;
        let ended = rig.api.over(instance.uuid).await;
        assert_eq!(ended.message.unwrap(), "no user `nobody-here` in the image");
    });
}

fn memory() {
    test(async |rig| {
        let resources = Resources { memory_bytes: 32 << 20, ..Resources::default() };
        let mut instance = rig.probe(&["eat", "134217728"]);
        instance.resources = resources;
        assert_eq!(rig.output(&instance).await, (String::new(), Some(137)));
        let mut instance = rig.probe(&["eat", "8388608"]);
        instance.resources = resources;
        assert_eq!(rig.output(&instance).await, ("ate 2048\n".to_owned(), Some(0)));
    });
}

fn processes() {
    test(async |rig| {
        let mut instance = rig.probe(&["fill"]);
        instance.resources = Resources { pids: 16, ..Resources::default() };
        rig.api.desire(std::slice::from_ref(&instance)).await;
        rig.api.running(instance.uuid).await;
        assert_eq!(rig.api.logs_until(instance.uuid, "full").await, "full at 15 with 11\n");
    });
}

fn missing_program() {
    test(async |rig| {
        let instance = rig.instance(&["/bin/none\u{1b}[2J"]);
        rig.api.desire(std::slice::from_ref(&instance)).await;
        let message = rig.api.over(instance.uuid).await.message.unwrap();
        assert!(message.contains("no such file or directory"), "{message}");
        assert!(!message.contains('\u{1b}'), "{message:?}");
    });
}

fn stacked() {
    test(async |rig| {
        let mut upper = tar::Builder::new(Vec::new());
        append(&mut upper, tar::EntryType::Regular, "etc/added", 0o644, b"added\n");
        append(&mut upper, tar::EntryType::Regular, "bin/.wh.stat", 0o644, b"");
        append(&mut upper, tar::EntryType::Directory, "srv", 0o700, b"");
        let layer = rig.add_layer(&upper.into_inner().unwrap());
        rig.layers.push(layer);
        let script = "cat /etc/added; ls /bin/stat; ls -ld /srv; ls -ln /bin/busybox; echo changed >/etc/passwd; cat /etc/passwd";
        for _ in 0..2 {
            let instance = rig.instance(&["/bin/sh", "-c", script]);
            let (text, _) = rig.output(&instance).await;
            assert!(text.starts_with("added\n") && text.contains("/bin/stat: No such file"), "{text}");
            assert!(text.contains("drwx------") && text.contains(" 0 "), "{text}");
            assert!(text.ends_with("changed\n"), "{text}");
        }
        let instance = rig.instance(&["/bin/cat", "/etc/passwd"]);
        assert!(rig.output(&instance).await.0.starts_with("root:"), "another instance's change shows");
    });
}

fn no_shell() {
    test(async |rig| {
        let mut layer = tar::Builder::new(Vec::new());
        append(&mut layer, tar::EntryType::Directory, "bin", 0o755, b"");
        append(
            &mut layer,
            tar::EntryType::Regular,
            "bin/probe",
            0o755,
            &std::fs::read(crate::rig::stand_in()).unwrap(),
        );
        // What the host has at the end of this link does not count.
        let mut header = crate::rig::header(tar::EntryType::Symlink, 0o777, 0);
        layer.append_link(&mut header, "bin/sh", "/../../../../bin/bash").unwrap();
        let single = rig.add_layer(&layer.into_inner().unwrap());
        let mut instance = rig.probe(&["idle"]);
        instance.layers = vec![single];
        rig.api.desire(std::slice::from_ref(&instance)).await;
        assert_eq!(rig.api.running(instance.uuid).await.has_shell, Some(false));
        let with = rig.probe(&["idle"]);
        rig.api.desire(std::slice::from_ref(&with)).await;
        assert_eq!(rig.api.running(with.uuid).await.has_shell, Some(true));
    });
}
