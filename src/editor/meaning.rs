//! What each word of the language means, in one sentence for whoever points at it.

use crate::syntax::ast::Operator;

/// What a claim type means where a rule asserts it.
pub(super) fn claim_type(name: &str) -> Option<&'static str> {
    Some(match name {
        "permit" => "What may be done with the resource. Permits add up; nothing takes one back.",
        "role" => {
            "A name that other rules ask for: `if (role == NAME)`. It holds on this resource type and nowhere else."
        }
        "name" => "The name that the token is issued for; exactly one.",
        "tokenTimeout" => "How long a token holds. The shortest one asserted counts.",
        "defaultNamespace" => "Where the user is when they name none. The most specific realm's value counts.",
        "defaultNamespacePrefix" => {
            "What their name is put behind as their namespace. The most specific realm's value counts."
        }
        "log" => "Which decisions are recorded: `allow`, `deny`, or `none`, which cancels what realms above ask for.",
        "docker.allow" => "An image, a repository or a registry that jobs may be made of.",
        "label" => "A label that the job gets.",
        "package.allow" => "A realm of packages that jobs may use.",
        "package.default" => "The package that a dependency is resolved with. The most specific realm's value counts.",
        "package.lock" => "A realm of packages that dependencies are resolved with, and no others.",
        "package.retire" => "A realm of packages that no new job may use.",
        "schedulingTag.hard" => "A tag that the machine of the job must have.",
        "schedulingTag.soft" => "A tag that the machine of the job should have.",
        "sp.disable" => "A semantic pipeline that is switched off.",
        "ssh.user" => "Whom a session runs as within the instance. The most specific realm's value counts.",
        "ssh.record" => "What of a session is recorded: `none`, `output` or `full`. The most asked for counts.",
        "ssh.idleTimeout" => "How long a session may be idle. The shortest one asserted counts.",
        "ssh.maxSession" => "How long a session may last. The shortest one asserted counts.",
        "ssh.require" => "A type of fact that must be there, such as `mfa` or `approval`, whoever grants the session.",
        "max.instances" => "How many instances a job may have. The least asserted counts.",
        "max.package.size" => "How large a package may be. The least asserted counts.",
        "max.instance.cpu" => "Processor that one instance may have. The least asserted counts.",
        "max.instance.disk" => "Disk that one instance may have. The least asserted counts.",
        "max.instance.memory" => "Memory that one instance may have. The least asserted counts.",
        "max.instance.network" => "Network that one instance may have. The least asserted counts.",
        "max.job.cpu" => "Processor that all instances of a job may have together. The least asserted counts.",
        "max.job.disk" => "Disk that all instances of a job may have together. The least asserted counts.",
        "max.job.memory" => "Memory that all instances of a job may have together. The least asserted counts.",
        "max.job.network" => "Network that all instances of a job may have together. The least asserted counts.",
        "total.cpu" => "Processor that everything in this realm may have together.",
        "total.disk" => "Disk that everything in this realm may have together.",
        "total.memory" => "Memory that everything in this realm may have together.",
        "total.network" => "Network that everything in this realm may have together.",
        "total.package.size" => "Bytes that all packages in this realm may have together.",
        _ => return None,
    })
}

/// What a fact means that only the operation brings.
pub(super) fn context(name: &str) -> Option<&'static str> {
    Some(match name {
        "ResType" => "The resource type that the policy speaks of, on `policy::`.",
        "approvals.count" => "How many valid approvals there are.",
        "auth.age" => "How long ago the user logged in.",
        "client.address" => "The address that the client connects from.",
        "command" => "The command that is to run. One with shell characters in it satisfies only `==`.",
        "dependency" => "What the job depends on; there may be several.",
        "forward.host" => "The host that a connection is to be forwarded to.",
        "forward.port" => "The port that a connection is to be forwarded to.",
        "job" => "The job on the other side of the handshake.",
        "mfa" => "The second factors that the user logged in with.",
        "mfa.age" => "How long ago the user gave a second factor.",
        "network" => "The network on the other side of the handshake.",
        "owner" => "Who owns the job.",
        "principal.kind" => "Who asks: `user` or `job`.",
        "reason" => "What the user gave as their reason.",
        "route" => "The route on the other side of the handshake.",
        "service" => "The service on the other side of the handshake.",
        "side" => "Which side of the handshake is asked: `source` or `destination`.",
        "subsystem" => "The SSH subsystem that is asked for, such as `sftp`.",
        "time.clock" => "The time of day in the cluster's zone, `HH:MM`.",
        "time.date" => "The day in the cluster's zone, `YYYY-MM-DD`.",
        "time.hour" => "The hour in the cluster's zone, 0 to 23.",
        "time.weekday" => "The day of the week in the cluster's zone, `mon` to `sun`.",
        _ => {
            let tag = name.strip_prefix("tag.").filter(|it| !it.is_empty());
            return tag.map(|_| "The values of this tag of the job.");
        }
    })
}

