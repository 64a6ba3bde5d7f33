//! The instance manager: containers, their network, and their port 222.
