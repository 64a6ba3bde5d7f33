//! The scene, step by step; each step demands what it shows.

use std::time::Instant;

use crate::cli::demo::{
    Trouble,
    cluster::Cluster,
    person::{Person, say},
};

const JOB: &str = "job::/sandbox/tom::web";

/// Plays all of it; the first step that does not do what it claims ends it.
pub(super) fn play(cluster: &Cluster) -> Result<(), Trouble> {
    let admin = cluster.person("admin")?;
    let tom = cluster.person("tom")?;
    let mary = cluster.person("mary")?;
    everybody_logs_in(cluster, [&admin, &tom, &mary])?;
    documents_are_imported(cluster, &admin)?;
    app_is_deployed(cluster, &tom)?;
    connect_is_refused_while_ssh_is_off(&tom)?;
    ssh_is_allowed(&tom)?;
    tom_connects(&tom)?;
    mary_is_refused(&mary)?;
    console_is_opened_and_leaves_nothing(&tom)?;
    session_ends_with_its_grant(cluster, &admin, &mary)?;
    audit_trail_has_it_all(&admin)
}

fn everybody_logs_in(cluster: &Cluster, people: [&Person; 3]) -> Result<(), Trouble> {
    title("Everybody logs in through the router; policy decides who gets a token")?;
    let authority = cluster.authority();
    for person in people {
        person.types(&["target", cluster.url(), "--ca", &authority])?.ends(0)?;
        let login = ["login", "--user", person.name(), "--password-stdin"];
        person.types_with_input(&login, cluster.password(person.name()))?.ends(0)?;
    }
    Ok(())
}

fn documents_are_imported(cluster: &Cluster, admin: &Person) -> Result<(), Trouble> {
    title("The admin adds policy: Mary may see Tom's jobs and read what happened there")?;
    for name in ["readers", "auditors"] {
        admin.types(&["policy", "import", &cluster.document(name)])?.ends(0)?;
    }
    admin.types(&["policy", "list"])?.ends(0)?.says("readers")?.says("sandbox")?;
    Ok(())
}

fn app_is_deployed(cluster: &Cluster, tom: &Person) -> Result<(), Trouble> {
    title("Tom deploys an app into his sandbox: a real container")?;
    tom.types(&["package", "import", &cluster.image(), "--name", "busybox"])?.ends(0)?;
    let create = [
        "app",
        "create",
        "web",
        "--package",
        "busybox",
        "--env",
        "GREETING=hello",
        "--user",
        "app",
        "--",
        "/bin/httpd",
        "-f",
        "-p",
        "8080",
        "-h",
        "/srv",
    ];
    tom.types(&create)?.ends(0)?;
    tom.types(&["app", "start", "web"])?.ends(0)?;
    tom.types(&["app", "show", "web"])?.ends(0)?.says("ssh: false")?;
    Ok(())
}

fn connect_is_refused_while_ssh_is_off(tom: &Person) -> Result<(), Trouble> {
    title("SSH is off until it is allowed")?;
    tom.types(&["app", "connect", "web", "--", "id"])?.ends(255)?.says("SSH is not enabled")?;
    Ok(())
}

fn ssh_is_allowed(tom: &Person) -> Result<(), Trouble> {
    title("Tom allows it: port 222 is exposed")?;
    tom.types(&["app", "update", "web", "--allow-ssh", "--restart"])?.ends(0)?;
    tom.types(&["app", "show", "web"])?.ends(0)?.says("222")?.says("ssh: true")?;
    Ok(())
}

fn tom_connects(tom: &Person) -> Result<(), Trouble> {
    title("Tom connects: router, API server, policy, NAT, port 222, shell")?;
    tom.types(&["app", "connect", "web", "--", "sh", "-c", "id; hostname; ip addr"])?
        .ends(0)?
        .says("(app)")?
        .says("inet ")?;
    Ok(())
}

fn mary_is_refused(mary: &Person) -> Result<(), Trouble> {
    title("Mary may see the job, and is refused a shell in it")?;
    mary.types(&["app", "show", JOB])?.ends(0)?.says(JOB)?;
    mary.types(&["app", "connect", JOB])?.ends(255)?.says("missing claim \"permit ssh\"")?;
    Ok(())
}

fn console_is_opened_and_leaves_nothing(tom: &Person) -> Result<(), Trouble> {
    title("The live app is closed again; a console is a throw-away clone of it")?;
    tom.types(&["app", "update", "web", "--remove-ssh", "--restart"])?.ends(0)?;
    tom.types(&["app", "show", "web"])?.ends(0)?.says("ssh: false")?;
    tom.types(&["app", "console", "web", "--", "env"])?.ends(0)?.says("GREETING=hello")?;
    tom.types(&["job", "list"])?.ends(0)?.says("web")?.says_nothing_of("-console-")?;
    tom.types(&["app", "show", "web"])?.ends(0)?.says("started")?.says("ssh: false")?;
    tom.types(&["app", "update", "web", "--allow-ssh", "--restart"])?.ends(0)?;
    Ok(())
}

fn session_ends_with_its_grant(cluster: &Cluster, admin: &Person, mary: &Person) -> Result<(), Trouble> {
    title("Mary goes on call, enters, and the grant is taken away while she is inside")?;
    admin.types(&["policy", "import", &cluster.document("on-call")])?.ends(0)?;
    let session = mary.opens(&["app", "connect", JOB], "echo I am in $(hostname)\n", "I am in ")?;
    admin.types(&["policy", "delete", "on-call"])?.ends(0)?;
    let since = Instant::now();
    session.ends_by_itself()?.ends(255)?.says("missing claim \"permit ssh\"")?;
    say(&format!("    (the session was gone {} ms after the policy command had ended)", since.elapsed().as_millis()))?;
    Ok(())
}

fn audit_trail_has_it_all(admin: &Person) -> Result<(), Trouble> {
    title("Who got in where, who did not, and why: the audit trail")?;
    let mut trail = admin.types(&["audit", "tail", "--limit", "200"])?.ends(0)?;
    for event in [
        "token.issued",
        "policy.changed",
        "job.created",
        "policy.access.denied",
        "ssh.session.opened",
        "ssh.session.request",
        "ssh.session.closed",
        "ssh.session.revoked",
        "console.created",
        "console.deleted",
    ] {
        trail = trail.says(event)?;
    }
    admin.types(&["audit", "verify"])?.ends(0)?;
    Ok(())
}

fn title(text: &str) -> Result<(), Trouble> {
    say(&format!("\n== {text}"))
}
