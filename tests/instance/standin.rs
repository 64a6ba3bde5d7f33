//! Compiled by the tests as a static program of its own: stands in for the agent, and probes its surroundings.
//!
//! As the agent it does what a line on port 222 tells it, also what no good agent would.

use std::{
    ffi::{c_int, c_long, c_void},
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixDatagram,
    },
    process::{Command, exit},
    sync::Mutex,
    time::Duration,
};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn sendmsg(socket: c_int, message: *const Message, flags: c_int) -> isize;
    fn signal(number: c_int, handler: usize) -> usize;
    fn wait(status: *mut c_int) -> c_int;
    fn _exit(status: c_int) -> !;
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => agent(),
        ["idle"] => idle(),
        ["refused"] => refused(),
        ["allowed"] => allowed(),
        ["eat", bytes] => eat(bytes.parse().unwrap()),
        ["fill"] => fill(),
        ["bind", port] => bind(port.parse().unwrap()),
        ["listen", port] => listen(port.parse().unwrap()),
        ["connect", addresses @ ..] => addresses.iter().for_each(|it| connect(it)),
        _ => exit(64),
    }
}

extern "C" fn stop(_: c_int) {
    unsafe { _exit(0) }
}

/// Like the agent's: ends at SIGTERM, buries orphans.
fn idle() {
    unsafe { signal(15, stop as *const () as usize) };
    loop {
        if unsafe { wait(std::ptr::null_mut()) } < 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Prints the error of each call that must fail.
fn refused() {
    let text = c"/tmp".as_ptr();
    let file = std::fs::File::open("/proc/self/ns/user").unwrap().into_raw();
    let calls: &[(&str, c_long, [c_long; 5])] = &[
        ("mount", 165, [text as c_long, text as c_long, c"tmpfs".as_ptr() as c_long, 0, 0]),
        ("umount2", 166, [text as c_long, 0, 0, 0, 0]),
        ("pivot_root", 155, [text as c_long, text as c_long, 0, 0, 0]),
        ("chroot", 161, [text as c_long, 0, 0, 0, 0]),
        ("ptrace", 101, [0, 0, 0, 0, 0]),
        ("process_vm_readv", 310, [1, 0, 0, 0, 0]),
        ("keyctl", 250, [0, -3, 0, 0, 0]),
        ("add_key", 248, [text as c_long, text as c_long, 0, 0, -3]),
        ("request_key", 249, [text as c_long, text as c_long, 0, 0, 0]),
        ("unshare-user", 272, [0x1000_0000, 0, 0, 0, 0]),
        ("unshare-net", 272, [0x4000_0000, 0, 0, 0, 0]),
        ("setns", 308, [file.into(), 0, 0, 0, 0]),
        ("clone-user", 56, [0x1000_0011, 0, 0, 0, 0]),
        ("bpf", 321, [0, 0, 0, 0, 0]),
        ("kexec_load", 246, [0, 0, 0, 0, 0]),
        ("perf_event_open", 298, [0, 0, 0, 0, 0]),
        ("userfaultfd", 323, [0, 0, 0, 0, 0]),
        ("io_uring_setup", 425, [1, 0, 0, 0, 0]),
        ("pidfd_getfd", 438, [0, 0, 0, 0, 0]),
        ("open_by_handle_at", 304, [0, 0, 0, 0, 0]),
        ("mount_setattr", 442, [0, 0, 0, 0, 0]),
        ("init_module", 175, [0, 0, 0, 0, 0]),
        ("reboot", 169, [0, 0, 0, 0, 0]),
        ("sethostname", 170, [text as c_long, 4, 0, 0, 0]),
        ("socket-packet", 41, [17, 3, 0, 0, 0]),
        ("socket-alg", 41, [38, 5, 0, 0, 0]),
        ("socket-vsock", 41, [40, 1, 0, 0, 0]),
        ("socket-netfilter", 41, [16, 3, 12, 0, 0]),
        ("socket-raw", 41, [2, 3, 1, 0, 0]),
    ];
    for (name, number, [a, b, c, d, e]) in calls {
        let result = unsafe { syscall(*number, *a, *b, *c, *d, *e) };
        println!("{name} {}", if result < 0 { errno() } else { 0 });
    }
}

/// Prints the error of each call that must not fail.
fn allowed() {
    let pid = std::process::id();
    let pidfd = unsafe { syscall(434, pid, 0) };
    println!("pidfd_open {}", if pidfd < 0 { errno() } else { 0 });
    let sent = unsafe { syscall(424, pidfd, 0, 0, 0) };
    println!("pidfd_send_signal {}", if sent < 0 { errno() } else { 0 });
    let memory = unsafe { syscall(319, c"x".as_ptr(), 0) };
    println!("memfd_create {}", if memory < 0 { errno() } else { 0 });
    println!("thread {}", std::thread::spawn(|| 0).join().unwrap());
    println!("process {}", Command::new("/bin/echo").output().map_or(1, |it| it.status.code().unwrap()));
}

/// Touches that much memory.
fn eat(bytes: usize) {
    let memory = vec![1_u8; bytes];
    println!("ate {}", memory.iter().step_by(4096).map(|it| usize::from(*it)).sum::<usize>());
}

/// Starts processes until no more can be.
fn fill() {
    let mut children = Vec::new();
    let error = loop {
        match Command::new("/bin/sleep").arg("100000").spawn() {
            Ok(child) => children.push(child),
            Err(error) => break error,
        }
        if 10_000 < children.len() {
            exit(1);
        }
    };
    println!("full at {} with {}", children.len(), error.raw_os_error().unwrap_or(0));
    idle();
}

fn bind(port: u16) {
    println!("bind {}", TcpListener::bind(("0.0.0.0", port)).map_or_else(|it| it.raw_os_error().unwrap_or(1), |_| 0));
}

fn listen(port: u16) {
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
    println!("listening");
    for stream in listener.incoming().flatten() {
        let mut stream = stream;
        drop(stream.write_all(b"hi\n"));
    }
}

fn connect(address: &str) {
    let result = TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_millis(1500));
    println!("{address} {}", if result.is_ok() { "reached" } else { "unreachable" });
}

static CONTROL: Mutex<u64> = Mutex::new(0);

fn agent() {
    let control = unsafe { UnixDatagram::from_raw_fd(5) };
    let listener = unsafe { TcpListener::from_raw_fd(4) };
    let first = receive(&control);
    assert!(first.contains(r#""type":"start""#), "{first}");
    eprintln!("{first}");
    control.send(br#"{"type":"ready","host_key":"ssh-ed25519 stand-in"}"#).unwrap();
    for stream in listener.incoming().flatten() {
        let control = control.try_clone().unwrap();
        std::thread::spawn(move || serve(&stream, &control));
    }
}

fn receive(control: &UnixDatagram) -> String {
    let mut buffer = vec![0; 65_536];
    let count = control.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

fn serve(mut stream: &TcpStream, control: &UnixDatagram) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words.as_slice() {
            ["session", name] => session(control, name),
            ["enter-self", name] => {
                let own = pidfd(std::process::id());
                enter(control, name, &[own.as_raw_fd()])
            }
            ["enter-first", name] => enter(control, name, &[pidfd(1).as_raw_fd()]),
            ["enter-nothing", name] => enter(control, name, &[]),
            ["enter-file", name] => enter(control, name, &[std::fs::File::open("/proc/self/stat").unwrap().as_raw_fd()]),
            ["enter-two", name] => {
                let own = pidfd(std::process::id());
                enter(control, name, &[own.as_raw_fd(), own.as_raw_fd()])
            }
            ["leave", name] => {
                control.send(format!(r#"{{"type":"leave","session":"{name}"}}"#).as_bytes()).unwrap();
                "left".to_owned()
            }
            ["nonsense"] => {
                control.send(b"\xff{").unwrap();
                "sent".to_owned()
            }
            ["die"] => exit(1),
            ["run", command @ ..] => {
                let output = Command::new("/bin/sh").arg("-c").arg(command.join(" ")).output();
                output.map_or_else(|it| it.to_string(), |it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
            }
            other => format!("echo {}", other.join(" ")),
        };
        if writeln!(stream, "{answer}").is_err() {
            return;
        }
    }
}

/// Starts a process with a child of its own, and asks for it to be placed.
fn session(control: &UnixDatagram, name: &str) -> String {
    let child = Command::new("/bin/sh").args(["-c", "while :; do /bin/sleep 0.05; done"]).spawn();
    let Ok(child) = child else { return format!("no process: {}", errno()) };
    enter(control, name, &[pidfd(child.id()).as_raw_fd()])
}

fn pidfd(pid: u32) -> OwnedFd {
    let descriptor = unsafe { syscall(434, pid, 0) };
    assert!(0 <= descriptor);
    unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) }
}

#[repr(C)]
struct Message {
    name: *const c_void,
    name_length: u32,
    parts: *const [usize; 2],
    part_count: usize,
    control: *const c_void,
    control_length: usize,
    flags: c_int,
}

#[repr(C)]
struct Rights {
    length: usize,
    level: c_int,
    kind: c_int,
    descriptors: [c_int; 4],
}

fn enter(control: &UnixDatagram, session: &str, descriptors: &[RawFd]) -> String {
    let mut request = CONTROL.lock().unwrap();
    *request += 1;
    let text = format!(r#"{{"type":"enter","request":{request},"session":"{session}"}}"#);
    let part = [text.as_ptr() as usize, text.len()];
    let mut rights = Rights { length: 16 + 4 * descriptors.len(), level: 1, kind: 1, descriptors: [0; 4] };
    rights.descriptors[..descriptors.len()].copy_from_slice(descriptors);
    let message = Message {
        name: std::ptr::null(),
        name_length: 0,
        parts: &raw const part,
        part_count: 1,
        control: (&raw const rights).cast(),
        control_length: if descriptors.is_empty() { 0 } else { (rights.length + 7) / 8 * 8 },
        flags: 0,
    };
    assert!(0 < unsafe { sendmsg(control.as_raw_fd(), &raw const message, 0) });
    loop {
        let answer = receive(control);
        if answer.contains(&format!(r#""request":{request}"#)) {
            return answer;
        }
    }
}

trait IntoRaw {
    fn into_raw(self) -> RawFd;
}

impl IntoRaw for std::fs::File {
    fn into_raw(self) -> RawFd {
        std::os::fd::IntoRawFd::into_raw_fd(self)
    }
}
