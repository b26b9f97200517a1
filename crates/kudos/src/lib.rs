//! kudos (see ARCHITECTURE.md).
