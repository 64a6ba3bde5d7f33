//! Mutual TLS between the roles, over sockets and inside one process alike.
