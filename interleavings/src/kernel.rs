//! What the pieces ask of the system.
