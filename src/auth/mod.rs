//! The auth role: logins, tokens, policy documents, and the only keys that sign.
