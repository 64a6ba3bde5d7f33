//! What an author will regret: findings that are no errors.