/// What a permit lets one do.
pub(super) fn permit(on: &str, value: &str) -> Option<&'static str> {
    Some(match (on, value) {
        (_, "all") => "Everything that the system documents list for this resource type.",
        ("job", "ssh") => {
            "Open a shell, run commands and copy files in the job's instances: `shell`, `exec` and `sftp`."
        }
        ("job", "shell") => "Open a shell in the job's instances.",
        ("job", "exec") => "Run a command in the job's instances; ask for which one by `command`.",
        ("job", "sftp") => "Copy files from and to the job's instances.",
        ("job", "forward") => {
            "Forward connections into the job; ask for where to by `forward.host` and `forward.port`."
        }
        ("job", "approve") => "Approve what others ask for on the job. Nobody approves their own request.",
        ("job", "watch") => "Watch sessions of others in the job.",
        ("job", "map") => "Let a route lead to the job. The route must permit it too.",
        ("job", "link") => "Link the job to another. The other one must permit it too.",
        ("job", "bind") => "Bind the job to a service. The service must permit it too.",
        ("job", "join") => "Join the job to a network. The network must permit it too.",
        ("job", "promote") => "Make a gateway of the job. The gateway must permit it too.",
        ("job", "issue") => "Let the job ask for tokens.",
        ("job", "start") => "Start the job.",
        ("job", "stop") => "Stop the job.",
        ("auth", "issue") => "Get a token.",
        ("route", "map") => "Let the route lead to a job. The job must permit it too.",
        ("service", "bind") => "Bind a job to the service. The job must permit it too.",
        ("network", "join") => "Join a job to the network. The job must permit it too.",
        ("gateway", "promote") => "Make a gateway of a job. The job must permit it too.",
        (_, "use") => "Use it.",
        (_, "create") => "Create it.",
        (_, "read") => "See it. Without this it looks as if it did not exist.",
        (_, "update") => "Change it.",
        (_, "delete") => "Remove it.",
        _ => return None,
    })
}

/// How an operator compares.
pub(super) fn operator(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal | Operator::Equals => "True if some value is this text, byte for byte.",
        Operator::NotEqual => "True if there are values and none of them is this text.",
        Operator::BeginsWith => "True if some value begins with this text, wherever that ends: mind `tom` and `tommy`.",
        Operator::EndsWith => "True if some value ends with this text.",
        Operator::FqnMatch => "True if some value is a name that lies in this realm, segment by segment.",
        Operator::Contains => "True if some value has this text in it.",
        Operator::Matches => "True if some value fits as a whole; `*` is any text, `?` any one character.",
        Operator::InCidr => "True if some value is an address in this network.",
        Operator::Less => "True if some value of the same kind is less.",
        Operator::LessOrEqual => "True if some value of the same kind is less or the same.",
        Operator::Greater => "True if some value of the same kind is greater.",
        Operator::GreaterOrEqual => "True if some value of the same kind is greater or the same.",
        Operator::In => "True if some value is one of these, byte for byte.",
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        compile::catalogue::CLAIM_TYPES,
        editor::meaning::{claim_type, context, permit},
        syntax::vocabulary::{CONTEXT_TYPES, RESOURCE_TYPES},
    };

    #[test]
    fn every_word_of_the_language_has_a_meaning() {
        for it in CLAIM_TYPES {
            assert!(claim_type(it.name).is_some(), "{}", it.name);
        }
        for it in CONTEXT_TYPES {
            assert!(context(it).is_some(), "{it}");
        }
        for it in RESOURCE_TYPES {
            for value in it.permits() {
                assert!(permit(it.name, value).is_some(), "{} {value}", it.name);
            }
        }
        assert!(context("tag.team").is_some() && context("tag.").is_none() && claim_type("mfa").is_none());
    }
}
